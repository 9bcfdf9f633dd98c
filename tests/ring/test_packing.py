"""Segments put together anew."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.conftest import Tape

from memwatchd.errors import MemwatchdError
from memwatchd.ring.file import RingMap
from memwatchd.ring.format import MAX_SEGMENT_BYTES, Kind
from memwatchd.ring.packing import pack_segment
from memwatchd.ring.reader import Segment, read_segments


@pytest.fixture
def segment(tape: Tape, make_ring: Callable[..., RingMap]) -> Segment:
    """A sealed segment of a few records."""
    for number in range(3):
        tape.sample(number, {"vmstat": b"%d" * (number + 1) % ((number,) * (number + 1))})
    tape.new_segment()
    return next(read_segments(tape.samples))


def test_the_same_records_make_the_same_segment(segment: Segment) -> None:
    """What is cut or merged would not be what was recorded."""
    records = [(record.kind, record.payload) for record in segment.records()]
    packed = pack_segment(segment.header, records)
    assert (packed.data, packed.header, packed.damaged) == (segment.data, segment.header, False)


def test_another_number_and_unknown_kinds(segment: Segment) -> None:
    """Records of a later version would be lost, or the running CRC be that of the old number."""
    header = replace(segment.header, sequence=77, sealed=False)
    packed = pack_segment(header, [(99, b"what a later version wrote"), (Kind.EVENT, b"{}")])
    found = [(record.kind, bytes(record.payload)) for record in packed.records()]
    assert found == [(99, b"what a later version wrote"), (Kind.EVENT, b"{}")]
    assert (packed.header.sequence, packed.header.sealed, packed.damaged) == (77, False, False)


def test_more_than_a_segment_holds(segment: Segment) -> None:
    """The file would have a segment that no reader takes."""
    with pytest.raises(MemwatchdError, match="segment 1 is too large to be written anew"):
        pack_segment(segment.header, [(Kind.FILE, bytes(MAX_SEGMENT_BYTES))])
