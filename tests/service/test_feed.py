"""What of a ring goes to disk, and in which order."""

import random
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import ZERO_NS, S, Tape

from memwatchd.ring.file import RingMap
from memwatchd.ring.format import SEGMENT_HEADER_BYTES, USED_OFFSET, Stream
from memwatchd.ring.reader import read_segments
from memwatchd.service.feed import Feed

ROOM = 1 << 20
Taken = list[tuple[int, int, bytes]]


def take(feed: Feed, room: int = ROOM, *, growing: bool = True, past: bool = True) -> Taken:
    """All that there is now: segment, offset, bytes."""
    taken: Taken = []
    target = memoryview(bytearray(room))
    while (piece := feed.take(target, growing=growing, past=past)) is not None:
        taken.append((piece.segment, piece.offset, bytes(target[: piece.length])))
    return taken


def record(tape: Tape, number: int) -> None:
    """Sample something that does not get much smaller."""
    tape.sample(number / 10, {"vmstat": b"%d " % number + random.Random(number).randbytes(100)})


def segments_of(tape: Tape) -> dict[int, bytes]:
    """The segments as they are now, but for what changes in their headers."""
    return {
        segment.header.sequence: without_used(bytes(segment.data)) for segment in read_segments(tape.samples)
    }


def without_used(data: bytes) -> bytes:
    """Flags, length and running CRC are written when a segment goes on or ends."""
    return data[:4] + data[6:USED_OFFSET] + data[USED_OFFSET + 16 :]


def put_together(taken: Taken) -> dict[int, bytes]:
    """Bytes by segment, without a hole from their beginning."""
    found: dict[int, bytearray] = {}
    for segment, offset, data in sorted(taken):
        so_far = found.setdefault(segment, bytearray())
        if offset <= len(so_far):
            so_far += data[len(so_far) - offset :]
    return {segment: without_used(bytes(data)) for segment, data in found.items()}


def test_the_newest_comes_first_and_then_the_past(tape: Tape) -> None:
    """A machine that dies a moment later would leave what was before, and not what it died of."""
    for number in range(40):
        if number % 10 == 0 and number:
            tape.new_segment()
        record(tape, number)
    feed = Feed(tape.samples)
    feed.begin(ZERO_NS + S)  # the third segment begins at 2 s, the second at 1 s
    taken = take(feed)
    assert [segment for segment, _, _ in taken] == [4, 3, 2]
    assert put_together(taken) == {
        number: data for number, data in segments_of(tape).items() if number in (2, 3, 4)
    }
    assert take(feed) == []


def test_only_what_is_new_comes_again(tape: Tape) -> None:
    """Everything would be written again and again, four times a second."""
    record(tape, 0)
    feed = Feed(tape.samples)
    feed.begin(0)
    first = take(feed)
    record(tape, 1)
    assert take(feed, growing=False) == []
    second = take(feed)
    assert second[0][:2] == (1, len(first[0][2]))
    assert put_together(first + second) == segments_of(tape)


def test_a_segment_that_has_ended_is_completed_before_the_past(tape: Tape) -> None:
    """The end of a segment would be left out for as long as there is a past to write."""
    for number in range(30):
        if number % 10 == 0 and number:
            tape.new_segment()
        record(tape, number)
    feed = Feed(tape.samples)
    feed.begin(0)
    first = take(feed, past=False)
    record(tape, 30)
    tape.new_segment()
    record(tape, 31)
    assert [segment for segment, _, _ in take(feed)] == [4, 3, 2, 1]
    assert [segment for segment, _, _ in first] == [3]


def test_what_was_refused_comes_again(tape: Tape) -> None:
    """A disk that fails once would leave a hole for ever."""
    for number in range(20):
        record(tape, number)
    feed = Feed(tape.samples)
    feed.begin(0)
    target = memoryview(bytearray(1500))
    pieces = [feed.take(target, growing=True, past=True) for _ in range(2)]
    for piece in pieces:
        assert piece is not None
        feed.put_back(piece)
    assert put_together(take(feed)) == segments_of(tape)


def test_what_the_ring_has_overwritten_is_counted(make_ring: Callable[..., RingMap]) -> None:
    """A disk that cannot keep up would look like one that can."""
    tape = Tape(make_ring(4, 4096), make_ring(4, 4096, Stream.EVENTS))
    feed = Feed(tape.samples)
    feed.begin(0)
    record(tape, 0)
    assert len(take(feed)) == 1
    for number in range(1, 300):
        record(tape, number)
    taken = take(feed)
    newest = max(segments_of(tape))
    assert sorted(segment for segment, _, _ in taken) == list(range(newest - 3, newest + 1))
    assert feed.left_out == newest - 4  # but for the first, of which the end is missing: that is one, too
    assert put_together(taken) == segments_of(tape)


def test_a_second_danger_does_not_write_the_first_one_again(tape: Tape) -> None:
    """A machine going in and out of trouble would wear its disk out with the same half minute."""
    for number in range(30):
        if number % 10 == 0 and number:
            tape.new_segment()
        record(tape, number)
    feed = Feed(tape.samples)
    feed.begin(0)
    first = take(feed)
    record(tape, 30)
    feed.begin(0)
    second = take(feed)
    assert [(segment, offset) for segment, offset, _ in second] == [(3, len(first[0][2]))]
    feed.forget()
    assert put_together(take(feed)) == segments_of(tape)


def test_no_room_is_no_reason_to_go_back_in_time(tape: Tape) -> None:
    """A budget that is used up would make the whole past wait in front of the present."""
    for number in range(40):
        if number % 10 == 0 and number:
            tape.new_segment()
        record(tape, number)
    feed = Feed(tape.samples)
    feed.begin(0)
    assert take(feed, room=500) == []
    assert [segment for segment, _, _ in take(feed)] == [4, 3, 2, 1]


def test_an_empty_ring_has_nothing(tape: Tape) -> None:
    """The first second of a run would end in a traceback."""
    feed = Feed(tape.samples)
    feed.begin(0)
    assert take(feed) == []
    feed.forget()
    record(tape, 0)
    assert put_together(take(feed)) == segments_of(tape)
    assert len(segments_of(tape)[1]) > SEGMENT_HEADER_BYTES


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(0, 9), min_size=1, max_size=80), room=st.integers(1024, 6000))
def test_whatever_happens_in_between(make_ring: Callable[..., RingMap], steps: list[int], room: int) -> None:
    """In some order of samples, writes, refusals and dangers bytes would be lost, or misplaced."""
    tape = Tape(make_ring(4, 8192), make_ring(4, 8192, Stream.EVENTS))
    feed, taken, number = Feed(tape.samples), Taken(), 0
    feed.begin(0)
    target = memoryview(bytearray(room))
    for step in steps:
        if step < 5:
            for _ in range(1 + step * 7):
                record(tape, number)
                number += 1
        elif step < 8:
            piece = feed.take(target, growing=step > 5, past=step > 6)
            if piece is not None:
                taken.append((piece.segment, piece.offset, bytes(target[: piece.length])))
        elif step == 8:
            piece = feed.take(target, growing=True, past=True)
            if piece is not None:
                feed.put_back(piece)
        else:
            feed.begin(0)
    taken += take(feed, room)
    found, there = put_together(taken), segments_of(tape)
    assert {segment: found[segment] for segment in there} == there
