"""What was before the present moment, thinned out: to say how fast something grows."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

# Less than this is no time to tell a growth from.
_LEAST_NS = 200_000_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Figures of one sample.

    Attributes:
        memory: Sizes of the parts of memory by name.
        counters: By name.
        zones: Free bytes by node and name.
        cgroups: Used bytes by path.
    """

    at_ns: int
    memory: Mapping[str, float]
    counters: Mapping[str, float]
    zones: Mapping[tuple[int, str], int]
    cgroups: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CacheMark:
    """Sizes of all slab caches in bytes, by name."""

    at_ns: int
    sizes: Mapping[str, float]


_M = TypeVar("_M", Mark, CacheMark)


@dataclass(slots=True)
class Past:
    """Marks by time.

    Attributes:
        kept_ns: Older ones are forgotten; None: none is.
    """

    kept_ns: int | None = None
    marks: list[Mark] = field(default_factory=list)
    caches: list[CacheMark] = field(default_factory=list)

    def note(self, mark: Mark) -> None:
        """Add the next one."""
        self.marks.append(mark)
        self._forget(self.marks, mark.at_ns)

    def note_caches(self, mark: CacheMark) -> None:
        """Add the next one."""
        self.caches.append(mark)
        self._forget(self.caches, mark.at_ns)

    def mark(self, at_ns: int, span_ns: int) -> Mark | None:
        """The mark that lies so far before a moment, or else the oldest; None where that is too near."""
        return _before(self.marks, at_ns, span_ns)

    def cache_mark(self, at_ns: int, span_ns: int) -> CacheMark | None:
        """The same for slab caches."""
        return _before(self.caches, at_ns, span_ns)

    def _forget(self, marks: list[Mark] | list[CacheMark], now_ns: int) -> None:
        if self.kept_ns is not None and marks[len(marks) // 2].at_ns < now_ns - self.kept_ns:
            del marks[: len(marks) // 2]


def _before(marks: list[_M], at_ns: int, span_ns: int) -> _M | None:
    place = bisect_right(marks, at_ns - span_ns, key=lambda mark: mark.at_ns) - 1
    mark = marks[max(place, 0)] if marks else None
    return mark if mark is not None and at_ns - mark.at_ns >= min(_LEAST_NS, span_ns) else None


def growth_per_s(before: float | None, now: float | None, elapsed_ns: int) -> float | None:
    """By how much it grew in a second; None where one of both is not known."""
    if before is None or now is None or elapsed_ns <= 0:
        return None
    growth = (now - before) * 1e9 / elapsed_ns
    return growth if growth - growth == 0 else None
