"""The sampler's promise: once warm, it neither forks nor faults nor grows."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.service.conftest import wait_for

from memwatchd.kernel.clocks import read_boot_id
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, create_ring
from memwatchd.ring.format import RingHeader, Stream
from memwatchd.roots import Roots
from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Stage, Timing
from memwatchd.sampling.plan import SOURCE_PATHS, Plan, SourcePlan
from memwatchd.service.sampler import SamplerProcess

pytestmark = pytest.mark.live

_TICKS = 10_000
_RATE_HZ = 1000.0


@dataclass
class Running:
    """A sampler with this test in the service's place."""

    ring: RingMap
    sampler: SamplerProcess

    @property
    def ticks(self) -> int:
        figures = self.ring.figures()
        return figures[Slot.TICKS] + figures[Slot.MISSED]

    def wait_for_ticks(self, count: int) -> None:
        wanted = self.ticks + count
        wait_for(lambda: self.ticks >= wanted or self.sampler.process.poll() is not None, f"{count} ticks")
        assert self.sampler.process.poll() is None


def rule(number: int) -> RulePlan:
    """One of many rules of every kind, none of which ever fires."""
    when = (
        f"zone.worst.margin < {number}MiB - 1000GiB and rate(slab.dentry.bytes, 1s) > {number}GiB/s",
        f"time_to(meminfo.MemAvailable, 0) < -1s or not (vmstat.nr_free_pages > {number}pages)",
        f"max(meminfo.MemFree, {number + 1}s) < -1MiB or avg(pressure.some, 2s) < -{number + 1}s",
        f"buddy.any.largest_order > {number + 100} and slab.top.bytes > 0 and unaccounted > 100000GiB",
    )[number % 4]
    stage = Stage(after_ns=number * 1_000_000)
    return RulePlan(name=f"rule-{number}", when=when, clear=None, timing=Timing(stages=(stage,)))


@pytest.fixture
def running(runtime_dir: Path) -> Iterator[Running]:
    """A sampler at 1000 Hz on the real /proc, with all the rights this test has."""
    root = os.geteuid() == 0
    roots = Roots()
    header = RingHeader(128 << 10, 128, Stream.SAMPLES, read_boot_id(roots), time.time_ns())
    ring = create_ring(runtime_dir / "ring", header)
    sources = tuple(SourcePlan(name, str(roots.procfs / path)) for name, path in SOURCE_PATHS.items())
    plan = Plan(
        ring=ring.name,
        service_pid=os.getpid(),
        rate_hz=_RATE_HZ,
        budget_calm_share=0.05,
        budget_armed_share=0.35,
        sources=sources,
        realtime_priority=10 if root else 0,
        lock_memory=root,
        book=Rulebook(rules=tuple(rule(number) for number in range(50))),
    )
    alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    sampler = SamplerProcess.start(plan, alarm)
    try:
        wait_for(lambda: heard(sampler).warm or sampler.process.poll() is not None, "it to get warm")
        assert sampler.warm
        sampler.go()
        yield Running(ring, sampler)
    finally:
        sampler.stop(10)
        os.close(alarm)


def heard(sampler: SamplerProcess) -> SamplerProcess:
    sampler.hear()
    return sampler


@dataclass(frozen=True)
class Footprint:
    """What must not change."""

    tasks: list[str]
    children: int
    vm_size: str
    vm_rss: str
    mappings: int
    descriptors: list[str]
    major_faults: int


def footprint(pid: int) -> Footprint:
    directory = Path(f"/proc/{pid}")
    lines = (directory / "status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    return Footprint(
        tasks=sorted(path.name for path in (directory / "task").iterdir()),
        children=len(psutil.Process(pid).children()),
        vm_size=status["VmSize"].strip(),
        vm_rss=status["VmRSS"].strip(),
        mappings=len((directory / "maps").read_text().splitlines()),
        descriptors=sorted(path.name for path in (directory / "fd").iterdir()),
        major_faults=_faults(pid)[1],
    )


def _faults(pid: int) -> tuple[int, int]:
    """Minor and major faults; see proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7]), int(fields[9])


def watch(running: Running, numbers: range) -> None:
    """Have it sample files of this process, as if they were files that another one has open."""
    entries = [
        {
            "id": number,
            "name": f"process/{number * 7919}/fdinfo/{number}",
            "path": f"/proc/{number * 7919}/fdinfo/{number}",
            "rate_hz": None if number % 2 else 10.0,
            "kill_counter": False,
            "pid": number * 7919,
            "comm": f"process {number}",
            "target": "/srv" + f"/{number:040}" * (number % 12),
        }
        for number in numbers
    ]
    files = [os.open("/proc/self/statm", os.O_RDONLY) for _ in numbers]
    try:
        assert running.sampler.command(running.ring.board, {"add": entries}, files)
    finally:
        for file in files:
            os.close(file)


def test_what_comes_and_goes_leaves_no_trace(running: Running) -> None:
    """A new watch would have it fault, and so wait for memory, when processes are started in an emergency."""
    running.wait_for_ticks(500)
    for count in range(2, 16):
        batches = [range(first, first + count) for first in (20, 40, 60)]
        for numbers in batches:
            watch(running, numbers)
        running.wait_for_ticks(50)
        for numbers in batches:
            assert running.sampler.command(running.ring.board, {"remove": list(numbers)}, [])
        running.wait_for_ticks(20)
    running.wait_for_ticks(300)
    figures = running.ring.figures()
    assert (figures[Slot.MINOR_FAULTS], figures[Slot.MAJOR_FAULTS]) == (0, 0)


def test_ten_thousand_ticks_leave_no_trace(running: Running) -> None:
    """The loop would fork, fault or grow, and so wait for memory in the very moment it is there for."""
    running.wait_for_ticks(500)
    pid = running.sampler.process.pid
    minor, before = _faults(pid)[0], footprint(pid)
    assert before.tasks == [str(pid)]
    assert before.children == 0
    running.wait_for_ticks(_TICKS)
    after, grown = footprint(pid), _faults(pid)[0] - minor
    assert after == before
    assert grown == 0
    figures = running.ring.figures()
    assert figures[Slot.MAJOR_FAULTS] == 0
    assert figures[Slot.MINOR_FAULTS] == 0
    assert figures[Slot.OVERSIZE] == 0
    assert figures[Slot.SOURCE_ERRORS] == 0
