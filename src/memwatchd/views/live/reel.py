"""The samples around a moment of a recording, some hundred of them at a time, however many there are."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorded import Recorded
from memwatchd.ring.stream import Moment, moments

# With the texts of a large machine some ten megabytes.
_KEPT = 256
_AHEAD = 32
# Up to here it is cheaper to go on than to begin anew.
_NEAR_NS = 1_000_000_000
# A segment may begin a while before its first sample.
_BACK_NS = 2_000_000_000


class Reel:
    """Finds samples of a recording by their time; quickly near the one that was asked for last."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._kept: list[Moment] = []
        self._more: Iterator[Moment] = iter(())
        self._ended = False

    def at(self, at_ns: int) -> Moment:
        """The last sample at or before a moment; before the first one, the first.

        Raises:
            NotFoundError: There is no sample at all.
        """
        kept = self._kept
        if kept and kept[0].sample.monotonic_ns <= at_ns <= kept[-1].sample.monotonic_ns + _NEAR_NS:
            self._wind(at_ns)
        else:
            for from_ns in (at_ns, at_ns - _BACK_NS, None):
                self._begin(from_ns)
                self._wind(at_ns)
                if self._kept and self._kept[0].sample.monotonic_ns <= at_ns:
                    break
        if not self._kept:
            raise NotFoundError(f"{self._recorded.name}: no samples in this recording")
        return self._kept[max(bisect_right(self._kept, at_ns, key=_time) - 1, 0)]

    def before(self, at_ns: int) -> Moment | None:
        """The last sample before a moment; None when there is none."""
        found = self.at(at_ns - 1)
        return found if found.sample.monotonic_ns < at_ns else None

    def after(self, at_ns: int) -> Moment | None:
        """The first sample after a moment; None when there is none."""
        found = self.at(at_ns)
        if found.sample.monotonic_ns > at_ns:
            return found
        self._wind(at_ns)
        place = bisect_right(self._kept, at_ns, key=_time)
        return self._kept[place] if place < len(self._kept) else None

    def _begin(self, from_ns: int | None) -> None:
        self._more = moments(self._recorded.segments(BlockType.SAMPLES, from_ns))
        self._kept, self._ended = [], False

    def _wind(self, at_ns: int) -> None:
        """Go on until there is a sample after this moment, and a little further."""
        kept = self._kept
        while not self._ended and (not kept or kept[-1].sample.monotonic_ns <= at_ns):
            before = len(kept)
            kept += islice(self._more, _AHEAD)
            self._ended = len(kept) - before < _AHEAD
            if len(kept) > 2 * _KEPT:
                del kept[:-_KEPT]


def _time(moment: Moment) -> int:
    return moment.sample.monotonic_ns
