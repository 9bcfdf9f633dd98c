"""Part 2: what sampling takes by default, with governor and default rules, on the machine as it is.

The rules decide as ever; what they ask for is not done.
"""

import time

from bench.processes import running_sampler
from bench.report import Part, Target, progress
from memwatchd.config.load import SHIPPED_CONFIG, load_config
from memwatchd.ring.board import Slot
from memwatchd.views.text import columns

# The governor's idea of a tick's cost is smoothed over some seconds.
_SETTLE_S = 4.0


def measure(*, quick: bool) -> Part:
    """Let it settle, then compare CPU time with time.

    Raises:
        BenchError: The sampler did not start.
    """
    seconds = 4.0 if quick else 10.0
    progress(f"the default plan for {_SETTLE_S + seconds:g} s")
    part = Part(f"2. The sampler with the default plan, governor on, for {seconds:g} s")
    with running_sampler(config=load_config(SHIPPED_CONFIG)) as sampler:
        names = [source.name for source in sampler.plan.sources]
        degraded = sampler.process.degraded
        time.sleep(_SETTLE_S)
        before = sampler.reading()
        time.sleep(seconds)
        after = sampler.reading()
    elapsed_s = (after.monotonic_ns - before.monotonic_ns) / 1e9
    share = (after.cpu_ns - before.cpu_ns) / 1e9 / elapsed_s
    armed, ticks = (after.board[slot] - before.board[slot] for slot in (Slot.ARMED_TICKS, Slot.TICKS))
    rows, rates_hz = [["", "rate", "a reading"]], {}
    for number, name in enumerate(names):
        then, now = before.board.source(number), after.board.source(number)
        rates_hz[name] = round((now.reads - then.reads) / elapsed_s, 2)
        # Only what the governor paces is timed; the others cost too little to look at the clock twice.
        cost = f"{now.cost_ns / 1000:.0f} µs" if now.cost_ns else "–"
        rows.append([name, f"{rates_hz[name]:.1f} Hz", cost])
    part.lines = columns(rows, right=frozenset({1, 2}))
    part.lines.append(f"{ticks} ticks, {after.cpu_ns - before.cpu_ns:,} ns of CPU time, {armed} ticks armed")
    part.lines += degraded
    if armed:
        part.lines.append("it was armed for a while: the armed budget applied then, not the calm one")
    part.figures = {"cpu_share": share, "ticks": ticks, "armed_ticks": armed, "rates_hz": rates_hz}
    part.targets = [Target("CPU, of one core", 100 * share, 5, "%")]
    return part
