"""Numbers by time: where the last climb began, how far a counter rose, since when something was low."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

# A bend counts as one from so much of the climb's height on; less is a line that was not quite straight.
_BEND_SHARE = 0.05
_END_SHARE = 0.1
# A figure that wavers about a mark is below it when it is so for so much of the time.
_MOSTLY = 0.9
# Before and after a climb it is flatter by so much.
_FLATTER = 1 / 3
# A climb goes on when it ended so shortly before the last point, or within so much of its own length.
_JUST_NOW_S = 1.0


class Series(NamedTuple):
    """A number by time.

    Attributes:
        times_s: When each value was read, ascending; 0 is the event, negative is before.
        values: In the unit of whoever made it.
    """

    times_s: Sequence[float]
    values: Sequence[float]

    def before(self, at_s: float = 0.0) -> "Series":
        """What was read up to a moment."""
        end = bisect_right(self.times_s, at_s)
        return Series(self.times_s[:end], self.values[:end])

    @property
    def last(self) -> float | None:
        """The newest value."""
        return self.values[-1] if self.values else None


@dataclass(frozen=True, slots=True)
class Climb:
    """The last rise of a number.

    Attributes:
        since_s: When it began.
        until_s: When it ended: the last point, or where it bent and went on slower, or not at all.
        from_value, until_value, to_value: At its beginning, at its end, and at the last point.
        rising: It had not ended before the last point.
    """

    since_s: float
    until_s: float
    from_value: float
    until_value: float
    to_value: float
    rising: bool

    @property
    def per_s(self) -> float | None:
        """Its mean speed; None for a single step."""
        length_s = self.until_s - self.since_s
        return (self.until_value - self.from_value) / length_s if length_s > 0 else None


def find_climb(series: Series, least: float = 0.0) -> Climb | None:
    """Find the last rise that makes up at least half of what the series rose in all.

    It begins where the series is furthest below the straight line from its first to its last point, and ends
    where it is furthest above the line from there, if it is much flatter before, or after. So a figure that
    lay still for 25 s and then rose for five has risen for five; one that rose all along has risen from the
    start; a short dip on the way up begins nothing. Single odd values are passed over.

    Args:
        series: Up to the event.
        least: A rise of less is none.
    """
    times, values = series.times_s, _without_spikes(series.values)
    if len(values) < 2:
        return None
    rise = values[-1] - min(values)
    if rise <= 0 or rise < least:
        return None
    start = _start_of_climb(times, values, rise)
    height = values[-1] - values[start]
    if height < least:
        return None
    stop = _end_of_climb(times, values, start, height)
    length_s = times[stop] - times[start]
    return Climb(
        since_s=times[start],
        until_s=times[stop],
        from_value=values[start],
        until_value=values[stop],
        to_value=values[-1],
        rising=times[-1] - times[stop] <= max(_JUST_NOW_S, _END_SHARE * length_s),
    )


def _start_of_climb(times: Sequence[float], values: Sequence[float], rise: float) -> int:
    """Where the part before is flatter than the climb; the lowest point where there is no such place."""
    low = values[-1] - rise / 2
    depth, start = max(
        (line - value, place)
        for place, (line, value) in enumerate(zip(_chord(times, values, 0), values, strict=True))
        if value <= low
    )
    bends = depth >= _BEND_SHARE * rise
    if bends and _slope(times, values, 0, start) <= _FLATTER * _slope(times, values, start, -1):
        return start
    return 0 if values[0] <= low else values.index(min(values))


def _end_of_climb(times: Sequence[float], values: Sequence[float], start: int, height: float) -> int:
    """Where the rest is flatter than the climb."""
    capped = [min(value, values[-1]) for value in values]
    bulge, stop = max(
        (value - line, -place)
        for place, (line, value) in enumerate(
            zip(_chord(times, capped, start), capped[start:], strict=True), start
        )
    )
    stop = -stop
    ended = bulge > _END_SHARE * height
    if ended and _slope(times, capped, stop, -1) < _FLATTER * _slope(times, capped, start, stop):
        return stop
    return len(values) - 1


def _chord(times: Sequence[float], values: Sequence[float], start: int) -> list[float]:
    """The straight line from one point to the last one, at each time between."""
    slope = _slope(times, values, start, -1)
    return [values[start] + slope * (time - times[start]) for time in times[start:]]


def _slope(times: Sequence[float], values: Sequence[float], start: int, end: int) -> float:
    span_s = times[end] - times[start]
    return (values[end] - values[start]) / span_s if span_s > 0 else 0.0


def _without_spikes(values: Sequence[float]) -> list[float]:
    """Each value, or the middle one of it and its neighbours; both ends are as they are."""
    if len(values) < 3:
        return list(values)
    triples = zip(values, values[1:], values[2:], strict=False)
    return [values[0], *(median(triple) for triple in triples), values[-1]]


def rise_of(series: Series, since_s: float) -> float | None:
    """Say how far a counter rose since a moment; one that steps backwards began anew, which adds nothing.

    Returns:
        None with fewer than two values in that time.
    """
    start = max(0, bisect_right(series.times_s, since_s) - 1)
    values = series.values[start:]
    if len(values) < 2:
        return None
    return sum(max(0.0, later - value) for value, later in pairwise(values))


def low_since(series: Series, marks: Series) -> float | None:
    """Say since when a number has been at or below a mark, both read at the same times.

    A number that wavers about the mark counts as below it while it is so nine tenths of the time.

    Returns:
        None when it is not below at the end.
    """
    below = [value <= mark for value, mark in zip(series.values, marks.values, strict=True)]
    if not below or not below[-1]:
        return None
    since, count = None, 0
    for place in range(len(below) - 1, -1, -1):
        count += below[place]
        if below[place] and count >= _MOSTLY * (len(below) - place):
            since = series.times_s[place]
    return since
