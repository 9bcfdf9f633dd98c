"""What the sampler understands of its own samples."""

import pytest
from tests.conftest import MS, S, meminfo, pressure, vmstat, zoneinfo
from tests.sampling.conftest import Files

from memwatchd.sampling.observer import Kill, Observer
from memwatchd.sampling.source import Source

NOW_NS = 1000 * S


class Machine:
    """A few sources, an observer of them, and the clock."""

    def __init__(self, files: Files, texts: dict[str, bytes]) -> None:
        self.files = files
        self.now_ns = NOW_NS
        self.sources = {
            name: files.source(number, name, text) for number, (name, text) in enumerate(texts.items())
        }
        self.read()
        self.observer = Observer(self.sources)

    def read(self) -> None:
        for source in self.sources.values():
            source.read([], [], [])

    def tick(self, step_ns: int = 5 * MS, **texts: bytes) -> bool:
        """Give some files new texts, read all, and look; what `look` says."""
        for name, text in texts.items():
            self.files.write(name, text)
        self.read()
        self.now_ns += step_ns
        return self.observer.look(self.now_ns)


def test_a_rise_of_the_counter_is_a_kill(files: Files) -> None:
    """The kernel would kill and nobody would write an incident."""
    machine = Machine(files, {"vmstat": vmstat(oom_kill=7)})
    assert not machine.tick()
    assert machine.tick(vmstat=vmstat(oom_kill=9))
    assert machine.observer.kills == [Kill("vmstat", 2, 9)]
    assert not machine.tick()
    assert machine.observer.kills == []


def test_kills_of_before_are_not_counted(files: Files) -> None:
    """Every start of the sampler would write an incident about kills of last week."""
    machine = Machine(files, {"vmstat": vmstat(oom_kill=7)})
    watched = files.source(6, "memory.events", b"low 0\noom_kill 3\noom_group_kill 1\n")
    machine.sources["memory.events"] = watched
    machine.observer.count_kills(watched)
    assert not machine.tick()
    files.write("memory.events", b"low 0\noom_kill 4\noom_group_kill 1\n")
    assert machine.tick()
    assert machine.observer.kills == [Kill("memory.events", 1, 4)]


def test_a_counter_that_falls_is_no_kill(files: Files) -> None:
    """A cgroup made anew would look like a kill, or crash the loop."""
    machine = Machine(files, {"vmstat": vmstat(oom_kill=7)})
    machine.tick()
    assert not machine.tick(vmstat=vmstat(oom_kill=1))
    assert machine.tick(vmstat=vmstat(oom_kill=2))


def test_a_counter_that_is_not_there_is_no_kill(files: Files) -> None:
    """Kernels before 4.13 have no such counter."""
    machine = Machine(files, {"vmstat": vmstat(pgfault=1)})
    assert not any(machine.tick(vmstat=vmstat(pgfault=number)) for number in range(2, 6))
    # It appears, as when a fuller kernel text is read for the first time: still no kill.
    assert not machine.tick(vmstat=vmstat(pgfault=9, oom_kill=5))
    assert machine.tick(vmstat=vmstat(pgfault=9, oom_kill=6))


def test_what_is_forgotten_is_not_looked_at(files: Files) -> None:
    """A source that was closed would be read for kills."""
    machine = Machine(files, {"vmstat": vmstat(oom_kill=7)})
    machine.tick()
    machine.observer.forget(machine.sources["vmstat"])
    machine.observer.forget(machine.sources["vmstat"])
    assert not machine.tick(vmstat=vmstat(oom_kill=8))


def test_stalls_arm_and_after_five_seconds_it_is_calm_again(files: Files) -> None:
    """The rate would not follow the danger."""
    machine = Machine(files, {"pressure": pressure(0)})
    armed_at = [
        step
        for step in range(100)
        if machine.tick(pressure=pressure(2_500 * step)) and machine.observer.armed
    ]
    assert armed_at
    assert armed_at[0] * 5 <= 130
    calm = [machine.tick(100 * MS) for _ in range(60)]
    assert (calm.count(True), machine.observer.armed) == (1, False)
    assert 49 <= calm.index(True) <= 54  # a stall is seen for as long as it is within the window


@pytest.mark.parametrize(
    ("reclaim", "free", "armed"),
    [
        ({"pswpout": 1}, 99, True),
        ({"pswpin": 1}, 99, True),
        ({"pgscan_direct": 1}, 99, True),
        ({"pswpout": 1}, 100, False),  # not under it
        ({"pgscan_kswapd": 1}, 50, False),  # kswapd alone is the ordinary course of things
        ({}, 50, False),
    ],
)
def test_a_zone_under_its_high_watermark_while_pages_are_reclaimed(
    files: Files, reclaim: dict[str, int], free: int, armed: bool
) -> None:
    """The 32-bit server would not be noticed, or every machine with a full page cache would."""
    counters = {"pswpin": 0, "pswpout": 0, "pgscan_direct": 0, "pgscan_kswapd": 0}
    machine = Machine(files, {"vmstat": vmstat(**counters), "zoneinfo": zoneinfo(free, 100)})
    machine.tick()
    machine.tick(vmstat=vmstat(**{**counters, **reclaim}))
    assert machine.observer.armed == armed


def test_direct_reclaim_of_old_kernels_counts(files: Files) -> None:
    """Before 4.8 pgscan_direct was counted by zone: those kernels would never be armed by it."""
    machine = Machine(files, {"vmstat": vmstat(pgscan_direct_normal=3), "zoneinfo": zoneinfo(50, 100)})
    assert machine.tick(vmstat=vmstat(pgscan_direct_normal=4))
    assert machine.observer.danger.reason == "a zone is under its high watermark while pages are reclaimed"


def fall(machine: Machine, *, ticks: int) -> float | None:
    """MemAvailable falls by 1 GiB/s from 4 GiB; seconds until it was armed."""
    for step in range(1, ticks):
        machine.tick(meminfo=meminfo(MemAvailable=4_194_304 - 5_243 * step))
        if machine.observer.armed:
            return step * 0.005
    return None


def test_a_fast_fall_of_mem_available_arms(files: Files) -> None:
    """A process that eats a gigabyte a second would be recorded at the calm rate."""
    machine = Machine(files, {"meminfo": meminfo(MemAvailable=4_194_304)})
    armed_s = fall(machine, ticks=400)
    assert armed_s is not None
    assert armed_s <= 0.6


def test_a_fast_fall_after_a_long_rise_arms_as_soon(files: Files) -> None:
    """What MemAvailable was minutes ago would hide how fast it falls now."""
    machine = Machine(files, {"meminfo": meminfo(MemAvailable=1_000_000)})
    for available_kib in (999_990, 999_980, 999_970):
        machine.tick(meminfo=meminfo(MemAvailable=available_kib))
    machine.tick(60 * S, meminfo=meminfo(MemAvailable=4_194_304))
    armed_s = fall(machine, ticks=400)
    assert armed_s is not None
    assert armed_s <= 0.6


def test_a_stall_after_a_quiet_hour_arms_as_soon(files: Files) -> None:
    """What happened an hour ago would hide what happens now."""
    machine = Machine(files, {"pressure": pressure(0)})
    for total_usec in (6, 8, 10):
        machine.tick(pressure=pressure(total_usec))
    for _ in range(720):
        machine.tick(5 * S)
    for step in range(1, 100):
        machine.tick(pressure=pressure(10 + 5_000 * step))
        if machine.observer.armed:
            break
    assert machine.observer.armed
    assert step * 5 <= 130, "all tasks have stalled for so many milliseconds"


def test_without_any_source_nothing_is_seen() -> None:
    """A machine on which nothing can be read would crash the loop."""
    observer = Observer({})
    assert not observer.look(NOW_NS)
    assert (observer.kills, observer.armed) == ([], False)


def test_a_source_without_the_figure_is_no_danger(files: Files) -> None:
    """A kernel without MemAvailable, or with PSI switched off, would crash the loop."""
    machine = Machine(files, {"meminfo": meminfo(MemFree=7), "pressure": b"", "zoneinfo": b""})
    assert not machine.tick(meminfo=meminfo(MemFree=6), pressure=b"some avg10=0.00\n")


def test_a_figure_is_read_once_per_text(files: Files) -> None:
    """Two fifths of the readings would be parsed for nothing."""
    machine = Machine(files, {"vmstat": vmstat(oom_kill=1)})
    machine.tick(vmstat=vmstat(oom_kill=2))
    source: Source = machine.sources["vmstat"]
    before = source.text
    machine.tick()
    assert source.text is before
    assert machine.observer.kills == []
