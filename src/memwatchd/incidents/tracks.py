"""Samples of an incident as numbers by time: what may have grown, the zones' free memory, and the counters.

Not every sample is read for that, but some hundred of them, evenly: 20 a second of the usual half minute, the
first and the last among them. Of slabinfo, which is dear, a hundred at most.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite, isnan, nan

from memwatchd.diagnosis.history import CGROUP, PAGE_CACHE, PROCESS, SLAB, SWAP, UNACCOUNTED
from memwatchd.diagnosis.past import Size, ZoneLevels
from memwatchd.diagnosis.series import Series
from memwatchd.errors import ParseError
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.ring.stream import Moment
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.cgroups import USAGE
from memwatchd.signals.family import parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.replay import Replay

_POINTS = 600
_SLAB_POINTS = 100
_LEAST_STEP_NS = 50_000_000
# A second's worth of parsing. With a cache for each of thousands of cgroups, a text has megabytes.
_SLABINFO_BYTES = 32 << 20
_MOST_ZONES = 256

_LINES = (
    *("AnonPages", "Shmem", "SReclaimable", "SUnreclaim", "PageTables", "SecPageTables", "KernelStack"),
    *("Percpu", "Hugetlb", "Zswap", "Dirty", "Writeback"),
)
_AMOUNTS = {
    "available": "meminfo.MemAvailable",
    "swap_total": "swap.total",
    "swap_free": "swap.free",
}
# Lines of vmstat. Until 4.7 reclaim is counted by zone, since 4.8 stalls are.
_COUNTERS = {
    "direct_scanned": "pgscan_direct",
    "direct_reclaimed": "pgsteal_direct",
    "kswapd_scanned": "pgscan_kswapd",
    "kswapd_reclaimed": "pgsteal_kswapd",
    "allocstalls": "allocstall",
    "refaulted_file_pages": "workingset_refault_file",
    "refaulted_anon_pages": "workingset_refault_anon",
    "swapped_in_pages": "pswpin",
    "swapped_out_pages": "pswpout",
    "major_faults": "pgmajfault",
}
_OLD_NAMES = {"workingset_refault_file": "workingset_refault"}
_ZONE_ENDINGS = ("dma", "dma32", "normal", "high", "movable", "device")
_STALLS = {"stalled_some_s": "pressure.some", "stalled_full_s": "pressure.full"}

# Which number it is: what kind of thing, and what tells it from others of the kind.
_Key = tuple[str, ...]


@dataclass(slots=True)
class _Track:
    times_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def note(self, at_s: float, value: float) -> None:
        """Take a value in; what is not there, or has no end, is none."""
        if isfinite(value):
            self.times_s.append(at_s)
            self.values.append(value)

    @property
    def series(self) -> Series:
        return Series(self.times_s, self.values)


class Tracks:
    """Follows everything a history is made of through the samples before an event.

    Args:
        page_size: Of the machine that made the recording, in bytes.
        event_ns: When the event was, on the recording's monotonic clock.
    """

    def __init__(self, page_size: int, event_ns: int) -> None:
        self.times_s: list[float] = []
        self.missed = 0
        self._event_ns = event_ns
        self._page_size = page_size
        self._replay = Replay(page_size)
        self._readers: dict[_Key, Reader] = {}
        self._tracks: dict[_Key, _Track] = {}
        self._slabinfos: list[tuple[float, bytes]] = []
        self._step_ns = self._slab_step_ns = 0
        self._next_ns = self._next_slab_ns = 0
        self._newest: Moment | None = None
        self._is_read = False

    def take(self, moment: Moment) -> bool:
        """Take the next sample in; False when it is from after the event."""
        now_ns = moment.sample.monotonic_ns
        if now_ns > self._event_ns:
            return False
        if not self.times_s:
            span_ns = self._event_ns - now_ns
            self._step_ns = max(_LEAST_STEP_NS, span_ns // _POINTS)
            self._slab_step_ns = max(self._step_ns, span_ns // _SLAB_POINTS)
        self.times_s.append(self._seconds(now_ns))
        self.missed += moment.sample.missed
        self._newest, self._is_read = moment, now_ns >= self._next_ns
        if self._is_read:
            self._next_ns = now_ns + self._step_ns
            self._read(moment)
        if now_ns >= self._next_slab_ns:
            self._next_slab_ns = now_ns + self._slab_step_ns
            self._keep_slabinfo(moment)
        return True

    def finish(self) -> None:
        """Read the last sample before the event, if that was not done."""
        if self._newest is not None:
            self._keep_slabinfo(self._newest)
            if not self._is_read:
                self._read(self._newest)

    # -- what came of it -----------------------------------------------------------------------------------

    def sizes(self) -> list[Size]:
        """What may have grown."""
        found = [
            Size(kind, track.series, name, int(pid) if pid else None)
            for (kind, name, pid), track in self._named("size")
        ]
        return found + self._caches()

    def zones(self) -> list[ZoneLevels]:
        """Free memory and watermarks of each zone."""
        levels: dict[tuple[str, str], dict[str, Series]] = {}
        for (node, name, field_name), track in self._named("zone"):
            levels.setdefault((node, name), {})[field_name] = track.series
        return [
            ZoneLevels(int(node), name, each["free"], each["low"], each["min"])
            for (node, name), each in levels.items()
            if len({len(series.times_s) for series in each.values()}) == 1
        ]

    def amounts(self) -> dict[str, Series]:
        """See `Past.amounts`."""
        return {name: track.series for (name,), track in self._named("amount")}

    def counters(self) -> dict[str, Series]:
        """See `Past.counters`."""
        return {name: track.series for (name,), track in self._named("counter")}

    def _named(self, kind: str) -> Iterator[tuple[_Key, _Track]]:
        return ((key[1:], track) for key, track in self._tracks.items() if key[0] == kind)

    def _caches(self) -> list[Size]:
        """Each slab cache by name; a text that cannot be read is passed over."""
        tracks: dict[str, _Track] = {}
        kept = self._slabinfos
        while len(kept) > 2 and sum(len(text) for _, text in kept) > _SLABINFO_BYTES:
            kept = [*kept[:-1:2], kept[-1]] if len(kept) > 3 else [kept[0], kept[-1]]
        for at_s, text in kept:
            try:
                caches = parse_slabinfo(text).caches
            except ParseError:
                continue
            for cache in caches:
                tracks.setdefault(cache.name, _Track()).note(at_s, cache.size_bytes(self._page_size))
        return [Size(SLAB, track.series, name) for name, track in tracks.items()]

    # -- reading -------------------------------------------------------------------------------------------

    def _seconds(self, at_ns: int) -> float:
        return (at_ns - self._event_ns) / 1e9

    def _read(self, moment: Moment) -> None:
        if self._replay.take(moment) or not self._readers:
            self._readers = dict(_bind(self._replay.recording))
        at_s = self._seconds(moment.sample.monotonic_ns)
        for key, read in self._readers.items():
            self._tracks.setdefault(key, _Track()).note(at_s, read())

    def _keep_slabinfo(self, moment: Moment) -> None:
        """Keep the text as it was last read, once."""
        number = next((key for key, entry in moment.sources.items() if entry["name"] == "slabinfo"), None)
        text = None if number is None else moment.sample.texts.get(number)
        if number is None or text is None:
            return
        at_s = self._seconds(moment.sample.read_at_ns[number])
        if not self._slabinfos or self._slabinfos[-1][0] < at_s:
            self._slabinfos.append((at_s, text))


def _bind(recording: Recording) -> Iterator[tuple[_Key, Reader]]:
    """Make readers of everything this recording has."""

    def read(*parts: str) -> Reader:
        return find_signal(join_name(parts)).bind(recording)

    for line in _LINES:
        yield ("size", line, "", ""), read("meminfo", line)
    yield ("size", PAGE_CACHE, "", ""), _minus(read("meminfo", "Cached"), read("meminfo", "Shmem"))
    yield ("size", SWAP, "", ""), read("swap", "used")
    yield ("size", UNACCOUNTED, "", ""), read("unaccounted")
    yield from _bind_watched(recording, read)
    for name, signal in _AMOUNTS.items():
        yield ("amount", name), find_signal(signal).bind(recording)
    for name, signal in _STALLS.items():
        yield ("counter", name), find_signal(signal).bind(recording)
    lines = parsed(recording, "vmstat", parse_vmstat) or {}
    for name, first in _COUNTERS.items():
        zoned = [f"{first}_{ending}" for ending in _ZONE_ENDINGS]
        there = [line for line in (first, *zoned, _OLD_NAMES.get(first, "")) if line in lines]
        if there:
            yield ("counter", name), _total([read("vmstat", line) for line in there])
    zoneinfo = parsed(recording, "zoneinfo", parse_zoneinfo)
    for zone in zoneinfo.zones[:_MOST_ZONES] if zoneinfo is not None else ():
        if zone.present_pages:
            for level in ("free", "low", "min"):
                yield (
                    ("zone", str(zone.node), zone.name, level),
                    read("zone", str(zone.node), zone.name, level),
                )


def _bind_watched(recording: Recording, read: Callable[..., Reader]) -> Iterator[tuple[_Key, Reader]]:
    """Make readers of watched processes, resident and swapped, and of watched cgroups."""
    for source, entry in recording.entries.items():
        kind, _, rest = source.partition("/")
        if kind == "cgroup" and rest.endswith(USAGE):
            path = str(entry.get("cgroup"))
            yield ("size", CGROUP, path, ""), read("cgroup", path, "usage")
        elif kind == "process" and rest.endswith("/statm"):
            pid = entry.get("pid")
            if isinstance(pid, int) and not isinstance(pid, bool):
                both = [read("process", str(pid), "rss"), read("process", str(pid), "swap")]
                yield ("size", PROCESS, str(entry.get("comm")), str(pid)), _total(both)


def _minus(left: Reader, right: Reader) -> Reader:
    return lambda: left() - right()


def _total(readers: list[Reader]) -> Reader:
    """Sum up what is there; NaN when nothing is."""

    def read() -> float:
        there = [value for each in readers if not isnan(value := each())]
        return sum(there) if there else nan

    return read
