"""An event made of the kernel's files at one moment, where the kernel itself has printed no report.

The files have all that a report has, by other names: the Mem-Info block is in /proc/meminfo and /proc/vmstat,
zones and nodes are in /proc/zoneinfo, caches in /proc/slabinfo::

    Inactive(anon):   313300 kB             inactive_anon:78325
    Node 0, zone    DMA32                   Node 0 DMA32 free:6448kB min:2620kB low:3272kB high:3924kB ...
      pages free     1612
            min      655

Whatever a figure is from is kept as it stands there, behind the name of its file; of a zone all sizes are one
line, and a cache is without its tunables. Files that were not recorded are missing, as lines of a report
would be.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memwatchd.errors import ParseError
from memwatchd.oomreport.kept import Lines
from memwatchd.oomreport.report import (
    GLOBAL,
    RECORDED,
    Event,
    HugePages,
    Node,
    SlabCache,
    Task,
    Totals,
    Zone,
)
from memwatchd.oomreport.zonefile import nodes_of, zones_of
from memwatchd.procfs.meminfo import Meminfo, parse_meminfo
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.procfs.zoneinfo import parse_zoneinfo

# Names of the Mem-Info block: the line of meminfo, and the counter of vmstat where there is no such line.
_PAGES = {
    "free": ("MemFree", "nr_free_pages"),
    "active_anon": ("Active(anon)", "nr_active_anon"),
    "inactive_anon": ("Inactive(anon)", "nr_inactive_anon"),
    "isolated_anon": ("", "nr_isolated_anon"),
    "active_file": ("Active(file)", "nr_active_file"),
    "inactive_file": ("Inactive(file)", "nr_inactive_file"),
    "isolated_file": ("", "nr_isolated_file"),
    "unevictable": ("Unevictable", "nr_unevictable"),
    "dirty": ("Dirty", "nr_dirty"),
    "writeback": ("Writeback", "nr_writeback"),
    "unstable": ("NFS_Unstable", "nr_unstable"),
    "slab_reclaimable": ("SReclaimable", "nr_slab_reclaimable"),
    "slab_unreclaimable": ("SUnreclaim", "nr_slab_unreclaimable"),
    "mapped": ("Mapped", "nr_mapped"),
    "shmem": ("Shmem", "nr_shmem"),
    "pagetables": ("PageTables", "nr_page_table_pages"),
    "sec_pagetables": ("SecPageTables", "nr_sec_page_table_pages"),
    "bounce": ("Bounce", "nr_bounce"),
    "kernel_misc_reclaimable": ("", "nr_kernel_misc_reclaimable"),
    "free_cma": ("CmaFree", "nr_free_cma"),
}
# Kernels before 2.6.28 do not tell anonymous pages from the page cache.
_OLD_PAGES = {"active": ("Active", "nr_active"), "inactive": ("Inactive", "nr_inactive")}
# What a report has on the lines of nodes; meminfo has it in kB whatever the kernel counts it in.
_AMOUNTS = {
    "kernel_stack": "KernelStack",
    "shadow_call_stack": "ShadowCallStack",
    "percpu": "Percpu",
    "Balloon": "Balloon",
    "gpu_active": "GPUActive",
    "gpu_reclaim": "GPUReclaim",
}
_ON_CPUS = re.compile(rb"^ +count: +(\d{1,15})$", re.MULTILINE)
# Memory may be added while the files are read, one after the other.
_SAME_TOTAL = 1.01
_GIANT_KB = 1 << 20
_ROW = ("rss_kib", "anon_kib", "file_kib", "shmem_kib", "swap_kib", "oom_score_adj")


@dataclass(frozen=True, slots=True)
class _Counts:
    """Figures of meminfo and vmstat, and where they stand."""

    meminfo: Meminfo
    vmstat: Mapping[str, int]
    meminfo_lines: Mapping[str, int]
    vmstat_lines: Mapping[str, int]
    page_kb: int

    def kb(self, line: str) -> int | None:
        """A line of meminfo in kB."""
        amount = self.meminfo.bytes_by_name.get(line)
        return None if amount is None else amount >> 10

    def pages(self, line: str, counter: str) -> tuple[int, int | None] | None:
        """A figure in pages by its name in either file, and its line."""
        amount_kb = self.kb(line)
        if amount_kb is not None:
            return amount_kb // self.page_kb, self.meminfo_lines.get(line)
        if self.vmstat.get(counter, -1) >= 0:
            return self.vmstat[counter], self.vmstat_lines.get(counter)
        return None


def recorded_event(
    texts: Mapping[str, bytes],
    rows: Sequence[Mapping[str, Any]],
    page_size: int,
    *,
    read_s: Sequence[float] = (),
    **facts: Any,
) -> Event | None:
    """Make an event of what the kernel's files say.

    Args:
        texts: ``meminfo``, ``vmstat``, ``zoneinfo`` and ``slabinfo``, as far as they were recorded. What
            cannot be parsed counts as not recorded.
        rows: Processes with ``pid``, ``comm``, ``uid``, ``rss_kib``, ``anon_kib``, ``file_kib``,
            ``shmem_kib``, ``swap_kib`` and ``oom_score_adj``, as far as they are known.
        page_size: In bytes.
        read_s: For each row, how long before the moment it was read, in seconds.
        facts: Fields of the event that are from elsewhere: when it was, why the recording was kept.

    Returns:
        None where nothing tells what is free and what is not.
    """
    lines, page_kb = Lines(), max(1, page_size >> 10)
    counts = _Counts(
        _parsed(texts.get("meminfo"), parse_meminfo) or Meminfo({}, {}),
        _parsed(texts.get("vmstat"), parse_vmstat) or {},
        lines.of_file("/proc/meminfo", texts.get("meminfo", b"")),
        lines.of_file("/proc/vmstat", texts.get("vmstat", b"")),
        page_kb,
    )
    parsed = _parsed(texts.get("zoneinfo"), parse_zoneinfo)
    zones = tuple(zones_of(parsed, lines, page_kb)) if parsed else ()
    totals = _totals(counts, zones, texts.get("zoneinfo", b"") if parsed else b"")
    if "free" not in totals.pages or totals.pages.keys().isdisjoint(("active_anon", "active")):
        return None
    tasks = tuple(_tasks(rows, read_s, lines, page_kb))
    missing = [
        name
        for name, is_there in (
            ("zones", zones),
            ("totals", totals.swap_total_kb is not None),
        )
        if not is_there
    ]
    found = nodes_of(parsed, lines, page_kb) if parsed else ()
    nodes = (*_machine(counts), *found)
    hugepages = tuple(_hugepages(counts))
    slabs = tuple(_slabs(texts.get("slabinfo"), lines, page_size))
    return Event(
        kind=RECORDED,
        scope=GLOBAL,
        complete=not missing,
        missing=tuple(missing),
        first_line=1,
        last_line=len(lines.texts),
        zones=zones,
        nodes=nodes,
        totals=totals,
        hugepages=hugepages,
        slabs=slabs,
        tasks=tasks,
        tasks_listed=bool(tasks),
        texts=lines.texts,
        **facts,
    )


def _parsed(text: bytes | None, parse: Any) -> Any:
    if not text:
        return None
    try:
        return parse(text)
    except ParseError:
        return None


def _totals(counts: _Counts, zones: Sequence[Zone], zoneinfo: bytes) -> Totals:
    pages: dict[str, int] = {}
    lines: dict[str, int | None] = {}
    names = _PAGES if counts.pages("Active(anon)", "nr_active_anon") else _PAGES | _OLD_PAGES
    for name, (line, counter) in names.items():
        found = counts.pages(line, counter)
        if found is not None:
            pages[name], lines[name] = found
    on_cpus = [int(each) for each in _ON_CPUS.findall(zoneinfo)]
    if on_cpus:
        pages["free_pcp"] = sum(on_cpus)
    ram_pages, reserved_pages = _ram(counts, zones)
    cache_kb = [counts.kb(name) for name in ("Cached", "Buffers", "SwapCached")]
    kept = {"swap_total_kb": "SwapTotal", "swap_free_kb": "SwapFree", "available_kb": "MemAvailable"}
    lines |= {name: counts.meminfo_lines.get(line) for name, line in kept.items()}
    lines |= {"ram_pages": counts.meminfo_lines.get("MemTotal")}
    return Totals(
        pages=pages,
        ram_pages=ram_pages,
        reserved_pages=reserved_pages,
        pagecache_pages=None if None in cache_kb else sum(each or 0 for each in cache_kb) // counts.page_kb,
        swapcache_pages=None if cache_kb[2] is None else cache_kb[2] // counts.page_kb,
        **{name: counts.kb(line) for name, line in kept.items()},
        lines={name: number for name, number in lines.items() if number is not None},
    )


def _ram(counts: _Counts, zones: Sequence[Zone]) -> tuple[int | None, int | None]:
    """All pages, and those of them that the allocator does not have."""
    total_kb = counts.kb("MemTotal")
    present_kb, managed_kb = [zone.present_kb for zone in zones], [zone.managed_kb for zone in zones]
    if zones and None not in present_kb and None not in managed_kb:
        present = sum(each or 0 for each in present_kb) // counts.page_kb
        managed = sum(each or 0 for each in managed_kb) // counts.page_kb
        # The kernel adds one up from the other. Where a host gives memory (virtio-mem) meminfo may have more:
        # then MemFree and MemAvailable, which come with it, are shares of that.
        if total_kb is None or total_kb // counts.page_kb <= _SAME_TOTAL * managed:
            return present, present - managed
    # MemTotal is what the allocator has: of that nothing is reserved.
    return (None, None) if total_kb is None else (total_kb // counts.page_kb, 0)


def _machine(counts: _Counts) -> Iterable[Node]:
    """A node without a number, for what meminfo has of the whole machine only."""
    amounts = {name: kb for name, line in _AMOUNTS.items() if (kb := counts.kb(line)) is not None}
    if "nr_zspages" in counts.vmstat:
        amounts["zspages"] = counts.vmstat["nr_zspages"] * counts.page_kb
    if amounts:
        yield Node(None, amounts, line=counts.meminfo_lines.get("KernelStack"))


def _hugepages(counts: _Counts) -> Iterable[HugePages]:
    """The pool of the default size, and what other sizes have together, which is giant pages mostly."""
    numbers, size_kb = counts.meminfo.counts_by_name, counts.kb("Hugepagesize")
    total, free = numbers.get("HugePages_Total"), numbers.get("HugePages_Free")
    line = counts.meminfo_lines.get("HugePages_Total")
    if size_kb is None or total is None or free is None or line is None:
        return
    yield HugePages(None, size_kb, total, free, numbers.get("HugePages_Surp", 0), line)
    others_kb = (counts.kb("Hugetlb") or 0) - total * size_kb
    if others_kb >= _GIANT_KB and size_kb < _GIANT_KB:
        # How many of them are in use no file tells that is recorded: as a pool they are taken all the same.
        yield HugePages(None, _GIANT_KB, others_kb // _GIANT_KB, 0, 0, counts.meminfo_lines["Hugetlb"])


def _slabs(text: bytes | None, lines: Lines, page_size: int) -> Iterable[SlabCache]:
    """Caches that have anything, the largest first."""
    parsed = _parsed(text, parse_slabinfo)
    caches = sorted(parsed.caches if parsed else (), key=lambda each: -each.size_bytes(page_size))
    for cache in caches:
        total_kb = cache.size_bytes(page_size) >> 10
        if not total_kb:
            continue
        said = (
            f"{cache.name} {cache.active_objs} {cache.num_objs} {cache.objsize_bytes} {cache.objs_per_slab} "
            f"{cache.pages_per_slab} : slabdata {cache.active_slabs} {cache.num_slabs}"
        )
        used_kb = cache.active_objs * cache.objsize_bytes >> 10
        yield SlabCache(cache.name, used_kb, total_kb, lines.keep("/proc/slabinfo", said))


def _tasks(
    rows: Sequence[Mapping[str, Any]], read_s: Sequence[float], lines: Lines, page_kb: int
) -> Iterable[Task]:
    for place, row in enumerate(rows):
        pid, comm = row["pid"], str(row.get("comm") or "?")

        def pages(name: str, row: Mapping[str, Any] = row) -> int | None:
            amount = row.get(name)
            return amount // page_kb if isinstance(amount, int) else None

        amounts = [f"{name} {row[name]}" for name in _ROW if isinstance(row.get(name), int)]
        ago = f", read {read_s[place]:.1f} s before" if place < len(read_s) else ""
        yield Task(
            pid=pid,
            uid=row.get("uid"),
            tgid=pid,
            comm=comm,
            rss_pages=pages("rss_kib"),
            rss_anon_pages=pages("anon_kib"),
            rss_file_pages=pages("file_kib"),
            rss_shmem_pages=pages("shmem_kib"),
            swap_pages=pages("swap_kib"),
            oom_score_adj=row.get("oom_score_adj"),
            line=lines.keep(f"process {pid} {comm}", ", ".join(amounts) + ago),
        )
