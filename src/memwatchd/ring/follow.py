"""Following a live ring: what has been appended since the last look, each record once, and without a lock."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from memwatchd.ring.file import RingMap
from memwatchd.ring.format import (
    RECORD_HEADER,
    SEGMENT_HEADER_BYTES,
    SEQUENCE_OFFSET,
    USED_OFFSET,
    SegmentHeader,
    unpack_segment_header,
)
from memwatchd.ring.reader import Segment, segment_headers

_WORD = struct.Struct("=Q")
_CRC_BYTES = 4


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of one segment that are new.

    Attributes:
        segment: With the new records only.
        begins: They are the first ones of it, so that they need nothing from before.
    """

    segment: Segment
    begins: bool


class Follower:
    """Goes along with whoever writes a ring.

    Args:
        ring: A mapped one.
        from_ns: Begin with the segment that has this moment of the monotonic clock.

    Attributes:
        lost: Segments that were overwritten, or damaged, before all of them could be read.
    """

    def __init__(self, ring: RingMap, from_ns: int = 0) -> None:
        self.lost = 0
        self._ring = ring
        headers = segment_headers(ring)
        wanted = (
            header.sequence
            for header, following in zip_longest(headers, headers[1:])
            if following is None or following.monotonic_ns > from_ns
        )
        self._sequence = next(wanted, 1)
        self._header: SegmentHeader | None = None
        self._at = self._crc = 0
        self._damaged = False

    def take(self) -> Iterator[Stretch]:
        """Yield what is new, oldest first; one stretch for each segment."""
        while True:
            newer = self._newer()
            stretch = self._read()
            if stretch is not None:
                yield stretch
            if newer is None:
                return
            self.lost += newer - self._sequence - 1
            self._sequence, self._header, self._damaged = newer, None, False

    def _newer(self) -> int | None:
        """The segment after the present one; asked before that is read, which is whole by then."""
        slots = self._ring.segments
        found = _sequence(slots[self._sequence % len(slots)])
        if found == self._sequence + 1:
            return found
        # It has come round meanwhile, or a slot is just being taken over.
        newer = [each for each in map(_sequence, slots) if each > self._sequence]
        return min(newer, default=None)

    def _read(self) -> Stretch | None:
        slot = self._ring.segments[(self._sequence - 1) % len(self._ring.segments)]
        begins = self._header is None
        if self._damaged or (begins and not self._open(slot)) or self._header is None:
            return None
        end = min(SEGMENT_HEADER_BYTES + _WORD.unpack_from(slot, USED_OFFSET)[0], len(slot))
        fresh = bytes(slot[:SEGMENT_HEADER_BYTES]) + bytes(slot[self._at : end])
        if _sequence(slot) != self._sequence:
            self._give_up()
            return None
        good = self._check(fresh)
        self._at += good - SEGMENT_HEADER_BYTES
        if good < len(fresh):
            self._give_up()
        if good == SEGMENT_HEADER_BYTES:
            return None
        return Stretch(Segment(self._header, memoryview(fresh)[:good], self._damaged), begins)

    def _open(self, slot: memoryview) -> bool:
        found = unpack_segment_header(bytes(slot[:SEGMENT_HEADER_BYTES]))
        if found is None or found[0].sequence != self._sequence:
            return False
        self._header, self._crc = found
        self._at = SEGMENT_HEADER_BYTES
        return True

    def _check(self, fresh: bytes) -> int:
        """Say up to where the records are good, and go on with the running CRC."""
        at, view = SEGMENT_HEADER_BYTES, memoryview(fresh)
        while at + RECORD_HEADER.size <= len(fresh):
            stated, length, _ = RECORD_HEADER.unpack_from(fresh, at)
            after = at + RECORD_HEADER.size + (length + 7 & ~7)
            if after > len(fresh):
                break
            crc = zlib.crc32(view[at + _CRC_BYTES : after], self._crc)
            if crc != stated:
                break
            self._crc, at = crc, after
        return at

    def _give_up(self) -> None:
        """Nothing more of this segment can be believed."""
        self._damaged = True
        self.lost += 1


def _sequence(slot: memoryview) -> int:
    sequence: int = _WORD.unpack_from(slot, SEQUENCE_OFFSET)[0]
    return sequence
