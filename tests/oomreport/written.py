"""Write reports of the OOM killer from numbers: any kernel since 2.6.16, whole, and true to its format.

A test names what matters to it, the rest is filled in so that it fits together::

    written.report(anon_mib=900, ram_mib=1000)               # 6.1, no swap; the rest is page cache
    written.report(era="3.10", slab_unreclaimable_mib=700)   # the rest is processes' memory
    written.report(unaccounted_mib=600, rest="file")         # a hole of 600 MiB
    written.report(arch="i386", ram_mib=4000, zones={"Normal": Zone(free_mib=3)})
    written.report(kind="memcg2", memcg=Memcg(path="/a", limit_mib=100))
    written.transport(written.report(), "syslog")            # bytes as they stand in a file

All amounts of a machine add up: what zones hold, what Mem-Info counts and what free blocks sum up to. Written
after show_free_areas() and dump_header() (mm/page_alloc.c, mm/show_mem.c, mm/oom_kill.c) of the kernels in
question; ``test_written.py`` compares with lines that real machines printed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tests.oomreport.printed import lines
from tests.oomreport.transports import transport

__all__ = [
    "AllocationSite",
    "HugePages",
    "Memcg",
    "Report",
    "Slab",
    "Task",
    "Trigger",
    "Zone",
    "report",
    "transport",
]

MIB = 1024
# Kinds of zone by architecture, lowest first, as the kernels of distributions have them.
KINDS = {
    "x86_64": ("DMA", "DMA32", "Normal", "Movable", "Device"),
    "i386": ("DMA", "Normal", "HighMem", "Movable"),
    "arm": ("Normal", "HighMem", "Movable"),
    "arm64": ("DMA", "DMA32", "Normal", "Movable"),
}
# What only the kernel's own memory may use of a 32-bit machine.
HIGH = ("HighMem", "Movable")
USERS = ("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable")
KERNELS = (
    "slab_reclaimable",
    "slab_unreclaimable",
    "kernel_stack",
    "pagetables",
    "hugetlb",
    "balloon",
    "unaccounted",
)
# Share of the machine where nothing is said.
USUAL = {"slab_reclaimable": 0.01, "slab_unreclaimable": 0.02, "kernel_stack": 0.002, "pagetables": 0.005}

_GFP_BITS = {  # before 4.4, since 4.4, 4.10, 4.18, 5.1
    "RECLAIM": (0x10, 0x2400000, 0x1400000, 0x600000, 0xC00),
    "KSWAPD": (0, 0x2000000, 0x1000000, 0x400000, 0x800),
    "ATOMIC": (0, 0x80000, 0x80000, 0x80000, 0x200),
    "HARDWALL": (0x20000, 0x20000, 0x20000, 0x20000, 0x100000),
    "COMP": (0x4000, 0x4000, 0x4000, 0x4000, 0x40000),
    "ZERO": (0x8000, 0x8000, 0x8000, 0x8000, 0x100),
    "NORETRY": (0x1000, 0x1000, 0x1000, 0x1000, 0x10000),
    "NOWARN": (0x200, 0x200, 0x200, 0x200, 0x2000),
    "RECLAIMABLE": (0x80000, 0x10, 0x10, 0x10, 0x10),
    "THISNODE": (0x40000, 0x40000, 0x40000, 0x40000, 0x200000),
    **{name: (1 << bit,) * 5 for bit, name in enumerate(("DMA", "HIGHMEM", "DMA32", "MOVABLE"))},
    **{name: (0x20 << bit,) * 5 for bit, name in enumerate(("HIGH", "IO", "FS"))},
}
_GFP_NAMES = {
    "GFP_KERNEL": "RECLAIM IO FS",
    "GFP_USER": "RECLAIM IO FS HARDWALL",
    "GFP_HIGHUSER": "RECLAIM IO FS HARDWALL HIGHMEM",
    "GFP_HIGHUSER_MOVABLE": "RECLAIM IO FS HARDWALL HIGHMEM MOVABLE",
    "GFP_NOFS": "RECLAIM IO",
    "GFP_NOIO": "RECLAIM",
    "GFP_ATOMIC": "HIGH ATOMIC KSWAPD",
    "GFP_NOWAIT": "KSWAPD",
    "GFP_DMA": "DMA",
    "GFP_DMA32": "DMA32",
}


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """Who asked for what; ``gfp`` are names, ``gfp_mask`` is only for a test that wants another number."""

    comm: str = "hog"
    pid: int = 4242
    gfp: str = "GFP_HIGHUSER_MOVABLE"
    gfp_mask: int | None = None
    order: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, kw_only=True)
class Zone:
    """What a test wants to say of a zone; what is None is filled in.

    Attributes:
        amounts_mib: Parts that lie in this zone (``slab_reclaimable``, ``inactive_anon``, ...); those of a
            machine that are not in such a list lie where there is room.
        blocks: Free blocks by order, which say what is free, too.
        types: Letters of their migrate types.
        hidden: The kernel left it out, because the request could not use it.
    """

    managed_mib: float | None = None
    present_mib: float | None = None
    free_mib: float | None = None
    min_kb: int | None = None
    low_kb: int | None = None
    high_kb: int | None = None
    boost_kb: int = 0
    reserved_highatomic_kb: int = 0
    free_cma_mib: float = 0
    amounts_mib: Mapping[str, float] = field(default_factory=dict)
    blocks: Mapping[int, int] | None = None
    types: str = "UME"
    lowmem_reserve: tuple[int, ...] | None = None
    all_unreclaimable: bool = False
    hidden: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the table."""

    pid: int
    comm: str
    rss_mib: float = 1
    rss_file_mib: float = 0
    rss_shmem_mib: float = 0
    swap_mib: float = 0
    total_vm_mib: float | None = None
    page_tables_kb: int | None = None
    uid: int = 0
    tgid: int | None = None
    oom_score_adj: int = 0
    score: int = 900


@dataclass(frozen=True, kw_only=True)
class Memcg:
    """A cgroup at its limit; None as a limit is "none at all". statistics are bytes by the kernel's keys."""

    path: str = "/system.slice/app.service"
    task_path: str | None = None
    limit_mib: float | None = 512
    usage_mib: float | None = None
    failcnt: int = 1234
    swap_mib: float = 0
    swap_limit_mib: float | None = None
    kmem_mib: float = 1
    statistics: Mapping[str, int] | None = None
    group_kill: bool = False


@dataclass(frozen=True, kw_only=True)
class HugePages:
    """A pool of one node."""

    total: int = 0
    free: int = 0
    surplus: int = 0
    size_kb: int = 2048
    node: int = 0


@dataclass(frozen=True, kw_only=True)
class Slab:
    """A cache of the list of unreclaimable ones."""

    name: str
    total_kb: int
    used_kb: int | None = None


@dataclass(frozen=True, kw_only=True)
class AllocationSite:
    """Who allocated, of the list that 6.10 has."""

    size_bytes: int
    site: str
    calls: int = 1000


@dataclass(frozen=True)
class _Filled:
    """A zone with everything in it, in pages."""

    node: int
    name: str
    said: Zone
    managed: int
    present: int
    marks: tuple[int, int, int]
    free: int
    parts: dict[str, int]

    def pages(self, part: str) -> int:
        return self.parts.get(part, 0)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report to be written; see the fields for what may be said, and `report` for the usual way.

    Attributes:
        era: Version of the kernel, ``2.6.16`` to ``6.18``; ``3.10`` is that of EL7.
        kernel: Release in the version line; from the era where it is None.
        kind: "oom", "memcg1", "memcg2", "alloc_failure" or "memory_info" (SysRq-m).
        rest: What memory is that nothing is said of: "anon", "file", "unaccounted", or "" for what is usual:
            page cache where processes are named, otherwise processes.
        anon_mib: Processes' own memory; shared memory is told apart, on the same lists in the kernel.
        parts_mib: More that is somewhere: "free_pcp", "isolated_anon", "sec_pagetables", "bounce", ...
        free_mib: None is just below the min watermarks (twice high where nobody was killed).
        swap_total_mib: None is a kernel without swap.
        zones: What to say of zones, by name, or by node and name (``"1 Normal"``).
        nodes: How many; zones of nodes behind the first are Normal only.
        constraint: "NONE", "CPUSET", "MEMORY_POLICY" or "MEMCG".
        kills: Who is killed: tasks or pids of tasks; None is the largest.
        before, after: Lines around the report.
        trace: Functions of the call trace; None is a short one.
    """

    era: str = "6.1"
    kernel: str | None = None
    arch: str = "x86_64"
    kind: str = "oom"
    trigger: Trigger = field(default_factory=Trigger)
    constraint: str | None = None
    nodemask: str | None = None
    cpuset: str = "/"
    mems_allowed: str | None = None
    taint: str | None = None
    hardware: str = "QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014"
    trace: Sequence[str] | None = None
    page_kb: int = 4
    orders: int = 11
    nodes: int = 1
    numa: bool | None = None
    ram_mib: float = 1000
    zones: Mapping[str, Zone] = field(default_factory=dict)
    rest: str = ""
    anon_mib: float | None = None
    shmem_mib: float = 0
    file_mib: float | None = None
    unevictable_mib: float = 0
    slab_reclaimable_mib: float | None = None
    slab_unreclaimable_mib: float | None = None
    kernel_stack_mib: float | None = None
    pagetables_mib: float | None = None
    balloon_mib: float = 0
    unaccounted_mib: float = 0
    parts_mib: Mapping[str, float] = field(default_factory=dict)
    free_mib: float | None = None
    dirty_mib: float = 0
    writeback_mib: float = 0
    mapped_mib: float = 0
    swap_total_mib: float | None = 0
    swap_free_mib: float = 0
    swapcache_mib: float = 0
    cma_reserved_mib: float = 0
    hwpoisoned_pages: int = 0
    hugepages: Sequence[HugePages] | None = None
    allocations: Sequence[AllocationSite] = ()
    slabs: Sequence[Slab] = ()
    tasks: Sequence[Task] | None = None
    kills: Sequence[Task | int] | None = None
    reaped: bool = False
    memcg: Memcg = field(default_factory=Memcg)
    before: Sequence[str] = ()
    after: Sequence[str] = ()

    # -- the machine -----------------------------------------------------------------------------------------

    def since(self, *version: int) -> bool:
        """Whether the kernel is of this version or newer."""
        return self.version >= version

    @cached_property
    def version(self) -> tuple[int, ...]:
        """The era as numbers."""
        return tuple(int(part) for part in re.findall(r"\d+", self.era)[:3])

    @cached_property
    def release(self) -> str:
        """The kernel's release."""
        if self.kernel:
            return self.kernel
        if self.era == "3.10":
            return "3.10.0-1160.el7.x86_64"
        return self.era if len(self.version) > 2 else f"{self.era}.0"

    @property
    def is_el7(self) -> bool:
        """Kernels that look like newer ones."""
        return self.version[:2] == (3, 10)

    @property
    def is_memcg(self) -> bool:
        """Whether a cgroup's limit is the reason."""
        return self.kind in ("memcg1", "memcg2")

    @cached_property
    def has_nodes(self) -> bool:
        """Whether the kernel knows of nodes."""
        return self.nodes > 1 or (self.arch in ("x86_64", "arm64") if self.numa is None else self.numa)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of zone the kernel was built with."""
        kinds = KINDS[self.arch]
        if self.version < (2, 6, 18):
            return ("DMA", "DMA32", "Normal", "HighMem")
        return tuple(name for name in kinds if name != "Device" or self.since(4, 5))

    def pages(self, mib: float) -> int:
        """Pages of an amount."""
        return round(mib * MIB / self.page_kb)

    @cached_property
    def layout(self) -> dict[tuple[int, str], Zone]:
        """The zones of the machine with their sizes, by node and name, lowest first."""
        said = {}
        for key, zone in self.zones.items():
            node, _, name = key.rpartition(" ")
            said[int(node or 0), name] = zone
        sizes = self._usual_sizes()
        sizes |= {key: zone.managed_mib for key, zone in said.items() if zone.managed_mib is not None}
        if all(key in said and said[key].managed_mib is not None for key in said) and said:
            sizes = {key: size for key, size in sizes.items() if key in said}
        keys = sorted(sizes, key=lambda key: (key[0], self.kinds.index(key[1])))
        return {key: replace(said.get(key, Zone()), managed_mib=sizes[key]) for key in keys}

    def _usual_sizes(self) -> dict[tuple[int, str], float]:
        """How a machine of that size is laid out; nodes share what is above DMA evenly."""
        tops = {
            "x86_64": {"DMA": 15, "DMA32": 3072},
            "i386": {"DMA": 15, "Normal": 860},
            "arm": {"Normal": 760},
            "arm64": {"DMA": 1024, "DMA32": 3072},
        }[self.arch]
        left = self.ram_mib / self.nodes
        sizes: dict[tuple[int, str], float] = {}
        for name in self.kinds:
            if left <= 0 or name in ("Movable", "Device") or name not in KINDS[self.arch]:
                continue
            size = min(left, tops.get(name, left))
            sizes[0, name] = size
            left -= size
        top = "HighMem" if self.arch in ("i386", "arm") else "Normal"
        return sizes | {(node, top): self.ram_mib / self.nodes for node in range(1, self.nodes)}

    @cached_property
    def filled(self) -> tuple[_Filled, ...]:
        """The zones with all that is in them; what they hold sums up to what they have."""
        zones = [self._empty(node, name, zone) for (node, name), zone in self.layout.items()]
        room = {
            index: zone.managed - zone.free - sum(zone.parts.values()) for index, zone in enumerate(zones)
        }
        if any(left < 0 for left in room.values()):
            raise ValueError(f"more in a zone than it has: {room}")
        for part, pages in self._parts(sum(room.values()), zones).items():
            low = [index for index, zone in enumerate(zones) if zone.name not in HIGH] or list(room)
            for index, share in self._shares(
                pages, {i: room[i] for i in (low if part in KERNELS else room)}
            ).items():
                zones[index].parts[part] = zones[index].pages(part) + share
                room[index] -= share
        return tuple(zones)

    def _empty(self, node: int, name: str, zone: Zone) -> _Filled:
        assert zone.managed_mib is not None
        managed = self.pages(zone.managed_mib)
        present = managed + managed // 40 if zone.present_mib is None else self.pages(zone.present_mib)
        marks = self._marks(name, managed, zone)
        parts = _on_lists({part: self.pages(mib) for part, mib in zone.amounts_mib.items()})
        if zone.blocks is not None:
            free = sum(count << order for order, count in zone.blocks.items())
        elif zone.free_mib is not None:
            free = self.pages(zone.free_mib)
        elif self._is_isa(name):
            # Nobody but drivers of old devices may use the last of it.
            free = managed - sum(parts.values())
        elif self.free_mib is not None:
            usable = sum(
                zone.managed_mib or 0 for (_, each), zone in self.layout.items() if not self._is_isa(each)
            )
            free = int(self.pages(self.free_mib) * zone.managed_mib / usable)
        else:
            free = max(0, marks[0] - 5) if self.kind == "oom" else min(2 * marks[2], managed // 2)
        return _Filled(node, name, zone, managed, present, marks, free, parts)

    def _is_isa(self, name: str) -> bool:
        return name == "DMA" and self.arch in ("x86_64", "i386")

    def _marks(self, name: str, managed: int, zone: Zone) -> tuple[int, int, int]:
        """min, low and high (__setup_per_zone_wmarks())."""
        lows = sum(each.managed_mib or 0 for (_, kind), each in self.layout.items() if kind not in HIGH)
        if name in HIGH:
            lowest = min(max(managed // 1024, 32), 128)
        else:
            all_kb = 4 * math.isqrt(int(lows * MIB))
            lowest = int(all_kb / self.page_kb * managed / max(1, self.pages(lows)))
        if zone.min_kb is not None:
            lowest = zone.min_kb // self.page_kb
        low = lowest * 5 // 4 if zone.low_kb is None else zone.low_kb // self.page_kb
        high = lowest * 3 // 2 if zone.high_kb is None else zone.high_kb // self.page_kb
        return lowest, low, high

    def _parts(self, room: int, zones: Sequence[_Filled]) -> dict[str, int]:
        """What is in the machine and in no zone by name, kernel's parts first; all of it is `room`."""
        placed = {part for zone in zones for part in zone.parts}
        asked: dict[str, float | None] = {part: getattr(self, f"{part}_mib", 0) for part in KERNELS}
        asked["hugetlb"] = sum(pool.total * pool.size_kb for pool in self.hugepages or ()) / MIB
        asked |= {"unevictable": self.unevictable_mib, "shmem": self.shmem_mib, **self.parts_mib}
        asked |= {"anon": self.anon_mib, "file": self.file_mib}
        rest = self.rest or ("anon" if self.anon_mib is None else "file")
        usual = {
            part: self.pages(self.ram_mib * share)
            for part, share in USUAL.items()
            if asked[part] is None and part not in placed
        }
        if self.version < (2, 6, 32):
            usual["kernel_stack"] = 0
        parts = {part: self.pages(mib) for part, mib in asked.items() if mib is not None}
        for part in ("anon", "file"):
            if asked[part] is None and rest != part:
                usual[part] = self.pages(2)
        left = room - sum(parts.values())
        if left < 0:
            raise ValueError(f"{parts} is {-left} pages more than there is room for")
        shrink = min(1, left / max(1, sum(usual.values())))
        parts |= {part: int(pages * shrink) for part, pages in usual.items()}
        parts[rest] = parts.get(rest, 0) + room - sum(parts.values())
        return _on_lists(parts)

    @staticmethod
    def _shares(pages: int, room: Mapping[int, int]) -> dict[int, int]:
        """Deal pages out to zones by the room they have."""
        total = sum(room.values())
        if pages > total:
            raise ValueError(f"{pages} pages do not fit into {total}")
        shares = {index: pages * left // max(1, total) for index, left in room.items()}
        over = pages - sum(shares.values())
        for index, left in room.items():
            more = min(over, left - shares[index])
            shares[index] += more
            over -= more
        return shares

    def total(self, part: str) -> int:
        """Pages of a part in the whole machine."""
        if part == "free":
            return sum(zone.free for zone in self.filled)
        return sum(zone.pages(part) for zone in self.filled)

    # -- what is in it ---------------------------------------------------------------------------------------

    @cached_property
    def shmem_pages(self) -> int:
        """Shared memory, which is on the lists of anonymous pages."""
        return self.pages(self.shmem_mib)

    @cached_property
    def file_pages(self) -> int:
        """Page cache as the kernel counts it."""
        return self.total("active_file") + self.total("inactive_file") + self.shmem_pages

    @cached_property
    def pools(self) -> tuple[HugePages, ...]:
        """Pools of huge pages as printed: every machine has them since 3.10, mostly empty."""
        if self.hugepages is not None:
            return tuple(self.hugepages)
        return tuple(HugePages(node=node) for node in range(self.nodes)) if self.arch != "arm" else ()

    @cached_property
    def table(self) -> tuple[Task, ...]:
        """The tasks; a few small ones and one with all the rest where none are named."""
        if self.tasks is not None:
            return tuple(self.tasks)
        small = (
            Task(pid=301, comm="systemd-journal", rss_mib=0.3, rss_file_mib=0.4, oom_score_adj=-250, score=0),
            Task(pid=412, comm="sshd", rss_mib=0.5, rss_file_mib=0.5, oom_score_adj=-1000, score=0),
            Task(pid=415, comm="cron", rss_mib=0.2, rss_file_mib=0.3, score=0),
        )
        used_mib = self.total("active_anon") * 1.5 * self.page_kb / MIB
        if self.is_memcg:
            used_mib = self.memcg.limit_mib or 512
        swapped_mib = (self.swap_total_mib or 0) - self.swap_free_mib
        hog = Task(
            pid=4242, comm="hog", rss_mib=max(1, used_mib - 2), swap_mib=max(0, swapped_mib - 1), uid=1000
        )
        return (hog,) if self.is_memcg else (*small, hog)

    @cached_property
    def victims(self) -> tuple[Task, ...]:
        """Who is killed."""
        if self.kind in ("alloc_failure", "memory_info"):
            return ()
        if self.kills is not None:
            by_pid = {task.pid: task for task in self.table}
            return tuple(by_pid[kill] if isinstance(kill, int) else kill for kill in self.kills)
        able = [task for task in self.table if task.oom_score_adj != -1000]
        return (max(able, key=lambda task: task.rss_mib),) if able else ()

    @cached_property
    def gfp_mask(self) -> int:
        """The request's flags as a number of this era."""
        if self.trigger.gfp_mask is not None:
            return self.trigger.gfp_mask
        return gfp_mask(self.trigger.gfp, self.version)


def gfp_mask(names: str, version: tuple[int, ...]) -> int:
    """The number for names such as ``GFP_KERNEL|__GFP_ZERO`` in a kernel of that version."""
    era = sum(version >= start for start in ((4, 4), (4, 10), (4, 18), (5, 1)))
    mask = 0
    for name in filter(None, names.split("|")):
        for part in _GFP_NAMES.get(name, name.removeprefix("__GFP_")).split():
            if part == "MOVABLE" and version < (2, 6, 31):
                mask |= 0x100000 if version >= (2, 6, 24) else 0
            else:
                mask |= _GFP_BITS[part][era]
    return mask


def _on_lists(parts: Mapping[str, int]) -> dict[str, int]:
    """Processes' memory, shared memory and page cache as they lie on the kernel's lists."""
    lists = {part: pages for part, pages in parts.items() if part not in ("anon", "shmem", "file")}
    anon, shmem, file = (parts.get(part, 0) for part in ("anon", "shmem", "file"))
    amounts = {
        "active_anon": anon * 2 // 3,
        "inactive_anon": anon - anon * 2 // 3 + shmem,
        "active_file": file // 2,
        "inactive_file": file - file // 2,
    }
    for part, pages in amounts.items():
        if pages:
            lists[part] = lists.get(part, 0) + pages
    return lists


def report(**said: Any) -> list[str]:
    """Lines of a report, without transport; what may be said are the fields of `Report`."""
    return list(lines(Report(**said)))
