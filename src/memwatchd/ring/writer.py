"""Appending records to a ring; see `format` for what it writes and why readers need no lock."""

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from memwatchd.ring.file import RingMap
from memwatchd.ring.format import (
    RECORD_HEADER,
    SEGMENT_HEADER_BYTES,
    SEQUENCE_OFFSET,
    USED_OFFSET,
    Kind,
    SegmentHeader,
    seal_fields,
    unpack_segment_header,
)

_ORDER = sys.byteorder
_PADDING = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")


@dataclass(frozen=True, slots=True)
class Clocks:
    """One moment on the three clocks, in nanoseconds; side by side they tell a suspend or a clock step."""

    monotonic_ns: int
    boottime_ns: int
    realtime_ns: int


class RingWriter:
    """Writes one ring. There is one writer per ring, and it never waits.

    Args:
        ring: Mapped for writing. Segments already there are kept and followed on.
        clocks: Reads the three clocks.
        pid: Goes into every segment's header.
    """

    def __init__(self, ring: RingMap, clocks: Callable[[], Clocks], boot_id: bytes, pid: int) -> None:
        self._slots = [(slot, slot[SEQUENCE_OFFSET : USED_OFFSET + 8].cast("Q")) for slot in ring.segments]
        self._stream = ring.header.stream
        self._capacity = ring.header.segment_bytes - SEGMENT_HEADER_BYTES
        self._clocks = clocks
        self._boot_id = boot_id
        self._pid = pid
        self._crc = 0
        self._used = 0
        self._slot, self._words = self._slots[0]
        self.sequence = max((seq for seq in map(_sequence_of, ring.segments)), default=0)
        self.open = False

    def start_segment(self, first_tick: int = 0) -> None:
        """Seal the present segment and take over the oldest slot."""
        self.seal()
        now = self._clocks()
        self.sequence += 1
        header = SegmentHeader(
            self._stream,
            self.sequence,
            0,
            False,
            0,
            self._boot_id,
            now.monotonic_ns,
            now.boottime_ns,
            now.realtime_ns,
            first_tick,
            self._pid,
        )
        packed, self._crc = header.pack()
        self._slot, self._words = self._slots[(self.sequence - 1) % len(self._slots)]
        self._words[0] = 0  # readers of the old contents see that it is going
        self._words[1] = 0
        self._slot[USED_OFFSET:SEGMENT_HEADER_BYTES] = packed[USED_OFFSET:]
        self._slot[:SEQUENCE_OFFSET] = packed[:SEQUENCE_OFFSET]
        self._words[0] = self.sequence
        self._used = 0
        self.open = True

    def append(self, kind: Kind, *parts: bytes) -> bool:
        """Append one record to the present segment; False, and nothing is written, when it does not fit."""
        payload = b"".join(parts)
        length = len(payload)
        used = self._used
        end = used + RECORD_HEADER.size + (length + 7 & ~7)
        if end > self._capacity or not self.open:
            return False
        body = b"".join((RECORD_HEADER.pack(0, length, kind)[4:], payload, _PADDING[length & 7]))
        crc = self._crc = zlib.crc32(body, self._crc)
        at = SEGMENT_HEADER_BYTES + used
        slot = self._slot
        slot[at + 4 : at + 4 + len(body)] = body
        slot[at : at + 4] = crc.to_bytes(4, _ORDER)
        self._words[1] = self._used = end
        return True

    def seal(self) -> None:
        """Close the present segment: nothing is appended to it any more."""
        if not self.open:
            return
        crc_at, crc, flags_at, flags = seal_fields(self._crc)
        self._slot[crc_at : crc_at + len(crc)] = crc
        self._slot[flags_at : flags_at + len(flags)] = flags
        self.open = False


def _sequence_of(slot: memoryview) -> int:
    header = unpack_segment_header(slot)
    return header[0].sequence if header else 0
