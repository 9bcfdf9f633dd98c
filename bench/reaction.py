"""Part 7: from a condition coming true to the action being begun, on the machine as it is and under load.

A process in a watched cgroup takes 4 MiB by one write into a memfd and notes when the write began and ended.
The rule's bound is at three quarters of that, and so is the time from which is counted. The rest is read from
both rings: the decision and its sample (when the tick began, how late, how long reading
took) from the sampler's, the action's beginning from the service's. The action is `log`; what is measured is
the way to it: the next tick, the reading of all sources, the decision, the socket, the service's loop, the
worker, and the figures that are taken before every action.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from math import ceil, inf
from pathlib import Path
from statistics import median
from typing import Any

from bench.cgroup import limit_hits, limited_cgroup, usage_bytes
from bench.machine import stolen_ns
from bench.processes import Daemon, running_daemon, wait_until
from bench.report import BenchError, Part, Target, finite, progress
from bench.stress import stress
from memwatchd.ring.board import Slot
from memwatchd.ring.file import open_ring
from memwatchd.ring.reader import read_segments
from memwatchd.ring.samples import Sample
from memwatchd.ring.stream import events, moments, newest
from memwatchd.views.text import columns

_LIMIT_MS = 12.0
_RULE = "reaction"
_WRITE_BYTES = 4 << 20
_BOUND_BYTES = 3 << 20
# Long enough for a very late tick, and for the rule to be over before the next time.
_HOLD_S, _PAUSE_S = 0.1, (0.05, 0.1)
# A ring is read after so many times, before it has come round.
_BATCH = 25
_SETTLE_S = 2.0
_GIVE_UP_S = 30.0
_LONGEST_TICK_NS = 20_000_000
# Takes a pause in seconds on each line of standard input; then makes the condition true for a while, and says
# when writing began and ended. Its priority is below the sampler's and above that of the load: it must not be
# interrupted between the write and the look at the clock.
_ACTOR = f"""
import os, pathlib, sys, time
pathlib.Path(sys.argv[1], "cgroup.procs").write_text("0")
file, data = os.memfd_create("bench"), bytes({_WRITE_BYTES})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
for line in sys.stdin:
    time.sleep(float(line))
    began_ns = time.monotonic_ns()
    os.pwrite(file, data, 0)
    ended_ns = time.monotonic_ns()
    time.sleep({_HOLD_S})
    os.ftruncate(file, 0)
    print(began_ns, ended_ns, flush=True)
"""

Act = Callable[[], tuple[int, int]]
"""Makes the condition true for a while; gives when the write began and ended."""


@dataclass(frozen=True, slots=True)
class _Reaction:
    """One time the condition came true; all on the monotonic clock, in nanoseconds.

    Attributes:
        true_ns: The condition came true.
        write_ns: How long the write took during which it did.
        tick_ns: The tick that found it true began.
        lag_ns: How late that tick was.
        read_ns: When it had read its sources.
        begun_ns: The action began.
    """

    true_ns: int
    write_ns: int
    tick_ns: int
    lag_ns: int
    read_ns: int
    begun_ns: int


@dataclass(frozen=True, slots=True)
class _Phase:
    """What happened on the machine as it is, or under load.

    Attributes:
        unanswered: How often the condition was true and no action came of it.
        hits_per_s: How often the load's cgroup met its limit.
        stolen_ms: Processor time that the host took away.
    """

    name: str
    reactions: tuple[_Reaction, ...]
    unanswered: int
    missed_ticks: int
    hits_per_s: float
    stolen_ms: float

    def total_ms(self) -> list[float]:
        """From condition true to action begun, longest last; without end where nothing came of it."""
        found = [(each.begun_ns - each.true_ns) / 1e6 for each in self.reactions]
        return sorted(found) + [inf] * self.unanswered


def measure(*, quick: bool) -> Part:
    """Make the condition true again and again.

    Raises:
        BenchError: The daemon did not start, or its rule never fired.
    """
    times = 30 if quick else 200
    part = Part(
        f"7. From condition true to action begun, 200 Hz, {times} times as it is and {times} under load"
    )
    with ExitStack() as stack:
        try:
            watched = stack.enter_context(limited_cgroup("watched"))
            strained = stack.enter_context(limited_cgroup("strained"))
        except OSError as error:
            part.skipped = f"needs root and a memory cgroup: {error}"
            return part
        act = stack.enter_context(_actor(watched))
        act()  # what it takes for itself it has now
        daemon = stack.enter_context(running_daemon(_config(watched), "--no-exporter"))
        wait_until(lambda: _is_watched(daemon, watched), "the cgroup to be sampled", _GIVE_UP_S, 0.1)
        progress(f"{times} times as it is")
        plain = _phase("as it is", daemon, act, times, lambda: 0)
        stack.enter_context(stress(strained))
        time.sleep(_SETTLE_S)
        progress(f"{times} times under load")
        loaded = _phase("under load", daemon, act, times, lambda: limit_hits(strained))
        degraded = daemon.state()["degraded"]
    part.lines = [*_table(plain), *_table(loaded), *_remarks([plain, loaded])]
    part.lines += [f"degraded: {sentence}" for sentence in degraded]
    part.figures = {phase.name: _figures(phase) for phase in (plain, loaded)}
    part.targets = [Target("p99 under load", _quantile(loaded.total_ms(), 0.99), _LIMIT_MS, "ms")]
    return part


def _config(cgroup: Path) -> str:
    """The configuration: everything as by default, but for what is not measured."""
    bound_kib = (usage_bytes(cgroup) + _BOUND_BYTES) >> 10
    rule = {
        "when": f'cgroup."/{cgroup.name}".usage > {bound_kib}KiB',
        "cooldown": "0s",
        "max_per_hour": 3600,
        # One that acts would be kept from acting 400 times a minute, for good reasons.
        "severity": "warn",
        # The second step never comes: it keeps the chain from beginning anew as long as the condition holds.
        "actions": ["log", {"after": "1h", "log": {}}],
    }
    config = {"watch": [{"cgroup": f"/{cgroup.name}"}], "protect": {"enabled": False}, "rules": {_RULE: rule}}
    return json.dumps(config)


def _is_watched(daemon: Daemon, cgroup: Path) -> bool:
    moment = newest(open_ring(daemon.places.ring))
    names = [] if moment is None else [str(entry["name"]) for entry in moment.sources.values()]
    return any(name.startswith(f"cgroup/{cgroup.name}/") for name in names)


@contextmanager
def _actor(cgroup: Path) -> Iterator[Act]:
    """Start the process that makes the condition true; gives a function that has it do so once."""
    command = [sys.executable, "-I", "-S", "-c", _ACTOR, str(cgroup)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    orders, answers = process.stdin, process.stdout

    def act() -> tuple[int, int]:
        # At no particular moment between two ticks.
        print(random.uniform(*_PAUSE_S), file=orders, flush=True)
        began_ns, ended_ns = map(int, answers.readline().split())
        return began_ns, ended_ns

    try:
        yield act
    finally:
        process.kill()
        process.communicate()


def _phase(name: str, daemon: Daemon, act: Act, times: int, hits: Callable[[], int]) -> _Phase:
    ring = open_ring(daemon.places.ring)
    before, hits_before, stolen_before_ns, began_s = ring.figures(), hits(), stolen_ns(), time.monotonic()
    reactions: list[_Reaction] = []
    for done in range(0, times, _BATCH):
        reactions += _batch(daemon, act, min(_BATCH, times - done))
    if not reactions:
        raise BenchError("the condition came true, and the rule never fired")
    hits_per_s = (hits() - hits_before) / (time.monotonic() - began_s)
    missed = ring.figures()[Slot.MISSED] - before[Slot.MISSED]
    stolen_ms = (stolen_ns() - stolen_before_ns) / 1e6
    return _Phase(name, tuple(reactions), times - len(reactions), missed, hits_per_s, stolen_ms)


def _batch(daemon: Daemon, act: Act, times: int) -> list[_Reaction]:
    """Make the condition true some times, and then find in the rings what came of it."""
    from_ns = time.monotonic_ns()
    writes = [act() for _ in range(times)]
    time.sleep(_HOLD_S)
    recorded = list(read_segments(open_ring(daemon.places.ring), from_ns=from_ns))
    samples = {moment.sample.monotonic_ns: moment.sample for moment in moments(recorded)}
    fires = [each["monotonic_ns"] for each in events(recorded) if _is_ours(each, "rule_fire")]
    done = events(read_segments(open_ring(daemon.places.events), from_ns=from_ns))
    begun = {each["fired_ns"]: each["began_ns"] for each in done if _is_ours(each, "action")}
    found = []
    for began_ns, ended_ns in writes:
        # A tick that began before the write may have read the cgroup's file after it.
        for fired_ns in fires:
            timely = began_ns - _LONGEST_TICK_NS < fired_ns < ended_ns + _HOLD_S * 1e9
            if timely and begun.get(fired_ns) and fired_ns in samples:
                found.append(_reaction(began_ns, ended_ns, samples[fired_ns], begun[fired_ns]))
                break
    return found


def _is_ours(event: dict[str, Any], name: str) -> bool:
    return event["event"] == name and event.get("rule") == _RULE and event.get("step") == 0


def _reaction(began_ns: int, ended_ns: int, sample: Sample, begun_ns: int) -> _Reaction:
    tick_ns, write_ns = sample.monotonic_ns, ended_ns - began_ns
    true_ns = began_ns + write_ns * _BOUND_BYTES // _WRITE_BYTES
    return _Reaction(true_ns, write_ns, tick_ns, sample.lag_ns, tick_ns + sample.read_ns, begun_ns)


def _stages(phase: _Phase) -> dict[str, list[float]]:
    """The way in pieces, in milliseconds."""
    stages: dict[str, Callable[[_Reaction], int]] = {
        "until the next tick": lambda each: each.tick_ns - each.true_ns,
        "  of which it was late": lambda each: each.lag_ns,
        "until all sources were read": lambda each: each.read_ns - each.tick_ns,
        "until the action began": lambda each: each.begun_ns - each.read_ns,
    }
    found = {name: sorted(take(each) / 1e6 for each in phase.reactions) for name, take in stages.items()}
    return {**found, "in all": phase.total_ms()}


def _table(phase: _Phase) -> list[str]:
    rows = [[phase.name, "median", "p99", "longest"]]
    for name, sorted_ms in _stages(phase).items():
        figures = (median(sorted_ms), _quantile(sorted_ms, 0.99), sorted_ms[-1])
        rows.append([f"  {name}", *(f"{figure:.2f} ms" for figure in figures)])
    return columns(rows, right=frozenset({1, 2, 3}))


def _remarks(phases: Sequence[_Phase]) -> Iterator[str]:
    writes_ms = [each.write_ns / 1e6 for phase in phases for each in phase.reactions]
    yield f"the write took {median(writes_ms):.2f} ms, at most {max(writes_ms):.2f} ms"
    for phase in phases:
        if phase.hits_per_s:
            yield f"{phase.name}, the strained cgroup met its limit {phase.hits_per_s:.0f} times a second"
        if phase.missed_ticks:
            yield f"{phase.name}, {phase.missed_ticks} deadlines were missed"
        if phase.stolen_ms:
            yield f"{phase.name}, the host took away {phase.stolen_ms:.0f} ms of the processors' time"
        if phase.unanswered:
            yield f"{phase.name}, nothing came of {phase.unanswered} times"


def _figures(phase: _Phase) -> dict[str, Any]:
    total_ms = phase.total_ms()
    return {
        "reactions": [asdict(each) for each in phase.reactions],
        "unanswered": phase.unanswered,
        "missed_ticks": phase.missed_ticks,
        "limit_hits_per_s": phase.hits_per_s,
        "stolen_ms": phase.stolen_ms,
        "median_ms": finite(median(total_ms)),
        "p99_ms": finite(_quantile(total_ms, 0.99)),
        "max_ms": finite(total_ms[-1]),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so many are not above."""
    return ordered[ceil(share * len(ordered)) - 1]
