"""Reading segments: from a live ring without a lock, from a dead one, or from an incident file."""

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

_WORD = struct.Struct("=Q")
_CRC_AND_REST = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Record:
    """One record whose CRC holds; `kind` may be one this version does not know."""

    kind: int
    payload: memoryview


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's header and its good records' bytes.

    Attributes:
        data: Header and good records, as they go into an incident file.
        damaged: The segment claims more records than are good.
    """

    header: SegmentHeader
    data: memoryview
    damaged: bool

    def records(self) -> Iterator[Record]:
        """Yield the good records, oldest first."""
        at = SEGMENT_HEADER_BYTES
        while at < len(self.data):
            _, length, kind = RECORD_HEADER.unpack_from(self.data, at)
            start = at + RECORD_HEADER.size
            yield Record(kind, self.data[start : start + length])
            at = start + (length + 7 & ~7)


def parse_segment(data: bytes | bytearray | memoryview) -> Segment | None:
    """Read a segment as far as it is good; None when not even its header is."""
    found = unpack_segment_header(data)
    if found is None:
        return None
    header, crc = found
    end = SEGMENT_HEADER_BYTES + header.used
    view = memoryview(data)
    at = SEGMENT_HEADER_BYTES
    while at + RECORD_HEADER.size <= min(end, len(view)):
        stated, length, _ = RECORD_HEADER.unpack_from(view, at)
        after = at + RECORD_HEADER.size + (length + 7 & ~7)
        if after > min(end, len(view)):
            break
        crc = zlib.crc32(view[at + _CRC_AND_REST.size : after], crc)
        if crc != stated:
            break
        at = after
    return Segment(header, view[:at], at != end)


def read_segments(ring: RingMap, *, since_sequence: int = 0, from_ns: int | None = None) -> Iterator[Segment]:
    """Copy the segments of a ring, live or not, oldest first, one in memory at a time.

    Those that are overwritten before their turn comes are left out.

    Args:
        ring: The mapped ring.
        since_sequence: Leave out segments older than this one.
        from_ns: Leave out segments that ended before this moment of the monotonic clock.
    """
    headers = segment_headers(ring)
    for header, following in zip_longest(headers, headers[1:]):
        ended = following is not None and from_ns is not None and following.monotonic_ns <= from_ns
        if header.sequence < since_sequence or ended:
            continue
        segment = _copy(ring.segments[(header.sequence - 1) % len(ring.segments)])
        if segment is not None and segment.header.sequence == header.sequence:
            yield segment


def segment_headers(ring: RingMap) -> list[SegmentHeader]:
    """Read only the headers, oldest first."""
    found = [unpack_segment_header(bytes(slot[:SEGMENT_HEADER_BYTES])) for slot in ring.segments]
    return sorted((each[0] for each in found if each), key=lambda header: header.sequence)


def _copy(slot: memoryview) -> Segment | None:
    before = _sequence(slot)
    used = _WORD.unpack_from(slot, USED_OFFSET)[0]
    copy = bytes(slot[: SEGMENT_HEADER_BYTES + min(used, len(slot))])
    # The writer sets the sequence to 0 before it touches anything else of a slot.
    if _sequence(slot) != before:
        return None
    return parse_segment(copy)


def _sequence(slot: memoryview) -> int:
    sequence: int = _WORD.unpack_from(slot, SEQUENCE_OFFSET)[0]
    return sequence
