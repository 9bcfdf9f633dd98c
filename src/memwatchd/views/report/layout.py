"""What the charts show: for each the file it goes by, and how its figures are read.

Where all memory went adds up to MemTotal: the pages on the lists are given to what they are (AnonPages,
Shmem, the rest being page cache), *unaccounted* is the signal of this name, and *other* is what that signal
knows of besides.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isnan, nan

from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.cgroups import USAGE, source_name
from memwatchd.signals.family import parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.views.report.curves import Curve, Kind

_MOST_ZONES = 64
_MOST_WATCHED = 32
_LISTS = ("Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable")
_PLAIN = ("MemFree", "MemAvailable", "AnonPages", "Shmem", "Cached", "Slab")
_ZONE_ENDINGS = ("", "_dma", "_dma32", "_normal", "_high", "_movable", "_device")

RECLAIM = "reclaim"
DIRECT_SCANNED = "scanned by tasks themselves"
KSWAPD_SCANNED = "scanned by kswapd"
STALLS = "stall"
TRAFFIC = "traffic"

Row = Callable[[], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Plan:
    """One chart to be.

    Attributes:
        source: It has a point whenever this source was read; empty: on every sample.
        curves: What it shows, without values.
        read: Reads the present values, in the order of the curves.
        counters: They only grow, and are shown as growth per second in these units.
    """

    key: str
    title: str
    kind: Kind
    source: str
    curves: list[Curve]
    read: Row
    note: str = ""
    counters: tuple[str, ...] = field(default=())


def plans(recording: Recording) -> Iterator[Plan]:
    """Say which charts this recording has, in their order."""
    yield _memory(recording)
    yield from _zones(recording)
    yield _pressure(recording)
    yield from _vmstat(recording)
    yield _swap(recording)
    yield from _processes(recording)
    yield from _cgroups(recording)
    yield _sampler(recording)


def _read(recording: Recording, *parts: str) -> Reader:
    return find_signal(join_name(parts)).bind(recording)


def _row(readers: Sequence[Reader]) -> Row:
    return lambda: [read() for read in readers]


# -- memory ------------------------------------------------------------------------------------------------

_PARTS = (
    ("anonymous", "AnonPages"),
    ("shared and tmpfs", "Shmem"),
    ("page cache", "the rest of the lists: Active, Inactive, Unevictable"),
    ("slab, reclaimable", "SReclaimable"),
    ("slab, unreclaimable", "SUnreclaim"),
    ("page tables", "PageTables + SecPageTables"),
    ("kernel stacks and vmalloc", "VmallocUsed or KernelStack"),
    ("per CPU", "Percpu"),
    ("huge pages", "Hugetlb"),
    ("other", "Zswap, zram, GPU, Bounce and the like"),
    ("unaccounted", "MemTotal less all the others"),
    ("free", "MemFree"),
)


def _memory(recording: Recording) -> Plan:
    total = _read(recording, "meminfo", "MemTotal")
    available = _read(recording, "meminfo", "MemAvailable")
    if isnan(_read(recording, "unaccounted")()) or isnan(total()):
        return Plan(
            key="memory",
            title="Memory",
            kind=Kind.LINES,
            source="meminfo",
            curves=[Curve(name, "bytes", name) for name in _PLAIN],
            read=_row([_read(recording, "meminfo", name) for name in _PLAIN]),
            note="This recording does not tell enough to say where all of it was.",
        )
    parts = _parts(recording)

    def read() -> Sequence[float]:
        return [*parts(), available(), total()]

    return Plan(
        key="memory",
        title="Where all memory was",
        kind=Kind.STACK,
        source="meminfo",
        curves=[
            *(Curve(name, "bytes", source) for name, source in _PARTS),
            Curve("available", "bytes", "MemAvailable", is_limit=True),
            Curve("all memory", "bytes", "MemTotal", is_limit=True),
        ],
        read=read,
        note="Every page once: the parts add up to MemTotal. Unaccounted is in no list and no counter.",
    )


def _parts(recording: Recording) -> Row:
    """Read the parts of MemTotal, in the order of `_PARTS`."""
    lists = [_read(recording, "meminfo", name) for name in _LISTS]
    read = {
        name: _read(recording, "meminfo", name)
        for name in (
            *("MemTotal", "MemFree", "AnonPages", "Shmem", "SReclaimable", "SUnreclaim", "Slab"),
            *("PageTables", "SecPageTables", "KernelStack", "VmallocUsed", "VmallocChunk", "Percpu"),
            *("Hugetlb", "HugePages_Total", "Hugepagesize"),
        )
    }
    unaccounted = _read(recording, "unaccounted")

    def value(name: str) -> float:
        amount = read[name]()
        return 0.0 if isnan(amount) else amount

    def row() -> Sequence[float]:
        listed = sum([each() for each in lists])
        anon = min(value("AnonPages"), listed)
        shmem = min(value("Shmem"), listed - anon)
        reclaimable = value("SReclaimable")
        # Before 2.6.19 there is only the sum.
        unreclaimable = (
            value("SUnreclaim") if not isnan(read["SUnreclaim"]()) else value("Slab") - reclaimable
        )
        stacks = max(value("KernelStack"), 0.0 if value("VmallocChunk") else value("VmallocUsed"))
        huge = read["Hugetlb"]()
        huge = value("HugePages_Total") * value("Hugepagesize") if isnan(huge) else huge
        named = [
            *(anon, shmem, listed - anon - shmem, reclaimable, unreclaimable),
            *(value("PageTables") + value("SecPageTables"), stacks, value("Percpu"), huge),
        ]
        free, missing = value("MemFree"), unaccounted()
        return [*named, value("MemTotal") - sum(named) - free - missing, missing, free]

    return row


# -- zones, stalls, reclaim, swap --------------------------------------------------------------------------


def _zones(recording: Recording) -> Iterator[Plan]:
    zoneinfo = parsed(recording, "zoneinfo", parse_zoneinfo)
    for zone in zoneinfo.zones[:_MOST_ZONES] if zoneinfo is not None else ():
        if not zone.present_pages:
            continue
        levels = ("free", "min", "low", "high")
        yield Plan(
            key=f"zone-{zone.node}-{zone.name}",
            title=f"Zone {zone.name} of node {zone.node}: free against its watermarks",
            kind=Kind.LOG,
            source="zoneinfo",
            curves=[
                Curve(level, "bytes", f"zoneinfo: {level}", is_limit=level != "free") for level in levels
            ],
            read=_row([_read(recording, "zone", str(zone.node), zone.name, level) for level in levels]),
            note=(
                "Below low, kswapd reclaims; below min, tasks have to reclaim themselves. "
                "The scale is logarithmic."
            ),
        )


def _pressure(recording: Recording) -> Plan:
    names = (("some task waited", "some"), ("all tasks waited", "full"))
    return Plan(
        key=STALLS,
        title="Time lost waiting for memory (PSI)",
        kind=Kind.LINES,
        source="pressure",
        curves=[Curve(name, "share", f"pressure/memory: {kind} total") for name, kind in names],
        read=_row([_read(recording, "pressure", kind) for _, kind in names]),
        counters=("share", "share"),
    )


_RECLAIM = (
    (DIRECT_SCANNED, "pgscan_direct"),
    ("reclaimed by tasks themselves", "pgsteal_direct"),
    (KSWAPD_SCANNED, "pgscan_kswapd"),
    ("reclaimed by kswapd", "pgsteal_kswapd"),
    ("file pages that came back", "workingset_refault_file"),
    ("anonymous pages that came back", "workingset_refault_anon"),
)
_TRAFFIC = (
    ("swapped in", "pswpin", "pages/s"),
    ("swapped out", "pswpout", "pages/s"),
    ("faults that waited for a disk", "pgmajfault", "/s"),
)


def _vmstat(recording: Recording) -> Iterator[Plan]:
    lines = parsed(recording, "vmstat", parse_vmstat) or {}
    figures = [(name, line, _sum(recording, line, lines)) for name, line in _RECLAIM]
    yield _counters(
        RECLAIM, "Reclaim, and pages that came back soon after", figures, ("pages/s",) * len(figures)
    )
    figures = [(name, line, _sum(recording, line, lines)) for name, line, _ in _TRAFFIC]
    yield _counters(TRAFFIC, "Swap traffic and major faults", figures, tuple(unit for _, _, unit in _TRAFFIC))


def _sum(recording: Recording, line: str, lines: Mapping[str, int]) -> Reader:
    """Read a counter that old kernels keep for each kind of zone, or under a shorter name."""
    there = [f"{line}{ending}" for ending in _ZONE_ENDINGS if f"{line}{ending}" in lines]
    if not there and line == "workingset_refault_file" and "workingset_refault" in lines:
        there = ["workingset_refault"]
    readers = [_read(recording, "vmstat", name) for name in there]
    return lambda: sum([read() for read in readers]) if readers else nan


def _counters(key: str, title: str, figures: list[tuple[str, str, Reader]], units: tuple[str, ...]) -> Plan:
    curves = [
        Curve(name, unit, f"vmstat: {line}") for (name, line, _), unit in zip(figures, units, strict=True)
    ]
    return Plan(key, title, Kind.LINES, "vmstat", curves, _row([each[2] for each in figures]), counters=units)


def _swap(recording: Recording) -> Plan:
    figures = (
        ("used", "SwapTotal - SwapFree", _read(recording, "swap", "used"), False),
        ("swap cache", "SwapCached", _read(recording, "meminfo", "SwapCached"), False),
        ("compressed (zswap)", "Zswap", _read(recording, "meminfo", "Zswap"), False),
        ("all swap", "SwapTotal", _read(recording, "swap", "total"), True),
    )
    return Plan(
        key="swap",
        title="Swap",
        kind=Kind.LINES,
        source="meminfo",
        curves=[Curve(name, "bytes", source, is_limit=limit) for name, source, _, limit in figures],
        read=_row([read for _, _, read, _ in figures]),
    )


# -- what is watched, and the sampler itself ---------------------------------------------------------------


def _processes(recording: Recording) -> Iterator[Plan]:
    statms = [
        (name, entry)
        for name, entry in recording.entries.items()
        if name.startswith("process/") and name.endswith("/statm")
    ]
    for name, entry in statms[:_MOST_WATCHED]:
        pid = str(entry.get("pid"))
        targets = [
            str(each["target"])
            for each in recording.entries.values()
            if str(each.get("pid")) == pid and isinstance(each.get("target"), str)
        ]
        positions = list(dict.fromkeys(targets))
        yield Plan(
            key=f"process-{pid}",
            title=f"Watched process {entry.get('comm')} (pid {pid})",
            kind=Kind.LINES,
            source=name,
            curves=[
                Curve("resident", "bytes", "statm"),
                Curve("in swap", "bytes", "status: VmSwap"),
                *(Curve(f"position in {target}", "bytes", "fdinfo: pos", apart=True) for target in positions),
            ],
            read=_row(
                [
                    _read(recording, "process", pid, "rss"),
                    _read(recording, "process", pid, "swap"),
                    *(_read(recording, "process", pid, target, "position") for target in positions),
                ]
            ),
            note="Positions in files have the axis on the right." if positions else "",
        )


def _cgroups(recording: Recording) -> Iterator[Plan]:
    watched = [
        (name, str(entry.get("cgroup")))
        for name, entry in recording.entries.items()
        if name.startswith("cgroup/") and name.endswith(USAGE)
    ]
    both = (("used", "usage", False), ("its limit", "limit", True))
    for name, path in watched[:_MOST_WATCHED]:
        # Of version 1 it would be the difference of two files that were not read at one instant.
        has_swap = source_name(path, "memory.swap.current") in recording.entries
        fields = (*both, ("in swap", "swap", False)) if has_swap else both
        readers = [_read(recording, "cgroup", path, field) for _, field, _ in fields]
        yield Plan(
            key=f"cgroup-{path}",
            title=f"Watched cgroup {path}",
            kind=Kind.LINES,
            source=name,
            curves=[
                Curve(label, "bytes", f"memory.{field}", is_limit=limit) for label, field, limit in fields
            ],
            read=_finite(readers),
        )


def _finite(readers: Sequence[Reader]) -> Row:
    """A limit without end is none."""
    return lambda: [nan if (value := read()) == inf else value for read in readers]


def _sampler(recording: Recording) -> Plan:
    pulse = recording.pulse
    return Plan(
        key="sampler",
        title="The sampler itself",
        kind=Kind.LINES,
        source="",
        curves=[
            Curve("behind its deadline", "ms", "recorder.lag"),
            Curve("time to read the kernel's files", "ms", "recorder.read_time"),
        ],
        read=lambda: (pulse.lag_ns / 1e6, pulse.read_ns / 1e6),
    )
