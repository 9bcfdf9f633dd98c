"""Whose end it was, by what is left in memory and on disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.conftest import BOOT_ID, ZERO_NS, ZERO_REALTIME_NS, S, Tape
from tests.incidents.boxes import Extents, status

from memwatchd.incidents.blackbox import BoxState, ExtentKind
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorder import MACHINE_DIED, RECORDER_DIED, Whole
from memwatchd.places import Places
from memwatchd.ring.file import create_ring
from memwatchd.ring.format import SEQUENCE_OFFSET, RingHeader, State, Stream
from memwatchd.ring.stream import messages, moments
from memwatchd.ring.writer import Clocks
from memwatchd.roots import Roots
from memwatchd.service.past import describe_past, find_past

NEXT_BOOT_ID = bytes(range(1, 17))
# The machine is up again 20 s after moment zero, and the daemon 5 s later.
NOW = Clocks(5 * S, 5 * S, ZERO_REALTIME_NS + 25 * S)
KILL = b"4,17,%d,-;Out of memory: Killed process 7 (eater) total-vm:4kB, anon-rss:3kB\n" % (ZERO_NS // 1000)


@dataclass
class End:
    """What a run left: its rings, and its black box.

    Attributes:
        tape: The run.
        extents: What of it went to disk.
    """

    places: Places
    tape: Tape
    extents: Extents = field(default_factory=Extents)

    def stream(self) -> None:
        """Write what there is by now into the box."""
        self.extents.ring(self.tape.samples, ExtentKind.SAMPLES)
        self.extents.ring(self.tape.events, ExtentKind.EVENTS)

    def box(self, state: BoxState = BoxState.ARMED, boot_id: bytes = BOOT_ID, *, spent: bool = False) -> None:
        """Leave a box in this state."""
        page = status(state=state, boot_id=boot_id, spent=spent).pack()
        self.places.state_dir.mkdir(exist_ok=True)
        self.extents.box(self.places.black_box, page)

    def lose_memory(self) -> None:
        """Switch the machine off."""
        for path in self.places.runtime_dir.iterdir():
            path.unlink()

    def found(self, boot_id: bytes = NEXT_BOOT_ID, now: Clocks = NOW) -> list[Whole]:
        """What the next start makes of it."""
        past = find_past(self.places, boot_id)
        return list(describe_past(past, Roots(procfs=self.places.state_dir / "proc"), 10 * S, now))

    def kinds(self, boot_id: bytes = NEXT_BOOT_ID) -> list[str]:
        return [whole.trigger.kind for whole in self.found(boot_id)]


@pytest.fixture
def end(tmp_path: Path) -> End:
    """A run of twenty seconds up to moment zero."""
    places = Places(tmp_path / "run", tmp_path / "state")
    places.runtime_dir.mkdir()
    samples = RingHeader(16384, 8, Stream.SAMPLES, BOOT_ID, 0)
    events = RingHeader(16384, 8, Stream.EVENTS, BOOT_ID, 0)
    tape = Tape(create_ring(places.ring, samples), create_ring(places.events, events))
    for second in range(-20, 1):
        if second % 4 == 0:
            tape.new_segment()
        tape.sample(second, {"vmstat": b"%d" % second})
    return End(places, tape)


def numbers(whole: Whole) -> list[int]:
    return [int(moment.text("vmstat") or b"") for moment in moments(whole.segments[BlockType.SAMPLES]())]


def test_a_machine_that_went_down(end: End) -> None:
    """The one thing the box is for."""
    end.tape.noticed(-0.5, "oom_kill", source="vmstat", rise=1, count=3)
    end.tape.message(-0.5, KILL)
    end.stream()
    end.extents.written_ns = ZERO_NS
    end.extents.facts(
        host={"hostname": "gone", "page_size": 4096},
        sampling={"rate_hz": 200.0},
        degraded=["no mlock"],
        texts={"config.yaml": "log: {}\n"},
    )
    end.box()
    end.lose_memory()
    (whole,) = end.found()
    assert (whole.trigger.kind, whole.trigger.detail) == (
        MACHINE_DIED,
        "the machine went down; these are its last samples",
    )
    assert whole.trigger.moment == Clocks(ZERO_NS, ZERO_NS + 7 * S, ZERO_REALTIME_NS)
    assert whole.boot_id == BOOT_ID
    assert (numbers(whole)[0], numbers(whole)[-1]) == (-12, 0)
    assert [message.raw for message in messages(whole.segments[BlockType.EVENTS]())] == [KILL]
    facts = whole.facts
    assert [(kill["pid"], kill["comm"]) for kill in facts["kills"]] == [(7, "eater")]
    assert (facts["counters"], facts["disagreements"]) == ({"vmstat": 1}, [])
    assert facts["host"] == {"hostname": "gone", "page_size": 4096}
    assert (facts["sampling"], facts["degraded"]) == ({"rate_hz": 200.0}, ["no mlock"])
    assert facts["window"] == {"from_ns": ZERO_NS - 10 * S, "to_ns": ZERO_NS}
    assert whole.texts == {"config.yaml": b"log: {}\n"}
    assert facts["death"] == {
        "last_realtime_ns": ZERO_REALTIME_NS,
        "next_start_realtime_ns": ZERO_REALTIME_NS + 20 * S,
        "unrecorded_ns_at_most": 20 * S,
        "every_ns": 250_000_000,
        "longest_write_ns": 7000,
        "extents": len(end.extents.writes),
        "missing_extents": 0,
        "damaged_extents": 0,
        "wrapped": False,
        "spent": False,
    }


def test_a_clock_that_was_set_back_is_not_believed(end: End) -> None:
    """A machine without a clock of its own would have been down for minus twenty years."""
    end.stream()
    end.box()
    end.lose_memory()
    (whole,) = end.found(now=Clocks(5 * S, 5 * S, 6 * S))
    assert whole.facts["death"]["unrecorded_ns_at_most"] is None
    assert whole.facts["death"]["next_start_realtime_ns"] == S


@pytest.mark.parametrize("state", [BoxState.CALM, BoxState.CLOSED])
@pytest.mark.parametrize("boot_id", [BOOT_ID, NEXT_BOOT_ID])
def test_a_clean_end_is_no_death(end: End, state: BoxState, boot_id: bytes) -> None:
    """Every reboot would write an incident."""
    end.stream()
    end.box(state)
    end.lose_memory()
    assert end.found(boot_id) == []
    past = find_past(end.places, boot_id)
    assert not past.anything
    # A machine that went down in the calm is worth a line, and no more: there is nothing to show.
    assert bool(past.notes) == (state is BoxState.CALM and boot_id != BOOT_ID)


def test_a_daemon_that_was_killed_while_the_machine_lived_is_told_once(end: End) -> None:
    """One death would make two incidents, one of the rings and one of the box."""
    end.stream()
    end.box()
    (whole,) = end.found(BOOT_ID)
    assert whole.trigger.kind == RECORDER_DIED
    assert "death" not in whole.facts
    assert numbers(whole)[-1] == 0


@pytest.mark.parametrize("state", [BoxState.ARMED, BoxState.ENDED])
def test_a_daemon_whose_memory_went_with_it(end: End, state: BoxState) -> None:
    """A container that is killed loses its rings; on disk are its last seconds, and nobody would look."""
    end.stream()
    end.box(state)
    end.lose_memory()
    (whole,) = end.found(BOOT_ID)
    assert (whole.trigger.kind, numbers(whole)[-1]) == (RECORDER_DIED, 0)
    assert "death" not in whole.facts


def test_a_daemon_that_ended_before_the_machine_did(end: End) -> None:
    """A crash of the daemon, and a reboot in good order hours later, would be told as the machine's death."""
    end.stream()
    end.box(BoxState.ENDED)
    end.lose_memory()
    assert end.kinds() == [RECORDER_DIED]


@pytest.mark.parametrize(("boot_id", "kind"), [(BOOT_ID, RECORDER_DIED), (NEXT_BOOT_ID, MACHINE_DIED)])
def test_what_the_sampler_has_left_on_its_deathbed(end: End, boot_id: bytes, kind: str) -> None:
    """The same for a daemon that was killed: nobody but its sampler could tell the two apart."""
    end.stream()
    end.box()
    end.lose_memory()
    end.places.epitaph.write_text(boot_id.hex())
    assert end.kinds() == [kind]


@pytest.mark.parametrize("epitaph", [b"", b"\xff\xfe", b"x" * 100])
def test_an_epitaph_that_cannot_be_read_is_none(end: End, epitaph: bytes) -> None:
    """A half-written note would keep the daemon from starting."""
    end.stream()
    end.box()
    end.lose_memory()
    end.places.epitaph.write_bytes(epitaph)
    assert end.kinds() == [MACHINE_DIED]


def test_rings_that_outlived_the_machine_and_reach_further(end: End) -> None:
    """Where the runtime directory is on a disk one death would make two incidents."""
    end.stream()
    end.tape.sample(1, {"vmstat": b"1"})
    end.box()
    (whole,) = end.found()
    assert (whole.trigger.kind, numbers(whole)[-1]) == (MACHINE_DIED, 1)
    assert whole.facts["death"]["unrecorded_ns_at_most"] == 19 * S


def test_rings_that_outlived_the_machine_but_not_to_the_end(end: End) -> None:
    """The file system may have kept less of the rings than the box has."""
    end.stream()
    end.tape.sample(1, {"vmstat": b"1"})
    end.stream()
    end.box()
    ring = end.tape.samples
    slot = max(range(8), key=lambda at: ring.segments[at][SEQUENCE_OFFSET])
    ring.segments[slot][:96] = bytes(96)
    (whole,) = end.found()
    assert (whole.trigger.kind, numbers(whole)[-1]) == (MACHINE_DIED, 1)


def test_two_deaths_of_two_boots_are_two_incidents(end: End) -> None:
    """A daemon that died before it could tell of the first death would tell of its own only."""
    end.stream()
    end.box(boot_id=bytes(reversed(BOOT_ID)))
    assert end.kinds(BOOT_ID) == [RECORDER_DIED, MACHINE_DIED]


def test_rings_closed_in_good_order_say_nothing_of_the_machine(end: End) -> None:
    """A box that could not be closed, for the disk was gone, and rings that could."""
    end.tape.samples.set_state(State.CLOSED)
    end.stream()
    end.box(BoxState.CLOSED)
    assert end.found() == []


def test_a_box_that_had_used_up_its_day_says_so(end: End) -> None:
    """Somebody would take the end of the budget for the end of the machine."""
    end.stream()
    end.box(spent=True)
    end.lose_memory()
    (whole,) = end.found()
    assert "all it may write in a day" in whole.trigger.detail
    assert whole.facts["death"]["spent"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 5000),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.write_bytes(path.read_bytes()[:8192]),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    ],
    ids=["empty", "garbage", "gone", "directory", "no log", "truncated", "link"],
)
def test_a_box_beyond_reading_is_nothing(end: End, damage: Callable[[Path], object]) -> None:
    """A damaged box would keep the daemon from ever starting again."""
    end.stream()
    end.box()
    end.lose_memory()
    damage(end.places.black_box)
    assert end.found() == []


def test_danger_that_had_just_begun_leaves_nothing_to_show(end: End) -> None:
    """An incident without anything in it would be written."""
    end.box()
    end.lose_memory()
    assert find_past(end.places, NEXT_BOOT_ID).anything
    assert end.found() == []


def test_a_kernel_that_does_not_name_its_boots(end: End) -> None:
    """Every start would be another boot, and every restart a death of the machine."""
    end.stream()
    end.box(boot_id=bytes(16))
    end.lose_memory()
    assert end.kinds(bytes(16)) == [RECORDER_DIED]
