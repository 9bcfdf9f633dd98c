"""Putting a segment together anew, from records that were taken out of another one."""

from collections.abc import Sequence
from typing import cast

from memwatchd.errors import MemwatchdError
from memwatchd.ring.file import map_memory
from memwatchd.ring.format import (
    MAX_SEGMENT_BYTES,
    RECORD_HEADER,
    SEGMENT_HEADER_BYTES,
    Kind,
    RingHeader,
    SegmentHeader,
    Stream,
)
from memwatchd.ring.reader import Segment, parse_segment
from memwatchd.ring.writer import Clocks, RingWriter

# Kind and payload of a record; the kind may be one this version does not know.
Packed = tuple[int, bytes | memoryview]


def pack_segment(header: SegmentHeader, records: Sequence[Packed]) -> Segment:
    """Make a segment with this header, but for what follows from the records.

    Raises:
        MemwatchdError: It would become larger than a segment may be.
    """
    size = SEGMENT_HEADER_BYTES + sum(RECORD_HEADER.size + (len(each) + 7 & ~7) for _, each in records)
    if size > MAX_SEGMENT_BYTES:
        raise MemwatchdError(f"segment {header.sequence} is too large to be written anew")
    ring_header = RingHeader(size, 1, Stream(header.stream), header.boot_id, 0)
    ring = map_memory(memoryview(bytearray(ring_header.file_bytes)), ring_header, "segment")
    clocks = Clocks(header.monotonic_ns, header.boottime_ns, header.realtime_ns)
    writer = RingWriter(ring, lambda: clocks, header.boot_id, header.writer_pid)
    writer.sequence = header.sequence - 1
    writer.start_segment(header.first_tick)
    for kind, payload in records:
        if not writer.append(cast(Kind, kind), bytes(payload)):
            raise MemwatchdError(f"segment {header.sequence} does not hold what was in it")
    if header.sealed:
        writer.seal()
    packed = parse_segment(ring.segments[0])
    assert packed is not None
    return packed
