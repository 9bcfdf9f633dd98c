"""Following a ring: each sample once, whatever the writer does meanwhile."""

from collections.abc import Callable

from tests.conftest import MS, ZERO_NS, S, Tape, meminfo

from memwatchd.exporter.follow import Follower
from memwatchd.ring.file import RingMap
from memwatchd.ring.format import Stream
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import moments


def seen(follower: Follower) -> list[int]:
    """Ticks of all that is new."""
    ticks = [moment.sample.tick for moment in follower.advance()]
    while follower.behind:
        ticks += [moment.sample.tick for moment in follower.advance()]
    return ticks


def test_each_sample_once_and_as_the_ring_has_it(tape: Tape) -> None:
    """Extremes would be missing, or a sample counted twice, at every pause between two looks."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    follower = Follower(tape.samples, 0)
    found = list(follower.advance())
    for number in range(1, 9):
        tape.sample(number, {"meminfo": meminfo(MemFree=number)})
        if number in (3, 6):
            tape.new_segment()
        if number in (2, 3, 4, 8):
            found += list(follower.advance())
    while follower.behind:
        found += list(follower.advance())
    expected = list(moments(read_segments(tape.samples)))
    assert [moment.sample for moment in found] == [moment.sample for moment in expected]
    assert [moment.text("meminfo") for moment in found] == [moment.text("meminfo") for moment in expected]
    assert follower.lost == 0


def test_a_ring_that_has_come_round(make_ring: Callable[..., RingMap]) -> None:
    """An exporter that was stopped for minutes would read rubbish, and nobody would know."""
    tape = Tape(make_ring(4, 4096), make_ring(4, 4096, Stream.EVENTS))
    tape.new_segment()
    tape.sample(0, {"meminfo": b"a"})
    follower = Follower(tape.samples, 0)
    assert seen(follower) == [1]
    for number in range(1, 9):
        tape.new_segment()
        tape.sample(number, {"meminfo": b"b"})
    assert seen(follower) == [6, 7, 8, 9]
    # Four were never seen, and the first may have grown after the last look at it.
    assert follower.lost == 5
    assert seen(follower) == []


def test_it_begins_with_the_segment_of_a_moment(tape: Tape) -> None:
    """A start would read the whole ring, seconds of work, or would not know the minute before."""
    for number in range(4):
        tape.at(number * 10)
        tape.new_segment()
        tape.sample(number * 10 + 1, {"meminfo": b"x"})
    assert seen(Follower(tape.samples, ZERO_NS + 21 * S)) == [3, 4]
    assert seen(Follower(tape.samples, ZERO_NS - 1)) == [1, 2, 3, 4]


def test_an_empty_ring(tape: Tape) -> None:
    """An exporter started before the sampler would never see its samples."""
    follower = Follower(tape.samples, 0)
    assert seen(follower) == []
    tape.new_segment()
    assert seen(follower) == []
    tape.sample(1, {"meminfo": b"x"})
    assert seen(follower) == [1]


def test_damage_costs_its_own_segment(tape: Tape) -> None:
    """A torn write would stop the exporter, or show figures nobody measured."""
    tape.new_segment()
    tape.sample(0, {"meminfo": b"first"})
    follower = Follower(tape.samples, 0)
    assert seen(follower) == [1]
    before = bytes(tape.samples.segments[0])
    tape.sample(0.001, {"meminfo": b"second"})
    slot = tape.samples.segments[0]
    changed = next(at for at in range(len(before) - 1, -1, -1) if slot[at] != before[at])
    slot[changed] ^= 0xFF
    tape.sample(0.002, {"meminfo": b"third"})
    assert seen(follower) == []
    tape.new_segment()
    tape.sample(1, {"meminfo": b"fourth"})
    assert seen(follower) == [4]


def test_sources_that_change_their_numbers(tape: Tape) -> None:
    """A watched file would be read as another one after a reload."""
    tape.new_segment()
    tape.sample(0, {"meminfo": b"m", "vmstat": b"v"})
    follower = Follower(tape.samples, 0)
    (first,) = follower.advance()
    assert (first.text("meminfo"), first.text("vmstat")) == (b"m", b"v")
    tape.catalogue[1] = {"id": 1, "name": "pressure", "path": "/proc/pressure/memory"}
    tape.watch("pressure")
    tape.at(0 + 5 * MS / S)
    tape.sample(0.005, {"meminfo": b"n"})
    (second,) = follower.advance()
    assert (second.text("meminfo"), second.text("vmstat"), second.text("pressure")) == (b"n", None, None)
