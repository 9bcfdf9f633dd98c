"""When an incident begins, is extended, gets its aftermath and is complete, by a clock set by hand."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import BOOT_ID, ZERO_NS, ZERO_REALTIME_NS, Notes, S, Tape

from memwatchd.incidents.format import IncidentHeader
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorder import KERNEL_KILL, KINDS, REQUESTED, Recorder, Trigger, Windows
from memwatchd.incidents.store import Keep, Store
from memwatchd.incidents.writer import IncidentWriter
from memwatchd.ring.writer import Clocks

BEFORE_S, AFTER_S, MERGE_LIMIT_S = 10, 2, 30


class FailingWriter(IncidentWriter):
    """A disk that fills up when the test says so."""

    full = False

    def _write(self, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super()._write(data)


@dataclass(slots=True)
class FailingStore(Store):
    """A disk and a tmpfs that refuse new files when the test says so."""

    disk_is_gone: bool = False
    memory_is_full: bool = False
    writers: list[FailingWriter] = field(default_factory=list)

    def begin(self, header: IncidentHeader) -> IncidentWriter:
        self._refuse(self.disk_is_gone)
        self.directory.mkdir(exist_ok=True)
        self.writers.append(FailingWriter(self.directory / ".reserve", header))
        return self.writers[-1]

    def begin_pending(self, header: IncidentHeader) -> IncidentWriter:
        self._refuse(self.memory_is_full)
        return super(FailingStore, self).begin_pending(header)

    def reserve(self) -> None:
        self._refuse(self.disk_is_gone)
        super(FailingStore, self).reserve()

    def settle_pending(self) -> list[Path]:
        self._refuse(self.disk_is_gone and bool(self.pending_paths()))
        return super(FailingStore, self).settle_pending()

    def _refuse(self, refused: bool) -> None:
        if refused:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@dataclass
class Scene:
    """A recorder, its rings, its disk and its clock."""

    tape: Tape
    store: FailingStore
    notes: Notes = field(default_factory=Notes)
    described: list[tuple[float, float]] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorder = Recorder(
            store=self.store,
            samples=self.tape.samples,
            events=self.tape.events,
            windows=Windows(BEFORE_S * S, AFTER_S * S, MERGE_LIMIT_S * S),
            describe=self._describe,
            clocks=self.tape.clocks,
            texts={"config.yaml": b"sampling: {}\n"},
            note=self.notes,
        )

    def _describe(self, from_ns: int, to_ns: int) -> dict[str, Any]:
        self.described.append(((from_ns - ZERO_NS) / S, (to_ns - ZERO_NS) / S))
        return {"kills": list(self.kills)}

    def kill(self, at_s: float) -> None:
        """The kernel kills."""
        self.kills.append(f"{at_s:g}")
        self.recorder.happened(Trigger(KERNEL_KILL, f"killed at {at_s:g}", self.tape.at(at_s)))

    def goes_on(self, from_s: float, to_s: float, step_s: float = 0.5) -> None:
        """Samples are taken, and the recorder is polled after each."""
        at_s = from_s
        while at_s <= to_s:
            self.tape.sample(at_s, {"vmstat": b"%g" % at_s})
            self.recorder.poll()
            at_s += step_s

    def incidents(self) -> list[Incident]:
        return [open_incident(path) for path in self.store.paths()]


@pytest.fixture
def scene(tape: Tape, tmp_path: Path) -> Scene:
    store = FailingStore(tmp_path / "incidents", tmp_path / "pending", Keep(100, 1 << 30, 10**18), 1 << 20)
    return Scene(tape, store)


def span(incident: Incident) -> list[float]:
    """First and last sample, in seconds from moment zero."""
    times = [(moment.sample.monotonic_ns - ZERO_NS) / S for moment in incident.moments()]
    return [times[0], times[-1]] if times else []


# ---- one incident


def test_the_first_version_is_on_disk_at_once(scene: Scene) -> None:
    """A machine that dies two seconds after the kill would leave nothing."""
    scene.goes_on(-5, 0)
    scene.kill(0)
    (incident,) = scene.incidents()
    assert incident.path.name == "20231114T221320.123Z-kernel_kill.mwi"
    assert span(incident) == [-5, 0]
    assert (incident.complete, incident.meta["complete"], scene.recorder.busy) == (False, False, True)
    assert incident.meta["trigger"] == {
        "kind": KERNEL_KILL,
        "detail": "killed at 0",
        "monotonic_ns": ZERO_NS,
        "boottime_ns": ZERO_NS + 7 * S,
        "realtime_ns": ZERO_REALTIME_NS,
    }
    assert incident.meta["id"] == incident.header.incident_id.hex()
    assert incident.meta["boot_id"] == incident.header.boot_id.hex() == BOOT_ID.hex()
    assert incident.texts() == {"config.yaml": b"sampling: {}\n"}
    assert scene.described == [(-BEFORE_S, 0)]
    assert scene.notes.of("warning") == [f"incident: killed at 0: {incident.path}"]
    assert (scene.recorder.written, scene.recorder.last_path) == (1, incident.path)
    assert scene.recorder.by_kind == {**dict.fromkeys(KINDS, 0), KERNEL_KILL: 1}
    assert scene.recorder.recent == (incident.path.name,)


def test_the_aftermath_comes_in_and_then_it_is_complete(scene: Scene) -> None:
    """One could not see whether the kill has helped."""
    scene.goes_on(-5, 0)
    scene.kill(0)
    scene.goes_on(0.5, 1.5)
    (incident,) = scene.incidents()
    assert span(incident) == [-5, 1.5 - 0.5]  # a checkpoint a second
    assert not incident.complete
    scene.goes_on(2, 2)
    (incident,) = scene.incidents()
    assert span(incident) == [-5, 2]
    assert (incident.complete, incident.meta["complete"], scene.recorder.busy) == (True, True, False)
    assert scene.described[-1] == (-BEFORE_S, AFTER_S)
    assert scene.notes.of("info") == [f"incident complete: {incident.path}"]
    scene.goes_on(2.5, 9)
    assert span(scene.incidents()[0]) == [-5, 2]


def test_only_the_window_before_the_trigger_is_kept(scene: Scene) -> None:
    """Every incident would hold the whole ring."""
    for second in range(-28, 1):
        scene.tape.sample(second, {"vmstat": b"%d" % second})
        if second % 4 == 0:
            scene.tape.new_segment()
    scene.kill(0)
    first_s, last_s = span(scene.incidents()[0])
    assert -BEFORE_S - 4 <= first_s <= -BEFORE_S
    assert last_s == 0


def test_a_segment_that_was_being_written_grows_in_the_incident(scene: Scene) -> None:
    """The samples between two checkpoints would be lost."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    for second in (0.5, 1.0, 1.5):
        scene.tape.sample(second, {"vmstat": b"%g" % second})
        scene.tape.happened(second, "note")
        scene.recorder.poll()
    scene.tape.new_segment()
    scene.goes_on(2.0, 2.0)
    (incident,) = scene.incidents()
    assert [moment.text("vmstat") for moment in incident.moments()] == [
        *(b"-1", b"-0.5", b"0", b"0.5", b"1", b"1.5", b"2")
    ]


# ---- further kills


def test_kills_in_a_row_make_one_incident(scene: Scene) -> None:
    """A storm of kills would fill the disk with copies of the same seconds."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    scene.goes_on(0.5, 1.5)
    scene.kill(1.5)
    assert span(scene.incidents()[0]) == [-1, 1.5]  # what the second kill left is safe at once
    scene.goes_on(2, 3)
    assert not scene.incidents()[0].complete
    scene.goes_on(3.5, 3.5)
    (incident,) = scene.incidents()
    assert (incident.complete, incident.meta["kills"], span(incident)) == (True, ["0", "1.5"], [-1, 3.5])
    assert incident.meta["trigger"]["detail"] == "killed at 0"
    assert scene.described[-1] == (-BEFORE_S, 1.5 + AFTER_S)
    assert scene.recorder.written == 1


def test_an_incident_does_not_grow_for_ever(scene: Scene) -> None:
    """A machine that kills every second would write one incident without end."""
    for second in range(70):
        scene.kill(second)
        scene.goes_on(second + 0.5, second + 0.5)
    first, second_, third = scene.incidents()
    assert (first.complete, second_.complete, third.complete) == (True, True, False)
    assert [each.meta["trigger"]["detail"] for each in (first, second_, third)] == [
        "killed at 0",
        f"killed at {MERGE_LIMIT_S + 1}",
        f"killed at {2 * MERGE_LIMIT_S + 2}",
    ]
    assert span(first)[1] >= MERGE_LIMIT_S


def test_a_kill_after_the_aftermath_is_an_incident_of_its_own(scene: Scene) -> None:
    """Two kills an hour apart would be told as one."""
    scene.kill(0)
    scene.goes_on(0, 3)
    scene.kill(20)
    assert len(scene.incidents()) == 2


# ---- dumps and the end


def test_a_dump_is_complete_at_once_and_leaves_an_open_incident_alone(scene: Scene) -> None:
    """An operator's wish would cut off the aftermath of a kill, or wait for it."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    path = scene.recorder.dump(Trigger(REQUESTED, "curious", scene.tape.at(1)))
    assert path.name == "20231114T221321.123Z-requested.mwi"
    dumped = open_incident(path)
    assert (dumped.complete, span(dumped), dumped.meta["complete"]) == (True, [-1, 0], True)
    assert dumped.header.incident_id != scene.incidents()[0].header.incident_id
    assert scene.recorder.busy
    scene.goes_on(1.5, 2.5)
    assert all(incident.complete for incident in scene.incidents())


def test_the_end_of_the_service_completes_what_is_open(scene: Scene) -> None:
    """A restart of the service would leave an incident open for ever."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    scene.tape.sample(0.5, {"vmstat": b"last"})
    scene.recorder.close()
    (incident,) = scene.incidents()
    assert (incident.complete, span(incident)) == (True, [-1, 0.5])
    scene.recorder.close()


# ---- the disk fails


def test_when_the_disk_refuses_the_incident_waits_in_memory(scene: Scene) -> None:
    """A read-only disk would cost the incident."""
    scene.goes_on(-1, 0)
    scene.store.disk_is_gone = True
    scene.kill(0)
    assert scene.store.paths() == []
    (waiting,) = scene.store.pending_paths()
    assert "Read-only file system" in scene.recorder.problem
    scene.goes_on(0.5, 3)
    assert open_incident(waiting).complete
    assert span(open_incident(waiting)) == [-1, 2]
    scene.store.disk_is_gone = False
    scene.goes_on(3.5, 12)
    (incident,) = scene.incidents()
    assert (incident.complete, span(incident), scene.store.pending_paths()) == (True, [-1, 2], [])
    assert (scene.recorder.problem, scene.recorder.last_path) == ("", incident.path)
    assert len(scene.notes.of("error")) <= 3  # once each, not on every try


def test_when_nothing_takes_it_it_is_tried_again_from_the_ring(scene: Scene) -> None:
    """Full disk and full memory, the likeliest case of all, would cost the incident."""
    scene.goes_on(-1, 0)
    scene.store.disk_is_gone = scene.store.memory_is_full = True
    scene.kill(0)
    assert (scene.store.paths(), scene.store.pending_paths(), scene.recorder.written) == ([], [], 0)
    assert "kept in the ring" in scene.recorder.problem
    scene.kill(0.5)  # is in the ring, too
    scene.goes_on(1, 4)
    scene.store.disk_is_gone = scene.store.memory_is_full = False
    scene.goes_on(4.5, 12)
    (incident,) = scene.incidents()
    assert (incident.complete, incident.meta["trigger"]["detail"]) == (True, "killed at 0")
    assert incident.meta["kills"] == ["0", "0.5"]
    assert span(incident)[0] == -1
    assert scene.recorder.problem == ""


def test_a_disk_that_fills_up_in_the_middle(scene: Scene) -> None:
    """The aftermath would be lost, and with it the whole file if it was damaged by the attempt."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    scene.store.writers[-1].full = scene.store.disk_is_gone = True
    scene.goes_on(0.5, 3)
    assert span(scene.incidents()[0]) == [-1, 0]
    (waiting,) = scene.store.pending_paths()
    assert (open_incident(waiting).complete, span(open_incident(waiting))) == (True, [-1, 2])
    assert "No space left" in "".join(scene.notes.of("error"))


def test_a_disk_that_fills_up_after_further_kills_keeps_their_aftermath(scene: Scene) -> None:
    """What came after the last kill of a storm would be missing just when the disk was full, too."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    scene.goes_on(0.5, 1.5)
    scene.kill(1.5)
    scene.store.writers[-1].full = scene.store.disk_is_gone = True
    scene.goes_on(2, 4)
    (waiting,) = scene.store.pending_paths()
    assert (open_incident(waiting).complete, span(open_incident(waiting))) == (True, [-1, 3.5])


def test_an_incident_whose_end_fails_does_not_take_the_next_one_with_it(scene: Scene) -> None:
    """The old incident would stay open for ever in favour of the new one, and its file with it."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    scene.store.writers[-1].full = scene.store.disk_is_gone = True
    scene.tape.at(MERGE_LIMIT_S + 1)  # late to poll, as under memory pressure
    scene.kill(MERGE_LIMIT_S + 1)
    scene.goes_on(MERGE_LIMIT_S + 1.5, MERGE_LIMIT_S + 5)
    waiting = [open_incident(path) for path in scene.store.pending_paths()]
    assert [incident.complete for incident in waiting] == [True, True]
    assert [incident.meta["trigger"]["detail"] for incident in waiting] == ["killed at 0", "killed at 31"]


def test_at_the_end_an_incident_whose_disk_fails_is_completed_in_memory(scene: Scene) -> None:
    """It would wait in memory for ever as one that is still open."""
    scene.goes_on(-1, 0)
    scene.kill(0)
    scene.store.writers[-1].full = scene.store.disk_is_gone = True
    scene.recorder.close()
    (waiting,) = scene.store.pending_paths()
    assert open_incident(waiting).complete


def test_a_dump_that_can_be_written_nowhere_says_so(scene: Scene) -> None:
    """`memwatchd dump` would print a path where nothing is."""
    scene.store.disk_is_gone = scene.store.memory_is_full = True
    with pytest.raises(OSError, match="Read-only"):
        scene.recorder.dump(Trigger(REQUESTED, "curious", scene.tape.at(1)))
    assert scene.recorder.written == 0


# ---- keeping order


def test_space_for_the_next_incident_is_reserved_beforehand(scene: Scene) -> None:
    """The disk may be full when it is needed."""
    scene.recorder.poll()
    reserve = scene.store.directory / ".reserve"
    assert reserve.stat().st_size == 1 << 20
    scene.kill(0)
    assert not reserve.exists()
    scene.goes_on(0.5, 3)
    assert reserve.stat().st_size == 1 << 20


def test_no_room_for_the_next_incident_is_said_once(scene: Scene) -> None:
    """The administrator would learn of a full disk when it is too late, or a thousand times."""
    scene.store.disk_is_gone = True
    scene.goes_on(0, 30)
    assert len(scene.notes.of("error")) == 1
    assert "no room for the next incident" in scene.recorder.problem
    scene.store.disk_is_gone = False
    scene.goes_on(31, 37)
    assert scene.recorder.problem == ""


def test_old_incidents_make_room(scene: Scene) -> None:
    """The disk would fill up with incidents."""
    scene.store.keep = Keep(2, 1 << 30, 10**18)
    for number in range(4):
        scene.kill(100 * number)
        scene.goes_on(100 * number + 1, 100 * number + 4)
    assert [incident.meta["trigger"]["detail"] for incident in scene.incidents()] == [
        "killed at 200",
        "killed at 300",
    ]
    removed = [line for line in scene.notes.of("info") if "removed" in line]
    assert len(removed) == 2


def test_an_open_incident_makes_no_room_for_others(scene: Scene) -> None:
    """Dumps during a kill would have its incident removed while it is being written."""
    scene.store.keep = Keep(1, 1 << 30, 10**18)
    scene.goes_on(-1, 0)
    scene.kill(0)
    for at_s in (0.1, 0.2):
        scene.recorder.dump(Trigger(REQUESTED, "asked for", scene.tape.at(at_s)))
    kinds = [incident.meta["trigger"]["kind"] for incident in scene.incidents()]
    assert kinds == [KERNEL_KILL, REQUESTED]
    scene.goes_on(1, 4)
    (kept,) = scene.incidents()
    assert kept.complete


def test_an_incident_that_cannot_be_removed_is_no_harm(scene: Scene) -> None:
    """One file made immutable by an administrator would end the thread that writes incidents."""
    scene.store.keep = Keep(1, 1 << 30, 10**18)
    stuck = scene.store.directory / "20200101T000000.000Z-kernel_kill.mwi"
    (stuck / "inside").mkdir(parents=True)  # what root, too, cannot remove with unlink
    scene.kill(0)
    scene.goes_on(1, 4)
    path = scene.recorder.dump(Trigger(REQUESTED, "curious", scene.tape.at(5)))
    assert open_incident(path).complete
    assert any("20200101T000000" in line for line in scene.notes.of("error"))


def test_what_a_previous_run_left_is_saved_as_soon_as_the_disk_takes_it(scene: Scene) -> None:
    """The last seconds of a machine that went down would be lost for a disk that was mounted late."""
    tries: list[str] = []

    def save() -> None:
        tries.append("tried")
        if len(tries) < 3:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    scene.recorder.salvage(save)
    scene.goes_on(0, 60)
    assert len(tries) == 3


def test_the_clock_may_stand_anywhere(scene: Scene) -> None:
    """A machine whose clock is at 1970 at start-up would write no incidents."""
    moment = Clocks(5 * S, 5 * S, 3 * S)
    path = scene.recorder.dump(Trigger(REQUESTED, "early", moment))
    assert path.name == "19700101T000003.000Z-requested.mwi"
