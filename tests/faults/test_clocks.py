"""Clocks that jump: the wall clock set by a day, a machine that sleeps, one that is paused.

The wall clock of a machine cannot be set for one process alone (time namespaces have the other two clocks
only), and setting it for all would disturb everybody. So these tests put made-up clocks in the place where
the program reads its own, and let the machine that pauses be played by a loop on such a clock.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.conftest import BOOT_ID, ZERO_NS, ZERO_REALTIME_NS, Notes, S, Tape, meminfo, vmstat
from tests.sampling.conftest import Files, files

from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.recorder import KERNEL_KILL, REQUESTED, Recorder, Trigger, Windows
from memwatchd.incidents.store import Keep, Store
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap
from memwatchd.ring.reader import read_segments, segment_headers
from memwatchd.ring.stream import events
from memwatchd.ring.writer import Clocks, RingWriter
from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Timing
from memwatchd.sampling import loop as loop_module
from memwatchd.sampling.loop import Catalogue, Loop
from memwatchd.sampling.pacing import Budget, Pacing
from memwatchd.sampling.ruling import Ruling

__all__ = ["files"]

HOUR = 3600 * S
DAY = 24 * HOUR
PERIOD_NS = 5_000_000


@dataclass
class MadeUp:
    """Three clocks, which a test may move against each other."""

    monotonic_ns: int = ZERO_NS
    asleep_ns: int = 7 * S
    set_by_ns: int = 0

    def read(self) -> Clocks:
        """The clocks now."""
        realtime_ns = ZERO_REALTIME_NS + self.monotonic_ns - ZERO_NS + self.set_by_ns
        return Clocks(self.monotonic_ns, self.monotonic_ns + self.asleep_ns, realtime_ns)

    def sleeps(self, length_ns: int) -> None:
        """The machine sleeps: the monotonic clock stands still, the others go on."""
        self.asleep_ns += length_ns
        self.set_by_ns += length_ns


# ---- the wall clock is set


@dataclass
class Desk:
    """A recorder with made-up clocks; what it keeps is dated by them, too."""

    directory: Path
    tape: Tape
    clocks: MadeUp = field(default_factory=MadeUp)
    keep: Keep = field(default_factory=lambda: Keep(3, 1 << 30, 90 * DAY))
    notes: Notes = field(default_factory=Notes)

    def __post_init__(self) -> None:
        self.store = Store(self.directory / "incidents", self.directory / "pending", self.keep, 1 << 16)
        self.recorder = Recorder(
            store=self.store,
            samples=self.tape.samples,
            events=self.tape.events,
            windows=Windows(5 * S, 1 * S, 10 * S),
            describe=lambda _from_ns, _to_ns: {},
            clocks=self.clocks.read,
            texts={},
            note=self.notes,
        )

    def passes(self, length_ns: int) -> None:
        """Time passes."""
        self.clocks.monotonic_ns += length_ns
        self.tape.now_ns = self.clocks.monotonic_ns

    def dump(self) -> Path:
        """Write an incident, and date it as the kernel would."""
        path = self.recorder.dump(Trigger(REQUESTED, "asked for", self.clocks.read()))
        self.date(path)
        return path

    def date(self, path: Path) -> None:
        """Give a file the date of the made-up clock."""
        now_s = self.clocks.read().realtime_ns / 1e9
        os.utime(path, (now_s, now_s))


@pytest.fixture
def desk(tape: Tape, tmp_path: Path) -> Desk:
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    return Desk(tmp_path, tape)


@pytest.mark.parametrize("set_by_ns", [-DAY, DAY, -50 * 365 * DAY])
def test_the_newest_incidents_are_kept_whatever_the_clock_says(desk: Desk, set_by_ns: int) -> None:
    """With the clock set back, each new incident would be taken for the oldest one, and removed at once."""
    before = [desk.dump()]
    desk.passes(S)
    before.append(desk.dump())
    desk.passes(S)
    desk.clocks.set_by_ns = set_by_ns
    after = []
    for _ in range(3):
        after.append(desk.dump())
        desk.passes(S)
    assert sorted(desk.store.paths()) == sorted(after)
    assert not any(path.exists() for path in before)


def test_an_incident_from_before_the_clock_was_right_is_not_old(desk: Desk) -> None:
    """Without a battery for the clock, the kill at start-up would be thrown away once the time is known."""
    desk.clocks.set_by_ns = -50 * 365 * DAY
    early = desk.dump()
    desk.passes(60 * S)
    desk.clocks.set_by_ns = 0
    late = desk.dump()
    assert (early.exists(), late.exists()) == (True, True)
    desk.passes(91 * DAY)
    desk.dump()
    assert not early.exists()


def test_an_incident_during_which_the_clock_is_set(desk: Desk) -> None:
    """An open incident would never be completed, or at once; what came when could not be told."""
    desk.recorder.happened(Trigger(KERNEL_KILL, "eater (pid 1) was killed", desk.clocks.read()))
    desk.clocks.set_by_ns = -DAY
    desk.passes(S // 2)
    desk.recorder.poll()
    assert desk.recorder.busy
    desk.tape.sample(0.5, {"meminfo": meminfo(MemFree=2)})
    desk.passes(S)
    desk.recorder.poll()
    assert not desk.recorder.busy
    (path,) = desk.store.paths()
    incident = open_incident(path)
    assert (incident.complete, incident.problems) == (True, [])
    assert incident.meta["trigger"]["realtime_ns"] == ZERO_REALTIME_NS
    taken_ns = [moment.sample.monotonic_ns for moment in incident.moments()]
    assert taken_ns == [ZERO_NS, ZERO_NS + S // 2]


# ---- the machine sleeps, or is paused


@dataclass
class Sampling:
    """A loop on made-up clocks: it sleeps by moving them on, and the test may have more happen meanwhile.

    Attributes:
        while_asleep: What happens in which sleep, by its number.
    """

    files: Files
    ring: RingMap
    clocks: MadeUp = field(default_factory=MadeUp)
    while_asleep: dict[int, Callable[[], None]] = field(default_factory=dict)
    told: list[dict[str, object]] = field(default_factory=list)
    _sleeps: int = 0

    def monotonic_ns(self) -> int:
        """Take the place of the time module's."""
        return self.clocks.monotonic_ns

    def sleep(self, length_s: float) -> None:
        """Take the place of the time module's."""
        self._sleeps += 1
        self.clocks.monotonic_ns += round(length_s * 1e9)
        self.while_asleep.get(self._sleeps, lambda: None)()

    def run(self, sleeps: int, rules: tuple[RulePlan, ...] = ()) -> Loop:
        """Let it sleep so often."""
        catalogue, sources = Catalogue(), []
        for number, text in enumerate((meminfo(MemFree=1, MemAvailable=900_000), vmstat(oom_kill=0))):
            name = ("meminfo", "vmstat")[number]
            source = self.files.source(number, name, text)
            source.read([], [], [])
            source.forget()
            catalogue.add(source, {"id": number, "name": name, "path": f"/proc/{name}"})
            sources.append((source, None))
        loop = Loop(
            catalogue=catalogue,
            pacing=Pacing(Budget(200, 50.0, 50.0), sources, ()),
            writer=RingWriter(self.ring, self.clocks.read, BOOT_ID, 77),
            board=self.ring.board,
            alarm=-1,
            on_doorbell=lambda: None,
            make_ruling=lambda texts, entries: Ruling(
                Rulebook(rules=rules),
                texts,
                entries,
                4096,
                lambda message: self.told.append(json.loads(message)),
            ),
        )
        self.while_asleep[sleeps] = loop.stop
        loop.run()
        return loop

    def missed(self) -> list[int]:
        """Missed ticks, gap by gap."""
        found = events(read_segments(self.ring))
        return [event["ticks"] for event in found if event["event"] == "missed"]


@pytest.fixture
def sampling(files: Files, make_ring: Callable[..., RingMap], monkeypatch: pytest.MonkeyPatch) -> Sampling:
    made = Sampling(files, make_ring(8, 65536))
    monkeypatch.setattr(loop_module, "time", made)
    return made


FAST_FALL = RulePlan(
    name="fall", when="time_to(meminfo.MemAvailable, 0) < 10s", clear=None, timing=Timing(acts=False)
)


def test_a_paused_machine_is_one_gap(sampling: Sampling) -> None:
    """After an hour's pause the loop would make up for 720,000 ticks, or not say that it has seen nothing."""

    def pause() -> None:
        sampling.clocks.monotonic_ns += HOUR
        sampling.files.write("meminfo", meminfo(MemFree=1, MemAvailable=500_000))

    sampling.while_asleep[10] = pause
    loop = sampling.run(20, (FAST_FALL,))
    figures = sampling.ring.figures()
    assert sampling.missed() == [HOUR // PERIOD_NS]
    assert (figures[Slot.TICKS], figures[Slot.MISSED]) == (20, HOUR // PERIOD_NS)
    assert loop.tick_number == 20 + HOUR // PERIOD_NS
    # What was lost in an hour was not lost in a tick.
    assert sampling.told == []
    assert not figures[Slot.ARMED]


def test_a_sleeping_machine_misses_nothing(sampling: Sampling) -> None:
    """Every laptop that is opened in the morning would be told that eight hours were missed."""
    sampling.while_asleep[10] = lambda: sampling.clocks.sleeps(8 * HOUR)
    sampling.run(20, (FAST_FALL,))
    figures = sampling.ring.figures()
    assert (figures[Slot.TICKS], figures[Slot.MISSED], figures[Slot.ARMED]) == (20, 0, 0)
    assert sampling.told == []


def test_the_clocks_of_an_incident_tell_of_the_sleep(desk: Desk) -> None:
    """Samples from before and after a night would look as if one followed on the other."""
    slept = []

    def read() -> Clocks:
        slept.append(desk.clocks.read())
        return slept[-1]

    writer = RingWriter(desk.tape.samples, read, BOOT_ID, 78)
    writer.start_segment()
    desk.clocks.sleeps(8 * HOUR)
    desk.passes(S)
    writer.start_segment()
    headers = segment_headers(desk.tape.samples)[-2:]
    ahead_ns = [header.boottime_ns - header.monotonic_ns for header in headers]
    assert ahead_ns[1] - ahead_ns[0] == 8 * HOUR
    incident = open_incident(desk.dump())
    kept = [segment.header for segment in incident.segments(BlockType.SAMPLES)][-2:]
    assert [header.boottime_ns - header.monotonic_ns for header in kept] == ahead_ns
    assert incident.meta["trigger"]["boottime_ns"] - incident.meta["trigger"]["monotonic_ns"] == ahead_ns[1]
