"""The black box: what was written is read again, and whatever happens to it costs no more than itself."""

import random
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import BOOT_ID, MS, ZERO_NS, ZERO_REALTIME_NS, S, Tape
from tests.incidents.boxes import NO_PAGE, RUN_ID, Extents, status

from memwatchd.errors import FormatError, NotFoundError
from memwatchd.incidents.blackbox import (
    BLOCK_BYTES,
    EXTENT_HEADER_BYTES,
    LOG_OFFSET,
    BoxState,
    ExtentHeader,
    ExtentKind,
    unpack_extent,
    unpack_facts,
    unpack_page,
)
from memwatchd.incidents.boxreader import Box, read_box, read_status
from memwatchd.ring.format import Stream
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import messages, moments
from memwatchd.ring.writer import Clocks


def texts(box: Box, from_ns: int | None = None) -> list[bytes | None]:
    """What was sampled of vmstat, in the order in which it is read."""
    return [moment.text("vmstat") for moment in moments(box.segments(ExtentKind.SAMPLES, from_ns))]


def record(tape: Tape, count: int, per_segment: int = 10) -> None:
    """Sample so many numbers, a tenth of a second apart."""
    for number in range(count):
        if number % per_segment == 0 and number:
            tape.new_segment()
        tape.sample(number / 10, {"vmstat": text_of(number)})


def text_of(number: int) -> bytes:
    """A text that does not get much smaller."""
    return b"%d " % number + random.Random(number).randbytes(150).hex().encode()


def number(text: bytes | None) -> int:
    assert text is not None
    return int(text.split()[0])


@pytest.fixture
def box_path(tmp_path: Path) -> Path:
    return tmp_path / "black-box"


# ---- pages


def test_a_page_says_what_was_written_into_it() -> None:
    """A start would not know whose box it is, or in what state."""
    for state in BoxState:
        written = status(state=state, generation=7, at=1 << 40, filled=True, spent=True, total_bytes=1 << 50)
        page = written.pack()
        assert len(page) == BLOCK_BYTES
        assert unpack_page(page) == written


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 400), value=st.integers(0, 255))
def test_a_page_with_a_wrong_byte_is_none(at: int, value: int) -> None:
    """A torn page would say that the machine had gone down, or that it had not."""
    page = bytearray(status().pack())
    page[at] = value
    try:
        found = unpack_page(bytes(page))
    except FormatError:
        found = None
    assert found in (None, status())


def test_a_page_of_another_version_is_said_to_be_one(box_path: Path) -> None:
    """Somebody who goes back to an older program would be told of damage, or of a death."""
    page = bytearray(status().pack())
    page[6], page[7] = page[7], page[6]
    box_path.write_bytes(bytes(page) + NO_PAGE)
    with pytest.raises(FormatError, match="other byte order"):
        read_status(box_path)


@pytest.mark.parametrize("torn", [0, 1])
def test_a_torn_page_leaves_the_one_before(box_path: Path, torn: int) -> None:
    """A power cut in the moment in which danger begins would cost the whole box."""
    pages = [status(generation=2, state=BoxState.CALM).pack(), status(generation=3).pack()]
    pages[torn] = pages[torn][:100] + bytes(BLOCK_BYTES - 100)
    box_path.write_bytes(b"".join(pages))
    found = read_status(box_path)
    assert found is not None
    assert found.generation == (3, 2)[torn]


@pytest.mark.parametrize("data", [b"", b"x", bytes(1 << 20), b"MWBOX\r\n\0" * 2000])
def test_what_is_no_box_is_none(box_path: Path, data: bytes) -> None:
    """A file of somebody else's, or an empty one, would keep the daemon from starting."""
    box_path.write_bytes(data)
    with suppress(FormatError):
        assert read_status(box_path) is None
    with pytest.raises(FormatError):
        read_box(box_path)


def test_no_box_at_all(tmp_path: Path) -> None:
    """The first start on a machine would end in a traceback."""
    for path in (tmp_path / "nothing", tmp_path / "no" / "where"):
        with pytest.raises(NotFoundError):
            read_status(path)
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(NotFoundError):
        read_box(tmp_path / "link")


# ---- extents


def test_an_extent_says_what_was_written_into_it() -> None:
    """Bytes would come to stand in another segment, or in another place of it."""
    header = ExtentHeader(1, 2**63, RUN_ID, BOOT_ID, 2**40, 2**31, 1000, -(2**62), 4_000_000_000, 2**32 - 1)
    packed = header.pack()
    assert len(packed) == EXTENT_HEADER_BYTES
    assert unpack_extent(packed) == header
    assert unpack_extent(packed[:-5]) is None
    assert unpack_extent(replace(header, length=1 << 30).pack()) is None


def test_facts_that_are_none() -> None:
    """A damaged or forged extent of facts would end in a traceback, or in no memory."""
    assert unpack_facts(b"no zlib") == {}
    assert unpack_facts(b"") == {}


def test_the_rings_come_out_as_they_went_in(tape: Tape, box_path: Path) -> None:
    """The last seconds would not be what they were."""
    record(tape, 35)
    tape.message(3.45, b"4,9,1,-;hello\n")
    extents = Extents()
    extents.ring(tape.samples, ExtentKind.SAMPLES)
    extents.ring(tape.events, ExtentKind.EVENTS)
    extents.facts(program={"name": "memwatchd"})
    box = read_box(extents.box(box_path))
    assert list(moments(box.segments(ExtentKind.SAMPLES))) == list(moments(read_segments(tape.samples)))
    assert [message.raw for message in messages(box.segments(ExtentKind.EVENTS))] == [b"4,9,1,-;hello\n"]
    assert [segment.damaged for segment in box.segments(ExtentKind.SAMPLES)] == [False] * 4
    assert box.facts() == {"program": {"name": "memwatchd"}}
    assert (box.extents, box.missing, box.damaged, box.wrapped) == (len(extents.writes), 0, 0, False)
    assert box.longest_write_ns(0) == 7000
    at_ns = 3_400 * MS
    assert box.last() == Clocks(ZERO_NS + at_ns, ZERO_NS + 7 * S + at_ns, ZERO_REALTIME_NS + at_ns)


def test_a_window_leaves_out_what_ended_before_it(tape: Tape, box_path: Path) -> None:
    """An incident would hold all that the box has, not what was asked for."""
    record(tape, 40)
    extents = Extents()
    extents.ring(tape.samples, ExtentKind.SAMPLES)
    box = read_box(extents.box(box_path))
    found = texts(box, ZERO_NS + 15 * S // 10)
    assert (number(found[0]), number(found[-1])) == (10, 39)


def test_a_segment_that_was_growing_ends_with_its_last_whole_record(tape: Tape, box_path: Path) -> None:
    """The write that was cut by the machine's end would cost the whole segment."""
    record(tape, 10, per_segment=100)
    (segment,) = read_segments(tape.samples)
    for length in range(200, len(segment.data), 97):
        extents = Extents()
        extents.write(extents.extent(ExtentKind.SAMPLES, bytes(segment.data[:length]), 1))
        box = read_box(extents.box(box_path))
        found = texts(box)
        assert found == [text_of(each) for each in range(len(found))]
        assert not any(segment.damaged for segment in box.segments(ExtentKind.SAMPLES))
    assert len(found) == 9


def test_extents_that_overlap_are_put_together(tape: Tape, box_path: Path) -> None:
    """What is written again after an error would be doubled, and so be damage."""
    record(tape, 10, per_segment=100)
    (segment,) = read_segments(tape.samples)
    data, extents = bytes(segment.data), Extents()
    for start, end in ((300, 900), (0, 400), (0, 100), (850, len(data)), (500, 600)):
        extents.write(extents.extent(ExtentKind.SAMPLES, data[start:end], 1, start))
    assert len(texts(read_box(extents.box(box_path)))) == 10


def test_the_past_of_other_runs_does_not_count(tape: Tape, box_path: Path) -> None:
    """The incident would tell of a danger of last year."""
    record(tape, 20)
    other = Extents(run_id=bytes(16))
    other.ring(tape.samples, ExtentKind.SAMPLES)
    ours = Extents()
    ours.facts(x=1)
    ours.writes = other.writes + ours.writes
    box = read_box(ours.box(box_path))
    assert (box.extents, texts(box), box.last()) == (1, [], None)


def test_round_and_round(tape: Tape, box_path: Path) -> None:
    """A danger that lasts for longer than the box would leave a mixture of old and new."""
    record(tape, 400, per_segment=50)
    extents = Extents()
    extents.ring(tape.samples, ExtentKind.SAMPLES, piece_bytes=3000)
    assert sum(map(len, extents.writes)) > 3 * 12 * BLOCK_BYTES
    box = read_box(extents.box(box_path, log_bytes=12 * BLOCK_BYTES))
    found = [number(text) for text in texts(box)]
    assert box.wrapped
    assert found[-1] == 399
    assert found == sorted(set(found))
    assert 50 <= len(found) < 200


# ---- damage


def check_what_is_left(box: Box, count: int) -> int:
    """Whatever is read was recorded, in its order; returns how much that is."""
    found = [number(text) for text in texts(box)]
    assert all(before < after for before, after in pairwise(found))
    assert all(0 <= each < count for each in found)
    list(messages(box.segments(ExtentKind.EVENTS)))
    box.facts()
    last = box.last()
    assert (last is None) == (not found)
    return len(found)


def test_an_extent_that_is_missing_costs_the_rest_of_its_segment(tape: Tape, box_path: Path) -> None:
    """One torn write would cost all that was written after it."""
    record(tape, 40)
    extents = Extents()
    extents.ring(tape.samples, ExtentKind.SAMPLES, piece_bytes=500)
    torn = len(extents.writes) // 2
    good = extents.writes[torn]
    extents.writes[torn] = good[:200] + bytes(len(good) - 200)
    box = read_box(extents.box(box_path))
    found = {number(text) for text in texts(box)}
    assert (box.damaged, box.missing) == (1, 1)
    lost = set(range(40)) - found
    assert lost
    assert len({each // 10 for each in lost}) == 1
    assert 39 in found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    holes=st.lists(st.tuples(st.integers(0, 150_000), st.integers(1, 5000)), max_size=6),
    cut=st.integers(0, 200_000),
    seed=st.integers(0, 3),
)
def test_damage_costs_what_it_hits(
    recorded: tuple[Path, bytes], holes: list[tuple[int, int]], cut: int, seed: int
) -> None:
    """Whatever a dying disk makes of the box would end in a traceback, or in samples that never were."""
    path, good = recorded
    data, chance = bytearray(good), random.Random(seed)
    for at, length in holes:
        start = LOG_OFFSET + at
        data[start : start + length] = chance.randbytes(max(0, min(length, len(data) - start)))
    path.write_bytes(data[: LOG_OFFSET + max(0, len(data) - LOG_OFFSET - cut)])
    left = check_what_is_left(read_box(path), 120)
    if not holes and not cut:
        assert left == 120


@pytest.fixture
def recorded(tape: Tape, tmp_path: Path) -> tuple[Path, bytes]:
    """A box with some seconds in it, and its bytes."""
    record(tape, 120, per_segment=30)
    tape.message(1, b"4,9,1,-;hello\n")
    extents = Extents()
    extents.ring(tape.samples, ExtentKind.SAMPLES, piece_bytes=2500)
    extents.ring(tape.events, ExtentKind.EVENTS)
    extents.facts(host={"hostname": "x"})
    path = extents.box(tmp_path / "box", log_bytes=200_000 // BLOCK_BYTES * BLOCK_BYTES)
    return path, path.read_bytes()


def test_forged_extents(box_path: Path) -> None:
    """Extents that claim impossible places would take all memory, or all time."""
    extents = Extents()
    extents.write(extents.extent(ExtentKind.SAMPLES, b"x" * 100, 1, 0))
    extents.write(extents.extent(ExtentKind.SAMPLES, b"y" * 100, 2**64 - 1, 2**32 - 1))
    extents.write(extents.extent(ExtentKind.SAMPLES, b"z" * 100, 0, 0))
    extents.write(extents.extent(ExtentKind.FACTS, b"\0" * 100))
    box = read_box(extents.box(box_path))
    assert (texts(box), box.last(), box.facts()) == ([], None, {})
    assert box.extents == 4


def test_an_extent_of_another_ring_does_not_pass_for_one(tape: Tape, box_path: Path) -> None:
    """A segment under a wrong number would be read twice, or at another time."""
    record(tape, 5)
    (segment,) = read_segments(tape.samples)
    extents = Extents()
    extents.write(extents.extent(ExtentKind.SAMPLES, bytes(segment.data), 9))
    assert texts(read_box(extents.box(box_path))) == []
    assert tape.samples.header.stream == Stream.SAMPLES
