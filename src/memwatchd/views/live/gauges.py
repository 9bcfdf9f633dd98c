"""Reads from a recording what a frame shows; what is dear is read anew only when its text is another one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any, Generic, TypeVar

from memwatchd.errors import ParseError
from memwatchd.procfs.buddyinfo import parse_buddyinfo
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.ring.stream import Moment
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.cgroups import USAGE
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader
from memwatchd.signals.replay import Replay
from memwatchd.units import printable
from memwatchd.views.live.frame import Blocks, Cache, Watched, Zone
from memwatchd.views.report.layout import Plan, plans

_T = TypeVar("_T")

# What is counted: the name, the unit of its growth, and the names of its charts in `plans`.
_COUNTERS = ("stall", "reclaim", "traffic")
_MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class CgroupFigures:
    """What the files of a watched cgroup say; NaN for what is not there."""

    used_bytes: float
    limit_bytes: float
    swap_bytes: float
    kills: float


class _Kept(Generic[_T]):
    """What was parsed from a text, for as long as that stays the same."""

    def __init__(self, source: str, parse: Callable[[bytes], _T], nothing: _T) -> None:
        self._source, self._parse, self._nothing = source, parse, nothing
        self._text: bytes | None = None
        self._value = nothing

    def read(self, replay: Replay) -> _T:
        """Parse the present text, unless it is the last one; a damaged one tells nothing."""
        held = replay.recording.texts.get(self._source)
        text = bytes(held.buffer) if held is not None and held.size >= 0 else None
        if text is not self._text and text != self._text:
            try:
                self._value = self._nothing if text is None else self._parse(text)
            except ParseError:
                self._value = self._nothing
        self._text = text
        return self._value


class Gauges:
    """Everything a frame shows of one sample.

    Args:
        page_size: Of the machine that made the recording, in bytes.

    Attributes:
        replay: The present sample.
        bound: How often other sources have come.
    """

    def __init__(self, page_size: int) -> None:
        self.replay = Replay(page_size)
        self.bound = 0
        self._page_size = page_size
        self._plans: dict[str, Plan] = {}
        self._total = self._swap_total = self._swap_used = self._available = _nothing
        self._cgroups: dict[str, tuple[Reader, ...]] = {}
        self._files: list[tuple[int, str, str, Reader]] = []
        self._zones = _Kept[tuple[Zone, ...]]("zoneinfo", self._parse_zones, ())
        self._caches = _Kept[Mapping[str, Cache]]("slabinfo", self._parse_caches, {})
        self._buddies = _Kept[tuple[Blocks, ...]]("buddyinfo", _parse_buddies, ())

    def take(self, moment: Moment) -> bool:
        """Make this sample the present; True when other sources are sampled now."""
        changed = self.replay.take(moment)
        if changed or not self.bound:
            self.bound += 1
            self._bind()
        return changed

    # -- figures -------------------------------------------------------------------------------------------

    @property
    def memory_plan(self) -> Plan:
        """Which parts there are."""
        return self._plans[_MEMORY]

    def memory(self) -> Sequence[float]:
        """Sizes of the parts in bytes, in the order of the plan's curves."""
        return self._plans[_MEMORY].read()

    def totals(self) -> tuple[float, float, float, float]:
        """MemTotal, MemAvailable, all swap, used swap; in bytes."""
        return self._total(), self._available(), self._swap_total(), self._swap_used()

    def counter_names(self) -> list[tuple[str, str]]:
        """Name and unit of what `counters` gives, once it is a rate."""
        return [
            (curve.name, unit)
            for plan in self._counted()
            for curve, unit in zip(plan.curves, plan.counters, strict=True)
        ]

    def counters(self) -> tuple[float, ...]:
        """What only grows: stalls in seconds, reclaim and swap traffic in pages, major faults."""
        return tuple(value for plan in self._counted() for value in plan.read())

    def zones(self) -> tuple[Zone, ...]:
        """Zones that have pages."""
        return self._zones.read(self.replay)

    def caches(self) -> Mapping[str, Cache]:
        """Slab caches by name; the same object for as long as the text is the same."""
        return self._caches.read(self.replay)

    def buddies(self) -> tuple[Blocks, ...]:
        """Free blocks of each zone."""
        return self._buddies.read(self.replay)

    def cgroups(self) -> dict[str, CgroupFigures]:
        """Watched cgroups by path."""
        return {
            path: CgroupFigures(*(reader() for reader in readers)) for path, readers in self._cgroups.items()
        }

    def files(self) -> tuple[Watched, ...]:
        """Files that watched processes have open."""
        found = ((pid, name, file, read()) for pid, name, file, read in self._files)
        return tuple(Watched(*each) for each in found if isfinite(each[3]))

    def has(self, source: str) -> bool:
        """Whether a source has a text."""
        held = self.replay.recording.texts.get(source)
        return held is not None and held.size >= 0

    # -- binding -------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        recording = self.replay.recording
        self._plans = {}
        for plan in plans(recording):
            if plan.key == _MEMORY or plan.key in _COUNTERS:
                self._plans[plan.key] = plan
        self._total = find_signal("meminfo.MemTotal").bind(recording)
        self._available = find_signal("meminfo.MemAvailable").bind(recording)
        self._swap_total = find_signal("swap.total").bind(recording)
        self._swap_used = find_signal("swap.used").bind(recording)
        entries = recording.entries.items()
        self._cgroups = {
            str(entry.get("cgroup")): tuple(self._read_cgroup(str(entry.get("cgroup"))))
            for name, entry in entries
            if name.startswith("cgroup/") and name.endswith(USAGE)
        }
        self._files = [
            found
            for name, entry in entries
            if name.startswith("process/") and "/fdinfo/" in name
            for found in self._bind_file(entry)
        ]

    def _read_cgroup(self, path: str) -> Iterator[Reader]:
        for figure in ("usage", "limit", "swap", "oom_kill"):
            yield find_signal(join_name(("cgroup", path, figure))).bind(self.replay.recording)

    def _bind_file(self, entry: Mapping[str, Any]) -> Iterator[tuple[int, str, str, Reader]]:
        pid, target = entry.get("pid"), str(entry.get("target"))
        if isinstance(pid, int):
            signal = find_signal(join_name(("process", str(pid), target, "position")))
            yield pid, str(entry.get("comm")), target, signal.bind(self.replay.recording)

    def _counted(self) -> Iterator[Plan]:
        return (self._plans[key] for key in _COUNTERS if key in self._plans)

    def _parse_zones(self, text: bytes) -> tuple[Zone, ...]:
        size = self._page_size
        return tuple(
            Zone(
                node=zone.node,
                name=zone.name,
                free_bytes=zone.free_pages * size,
                min_bytes=zone.min_pages * size,
                low_bytes=zone.low_pages * size,
                high_bytes=zone.high_pages * size,
                managed_bytes=None if zone.managed_pages is None else zone.managed_pages * size,
            )
            for zone in parse_zoneinfo(text).zones
            if zone.present_pages
        )

    def _parse_caches(self, text: bytes) -> Mapping[str, Cache]:
        return {
            cache.name: Cache(
                printable(cache.name), float(cache.size_bytes(self._page_size)), cache.active_objs
            )
            for cache in parse_slabinfo(text).caches
        }


def _parse_buddies(text: bytes) -> tuple[Blocks, ...]:
    return tuple(Blocks(zone.node, zone.zone, zone.free_blocks) for zone in parse_buddyinfo(text))


def _nothing() -> float:
    return nan


def known(value: float) -> float | None:
    """A figure that is there; None for NaN and for what has no end."""
    return None if value != value or value in (inf, -inf) else value
