"""What a run that did not end in good order leaves to the next one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import BOOT_ID, ZERO_NS, ZERO_REALTIME_NS, S, Tape

from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorder import RECORDER_DIED
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import create_ring, open_ring
from memwatchd.ring.format import RingHeader, State, Stream
from memwatchd.ring.stream import events, moments
from memwatchd.roots import Roots
from memwatchd.service.remains import describe_remains, find_remains, forget_remains

OTHER_BOOT_ID = bytes(range(1, 17))
BEFORE_NS = 10 * S


@dataclass
class DeadRun:
    """Rings in a runtime directory, and a kernel's log."""

    places: Places
    roots: Roots

    def begin(self) -> Tape:
        """Make the rings of a run."""
        samples = RingHeader(16384, 8, Stream.SAMPLES, BOOT_ID, 0)
        events_ = RingHeader(16384, 8, Stream.EVENTS, BOOT_ID, 0)
        return Tape(create_ring(self.places.ring, samples), create_ring(self.places.events, events_))

    def whole(self, boot_id: bytes = BOOT_ID) -> Any:
        """What goes into the incident."""
        remains = find_remains(self.places)
        assert remains is not None
        return describe_remains(remains, self.roots, boot_id, BEFORE_NS)


@pytest.fixture
def dead(tmp_path: Path) -> DeadRun:
    (tmp_path / "run").mkdir()
    roots = Roots(procfs=tmp_path / "proc", kmsg=tmp_path / "kmsg")
    return DeadRun(Places(tmp_path / "run", tmp_path / "state"), roots)


def test_the_first_start_finds_nothing(dead: DeadRun) -> None:
    """A fresh machine would begin with an incident, or not at all."""
    assert find_remains(dead.places) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 1000),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["empty", "garbage", "gone", "directory"],
)
def test_rings_beyond_reading_are_nothing(dead: DeadRun, damage: Callable[[Path], object]) -> None:
    """A damaged ring would keep the daemon from ever starting again."""
    dead.begin().sample(0, {"vmstat": b"x"})
    damage(dead.places.ring)
    assert find_remains(dead.places) is None


def test_a_run_that_ended_well_leaves_nothing(dead: DeadRun) -> None:
    """Every restart would write an incident."""
    tape = dead.begin()
    tape.sample(0, {"vmstat": b"x"})
    tape.samples.set_state(State.CLOSED)
    assert find_remains(dead.places) is None


def test_a_run_that_died_before_its_first_sample_leaves_nothing(dead: DeadRun) -> None:
    """An incident without anything in it would be written."""
    dead.begin()
    assert find_remains(dead.places) is None


def test_the_last_samples_of_a_recorder_that_was_killed(dead: DeadRun) -> None:
    """The seconds before the death of the recorder would be lost with it."""
    tape = dead.begin()
    for second in range(-20, 1):
        tape.sample(second, {"vmstat": b"%d" % second})
        if second % 4 == 0:
            tape.new_segment()
    tape.happened(-1, "armed")
    tape.samples.board[Slot.HEARTBEAT_NS] = ZERO_NS + 2 * S
    whole = dead.whole()
    trigger = whole.trigger
    assert (trigger.kind, trigger.detail) == (
        RECORDER_DIED,
        "the recorder was killed; these are its last samples",
    )
    assert trigger.moment.monotonic_ns == ZERO_NS  # of the last sample, whatever the board says
    assert trigger.moment.boottime_ns == ZERO_NS + 7 * S
    assert trigger.moment.realtime_ns == ZERO_REALTIME_NS
    assert whole.boot_id == BOOT_ID
    found = list(moments(whole.segments[BlockType.SAMPLES]()))
    assert found[-1].text("vmstat") == b"0"
    assert ZERO_NS - 14 * S <= found[0].sample.monotonic_ns <= ZERO_NS - 9 * S
    assert [event["event"] for event in events(whole.segments[BlockType.EVENTS]())] == ["armed"]
    assert whole.facts["window"] == {"from_ns": ZERO_NS - 10 * S, "to_ns": ZERO_NS}


def test_a_machine_that_went_down_is_told_from_a_recorder_that_was_killed(dead: DeadRun) -> None:
    """One would look for a crash of the recorder where the machine was switched off."""
    dead.begin().sample(0, {"vmstat": b"x"})
    dead.roots.kmsg.write_bytes(
        b"4,1,%d,-;Out of memory: Killed process 1 (x) total-vm:1kB\n" % (ZERO_NS // 1000)
    )
    whole = dead.whole(OTHER_BOOT_ID)
    assert whole.trigger.detail == "the machine went down; these are its last samples"
    assert whole.boot_id == BOOT_ID
    assert (whole.facts["kills"], whole.texts) == ([], {})  # this log is another boot's


@pytest.mark.parametrize("heartbeat_ns", [0, 2**64 - 1, ZERO_NS - S, ZERO_NS + 10**15])
def test_a_heartbeat_of_nonsense_is_not_believed(dead: DeadRun, heartbeat_ns: int) -> None:
    """The window would lie where there are no samples, and the incident be empty."""
    tape = dead.begin()
    tape.sample(0, {"vmstat": b"x"})
    tape.samples.board[Slot.HEARTBEAT_NS] = heartbeat_ns
    whole = dead.whole()
    assert whole.trigger.moment.monotonic_ns == ZERO_NS
    assert len(list(moments(whole.segments[BlockType.SAMPLES]()))) == 1


def test_kills_nobody_was_there_to_hear_of(dead: DeadRun) -> None:
    """The kill that took the recorder itself would be unknown."""
    dead.begin().sample(0, {"vmstat": b"x"})
    records = [
        b"4,1,%d,-;Out of memory: Killed process 5 (old) total-vm:1kB\n" % ((ZERO_NS - 3600 * S) // 1000),
        b"4,2,%d,-;Out of memory: Killed process 7 (memwatchd) total-vm:1kB\n" % ((ZERO_NS + S) // 1000),
    ]
    # A file hands out everything in one read, the kernel one record: so there is one at a time.
    dead.roots.kmsg.write_bytes(records[1])
    whole = dead.whole()
    assert [(kill["pid"], kill["comm"]) for kill in whole.facts["kills"]] == [(7, "memwatchd")]
    assert whole.facts["kills"][0]["monotonic_ns"] == ZERO_NS + S
    assert (whole.texts, whole.facts["disagreements"]) == ({"kmsg-backlog": records[1]}, [])
    dead.roots.kmsg.write_bytes(records[0])
    assert (dead.whole().facts["kills"], dead.whole().texts) == ([], {})


def test_without_the_kernels_log_the_samples_are_saved_all_the_same(dead: DeadRun) -> None:
    """A daemon without rights would lose its last samples."""
    dead.begin().sample(0, {"vmstat": b"x"})
    whole = dead.whole()
    assert whole.texts == {}
    assert "could not be read" in whole.facts["disagreements"][0]


def test_the_service_ring_may_be_missing(dead: DeadRun) -> None:
    """One lost file would cost the other."""
    dead.begin().sample(0, {"vmstat": b"x"})
    dead.places.events.unlink()
    assert list(dead.whole().segments) == [BlockType.SAMPLES]


def test_remains_survive_starts_that_fail_until_they_are_forgotten(dead: DeadRun) -> None:
    """A daemon that dies while it starts would lose what the one before had left."""
    dead.begin().sample(0, {"vmstat": b"first run"})
    for _ in range(3):
        assert find_remains(dead.places) is not None
        dead.begin()  # a start that dies before its first sample
    (moment,) = moments(dead.whole().segments[BlockType.SAMPLES]())
    assert moment.text("vmstat") == b"first run"
    forget_remains(dead.places)
    forget_remains(dead.places)
    assert find_remains(dead.places) is None
    assert sorted(path.name for path in dead.places.runtime_dir.iterdir()) == ["events", "ring"]


def test_what_is_mapped_outlives_being_replaced(dead: DeadRun) -> None:
    """The new ring would be written over the samples that are still to be saved."""
    dead.begin().sample(0, {"vmstat": b"old"})
    remains = find_remains(dead.places)
    assert remains is not None
    dead.begin().sample(5, {"vmstat": b"new"})
    forget_remains(dead.places)
    whole = describe_remains(remains, dead.roots, BOOT_ID, BEFORE_NS)
    assert [moment.text("vmstat") for moment in moments(whole.segments[BlockType.SAMPLES]())] == [b"old"]
    assert open_ring(dead.places.ring).state == State.RUNNING
