"""Lowest and highest values of the last minutes, for whoever asks and as often as he asks.

A scrape every fifteen seconds sees one sample in three thousand. So that a dip between two scrapes is not
lost, each scrape gets the lowest and highest value of a *sliding window*: every server whose interval is no
longer than the window sees each extreme at least once, however many servers there are and whenever they come.
Nothing is kept for a client and nothing is reset by a scrape: "since the last scrape" would be another span
for each server, and who looks at the page by hand would steal from all of them.

The windows are made of bins of five seconds; the present bin comes on top, so that a window is at most five
seconds longer than its name, and never shorter: a scrape that comes a moment late misses nothing.
"""

from array import array
from math import isnan, nan

FINE_NS = 100_000_000
FINE_BINS = 600
COARSE_NS = 5_000_000_000
WINDOWS = {"1m": 60_000_000_000, "5m": 300_000_000_000}
_COARSE_BINS = max(WINDOWS.values()) // COARSE_NS + 1


class Bins:
    """Lowest and highest value in each of the last spans of time.

    Args:
        step_ns: Length of a span.
        count: How many are kept.
    """

    __slots__ = ("_at", "_high", "_low", "_number", "count", "step_ns")

    def __init__(self, step_ns: int, count: int) -> None:
        self.step_ns, self.count = step_ns, count
        self._low = array("d", [nan]) * count
        self._high = array("d", [nan]) * count
        self._number = -1
        self._at = 0

    def add(self, now_ns: int, value: float) -> None:
        """Take in a value that is a number; 0.2 µs."""
        number = now_ns // self.step_ns
        at = self._at
        if number == self._number:
            if value < self._low[at]:
                self._low[at] = value
            elif value > self._high[at]:
                self._high[at] = value
        elif number > self._number:
            self._clear(number)
            self._at = at = number % self.count
            self._low[at] = self._high[at] = value

    def _clear(self, number: int) -> None:
        skipped = min(number - self._number - 1, self.count) if self._number >= 0 else 0
        for each in range(number - skipped, number):
            self._low[each % self.count] = self._high[each % self.count] = nan
        self._number = number

    def newest(self, now_ns: int, count: int) -> list[tuple[float, float]]:
        """The last bins up to now as (lowest, highest), oldest first; NaN where there was no value."""
        last = now_ns // self.step_ns
        found = []
        for number in range(last - count + 1, last + 1):
            there = self._number - self.count < number <= self._number
            at = number % self.count
            found.append((self._low[at], self._high[at]) if there and number >= 0 else (nan, nan))
        return found


class Track:
    """One value's way through the last minutes: fine for the picture, coarse for the windows."""

    __slots__ = ("_coarse", "fine", "last")

    def __init__(self) -> None:
        self.last = nan
        self.fine = Bins(FINE_NS, FINE_BINS)
        self._coarse = Bins(COARSE_NS, _COARSE_BINS)

    def add(self, now_ns: int, value: float) -> None:
        """Take in the newest value; NaN while it is not there."""
        self.last = value
        if value == value:
            self.fine.add(now_ns, value)
            self._coarse.add(now_ns, value)

    def extremes(self, now_ns: int, window: str) -> tuple[float, float] | None:
        """Lowest and highest value within one of `WINDOWS`; None when there was none."""
        bins = self._coarse.newest(now_ns, WINDOWS[window] // COARSE_NS + 1)
        known = [(low, high) for low, high in bins if not isnan(low)]
        if not known:
            return None
        return min(low for low, _ in known), max(high for _, high in known)
