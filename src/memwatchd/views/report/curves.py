"""Figures by time, and fewer of them: what is left out is never the lowest or the highest.

A panel is what one chart shows: curves over the same points in time, which are the moments at which their
file was read. To thin a panel its span is cut into equal pieces; of each piece those samples stay in which
any curve is lowest or highest. So every point is a sample as it was recorded, what belongs together stays
together (parts still add up to their sum), and no spike is lost, however short.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from math import inf, isfinite, isnan, nan

# Between two samples that are further apart than this many times the usual, curves are broken.
_GAP_BY_USUAL = 8.0
_LEAST_GAP_S = 0.25
_JUST_AFTER_S = 1e-4
# No more than all of the time can be lost; it seems more where a sample began in time and read its file late.
_MOST = {"share": 1.0}
# Ticks come a little early, too.
_NEARLY = 0.99


class Kind(StrEnum):
    """How a panel is drawn."""

    STACK = "stack"
    LINES = "lines"
    LOG = "log"
    RATES = "rates"
    HEAT = "heat"


@dataclass(slots=True)
class Curve:
    """One figure by time.

    Attributes:
        name: For a person.
        unit: "bytes", "share", "pages/s", "/s", "ms" or "blocks".
        source: The kernel's own name of it.
        values: One for each time of the panel; NaN where it was not there.
        is_limit: A line others are measured against: a watermark, a limit, a total.
        apart: It has an axis of its own.
    """

    name: str
    unit: str
    source: str = ""
    values: "array[float]" = field(default_factory=lambda: array("d"))
    is_limit: bool = False
    apart: bool = False

    @property
    def there(self) -> bool:
        """Whether it ever had a value."""
        return any(map(isfinite, self.values))


@dataclass(slots=True)
class Panel:
    """What one chart shows.

    Attributes:
        key: Its name in the page.
        times_s: When the file was read, in seconds from the trigger.
        note: What to know to read it.
        guide: What decides which samples are kept; the curves themselves where it is empty.
        samples: How many samples there were before it was thinned.
        step_s: Length of the pieces it was cut into; 0 where nothing was left out.
    """

    key: str
    title: str
    kind: Kind
    times_s: "array[float]"
    curves: list[Curve]
    note: str = ""
    guide: list["array[float]"] = field(default_factory=list)
    samples: int = 0
    step_s: float = 0.0


def thinned(panel: Panel, from_s: float, to_s: float, pieces: int) -> Panel:
    """Leave out what is neither lowest nor highest of its piece.

    Args:
        panel: Not changed.
        from_s: Where the first piece begins; all panels have the same pieces.
        to_s: Where the last one ends.
        pieces: How many pieces the span is cut into.
    """
    step_s = (to_s - from_s) / pieces
    guides = panel.guide or [curve.values for curve in panel.curves]
    kept: list[int] = []
    start = 0
    for piece in range(1, pieces + 1):
        end = bisect_right(panel.times_s, from_s + piece * step_s) if piece < pieces else len(panel.times_s)
        if end > start:
            kept += _telling(guides, start, end)
        start = end
    is_whole = len(kept) == len(panel.times_s)
    return replace(
        panel,
        times_s=array("d", (panel.times_s[place] for place in kept)),
        curves=[
            replace(curve, values=array("d", (curve.values[place] for place in kept)))
            for curve in panel.curves
        ],
        guide=[],
        step_s=0.0 if is_whole else step_s,
    )


def _telling(guides: Sequence["array[float]"], start: int, end: int) -> list[int]:
    """The first of the piece, and each sample in which some figure is lowest or highest, comes or goes."""
    kept = {start}
    for values in guides:
        piece = values[start:end]
        there: Sequence[float] = piece
        if any(map(isnan, piece)):
            # Of NaN neither min nor max makes sense.
            there = [value for value in piece if not isnan(value)] or [0.0]
            pairs = enumerate(pairwise(piece), start + 1)
            kept.update(place for place, (last, next_) in pairs if isnan(last) != isnan(next_))
        low, high = min(there), max(there)
        if low != high:
            kept.add(start + piece.index(low))
            kept.add(start + piece.index(high))
    return sorted(kept)


def silences(times_s: Sequence[float]) -> list[tuple[float, float]]:
    """When nothing was sampled for long: the last sample before, and the first one after."""
    apart = [later - earlier for earlier, later in pairwise(times_s)]
    if not apart:
        return []
    least_s = max(_LEAST_GAP_S, _GAP_BY_USUAL * sorted(apart)[len(apart) // 2])
    return [
        (times_s[place], times_s[place + 1]) for place, length_s in enumerate(apart) if length_s > least_s
    ]


def broken(panel: Panel, quiet: Sequence[tuple[float, float]]) -> Panel:
    """Put a point without values where nothing was sampled for long, so that no line is drawn across.

    To be done before a panel is thinned.

    Args:
        panel: Not changed.
        quiet: See `silences`.
    """
    gaps: dict[int, float] = {}
    for from_s, _ in quiet:
        place = bisect_right(panel.times_s, from_s)
        if 0 < place < len(panel.times_s):
            gaps[place] = from_s + _JUST_AFTER_S
    if not gaps:
        return panel
    nothing = [nan] * len(gaps)
    return replace(
        panel,
        times_s=_inserted(panel.times_s, list(gaps), list(gaps.values())),
        curves=[replace(each, values=_inserted(each.values, list(gaps), nothing)) for each in panel.curves],
        guide=[_inserted(values, list(gaps), nothing) for values in panel.guide],
    )


def _inserted(values: "array[float]", places: Sequence[int], new: Sequence[float]) -> "array[float]":
    found, start = array("d"), 0
    for place, value in zip(places, new, strict=True):
        found += values[start:place]
        found.append(value)
        start = place
    return found + values[start:]


def rates(panel: Panel, least_s: float, units: Iterable[str]) -> Panel:
    """Make counters into growth per second; a value stands at the end of its span.

    Args:
        panel: Its curves only grow.
        least_s: Shorter spans make a noise of the kernel's own bookkeeping.
        units: Of the new curves.
    """
    ends = [0] if panel.times_s else []
    for place, at_s in enumerate(panel.times_s):
        if at_s - panel.times_s[ends[-1]] >= least_s * _NEARLY:
            ends.append(place)
    spans = list(pairwise(ends))
    return replace(
        panel,
        kind=Kind.RATES,
        times_s=array("d", (panel.times_s[end] for end in ends)),
        curves=[
            replace(
                curve, unit=unit, values=_growth(panel.times_s, curve.values, spans, _MOST.get(unit, inf))
            )
            for curve, unit in zip(panel.curves, units, strict=True)
        ],
        samples=len(panel.times_s),
        step_s=least_s,
    )


def _growth(
    times_s: Sequence[float], values: Sequence[float], spans: Iterable[tuple[int, int]], most: float
) -> "array[float]":
    found = array("d")
    for start, end in spans:
        grown = values[end] - values[start]
        # One that fell was another counter, after the recorder had been started anew.
        found.append(min(grown / (times_s[end] - times_s[start]), most) if grown >= 0 else nan)
    # Where the first span begins it is as in that span.
    return found[:1] + found if found else array("d", [nan])


def value_at(panel: Panel, curve: Curve, at_s: float) -> float | None:
    """What a curve was at a moment, by the last reading before it; None where there is none."""
    if panel.kind is Kind.RATES:
        place = min(bisect_left(panel.times_s, at_s), len(panel.times_s) - 1)
    else:
        place = bisect_right(panel.times_s, at_s) - 1
    return curve.values[place] if place >= 0 and isfinite(curve.values[place]) else None


def first_value(curve: Curve) -> float | None:
    """The first value there is; None where there is none."""
    return next((value for value in curve.values if isfinite(value)), None)


def extremes(panel: Panel, curve: Curve) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """When a curve was lowest and what it was then, and when it was highest; None where it has no value."""
    there = [
        (value, at_s) for at_s, value in zip(panel.times_s, curve.values, strict=True) if isfinite(value)
    ]
    if not there:
        return None
    low, high = min(there), max(there, key=lambda each: each[0])
    return (low[1], low[0]), (high[1], high[0])
