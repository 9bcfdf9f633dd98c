"""What the sampler understands of its own samples: kills that were counted, and danger.

It looks after a sample has been recorded, and only at texts that are new.
"""

from dataclasses import dataclass

from memwatchd.sampling.danger import Danger
from memwatchd.sampling.source import Source
from memwatchd.signals.cursor import (
    Cursor,
    events_cursor,
    meminfo_cursor,
    pressure_cursor,
    vmstat_cursor,
    zone_levels,
)

# Counters that move when tasks swap or reclaim themselves. Before 4.8 pgscan_direct was counted by zone.
_RECLAIM = (
    "pswpin",
    "pswpout",
    "pgscan_direct",
    "pgscan_direct_dma",
    "pgscan_direct_dma32",
    "pgscan_direct_normal",
    "pgscan_direct_high",
    "pgscan_direct_movable",
)


class Figure:
    """One number of one source, read again only when the text is new."""

    __slots__ = ("_cursor", "_seen", "source", "value")

    def __init__(self, source: Source, cursor: Cursor) -> None:
        self.source = source
        self.value: int | None = None
        self._cursor = cursor
        self._seen: memoryview | None = None

    def growth(self) -> int:
        """Read the number and say by how much it grew since the last time; 0 the first time."""
        source = self.source
        if source.text is self._seen:
            return 0
        self._seen = source.text
        before, self.value = self.value, self._cursor.read(source.buffer, source.size)
        return 0 if before is None or self.value is None else self.value - before


@dataclass(frozen=True, slots=True)
class Kill:
    """An oom_kill counter that rose, of vmstat or of a watched cgroup."""

    source: str
    rise: int
    count: int


class Observer:
    """Looks at sources by name; what is not sampled is not looked at.

    Args:
        sources: Sources by name, each read at least once.

    Attributes:
        kills: Counters that rose at the last look.
        armed: Whether the machine was in danger at the last look.
    """

    def __init__(self, sources: dict[str, Source]) -> None:
        self.danger = Danger()
        self.armed = False
        self.kills: list[Kill] = []
        self._counters: dict[int, Figure] = {}
        self._zoneinfo = sources.get("zoneinfo")
        self._reclaim: list[Figure] = []
        self._available = self._stall = None
        if "meminfo" in sources:
            self._available = Figure(sources["meminfo"], meminfo_cursor("MemAvailable"))
        if "pressure" in sources:
            self._stall = Figure(sources["pressure"], pressure_cursor())
        vmstat = sources.get("vmstat")
        if vmstat is not None:
            self.count_kills(vmstat, vmstat_cursor("oom_kill"))
            figures = [Figure(vmstat, vmstat_cursor(name)) for name in _RECLAIM]
            self._reclaim = [
                figure for figure in figures if figure.growth() == 0 and figure.value is not None
            ]

    def count_kills(self, source: Source, cursor: Cursor | None = None) -> None:
        """Look at the oom_kill counter of this source from now on."""
        self._counters[source.number] = Figure(source, cursor or events_cursor("oom_kill"))

    def forget(self, source: Source) -> None:
        """Look at it no longer."""
        self._counters.pop(source.number, None)

    def look(self, now_ns: int) -> bool:
        """Look at the newest texts; True when there are `kills`, or `armed` has changed."""
        kills = self.kills = []
        for figure in self._counters.values():
            rise = figure.growth()
            if rise > 0:
                kills.append(Kill(figure.source.name, rise, figure.value or 0))
        self._judge(now_ns)
        was_armed, self.armed = self.armed, self.danger.armed(now_ns)
        return bool(kills) or self.armed != was_armed

    def _judge(self, now_ns: int) -> None:
        stall, available, zone_short = self._stall, self._available, False
        moved = 0
        for figure in self._reclaim:
            moved += figure.growth()
        if moved > 0 and self._zoneinfo is not None:
            levels = zone_levels(self._zoneinfo.buffer, self._zoneinfo.size)
            zone_short = any(free < high for free, high in levels)
        if available is not None:
            available.growth()
        if stall is not None:
            stall.growth()
        self.danger.judge(
            now_ns,
            stall_usec=stall.value if stall is not None else None,
            available_kib=available.value if available is not None else None,
            zone_short=zone_short,
        )
