"""One event with the figures that several findings need, each derived once.

All sums are in kB. Where a report lacks what a sum needs, the sum is None: a finding that rests on it then
says nothing, rather than something wrong.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from memwatchd.diagnosis.history import History
from memwatchd.oomreport.gfp import Request, request_of
from memwatchd.oomreport.report import Event, Quote, Task, Victim, Zone

ZONE_NAMES = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")
_DEFAULT_PAGE_KB = 4
_PAGE_SIZES_KB = (4, 8, 16, 32, 64, 256)
# Zones sum up to the machine when their free pages do, give or take what moved between the lines.
_SAME_SHARE = 0.1
# A broken kernel prints watermarks and sizes near 2^64; no machine has an exbibyte.
ABSURD_KB = 1 << 50
_32_BIT = re.compile(r"\b(?:i[3-6]86|pae|armv[4-7]\w*|armhf|mips(?:el)?|ppc32)\b", re.ASCII)

# What Mem-Info counts in pages, each page in one of them only. `mapped`, `shmem`, `dirty`, `writeback` and
# `free_cma` are parts of these. `slab`, `active` and `inactive` are of kernels before 2.6.28.
_PAGE_PARTS = (
    "free",
    "free_pcp",
    "active_anon",
    "inactive_anon",
    "isolated_anon",
    "active_file",
    "inactive_file",
    "isolated_file",
    "active",
    "inactive",
    "unevictable",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "kernel_misc_reclaimable",
    "pagetables",
    "sec_pagetables",
    "bounce",
)
# What only the lines of nodes or zones have, in kB.
_AMOUNT_PARTS = ("kernel_stack", "shadow_call_stack", "Balloon", "gpu_active", "gpu_reclaim")
# What only a recording has: reports count it nowhere.
_RECORDED_PARTS = ("percpu", "zspages")


@dataclass(frozen=True)
class Case:
    """One event, and the recording before it where there is one.

    Attributes:
        event: What the kernel said.
        history: What the machine did before; None without a recording.
        earlier: Events before this one in the same log, newest last, a few at most.
    """

    event: Event
    history: History | None = None
    earlier: tuple[Event, ...] = ()

    # -- units ---------------------------------------------------------------------------------------------

    @cached_property
    def known_page_kb(self) -> int | None:
        """Size of a page: the smallest block of the buddy lists, or what makes pages and kB agree."""
        blocks = [zone.block_kb for zone in self.event.zones if zone.block_kb]
        if blocks:
            return min(blocks)
        free_pages = self.event.totals.pages.get("free")
        free_kb = sum(zone.free_kb or 0 for zone in self.event.zones)
        if not free_pages or not free_kb:
            return None
        ratio = free_kb / free_pages
        return next((size for size in _PAGE_SIZES_KB if abs(ratio / size - 1) < _SAME_SHARE), None)

    @property
    def page_kb(self) -> int:
        """Size of a page; 4 where the report does not tell."""
        return self.known_page_kb or _DEFAULT_PAGE_KB

    def pages_kb(self, name: str) -> int | None:
        """A figure of the Mem-Info block in kB; None where it is not printed."""
        pages = self.event.totals.pages.get(name)
        return None if pages is None else pages * self.page_kb

    def amount_kb(self, name: str) -> int | None:
        """A figure of the lines of nodes, or of zones where nodes have none, over the whole machine."""
        rows: Iterable[Mapping[str, int]] = [node.amounts_kb for node in self.event.nodes]
        found = [row[name] for row in rows if name in row]
        if not found:
            found = [zone.amounts_kb[name] for zone in self.event.zones if name in zone.amounts_kb]
        return sum(found) if found else None

    # -- how much there is ---------------------------------------------------------------------------------

    @cached_property
    def zones_are_all(self) -> bool:
        """Whether the zones are all of the machine's: a report may leave out what a request could not use."""
        free_kb = self.pages_kb("free")
        if free_kb is None or not self.event.zones:
            return False
        if any(zone.free_kb is None for zone in self.event.zones):
            return False
        zones_kb = sum(zone.free_kb or 0 for zone in self.event.zones)
        return abs(zones_kb - free_kb) <= max(_SAME_SHARE * free_kb, 8 << 10)

    @cached_property
    def is_absurd(self) -> bool:
        """Whether figures are printed that no machine has: the kernel's own accounting is broken."""
        amounts = (amount for zone in self.event.zones for amount in zone.amounts_kb.values())
        return any(amount >= ABSURD_KB for amount in amounts)

    @cached_property
    def ram_kb(self) -> int | None:
        """Memory the allocator has (managed); None where the report does not say."""
        managed = [zone.managed_kb for zone in self.event.zones]
        if self.zones_are_all and managed and None not in managed and not self.is_absurd:
            return sum(each or 0 for each in managed) or None
        totals = self.event.totals
        if totals.ram_pages is not None and totals.reserved_pages is not None:
            usable = (totals.ram_pages - totals.reserved_pages) * self.page_kb
            return usable if usable > 0 else None
        present = [zone.present_kb for zone in self.event.zones]
        if self.zones_are_all and present and None not in present:
            return sum(each or 0 for each in present) or None
        return None

    @cached_property
    def hugetlb_kb(self) -> int | None:
        """Memory set aside for huge pages, used or not; None where they are not printed."""
        pools = self.event.hugepages
        return sum(each.total * each.size_kb for each in pools) if pools else None

    @cached_property
    def parts_kb(self) -> Mapping[str, int]:
        """Where memory is, by the kernel's names, nothing counted twice; only what is printed."""
        parts: dict[str, int] = {}
        for name in _PAGE_PARTS:
            amount = self.pages_kb(name)
            if amount is not None:
                parts[name] = amount
        if "slab_reclaimable" in parts:
            parts.pop("slab", None)
        for name in (*_AMOUNT_PARTS, *_RECORDED_PARTS):
            amount = self.amount_kb(name)
            if amount is not None:
                parts[name] = amount
        if self.hugetlb_kb is not None:
            parts["hugetlb"] = self.hugetlb_kb
        return parts

    @cached_property
    def accounted_kb(self) -> int | None:
        """The sum of all parts; None without the Mem-Info block."""
        return sum(self.parts_kb.values()) if "free" in self.parts_kb else None

    @cached_property
    def unaccounted_kb(self) -> int | None:
        """What the allocator has given away and no counter shows; None where a term is missing."""
        if self.ram_kb is None or self.accounted_kb is None:
            return None
        return max(0, self.ram_kb - self.accounted_kb)

    def share(self, amount_kb: int | None) -> float | None:
        """A part of the machine's memory, from 0 to 1 and beyond; None where one of the two is unknown."""
        if amount_kb is None or not self.ram_kb:
            return None
        return amount_kb / self.ram_kb

    # -- what it is ----------------------------------------------------------------------------------------

    @cached_property
    def anon_lru_kb(self) -> int | None:
        """Both lists of anonymous pages, which hold shared memory and tmpfs, too."""
        return self._sum("active_anon", "inactive_anon", "isolated_anon", needed="active_anon")

    @cached_property
    def anon_kb(self) -> int | None:
        """Processes' own memory: without shared memory, as far as the unevictable list may not have that."""
        if self.anon_lru_kb is None:
            return None
        elsewhere_kb = self.pages_kb("unevictable") or 0
        return max(0, self.anon_lru_kb - max(0, (self.pages_kb("shmem") or 0) - elsewhere_kb))

    @cached_property
    def file_kb(self) -> int | None:
        """Page cache of files."""
        return self._sum("active_file", "inactive_file", "isolated_file", needed="active_file")

    @cached_property
    def slab_kb(self) -> int | None:
        """All slab."""
        if "slab_unreclaimable" not in self.event.totals.pages:
            return self.pages_kb("slab")
        return self._sum("slab_reclaimable", "slab_unreclaimable", needed="slab_unreclaimable")

    @cached_property
    def page_tables_kb(self) -> int | None:
        """Page tables."""
        return self.pages_kb("pagetables")

    @cached_property
    def swap_used_kb(self) -> int | None:
        """Swap in use."""
        totals = self.event.totals
        if totals.swap_total_kb is None or totals.swap_free_kb is None:
            return None
        return totals.swap_total_kb - totals.swap_free_kb

    @cached_property
    def tasks_by_size(self) -> tuple[Task, ...]:
        """The table of tasks, the largest resident size first."""
        return tuple(sorted(self.event.tasks, key=lambda task: -(task.rss_pages or 0)))

    @cached_property
    def victim(self) -> Victim | None:
        """The first that was killed."""
        return next(iter(self.event.victims), None)

    # -- what was asked for --------------------------------------------------------------------------------

    @cached_property
    def request(self) -> Request | None:
        """What the flags say of the request; None without flags that can be read."""
        return request_of(self.event.trigger.gfp_mask, self.event.trigger.gfp_flags)

    @cached_property
    def is_32_bit(self) -> bool:
        """Whether the kernel is one of 32 bits: by a HighMem zone, or by its name."""
        if any(zone.name == "HighMem" for zone in self.event.zones):
            return True
        return bool(_32_BIT.search(f"{self.event.kernel} {self.event.hardware}".lower()))

    @cached_property
    def zones_allowed(self) -> tuple[Zone, ...]:
        """Printed zones the request could use; all of them where its flags are unknown."""
        if self.request is None:
            return self.event.zones
        highest = ZONE_NAMES.index(self.request.highest_zone)
        return tuple(
            zone
            for zone in self.event.zones
            if zone.name not in ZONE_NAMES or ZONE_NAMES.index(zone.name) <= highest
        )

    def reserve_kb(self, zone: Zone) -> int | None:
        """What a zone keeps back from this request because it could use a higher one (lowmem_reserve).

        Without flags it is taken for the commonest request, a page for a process, which could use every zone.
        """
        if not zone.lowmem_reserve_pages:
            return None
        if self.request is None:
            return max(zone.lowmem_reserve_pages) * self.page_kb
        if zone.name == self.request.highest_zone:
            return 0
        kinds = self._zone_kinds(len(zone.lowmem_reserve_pages))
        highest = ZONE_NAMES.index(self.request.highest_zone)
        usable = [index for index, name in enumerate(kinds) if ZONE_NAMES.index(name) <= highest]
        if not usable or usable[-1] >= len(zone.lowmem_reserve_pages):
            return None
        return zone.lowmem_reserve_pages[usable[-1]] * self.page_kb

    def is_short(self, zone: Zone) -> bool | None:
        """Whether a zone had nothing for an ordinary request: free is not above min and the reserve."""
        if zone.free_kb is None or zone.min_kb is None:
            return None
        return zone.free_kb <= zone.min_kb + (self.reserve_kb(zone) or 0)

    # -- lines ---------------------------------------------------------------------------------------------

    def quotes(self, *lines: int | None) -> tuple[Quote, ...]:
        """Lines of the event by their numbers, each once; those that are not there are left out."""
        texts = self.event.texts
        return tuple(
            Quote(line, texts[line]) for line in dict.fromkeys(lines) if line is not None and line in texts
        )

    def total_lines(self, *names: str) -> tuple[int | None, ...]:
        """The numbers of the lines on which figures of `Totals` stand."""
        return tuple(self.event.totals.lines.get(name) for name in names)

    def _sum(self, *names: str, needed: str) -> int | None:
        pages = self.event.totals.pages
        if needed not in pages:
            return None
        return sum(pages.get(name, 0) for name in names) * self.page_kb

    @cached_property
    def _printed_kinds(self) -> frozenset[str]:
        return frozenset(zone.name for zone in self.event.zones)

    def _zone_kinds(self, count: int) -> tuple[str, ...]:
        """The kinds of zone of this kernel, lowest first: those printed, and as many as it has reserves."""
        kinds = [name for name in ZONE_NAMES if name in self._printed_kinds or name == "Normal"]
        # Zones above the request's are not printed since 6.2, so HighMem may have to be guessed.
        others = ("HighMem", "DMA", "Device") if self.is_32_bit else ("DMA", "DMA32", "Device", "HighMem")
        for name in ("Movable", *others):
            if len(kinds) < count and name not in kinds:
                kinds.append(name)
        return tuple(sorted(kinds, key=ZONE_NAMES.index))
