"""The loop, tick by tick, over temporary files and a ring in memory."""

import gc
import itertools
import json
import os
import random
import sys
from dataclasses import dataclass, field

import pytest
from tests.conftest import BOOT_ID, MS, S, meminfo, pressure, slabinfo, vmstat, zoneinfo
from tests.sampling.conftest import Files

from memwatchd.ring.board import LAG_AT, Slot, bucket_of, source_slot
from memwatchd.ring.file import RingMap, map_memory
from memwatchd.ring.format import RingHeader, Stream
from memwatchd.ring.reader import read_segments, segment_headers
from memwatchd.ring.stream import Moment, events, moments
from memwatchd.ring.writer import Clocks, RingWriter
from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Stage, Timing
from memwatchd.sampling.loop import Catalogue, Loop
from memwatchd.sampling.pacing import Budget, Pacing
from memwatchd.sampling.ruling import Ruling
from memwatchd.sampling.source import Source

PERIOD_NS = 5_000_000
NOW_NS = 1000 * S


# In periods of 5 ms, whatever this machine is busy with.
BUDGET = Budget(200, 50.0, 50.0)


def ring_in_memory(segments: int, segment_bytes: int) -> RingMap:
    header = RingHeader(segment_bytes, segments, Stream.SAMPLES, BOOT_ID, 0)
    return map_memory(memoryview(bytearray(header.file_bytes)), header, "memory")


@dataclass
class Bench:
    """A loop, its files and its ring."""

    files: Files
    segments: int = 64
    segment_bytes: int = 16384
    alarm: int = -1
    now_ns: int = NOW_NS
    budget: Budget = BUDGET
    doorbells: int = 0
    book: Rulebook = field(default_factory=Rulebook)
    told: list[dict[str, object]] = field(default_factory=list)
    ring: RingMap = field(init=False, repr=False)
    pacing: Pacing = field(init=False, repr=False)
    loop: Loop = field(init=False, repr=False)

    def start(self, texts: dict[str, bytes], rates_hz: dict[str, float] | None = None) -> "Bench":
        """Begin to sample these files."""
        self.ring = ring_in_memory(self.segments, self.segment_bytes)
        catalogue, sources = Catalogue(), []
        for number, (name, text) in enumerate(texts.items()):
            source = self.files.source(number, name, text)
            source.read([], [], [])
            source.forget()
            catalogue.add(source, {"id": number, "name": name, "path": f"/proc/{name}"})
            sources.append((source, (rates_hz or {}).get(name)))
        self.pacing = Pacing(self.budget, sources, ())
        writer = RingWriter(self.ring, lambda: Clocks(self.now_ns, self.now_ns, self.now_ns), BOOT_ID, 77)
        self.loop = Loop(
            catalogue=catalogue,
            pacing=self.pacing,
            writer=writer,
            board=self.ring.board,
            alarm=self.alarm,
            on_doorbell=self._doorbell,
            make_ruling=lambda texts, entries: Ruling(self.book, texts, entries, 4096, self._tell),
        )
        return self

    def tick(self, *, lag_ns: int = 0, missed: int = 0, **texts: bytes) -> None:
        """Give some files new texts, and tick."""
        for name, text in texts.items():
            self.files.write(name, text)
        self.now_ns += (1 + missed) * PERIOD_NS
        self.loop.tick(self.now_ns + lag_ns, lag_ns, missed)

    def watch(self, number: int, name: str, text: bytes, rate_hz: float | None = None) -> Source:
        """Have it sample one more file."""
        source = self.files.source(number, name, text)
        source.read([], [], [])
        self.loop.add(source, {"id": number, "name": name, "path": name}, rate_hz)
        return source

    def moments(self) -> list[Moment]:
        """Everything that can be read back."""
        return list(moments(read_segments(self.ring)))

    def history(self, name: str) -> list[bytes | None]:
        """Text of one source in every sample."""
        return [moment.text(name) for moment in self.moments()]

    def events(self) -> list[dict[str, object]]:
        """What the loop noticed, without the times."""
        found = events(read_segments(self.ring))
        return [{name: value for name, value in each.items() if name != "monotonic_ns"} for each in found]

    def _tell(self, message: bytes) -> None:
        self.told.append(json.loads(message))

    def _doorbell(self) -> None:
        self.doorbells += 1
        self.loop.stop()


@pytest.fixture
def bench(files: Files) -> Bench:
    return Bench(files)


def noise(size: int, seed: int) -> bytes:
    """A text that does not compress."""
    return random.Random(seed).randbytes(size)


# ---- what is recorded


def test_every_text_is_recorded_byte_for_byte_across_segments(bench: Bench) -> None:
    """What an incident shows would not be what the kernel said."""
    bench.start({"vmstat": b"", "meminfo": b"", "slabinfo": b"never changes\n"}, {"meminfo": 50.0})
    written: list[tuple[bytes, bytes]] = []
    for number in range(300):
        texts = vmstat(oom_kill=0, number=number) + noise(number % 97, number), noise(50, number)
        bench.tick(vmstat=texts[0], meminfo=texts[1])
        written.append(texts)
    found = bench.moments()
    assert [moment.sample.tick for moment in found] == list(range(1, 301))
    assert len(segment_headers(bench.ring)) > 2
    assert bench.history("vmstat") == [texts[0] for texts in written]
    assert set(bench.history("slabinfo")) == {b"never changes\n"}
    # Read on every fourth tick, and at the beginning of a segment.
    for moment, texts in zip(found, written, strict=True):
        if 1 in moment.sample.read:
            assert moment.text("meminfo") == texts[1]
    read_on = [moment.sample.tick for moment in found if 1 in moment.sample.read]
    assert 75 <= len(read_on) <= 75 + len(segment_headers(bench.ring))
    assert all(after - before <= 4 for before, after in itertools.pairwise(read_on))


def test_every_segment_can_be_read_on_its_own(bench: Bench) -> None:
    """After the ring has come round, the oldest segments would be waste."""
    bench.start({"vmstat": b"", "slabinfo": b"constant"}, {"slabinfo": 1.0})
    for number in range(300):
        bench.tick(vmstat=vmstat(number=number) + noise(100, number))
    for segment in read_segments(bench.ring):
        first = next(iter(moments([segment])))
        assert first.sample.tick == segment.header.first_tick
        assert set(first.sample.read) == {0, 1}
        assert first.text("slabinfo") == b"constant"


def test_the_ring_keeps_the_last_samples(bench: Bench) -> None:
    """The seconds before the kill would have been overwritten by those after it, or never recorded."""
    bench.segments, bench.segment_bytes = 4, 4096
    bench.start({"vmstat": b""})
    for number in range(200):
        bench.tick(vmstat=noise(300, number))
    kept = [moment.sample.tick for moment in bench.moments()]
    assert kept == list(range(201 - len(kept), 201))
    assert len(kept) >= 30
    assert not segment_headers(bench.ring)[-1].sealed
    bench.loop.close()
    assert segment_headers(bench.ring)[-1].sealed


# ---- time


def test_missed_ticks_are_counted_numbered_and_noticed(bench: Bench) -> None:
    """A gap in the recording could not be told from a quiet time."""
    bench.start({"vmstat": b"x"})
    bench.tick()
    bench.tick(missed=3, lag_ns=2_000_000)
    bench.tick()
    samples = [moment.sample for moment in bench.moments()]
    assert [(sample.tick, sample.missed, sample.lag_ns) for sample in samples] == [
        (1, 0, 0),
        (5, 3, 2_000_000),
        (6, 0, 0),
    ]
    assert bench.events() == [{"event": "missed", "ticks": 3, "lag_ns": 2_000_000}]
    board = bench.ring.board
    assert (board[Slot.TICKS], board[Slot.MISSED], board[Slot.LAG_MAX_NS]) == (3, 3, 2_000_000)
    assert board[Slot.HEARTBEAT_NS] == bench.now_ns
    bench.loop.close()
    assert board[LAG_AT + bucket_of(2_000_000)] == 1


def test_a_second_sampler_goes_on_counting(bench: Bench) -> None:
    """Ticks of a restarted sampler would seem to be from the past."""
    bench.start({"vmstat": b"x"})
    bench.ring.board[Slot.TICKS], bench.ring.board[Slot.MISSED] = 100, 7
    catalogue = bench.loop.catalogue
    writer = RingWriter(bench.ring, lambda: Clocks(0, 0, 0), BOOT_ID, 78)
    loop = Loop(
        catalogue=catalogue,
        pacing=bench.pacing,
        writer=writer,
        board=bench.ring.board,
        alarm=-1,
        on_doorbell=lambda: None,
        make_ruling=lambda texts, entries: Ruling(Rulebook(), texts, entries, 4096, lambda _message: None),
    )
    loop.tick(NOW_NS, 0, 0)
    assert [moment.sample.tick for moment in bench.moments()] == [108]


def test_it_runs_until_a_command_stops_it(bench: Bench) -> None:
    """The sampler would not hear of a new watch, or never end."""
    bench.start({"vmstat": b"x"})
    bench.ring.board[Slot.DOORBELL] += 1
    bench.loop.run()
    assert bench.doorbells == 1
    assert bench.ring.board[Slot.COMMANDS] == bench.ring.board[Slot.DOORBELL]
    assert bench.ring.board[Slot.TICKS] == 1


# ---- sources that fail, come and go


def test_ticks_that_give_way_are_numbered_by_periods_and_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader would take what was never meant to be sampled for missed, or not know why there is less."""
    used_ns = itertools.count(step=3_000_000)
    monkeypatch.setattr("memwatchd.sampling.pacing.time.process_time_ns", lambda: next(used_ns))
    monkeypatch.setattr("memwatchd.sampling.pacing._DECIDE_NS", 0)
    bench.budget = Budget(200, 0.1, 0.5)
    bench.start({"vmstat": b"", "meminfo": b""})
    for _ in range(4):  # three decisions find a cost of 3 ms, which is twice what 5 ms have room for
        bench.tick()
    bench.tick(missed=1)
    samples = [moment.sample for moment in bench.moments()]
    assert [(sample.tick, sample.stride, sample.missed) for sample in samples] == [
        (1, 1, 0),
        (2, 1, 0),
        (3, 1, 0),
        (5, 2, 0),
        (9, 2, 1),
    ]
    assert bench.events()[0] == {"event": "pace", "stride": 2}
    # The next sampler goes on with the number.
    assert (bench.ring.board[Slot.STRIDE], bench.ring.board[Slot.NUMBER]) == (2, 9)


def test_a_source_that_fails_and_comes_back(bench: Bench) -> None:
    """One unreadable file would end the sampler, or fill the ring with errors."""
    bench.start({"vmstat": b"v", "meminfo": b"first"})
    source = bench.loop.catalogue.sources[1]
    bench.tick()
    bench.files.refuse(source)
    for _ in range(3):
        bench.tick()
    bench.files.allow(source)
    bench.tick(meminfo=b"again")
    bench.tick(meminfo=b"and again")
    found = bench.moments()
    assert [1 in moment.sample.read for moment in found] == [True, False, False, False, True, True]
    assert bench.history("meminfo")[-2:] == [b"again", b"and again"]
    assert bench.history("vmstat") == [b"v"] * 6
    assert bench.events() == [{"event": "source_error", "source": "meminfo", "error": "Is a directory"}]
    assert bench.ring.board[Slot.SOURCE_ERRORS] == 3
    bench.pacing.show(bench.ring.board)
    assert bench.ring.board[source_slot(1) + 1] == 3


def test_a_segment_begun_while_a_source_fails_goes_without_it(bench: Bench) -> None:
    """A stale text would pass for one that was read now."""
    bench.segment_bytes = 4096
    bench.start({"vmstat": b"v", "meminfo": b"old"}, {"meminfo": 10.0})
    source = bench.loop.catalogue.sources[1]
    bench.tick()
    bench.files.refuse(source)
    while len(segment_headers(bench.ring)) < 3:
        bench.tick(vmstat=noise(500, bench.loop.tick_number))
    *_, newest = read_segments(bench.ring)
    assert {moment.text("meminfo") for moment in moments([newest])} == {None}
    bench.files.allow(source)
    for number in range(25):
        bench.tick(vmstat=b"%d" % number)
    assert bench.history("meminfo")[-1] == b"old"


def test_a_source_is_added_and_removed(bench: Bench) -> None:
    """A watched process would not be recorded, or be recorded after its end."""
    bench.start({"vmstat": b"v"})
    bench.tick()
    source = bench.watch(6, "process/1/statm", b"1 2 3\n")
    bench.tick()
    bench.files.write("process/1/statm", b"4 5 6\n")
    bench.tick()
    bench.loop.remove(6)
    bench.loop.remove(6)
    bench.tick()
    assert bench.history("process/1/statm") == [None, b"1 2 3\n", b"4 5 6\n", None]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(source.descriptor)


def test_an_id_that_is_used_again_stands_for_the_new_source_only(bench: Bench) -> None:
    """Memory of one process would be shown as that of another."""
    bench.start({"vmstat": b"v"})
    bench.watch(6, "process/1/statm", b"one\n")
    bench.tick()
    bench.loop.remove(6)
    bench.watch(6, "process/2/statm", b"two\n", 10.0)
    bench.tick()
    bench.tick()
    assert bench.history("process/1/statm") == [b"one\n", None, None]
    assert bench.history("process/2/statm") == [None, b"two\n", b"two\n"]


def test_a_catalogue_that_does_not_fit_any_more_begins_a_segment(bench: Bench) -> None:
    """Samples would be recorded whose sources nobody knows."""
    bench.segment_bytes, bench.segments = 4096, 8
    bench.start({"vmstat": b"v"})
    for number in range(40):
        if number % 2:
            bench.watch(6 + number, f"process/{number}/{'x' * 20}", b"text %d\n" % number)
        bench.tick(vmstat=noise(200, number))
        newest = bench.moments()[-1]
        assert newest.text("vmstat") == noise(200, number)
        assert len(newest.sources) == 1 + (number + 1) // 2
        for entry in newest.sources.values():
            assert newest.text(str(entry["name"])) is not None


# ---- kills and danger


def test_a_kill_is_an_event_in_the_ring_and_raises_the_alarm(files: Files) -> None:
    """The service would not know that the kernel has killed."""
    alarm = os.eventfd(0, os.EFD_NONBLOCK)
    bench = Bench(files, alarm=alarm).start({"vmstat": vmstat(oom_kill=3)})
    bench.tick()
    with pytest.raises(BlockingIOError):
        os.eventfd_read(alarm)
    bench.tick(vmstat=vmstat(oom_kill=5))
    assert os.eventfd_read(alarm) == 1
    assert bench.events() == [{"event": "oom_kill", "source": "vmstat", "rise": 2, "count": 5}]
    assert bench.ring.board[Slot.KILLS_SEEN] == 2
    assert bench.history("vmstat")[-1] == vmstat(oom_kill=5)
    os.close(alarm)


def test_when_the_alarm_is_raised_the_event_can_be_read(files: Files) -> None:
    """The service looks once per alarm: a kill whose event came a tick later would never be an incident."""
    alarm = os.eventfd(0, os.EFD_NONBLOCK)
    bench = Bench(files, alarm=alarm, segment_bytes=4096).start({"vmstat": vmstat(oom_kill=0)})
    bench.tick()
    for number in range(1, 300):
        # Segments of 4 KiB, so that now and then a sample just fits and its event does not.
        bench.tick(vmstat=vmstat(oom_kill=number) + noise(300 + number, number))
        assert os.eventfd_read(alarm) == 1
        assert len(bench.events()) == number
    os.close(alarm)


def test_an_alarm_nobody_has_heard_does_not_hold_up_the_loop(files: Files) -> None:
    """A service that is stuck would stop the recording."""
    alarm = os.eventfd(0, os.EFD_NONBLOCK)
    os.eventfd_write(alarm, 2**64 - 2)
    bench = Bench(files, alarm=alarm).start({"vmstat": vmstat(oom_kill=0)})
    bench.tick()
    bench.tick(vmstat=vmstat(oom_kill=1))
    bench.tick()
    assert len(bench.moments()) == 3
    os.close(alarm)


def test_danger_is_on_the_board_and_an_event(bench: Bench) -> None:
    """Status would not show it, and the incident not say why the rates changed."""
    text = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n"
    bench.start({"pressure": text % 0, "slabinfo": b"s"}, {"slabinfo": 0.1})
    for number in range(1, 60):
        bench.tick(pressure=text % (5000 * number))
    assert [event["event"] for event in bench.events()] == ["armed"]
    assert "stalled for memory" in str(bench.events()[0]["reason"])
    assert bench.ring.board[Slot.ARMED] == 1
    assert 0 < bench.ring.board[Slot.ARMED_TICKS] < 60
    # Arming reads the slow sources at once, too.
    assert sum(1 in moment.sample.read for moment in bench.moments()) == 2
    bench.now_ns += 6 * S
    bench.tick()
    assert bench.ring.board[Slot.ARMED] == 0
    assert [event["event"] for event in bench.events()] == ["armed", "calm"]


# ---- rules


def rule(name: str, when: str, clear: str | None = None, **timing: object) -> RulePlan:
    """A rule of one step that acts at once."""
    figures: dict[str, object] = {"stages": (Stage(),), "cooldown_ns": 60 * S, **timing}
    return RulePlan(name=name, when=when, clear=clear, timing=Timing(**figures))  # type: ignore[arg-type]


def test_what_a_rule_decides_is_told_and_in_the_ring(bench: Bench) -> None:
    """Nothing would be done, or nobody would know afterwards why it was."""
    bench.book = Rulebook(rules=(rule("low", "meminfo.MemAvailable < 100MiB"),))
    bench.start({"vmstat": b"", "meminfo": meminfo(MemAvailable=500 << 10)})
    bench.tick()
    bench.tick(meminfo=meminfo(MemAvailable=50 << 10))
    fired_ns = bench.now_ns
    figures = {"meminfo.MemAvailable": 50.0 * 2**20}
    facts = {"rule": "low", "step": 0, "figures": figures}
    assert bench.told == [{"happening": "fire", "monotonic_ns": fired_ns, **facts}]
    assert {"event": "rule_fire", **facts} in bench.events()
    bench.loop.ruling.done([{"rule": "low", "step": 0, "failed": False}], bench.now_ns)
    bench.tick(meminfo=meminfo(MemAvailable=500 << 10))
    assert bench.told[1:] == [{"happening": "clear", "monotonic_ns": bench.now_ns, "rule": "low", "step": 0}]
    assert {"event": "rule_clear", "rule": "low", "step": 0} in bench.events()


def test_a_rule_near_its_threshold_arms(bench: Bench) -> None:
    """The seconds before a rule acts would be recorded at the calm rates."""
    bench.book = Rulebook(rules=(rule("low", "meminfo.MemAvailable < 100MiB"),))
    bench.start({"vmstat": b"", "meminfo": meminfo(MemAvailable=500 << 10)})
    bench.tick()
    assert bench.ring.board[Slot.ARMED] == 0
    for number in range(20):
        bench.tick(meminfo=meminfo(MemAvailable=110 << 10), vmstat=b"%d" % number)
    assert bench.ring.board[Slot.ARMED] == 1
    [armed] = bench.events()
    assert armed == {"event": "armed", "reason": "rule low is near its threshold or has fired"}
    assert bench.told == []


def test_a_kill_by_the_kernel_holds_the_rules(bench: Bench) -> None:
    """Something would be killed for memory that the kernel has just freed."""
    bench.book = Rulebook(rules=(rule("low", "meminfo.MemAvailable < 100MiB"),), hold_after_kill_ns=50 * MS)
    bench.start({"vmstat": vmstat(oom_kill=0), "meminfo": meminfo(MemAvailable=500 << 10)})
    bench.tick()
    bench.tick(vmstat=vmstat(oom_kill=1), meminfo=meminfo(MemAvailable=50 << 10))
    for _ in range(20):
        bench.tick()
    assert [each["happening"] for each in bench.told] == ["held", "fire"]
    assert bench.told[0]["reason"] == "the kernel has just killed something"
    assert int(str(bench.told[1]["monotonic_ns"])) - int(str(bench.told[0]["monotonic_ns"])) == 50 * MS


def test_rules_can_be_about_the_recorder_itself(bench: Bench) -> None:
    """A sampler that does not get to run would not be noticed by any rule."""
    bench.book = Rulebook(rules=(rule("late", "recorder.lag > 50ms"), rule("gap", "recorder.missed > 3")))
    bench.start({"vmstat": b"x"})
    bench.tick()
    bench.tick(lag_ns=60 * MS)
    bench.tick(lag_ns=60 * MS, missed=4)
    assert [each["rule"] for each in bench.told] == ["late"]
    for _ in range(60):
        bench.tick(missed=4)
    assert [each["rule"] for each in bench.told] == ["late", "gap"]


def test_a_rule_on_what_is_watched_lives_with_it(bench: Bench) -> None:
    """A rule on a group that comes later would be dead, and one on a group that is gone never be over."""
    big = rule("big", 'cgroup."/a".usage > 1MiB', 'cgroup."/a".usage < 512KiB', cooldown_ns=0)
    bench.book = Rulebook(rules=(big,), settle_ns=0)
    bench.start({"vmstat": b"x"})
    bench.tick()
    for number in (7, 8):
        bench.watch(number, "cgroup/a/memory.current", b"1048577\n")
        bench.tick()
        bench.loop.ruling.done([{"rule": "big", "step": 0, "failed": False}], bench.now_ns)
        bench.loop.remove(number)
        bench.tick()
    assert [each["happening"] for each in bench.told] == ["fire", "clear"] * 2


_WHENS = (
    "meminfo.MemAvailable < {0}MiB",
    "rate(meminfo.MemAvailable, 1s) < -{0}MiB/s and meminfo.MemFree < {0}MiB",
    "time_to(meminfo.MemAvailable, {0}MiB, 500ms) < 1s",
    "rate(pressure.some, 100ms) > {0}%",
    "zone.Normal.free < {0}pages or zone.worst.ratio < 0.{0}",
    "rate(slab.dentry.bytes, 200ms) > {0}MiB/s",
    "avg(meminfo.MemFree, 50ms) < {0}MiB",
    "delta(vmstat.oom_kill, 1min) > {0}",
    'cgroup."/a".usage > {0}MiB',
    "not max(recorder.lag, 20ms) < {0}ms",
)


def test_fifty_rules_and_ten_thousand_ticks_do_not_make_it_grow(bench: Bench) -> None:
    """The sampler would wait for the disk in the middle of a shortage, or run out of locked memory."""
    chain = (Stage(deadline_ns=20 * MS), Stage(after_ns=10 * MS, deadline_ns=20 * MS))
    rules = tuple(
        rule(f"r{number}", _WHENS[number % 10].format(number), cooldown_ns=10 * MS, stages=chain)
        for number in range(1, 51)
    )
    bench.book = Rulebook(rules=rules, settle_ns=0, hold_after_kill_ns=20 * MS)
    texts = [
        {
            "vmstat": vmstat(oom_kill=number // 20),
            "meminfo": meminfo(MemAvailable=(40 - number) << 10, MemFree=(number % 7) << 10),
            "pressure": pressure(number * 1000),
            "zoneinfo": zoneinfo(100 - number, 80),
            "slabinfo": slabinfo(dentry=number * 1000),
        }
        for number in range(40)
    ]
    bench.start(texts[0])
    told = 0

    def run(ticks: int) -> None:
        nonlocal told
        for number in range(ticks):
            if number % 10 == 0:
                for name, text in texts[number // 10 % 40].items():
                    bench.files.write(name, text)
            bench.tick()
            for message in bench.told:
                if message["happening"] == "fire" and number % 3:
                    bench.loop.ruling.done([{**message, "failed": number % 2 == 1}], bench.now_ns)
            told += len(bench.told)
            bench.told.clear()

    def kept() -> tuple[int, int]:
        gc.collect()
        return len(gc.get_objects()), sys.getallocatedblocks()

    run(2000)
    before, told = kept(), 0
    run(10_000)
    after = kept()
    assert told > 1000
    assert after[0] - before[0] < 50
    # Each rule remembers when it fired within the hour.
    assert after[1] - before[1] < 50 * 60


# ---- too large


@pytest.fixture
def crowded(bench: Bench) -> Bench:
    """A text that was small at the start and no longer fits into a segment."""
    bench.segments, bench.segment_bytes = 8, 4096
    bench.start({"vmstat": b"v", "slabinfo": b"s"})
    for number in range(5):
        bench.tick(vmstat=b"%d" % number)
    return bench


def test_a_text_that_does_not_fit_is_left_out_and_counted(crowded: Bench) -> None:
    """One text that has grown tenfold would end the recording of all others."""
    crowded.tick(slabinfo=noise(5000, 1), vmstat=b"still here")
    assert crowded.moments()[-1].text("vmstat") == b"still here"
    assert crowded.moments()[-1].text("slabinfo") is None
    assert crowded.ring.board[Slot.OVERSIZE] == 1
    crowded.tick(slabinfo=b"small again")
    assert crowded.moments()[-1].text("slabinfo") == b"small again"


def test_a_text_that_does_not_fit_does_not_cost_the_past(crowded: Bench) -> None:
    """With a new segment on every tick the ring would reach back for a fraction of a second."""
    for number in range(40):
        crowded.tick(slabinfo=noise(5000, number), vmstat=b"%d" % number)
    assert len(crowded.moments()) == 45


def test_a_catalogue_that_does_not_fit_into_a_segment_does_not_cost_the_samples(crowded: Bench) -> None:
    """With a watched process whose open files have long names, nobody would know any source's name."""
    for number in range(6, 12):
        crowded.watch(number, f"process/{number}/{'x' * 200}", b"t", 10.0)
        crowded.loop.catalogue.entries[number]["target"] = "/" + "y" * 800
    crowded.loop.remove(11)
    crowded.tick(vmstat=b"still here")
    assert crowded.moments()[-1].text("vmstat") == b"still here"
    assert crowded.ring.board[Slot.OVERSIZE] > 0
