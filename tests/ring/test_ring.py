"""Writing and reading a ring: what goes in comes out, and what is torn or damaged is told apart."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memwatchd.errors import FormatError, NotFoundError
from memwatchd.ring.file import RingMap, open_ring
from memwatchd.ring.format import SEGMENT_HEADER_BYTES, SEQUENCE_OFFSET, Kind, State
from memwatchd.ring.reader import Segment, parse_segment, read_segments, segment_headers
from memwatchd.ring.writer import Clocks, RingWriter

MakeRing = Callable[..., RingMap]
ReadClocks = Callable[[], Clocks]


def writer_of(ring: RingMap, clocks: ReadClocks) -> RingWriter:
    return RingWriter(ring, clocks, bytes(range(16)), 77)


def payloads(segments: list[Segment]) -> list[bytes]:
    return [bytes(record.payload) for segment in segments for record in segment.records()]


def fill(ring: RingMap, clocks: ReadClocks, records: list[bytes]) -> None:
    writer = writer_of(ring, clocks)
    writer.start_segment()
    for record in records:
        if not writer.append(Kind.EVENT, record):
            writer.start_segment()
            assert writer.append(Kind.EVENT, record)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(records=st.lists(st.binary(max_size=300), max_size=40))
def test_what_goes_in_comes_out(make_ring: MakeRing, clocks: ReadClocks, records: list[bytes]) -> None:
    """Samples would be lost or changed on their way through the ring."""
    ring = make_ring(segments=8)
    fill(ring, clocks, records)
    assert payloads(list(read_segments(ring))) == records


def test_the_oldest_segment_is_overwritten_first(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """The last seconds, not the first ones, are what the ring is for."""
    ring = make_ring(segments=4)
    fill(ring, clocks, [bytes([number]) * 1000 for number in range(40)])
    kept = payloads(list(read_segments(ring)))
    assert kept == [bytes([number]) * 1000 for number in range(40 - len(kept), 40)]
    assert len(kept) >= 9


def test_a_segment_says_where_and_when_it_was_written(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """A segment cut out of its ring could not be placed in time."""
    ring = make_ring()
    writer = writer_of(ring, clocks)
    writer.start_segment(first_tick=42)
    writer.append(Kind.EVENT, b"x")
    (header,) = segment_headers(ring)
    assert (header.sequence, header.first_tick, header.writer_pid) == (1, 42, 77)
    assert (header.monotonic_ns, header.boottime_ns, header.realtime_ns) == (
        1_000_000,
        1_000_005,
        10**18 + 1_000_000,
    )
    assert (header.boot_id, header.sealed) == (bytes(range(16)), False)


def test_a_sealed_segment_repeats_its_crc(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """Whoever copies sealed segments could not check them in one go."""
    ring = make_ring()
    writer = writer_of(ring, clocks)
    writer.start_segment()
    writer.append(Kind.EVENT, b"x" * 10)
    writer.seal()
    (segment,) = read_segments(ring)
    (last_crc,) = struct.unpack_from("=I", segment.data, SEGMENT_HEADER_BYTES)
    assert segment.header.sealed
    assert segment.header.crc == last_crc
    assert not writer.append(Kind.EVENT, b"more")


def test_a_record_larger_than_a_segment_is_refused(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """It would run over the next segment."""
    writer = writer_of(make_ring(), clocks)
    writer.start_segment()
    assert not writer.append(Kind.EVENT, b"x" * 4096)


def test_a_second_writer_goes_on_where_the_first_one_died(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """A restarted sampler would overwrite the newest samples first."""
    ring = make_ring()
    fill(ring, clocks, [b"before"])
    fill(ring, clocks, [b"after"])
    assert [segment.header.sequence for segment in read_segments(ring)] == [1, 2]
    assert payloads(list(read_segments(ring))) == [b"before", b"after"]


def test_a_segment_overwritten_while_it_is_copied_is_left_out(
    make_ring: MakeRing, clocks: ReadClocks
) -> None:
    """A torn copy would pass for samples."""
    ring = make_ring(segments=3)
    fill(ring, clocks, [b"a" * 3000, b"b" * 3000, b"c" * 3000])
    copying = read_segments(ring)
    assert payloads([next(copying)]) == [b"a" * 3000]
    fill(ring, clocks, [b"d" * 3000, b"e" * 3000])  # takes the slot of the second one before it is copied
    assert payloads(list(copying)) == [b"c" * 3000]


def test_a_slot_being_taken_over_is_not_read(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """A writer that died between two stores would leave a slot that looks whole."""
    ring = make_ring()
    fill(ring, clocks, [b"x"])
    ring.segments[0][SEQUENCE_OFFSET : SEQUENCE_OFFSET + 8] = bytes(8)
    assert list(read_segments(ring)) == []


def test_a_record_after_used_is_not_read(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """A half-written record would be believed."""
    ring = make_ring()
    fill(ring, clocks, [b"whole"])
    segment = next(iter(read_segments(ring)))
    assert parse_segment(bytes(segment.data) + b"garbage!") is not None
    assert payloads([parse_segment(bytes(segment.data) + b"garbage!") or segment]) == [b"whole"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_costs_what_comes_after_it_and_no_more(
    make_ring: MakeRing, clocks: ReadClocks, data: st.DataObject
) -> None:
    """Damage would either be believed, or take more with it than it must."""
    records = [bytes([number]) * 20 for number in range(10)]
    ring = make_ring()
    fill(ring, clocks, records)
    whole = next(iter(read_segments(ring)))
    damaged = bytearray(whole.data)
    at = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[at // 8] ^= 1 << at % 8
    segment = parse_segment(damaged)
    if segment is None:
        assert at // 8 < SEGMENT_HEADER_BYTES
        return
    kept = payloads([segment])
    assert kept == records[: len(kept)]
    if at // 8 >= SEGMENT_HEADER_BYTES:
        size = (len(damaged) - SEGMENT_HEADER_BYTES) // len(records)
        assert len(kept) == (at // 8 - SEGMENT_HEADER_BYTES) // size
        assert segment.damaged


@given(data=st.binary(max_size=400))
def test_any_bytes_can_be_offered_as_a_segment(data: bytes) -> None:
    """A hostile file would end in a traceback."""
    segment = parse_segment(data)
    assert segment is None or payloads([segment]) is not None


def test_state_and_board_are_shared(make_ring: MakeRing) -> None:
    """A reader would not see how the run ended."""
    ring = make_ring()
    ring.board[3] = 2**64 - 1
    ring.set_state(State.CLOSED)
    reader = open_ring(Path(ring.name))
    assert reader.state == State.CLOSED
    assert reader.figures().slots[3] == 2**64 - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a memwatchd ring"),
        (b"x" * 5000, "not a memwatchd ring"),
        (b"MWRING\n\r" + bytes(5000), "other byte order"),
        (b"MWRING\r\n" + b"\2" + bytes(5000), "format 2"),
        (b"MWRING\r\n" + b"\1\0\0\0" + bytes(5000), "header is damaged"),
    ],
)
def test_what_is_no_ring_is_refused_with_a_reason(tmp_path: Path, content: bytes, message: str) -> None:
    """A wrong file would be mapped and misread."""
    path = tmp_path / "ring"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        open_ring(path)


def test_a_truncated_ring_is_refused(make_ring: MakeRing) -> None:
    """Reading past the end of a mapped file kills the reader with SIGBUS."""
    ring = make_ring()
    os.truncate(ring.name, 8192)
    with pytest.raises(FormatError, match="truncated"):
        open_ring(Path(ring.name))


def test_a_missing_ring_is_not_found(tmp_path: Path) -> None:
    """A daemon that does not run is no traceback."""
    with pytest.raises(NotFoundError, match="No such file"):
        open_ring(tmp_path / "ring")
