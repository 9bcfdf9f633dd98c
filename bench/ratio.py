"""Part 1: the sampler against the floor, in turn.

Both read the same files at the same rate under the same priority, one after the other, round by round; each
round gives a ratio, so that what else the machine is doing meanwhile falls on both.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.processes import default_plan, running_sampler
from bench.report import BenchError, Part, Target, progress
from memwatchd.config.model import Config
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.sampling.plan import Plan, SourcePlan
from memwatchd.views.text import columns

FLOOR = Path(__file__).with_name("floor")
RATE_HZ = 200
_SETTLE_TICKS = 100


@dataclass(slots=True)
class Mode:
    """Which sources are read, and what came of it."""

    name: str
    limit: float
    sources: tuple[SourcePlan, ...]
    floor_us: list[float] = field(default_factory=list)
    sampler_us: list[float] = field(default_factory=list)
    missed_floor: int = 0
    missed_sampler: int = 0

    @property
    def ratios(self) -> list[float]:
        """One per round."""
        return [ours / floor for ours, floor in zip(self.sampler_us, self.floor_us, strict=True)]


def measure(*, quick: bool) -> Part:
    """Run the rounds.

    Raises:
        BenchError: bench/floor is not there, or something did not start.
    """
    if not FLOOR.is_file():
        raise BenchError(
            "bench/floor is not built; 'make bench' does it, or: cc -O2 -o bench/floor bench/floor.c"
        )
    rounds, seconds = (2, 2) if quick else (5, 4)
    ticks = seconds * RATE_HZ
    part = Part(
        f"1. CPU time of a tick, sampler against floor: {RATE_HZ} Hz, every source on every tick, "
        f"{rounds} rounds of {seconds} s"
    )
    sources, part.lines = _readable()
    modes = [
        Mode("all sources", 1.25, sources),
        Mode("without slabinfo", 1.5, tuple(each for each in sources if each.name != "slabinfo")),
    ]
    for number in range(rounds):
        progress(f"floor and sampler, round {number + 1} of {rounds}")
        for mode in modes:
            steps = [_run_floor, _run_sampler]
            # Whoever comes second may find the machine warmer, or busier: each does so in every other round.
            for step in reversed(steps) if number % 2 else steps:
                step(mode, ticks)
    part.lines += _table(modes)
    missed = sum(mode.missed_floor + mode.missed_sampler for mode in modes)
    if missed:
        part.lines.append(f"{missed} deadlines were missed: the machine was busy with something else")
    part.figures = {mode.name: _figures(mode) for mode in modes}
    part.targets = [Target(f"ratio, {mode.name}", median(mode.ratios), mode.limit, "×") for mode in modes]
    return part


def _readable() -> tuple[tuple[SourcePlan, ...], list[str]]:
    """The sources of the default plan that can be read here, and a remark about each that cannot."""
    sources, remarks = [], []
    for source in default_plan(Places(Path(), Path())).sources:
        try:
            Path(source.path).read_bytes()
        except OSError as error:
            remarks.append(f"{source.path} is not read by either: {error.strerror}")
            continue
        sources.append(replace(source, rate_hz=float(RATE_HZ)))
    return tuple(sources), remarks


def _run_floor(mode: Mode, ticks: int) -> None:
    priority = Config().sampling.realtime_priority
    command = [str(FLOOR), str(RATE_HZ), str(ticks), str(priority), *(source.path for source in mode.sources)]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode != 0:
        raise BenchError(f"bench/floor ended with status {done.returncode}: {done.stderr.decode().strip()}")
    found = json.loads(done.stdout)
    mode.floor_us.append(found["cpu_ns"] / found["ticks"] / 1000)
    mode.missed_floor += found["missed"]


def _run_sampler(mode: Mode, ticks: int) -> None:
    def fixed(plan: Plan) -> Plan:
        return replace(plan, rate_hz=float(RATE_HZ), sources=mode.sources)

    with running_sampler(fixed) as sampler:
        sampler.wait_ticks(_SETTLE_TICKS)
        before = sampler.reading()
        sampler.wait_ticks(ticks)
        after = sampler.reading()
    mode.sampler_us.append((after.cpu_ns - before.cpu_ns) / (after.ticks - before.ticks) / 1000)
    mode.missed_sampler += after.board[Slot.MISSED] - before.board[Slot.MISSED]


def _table(modes: Sequence[Mode]) -> list[str]:
    rows = [["", "floor", "sampler", "ratio", "min … max"]]
    for mode in modes:
        ratios = mode.ratios
        rows.append(
            [
                mode.name,
                f"{median(mode.floor_us):.1f} µs",
                f"{median(mode.sampler_us):.1f} µs",
                f"{median(ratios):.3f}",
                f"{min(ratios):.3f} … {max(ratios):.3f}",
            ]
        )
    return columns(rows, right=frozenset({1, 2, 3, 4}))


def _figures(mode: Mode) -> dict[str, Any]:
    return {
        "floor_us": mode.floor_us,
        "sampler_us": mode.sampler_us,
        "ratios": mode.ratios,
        "median_ratio": median(mode.ratios),
        "missed_floor": mode.missed_floor,
        "missed_sampler": mode.missed_sampler,
    }
