"""The process table, which comes piece by piece, as it was at one moment."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from memwatchd.ring.stream import ProcessRows
from memwatchd.units import printable
from memwatchd.views.live.frame import Process
from memwatchd.views.live.past import growth_per_s

_COLUMNS = ("comm", "state", "rss_kib", "swap_kib", "oom_score_adj", "cgroup", "start_ticks", "cpu_ticks")
# Whoever was not seen in so many passes has ended; a pass takes at least so long.
_PASSES = 2.5
_LEAST_PASS_NS = 1_000_000_000
_CLOCK_TICKS_PER_S = 100


@dataclass(frozen=True, slots=True)
class _Reading:
    """One row; None for what was not told."""

    at_ns: int
    comm: str | None
    state: str | None
    rss_kib: int | None
    swap_kib: int | None
    oom_score_adj: int | None
    cgroup: str | None
    start_ticks: int | None
    cpu_ticks: int | None

    @property
    def size_bytes(self) -> int:
        return ((self.rss_kib or 0) + (self.swap_kib or 0)) << 10


# Pid and start: a pid alone may come back.
_Key = tuple[int, int | None]


@dataclass(slots=True)
class ProcessTable:
    """Readings of all processes.

    Attributes:
        kept_ns: Older ones are forgotten; None: none is.
        ticks_per_s: Of the processor time in the table.
        revision: How often something was added.
    """

    kept_ns: int | None = None
    ticks_per_s: int = _CLOCK_TICKS_PER_S
    revision: int = 0
    _readings: dict[_Key, list[_Reading]] = field(default_factory=dict)

    def take(self, parts: Iterable[ProcessRows]) -> None:
        """Add readings, in the order they were made."""
        newest_ns = 0
        for part in parts:
            self.revision += 1
            for row in part.rows:
                if isinstance(row.get("pid"), int):
                    reading = _reading(row, part.monotonic_ns)
                    self._readings.setdefault((row["pid"], reading.start_ticks), []).append(reading)
                    newest_ns = max(newest_ns, reading.at_ns)
        if self.kept_ns is not None and newest_ns:
            self._forget(newest_ns - self.kept_ns)

    def at(self, at_ns: int, span_ns: int) -> tuple[Process, ...]:
        """Processes as they were last read before a moment, but for those that had ended.

        Args:
            at_ns: The moment, on the monotonic clock.
            span_ns: Over which growth is told.
        """
        seen: dict[int, tuple[list[_Reading], int]] = {}
        gaps_ns, newest_ns = [], 0
        for (pid, _), readings in self._readings.items():
            place = bisect_right(readings, at_ns, key=_at) - 1
            if place >= 0 and (pid not in seen or _last(seen[pid]) < readings[place].at_ns):
                seen[pid] = readings, place
                newest_ns = max(newest_ns, readings[place].at_ns)
                if place:
                    gaps_ns.append(readings[place].at_ns - readings[place - 1].at_ns)
        pass_ns = max(_LEAST_PASS_NS, median(gaps_ns) if gaps_ns else 0)
        since_ns = newest_ns - _PASSES * pass_ns
        return tuple(
            self._process(pid, readings, place, at_ns, span_ns)
            for pid, (readings, place) in seen.items()
            if readings[place].at_ns >= since_ns
        )

    def _process(self, pid: int, readings: list[_Reading], place: int, at_ns: int, span_ns: int) -> Process:
        now, last = readings[place], readings[max(place - 1, 0)]
        since_ns = at_ns - span_ns
        before = readings[max(bisect_right(readings, since_ns, hi=place + 1, key=_at) - 1, 0)]
        return Process(
            pid=pid,
            name=printable(now.comm or "?"),
            state=None if now.state is None else printable(now.state),
            resident_bytes=None if now.rss_kib is None else now.rss_kib << 10,
            swap_bytes=None if now.swap_kib is None else now.swap_kib << 10,
            oom_score_adj=now.oom_score_adj,
            cgroup=None if now.cgroup is None else printable(now.cgroup),
            age_s=(at_ns - now.at_ns) / 1e9,
            growth_bytes_per_s=growth_per_s(before.size_bytes, now.size_bytes, now.at_ns - before.at_ns),
            cpu_share=growth_per_s(self._cpu_s(last), self._cpu_s(now), now.at_ns - last.at_ns),
        )

    def _cpu_s(self, reading: _Reading) -> float | None:
        return None if reading.cpu_ticks is None else reading.cpu_ticks / self.ticks_per_s

    def _forget(self, before_ns: int) -> None:
        for key, readings in list(self._readings.items()):
            if readings[-1].at_ns < before_ns:
                del self._readings[key]
            elif readings[len(readings) // 2].at_ns < before_ns:
                del readings[: len(readings) // 2]


def _at(reading: _Reading) -> int:
    return reading.at_ns


def _last(seen: tuple[list[_Reading], int]) -> int:
    readings, place = seen
    return readings[place].at_ns


def _reading(row: dict[str, Any], monotonic_ns: int) -> _Reading:
    return _Reading(row.get("read_ns", monotonic_ns), *(row.get(column) for column in _COLUMNS))


def cgroups_of(processes: Iterable[Process]) -> Iterator[tuple[str, list[Process]]]:
    """Put processes together by their cgroup."""
    found: dict[str, list[Process]] = {}
    for process in processes:
        if process.cgroup is not None:
            found.setdefault(process.cgroup, []).append(process)
    yield from found.items()
