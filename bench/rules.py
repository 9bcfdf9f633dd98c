"""Part 6: what 50 rules cost on top of sampling, when nothing is wrong.

The sampler with an empty book against the same sampler with the rules below, one after the other, round by
round; each round gives a ratio. The rules are of the kinds that stand in configurations: of the machine,
zones, caches, stalls, trends, windows, and of processes and cgroups of which none is watched here. No one of
them should fire, or be near it, on a machine that is well.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from bench.processes import BUILT_IN, Reading, fixed_sources, running_sampler
from bench.report import Part, Target, progress
from memwatchd.config.load import parse_config
from memwatchd.config.model import Config
from memwatchd.ring.board import Slot
from memwatchd.sampling.plan import DEAR_SOURCES, Plan
from memwatchd.views.text import columns

RATE_HZ = 200
_LIMIT = 1.15
_SETTLE_TICKS = 100
# The governor's idea of a tick's cost is smoothed over some seconds.
_SETTLE_GOVERNED_TICKS = 800

# Conditions, and for how long they must hold.
RULES = (
    # zones and fragmentation
    (
        "zone.worst.room < 10% of zone.worst.unboosted_min and "
        "zone.worst.slab_reclaimable > 5% of zone.worst.managed and "
        "zone.worst.slab_reclaimable > zone.worst.kernel_file",
        "200ms",
    ),
    ("zone.worst.margin < 1% of zone.worst.managed", "0s"),
    ("zone.worst.ratio < 1", "100ms"),
    ("zone.0.Normal.margin < 16MiB", "0s"),
    ("zone.0.DMA32.margin < 4MiB", "0s"),
    ("zone.Normal.free < 110% of zone.Normal.low", "200ms"),
    ("zone.HighMem.free > 64MiB and zone.Normal.free < 120% of zone.Normal.min", "0s"),
    ("time_to(zone.worst.free, zone.worst.min) < 3s and zone.worst.ratio < 2", "0s"),
    ("min(zone.worst.margin, 5s) < 4MiB", "0s"),
    ("buddy.kernel.largest_order < 2 and zone.worst.free > 2% of zone.worst.managed", "2s"),
    # the kernel's caches
    (
        "slab.top.bytes > 15% of meminfo.MemTotal and delta(slab.top.bytes, 1min) > 1% of meminfo.MemTotal",
        "1s",
    ),
    ("rate(slab.top.bytes, 1s) > 400MiB/s", "500ms"),
    ("rate(slab.dentry.bytes, 1s) > 200MiB/s", "500ms"),
    ("rate(slab.ext4_inode_cache.bytes, 1s) > 200MiB/s", "500ms"),
    ("slab.nfs_inode_cache.bytes > 1GiB and rate(slab.nfs_inode_cache.bytes, 5s) > 5MiB/s", "0s"),
    ("slab.kmalloc-64.bytes > 10% of meminfo.MemTotal", "0s"),
    ("delta(slab.buffer_head.bytes, 10s) > 5% of meminfo.MemTotal", "0s"),
    ("slab.task_struct.bytes > 10% of meminfo.MemTotal", "0s"),
    ("meminfo.SUnreclaim > 40% of meminfo.MemTotal", "10s"),
    ("rate(meminfo.Slab, 10s) > 200MiB/s", "0s"),
    # the machine
    ("meminfo.MemAvailable < 3% of meminfo.MemTotal", "200ms"),
    ("meminfo.MemAvailable < 64MiB", "0s"),
    ("time_to(meminfo.MemAvailable, 0) < 10s and meminfo.MemAvailable < 25% of meminfo.MemTotal", "200ms"),
    ("time_to(meminfo.MemAvailable, 5% of meminfo.MemTotal, 5s) < 3s and swap.free < 64MiB", "0s"),
    ("avg(meminfo.MemAvailable, 10s) < 5% of meminfo.MemTotal", "0s"),
    ("max(meminfo.MemFree, 30s) < 16MiB", "0s"),
    ("unaccounted > 40% of meminfo.MemTotal", "10s"),
    ("meminfo.Shmem > 60% of meminfo.MemTotal", "0s"),
    ("meminfo.Dirty + meminfo.Writeback > 50% of meminfo.MemTotal", "5s"),
    ("meminfo.PageTables > 20% of meminfo.MemTotal", "0s"),
    ("delta(meminfo.AnonPages, 5s) > 60% of meminfo.MemTotal", "0s"),
    # swap
    ("time_to(meminfo.SwapFree, 0) < 30s and meminfo.SwapTotal > 0", "500ms"),
    ("swap.free < 5% of swap.total and swap.total > 0", "0s"),
    ("swap.used_share > 95% and rate(vmstat.pswpout, 1s) > 5000pages/s", "0s"),
    ("zram.used > 40% of meminfo.MemTotal", "0s"),
    # stalls and reclaim
    ("rate(pressure.some, 1s) > 80%", "500ms"),
    ("rate(pressure.full, 1s) > 60%", "500ms"),
    ("rate(pressure.full, 5s) > 20% and meminfo.MemAvailable < 8% of meminfo.MemTotal", "3s"),
    ("pressure.some.avg10 > 80%", "2s"),
    ("rate(vmstat.pgscan_direct, 1s) > 2000000pages/s", "0s"),
    ("rate(vmstat.workingset_refault_file, 1s) > 200000pages/s", "1s"),
    ("rate(vmstat.pgmajfault, 1s) > 20000/s", "0s"),
    ("rate(vmstat.compact_stall, 5s) > 2000/s", "0s"),
    ("delta(vmstat.oom_kill, 10s) > 50", "0s"),
    # what is watched, elsewhere
    ("process.mysqld.rss > 60% of meminfo.MemTotal", "0s"),
    ("time_to(process.rsync.rss, 2GiB) < 5s", "0s"),
    ('cgroup."/system.slice/docker.service".usage > 90% of meminfo.MemTotal', "0s"),
    ('time_to(cgroup."/app".usage, cgroup."/app".limit, 500ms) < 2s', "0s"),
    ('rate(cgroup."/app".pressure.some, 1s) > 50%', "200ms"),
    # the recorder itself
    ("avg(recorder.lag, 10s) > 1s", "0s"),
)


@dataclass(frozen=True, slots=True)
class _Run:
    """What one sampler did.

    Attributes:
        tick_us: CPU time of a tick.
        rates_hz: How often the dear sources were read.
        fired: Names of the rules that fired.
    """

    tick_us: float
    rates_hz: dict[str, float]
    missed: int
    armed_ticks: int
    fired: frozenset[str]


@dataclass(slots=True)
class _Mode:
    """At which rates is read, and what came of it, round by round.

    Attributes:
        governed: At default rates: dear sources as often as the budget allows.
        plain: Without rules.
        ruled: With them.
    """

    name: str
    governed: bool
    plain: list[_Run] = field(default_factory=list)
    ruled: list[_Run] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """One per round."""
        return [ruled.tick_us / plain.tick_us for ruled, plain in zip(self.ruled, self.plain, strict=True)]

    @property
    def added_us(self) -> list[float]:
        """What the rules add to a tick, one per round."""
        return [ruled.tick_us - plain.tick_us for ruled, plain in zip(self.ruled, self.plain, strict=True)]


def measure(*, quick: bool) -> Part:
    """Run the rounds.

    Raises:
        BenchError: Something did not start.
    """
    rounds, seconds = (2, 2) if quick else (5, 4)
    part = Part(
        f"6. CPU time of a tick, with {len(RULES)} rules against none, {rounds} rounds of {seconds} s"
    )
    ruled = configuration()
    modes = [_Mode("all sources at 200 Hz", governed=False), _Mode("default rates", governed=True)]
    for number in range(rounds):
        progress(f"without and with rules, round {number + 1} of {rounds}")
        for mode in modes:
            steps = [(mode.plain, BUILT_IN), (mode.ruled, ruled)]
            # Whoever comes second may find the machine warmer, or busier: each does so in every other round.
            for runs, config in reversed(steps) if number % 2 else steps:
                runs.append(_run(config, seconds * RATE_HZ, governed=mode.governed))
    part.lines = [*_table(modes), *_remarks(modes)]
    part.figures = {mode.name: _figures(mode) for mode in modes}
    part.targets = [Target(f"ratio, {mode.name}", median(mode.ratios), _LIMIT, "×") for mode in modes]
    return part


def configuration() -> Config:
    """Make a configuration of these rules."""
    rules = {
        f"rule-{number}": {"when": when, "for": held, "actions": ["log"]}
        for number, (when, held) in enumerate(RULES, 1)
    }
    # JSON is YAML.
    return parse_config(json.dumps({"rules": rules}), "bench/rules.py")


def _run(config: Config, ticks: int, *, governed: bool) -> _Run:
    def paced(plan: Plan) -> Plan:
        sources = plan.sources if governed else fixed_sources(plan.sources, RATE_HZ)
        return replace(plan, sources=sources)

    with running_sampler(paced, config) as sampler:
        sampler.wait_ticks(_SETTLE_GOVERNED_TICKS if governed else _SETTLE_TICKS)
        before = sampler.reading()
        sampler.wait_ticks(ticks)
        after = sampler.reading()
        decisions = sampler.process.hear()
    rates_hz = {
        source.name: _rate_hz(before, after, number)
        for number, source in enumerate(sampler.plan.sources)
        if source.name in DEAR_SOURCES
    }
    return _Run(
        (after.cpu_ns - before.cpu_ns) / (after.ticks - before.ticks) / 1000,
        rates_hz,
        after.board[Slot.MISSED] - before.board[Slot.MISSED],
        after.board[Slot.ARMED_TICKS] - before.board[Slot.ARMED_TICKS],
        frozenset(said["rule"] for said in decisions if said["happening"] == "fire"),
    )


def _rate_hz(before: Reading, after: Reading, number: int) -> float:
    reads = after.board.source(number).reads - before.board.source(number).reads
    return reads * 1e9 / (after.monotonic_ns - before.monotonic_ns)


def _table(modes: Sequence[_Mode]) -> list[str]:
    rows = [["", "no rules", "with them", "added", "a rule", "ratio", "min … max"]]
    for mode in modes:
        added_us, ratios = median(mode.added_us), mode.ratios
        rows.append(
            [
                mode.name,
                f"{_tick_us(mode.plain):.1f} µs",
                f"{_tick_us(mode.ruled):.1f} µs",
                f"{added_us:.1f} µs",
                f"{added_us / len(RULES):.2f} µs",
                f"{median(ratios):.3f}",
                f"{min(ratios):.3f} … {max(ratios):.3f}",
            ]
        )
    return columns(rows, right=frozenset(range(1, 7)))


def _tick_us(runs: Sequence[_Run]) -> float:
    return median(run.tick_us for run in runs)


def _remarks(modes: Sequence[_Mode]) -> Iterator[str]:
    for mode in modes:
        for name in mode.plain[0].rates_hz if mode.governed else ():
            plain_hz, ruled_hz = (
                median(run.rates_hz[name] for run in runs) for runs in (mode.plain, mode.ruled)
            )
            yield f"{name} was read at {plain_hz:.1f} Hz without rules, at {ruled_hz:.1f} Hz with them"
    runs = [run for mode in modes for run in (*mode.plain, *mode.ruled)]
    fired = frozenset[str]().union(*(run.fired for run in runs))
    if fired:
        yield f"fired, which costs more: {', '.join(sorted(fired))}"
    if armed := sum(run.armed_ticks for run in runs):
        yield f"{armed} ticks were armed: memory was short, or a rule near its threshold"
    if missed := sum(run.missed for run in runs):
        yield f"{missed} deadlines were missed: the machine was busy with something else"


def _figures(mode: _Mode) -> dict[str, Any]:
    added_us = median(mode.added_us)
    return {
        "plain_us": [run.tick_us for run in mode.plain],
        "ruled_us": [run.tick_us for run in mode.ruled],
        "ratios": mode.ratios,
        "median_ratio": median(mode.ratios),
        "added_us": added_us,
        "added_us_per_rule": added_us / len(RULES),
        "rates_hz_plain": mode.plain[-1].rates_hz,
        "rates_hz_ruled": mode.ruled[-1].rates_hz,
    }
