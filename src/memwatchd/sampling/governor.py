"""Sharing out a CPU budget: cheap sources are read on every tick, dear ones as often as it allows.

The cheap ones come first, whatever they cost: they are what the alarm listens to. What is left of the budget
goes to the dear sources in equal shares; what one does not need, because it is already read on every tick,
goes to the others.

Only where the cheap ones alone are far too much, on a slow or an emulated processor, do whole ticks give way.
"""

from collections.abc import Mapping, Sequence

# What is read on every tick may take three times the calm budget, or the larger part of the armed one: it is
# little on most machines, and what is left is for the dear sources.
_CALM_TIMES, _ARMED_PART = 3.0, 0.6
# The longest time between two ticks, however slow the machine is.
LONGEST_TICK_NS = 100_000_000
# A shorter stride has to fit in with so much to spare, or it would come and go.
_SPARE = 0.7

# Whatever the budget says, a source is read this often: half a minute before a kill is then 30 readings.
SLOWEST_NS = 1_000_000_000


def intervals(
    *, period_ns: int, budget_share: float, cheap_ns: float, costs_ns: Mapping[str, float]
) -> dict[str, int]:
    """Say every how many ticks each dear source is to be read.

    Args:
        period_ns: Length of a tick.
        budget_share: Share of one core that sampling may take, 0..1.
        cheap_ns: CPU time of a tick in which no dear source is read.
        costs_ns: Mean CPU time of one reading of each dear source, its storing included.

    Returns:
        Interval in ticks by name, 1 for every tick.
    """
    slowest = max(1, SLOWEST_NS // period_ns)
    left_ns = max(0.0, period_ns * budget_share - cheap_ns)
    result: dict[str, int] = {}
    # From the cheapest on, so that what it leaves over is known before the next one's share is cut.
    for place, (name, cost_ns) in enumerate(sorted(costs_ns.items(), key=lambda item: item[1])):
        share_ns = left_ns / (len(costs_ns) - place)
        ticks = _ticks(cost_ns, share_ns, slowest)
        result[name] = ticks
        left_ns = max(0.0, left_ns - cost_ns / ticks)
    return result


def _ticks(cost_ns: float, share_ns: float, slowest: int) -> int:
    if cost_ns <= share_ns:
        return 1
    if cost_ns >= share_ns * slowest:
        return slowest
    return min(slowest, -int(-cost_ns // share_ns))


def stride(*, period_ns: int, calm_share: float, present_share: float, cheap_ns: float, present: int) -> int:
    """Say how many periods a tick is to stand for, a power of two: 1 wherever the processor is fast enough.

    Args:
        period_ns: Length of a tick as it is wished.
        calm_share: Share of one core that sampling may take while all is well, 0..1.
        present_share: The share it may take now.
        cheap_ns: CPU time of a tick in which no dear source is read.
        present: The stride so far.
    """
    allowed_ns = period_ns * max(calm_share * _CALM_TIMES, present_share * _ARMED_PART)
    wanted = 1
    while wanted * allowed_ns < cheap_ns and 2 * wanted * period_ns <= LONGEST_TICK_NS:
        wanted *= 2
    return present if wanted < present and wanted * allowed_ns * _SPARE < cheap_ns else wanted


def median(values: Sequence[int]) -> float:
    """Middle value; a preempted reading must not look dear."""
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2]) if ordered else 0.0
