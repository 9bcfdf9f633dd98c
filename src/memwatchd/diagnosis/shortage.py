"""Whether memory was short, which memory, and what was in it: what all findings about consumers rest on.

Before the kernel kills, it tries once more against the *high* watermark (__alloc_pages_may_oom in
mm/page_alloc.c), so a kill for want of memory means that no zone the request could use was above it. A report
whose zones are well above is of something else, and no consumer is to blame, however large.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from memwatchd.diagnosis.case import ABSURD_KB, Case
from memwatchd.diagnosis.plight import Plight, plight_of
from memwatchd.diagnosis.watermarks import usable_zones
from memwatchd.diagnosis.wording import zone_names
from memwatchd.oomreport.report import CPUSET, MEMCG, MEMPOLICY, OOM_KILL, RECORDED, USERSPACE_KILL, Zone
from memwatchd.units import format_bytes

# Between the kernel's last try and its report, other processors free memory: a quarter of the watermarks.
_SLACK = 0.25
# A victim that exits meanwhile frees more, but hardly more than this; beyond it `unknown` speaks of plenty.
_MEANWHILE_SHARE = 0.03
_MEANWHILE_BY_HIGH = 3
# Where no watermarks are printed. By default they are a hundredth of memory or less; with min_free_kbytes
# raised for huge pages or networks, a twentieth is the most that is usual.
_SHORT_FREE_SHARE = 0.05
# Zones with three quarters of the machine's memory stand for the machine.
_WHOLE_SHARE = 0.75
# A request that cannot wait fails while there is page cache: nobody had time to reclaim it. No shortage then.
_RECLAIMABLE_SHARE = 0.1
# Counted for the whole machine only since 4.8; and what holds nothing of the kernel's own.
_SLAB = ("slab_reclaimable", "slab_unreclaimable", "slab")
_HIGH = ("HighMem", "Movable", "Device")
_ZONE_NAMES = {"isolated_anon": "isolated(anon)", "isolated_file": "isolated(file)"}


def size(amount_kb: float) -> str:
    """Write an amount of kB with a binary unit: ``3.91 MiB``."""
    return format_bytes(amount_kb * 1024)


def percent(share: float) -> str:
    """Write a share from 0 to 1: ``88 %``; with tenths where whole ones would hide it."""
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    tenths = 0 < share < 0.0095 or 0.9905 <= share < 0.9995
    return f"{share * 100:.1f} %" if tenths else f"{share * 100:.0f} %"


@dataclass(frozen=True)
class Shortage:
    """The memory that was short.

    Attributes:
        zones: The zones it is in; empty when it is the machine's and zones are not printed.
        total_kb: How much memory that is.
        whole: It is the machine's memory, so that the figures of the whole machine hold for it.
        by_watermarks: The zones' watermarks say so; otherwise that the kernel killed, or that of a recording
            little was left, and little was free.
        estimated: The total is not printed, but the sum of what is known of: shares are upper bounds.
    """

    case: Case
    zones: tuple[Zone, ...]
    total_kb: int
    whole: bool
    by_watermarks: bool
    estimated: bool = False

    @property
    def confidence(self) -> float:
        """How far its figures can be trusted; what is missing of the report, the verdict sees to."""
        doubts = (
            (self.by_watermarks, 0.85),
            (not self.estimated, 0.7),
            (self.whole, 0.9),
            (self.case.known_page_kb is not None, 0.85),
            (not self.case.is_absurd, 0.7),
        )
        confidence = 0.95
        for holds, factor in doubts:
            confidence *= 1 if holds else factor
        return round(confidence, 2)

    @property
    def place(self) -> str:
        """Where it is, for a sentence: "RAM", "Normal", "DMA32 and Normal of node 1"."""
        return "RAM" if self.whole else zone_names(self.case, self.zones)

    def share(self, amount_kb: int) -> float:
        """How much of this memory an amount is, at most 1."""
        return min(1.0, amount_kb / self.total_kb)

    def weight(self, amount_kb: int) -> float:
        """The weight of a consumer: its share, but never that of what the report itself names."""
        return heaviest(self.share(amount_kb))

    def told(self, amount_kb: int) -> str:
        """Write an amount beside the total: ``797 MiB of 987 MiB of RAM (81 %)``."""
        share = percent(self.share(amount_kb))
        return f"{size(amount_kb)} of {size(self.total_kb)} of {self.place} ({share})"

    def amount_kb(self, name: str) -> int | None:
        """A figure by its name in the Mem-Info block, for this memory; None where nothing printed tells."""
        if self.whole:
            pages_kb = self.case.pages_kb(name)
            return self.case.amount_kb(_ZONE_NAMES.get(name, name)) if pages_kb is None else pages_kb
        name = _ZONE_NAMES.get(name, name)
        found = [zone.amounts_kb[name] for zone in self.zones if name in zone.amounts_kb]
        if found and len(found) == len(self.zones):
            return sum(found)
        return self.case.pages_kb(name) if name in _SLAB and self._are_all_low() else self._nodes_kb(name)

    def sum_kb(self, *names: str) -> int | None:
        """The sum of figures; None where the first is not known."""
        first_kb = self.amount_kb(names[0])
        return None if first_kb is None else first_kb + sum(self.amount_kb(each) or 0 for each in names[1:])

    @property
    def anon_kb(self) -> int | None:
        """Processes' own memory on the LRU lists, shared memory taken off as far as it is surely there."""
        if self.whole and self.case.anon_kb is not None:
            return self.case.anon_kb
        lists_kb = self.sum_kb("active_anon", "inactive_anon", "isolated_anon")
        if lists_kb is None:
            return None
        shared_kb = (self.amount_kb("shmem") or 0) - (self.amount_kb("unevictable") or 0)
        return max(0, lists_kb - max(0, shared_kb))

    @property
    def file_kb(self) -> int | None:
        """Page cache of files."""
        return self.sum_kb("active_file", "inactive_file", "isolated_file")

    @property
    def slab_kb(self) -> int | None:
        """All slab."""
        both_kb = self.sum_kb("slab_unreclaimable", "slab_reclaimable")
        return self.amount_kb("slab") if both_kb is None else both_kb

    def lines(self, *names: str) -> tuple[int | None, ...]:
        """Where figures stand: in the block of the whole machine, or the lines of these zones."""
        totals = self.case.total_lines(*names) if self.whole else ()
        return (*totals, *self.zone_lines())

    def zone_lines(self) -> tuple[int | None, ...]:
        """The lines of the two largest zones: that they were short is part of every proof."""
        largest = sorted(self.zones, key=lambda zone: -_zone_kb(zone))
        return tuple(zone.line for zone in largest[:2])

    def _are_all_low(self) -> bool:
        """Whether the kernel's own data can be in these zones only: then they have all of the slab."""
        theirs = {(zone.node, zone.name) for zone in self.zones}
        return self.case.zones_are_all and all(
            zone.name in _HIGH or (zone.node, zone.name) in theirs
            for zone in self.case.event.zones
            if _is_populated(zone)
        )

    def _nodes_kb(self, name: str) -> int | None:
        """A figure of the lines of nodes, if these zones are nearly all of theirs."""
        ids = {zone.node for zone in self.zones}
        theirs_kb = sum(_zone_kb(zone) for zone in self.case.event.zones if zone.node in ids)
        if self.total_kb < _WHOLE_SHARE * theirs_kb:
            return None
        found = [
            node.amounts_kb[name]
            for node in self.case.event.nodes
            if node.node in ids | {0 if ids == {None} else None} and name in node.amounts_kb
        ]
        return sum(found) if found else None


def heaviest(share: float) -> float:
    """A share as a weight; 1 is for what the report itself names as the cause."""
    return round(min(share, 0.99), 4)


def shortage_of(case: Case) -> Shortage | None:
    """Say which memory was short; None when none was, or when a cgroup's limit was met, or nothing tells."""
    event = case.event
    if is_of_cgroup(case) or event.kind == USERSPACE_KILL:
        return None
    if event.kind == RECORDED and plight_of(case) not in (Plight.SHORT, Plight.RUNNING_OUT):
        return None
    if event.zones and not usable_zones(case):
        return None
    marked = _marked_zones(case)
    shortage = _by_watermarks(case, marked) if marked else _by_share(case)
    if shortage is None or shortage.total_kb <= 0 or _could_be_reclaimed(case, shortage):
        return None
    return shortage


def is_of_cgroup(case: Case) -> bool:
    """Whether it was a cgroup's limit that was met: the machine's memory is beside the point then."""
    return case.event.scope == MEMCG or (case.event.scope is None and case.event.memcg is not None)


def spare_kb(case: Case) -> int | None:
    """What the zones the request could use had beyond their high watermarks; None where they are cut."""
    marked = _marked_zones(case)
    return _sum_spare_kb(case, marked) if marked else None


def _marked_zones(case: Case) -> list[Zone]:
    """Zones the request could use, with their watermarks; none where those are beyond any machine."""
    zones = [zone for zone in usable_zones(case) if _is_populated(zone) and _mark_kb(zone) is not None]
    reserves = (pages * case.page_kb for zone in zones for pages in zone.lowmem_reserve_pages)
    return [] if case.is_absurd or any(each >= ABSURD_KB for each in reserves) else zones


def _by_watermarks(case: Case, zones: Iterable[Zone]) -> Shortage | None:
    zones = list(zones)
    if case.event.scope in (CPUSET, MEMPOLICY):
        zones = [zone for zone in zones if _is_short(case, (zone,))]
    certain = bool(zones) and _is_short(case, zones)
    if not certain and not (zones and _was_short(case, zones)):
        return None
    zones_kb = sum(_zone_kb(zone) for zone in zones)
    sizes_known = all(_zone_kb(zone) for zone in zones)
    ram_kb = case.ram_kb
    all_of_them = case.zones_are_all and len(zones) == len(
        [each for each in case.event.zones if _is_populated(each)]
    )
    if ram_kb and (all_of_them or zones_kb >= _WHOLE_SHARE * ram_kb):
        return Shortage(case, tuple(zones), ram_kb, whole=True, by_watermarks=certain)
    if sizes_known:
        return Shortage(case, tuple(zones), zones_kb, whole=False, by_watermarks=certain)
    if all_of_them and case.accounted_kb:
        return Shortage(case, tuple(zones), case.accounted_kb, True, certain, estimated=True)
    return None


def _by_share(case: Case) -> Shortage | None:
    total_kb, free_kb = case.ram_kb or case.accounted_kb, case.pages_kb("free")
    if not total_kb or case.event.scope in (CPUSET, MEMPOLICY):
        return None
    if free_kb is None:
        return Shortage(case, (), total_kb, True, by_watermarks=False) if _was_for_a_page(case) else None
    free_kb -= _unusable_cma_kb(case, case.pages_kb("free_cma"))
    if case.event.kind != RECORDED and free_kb > _SHORT_FREE_SHARE * total_kb:
        return None
    return Shortage(case, (), total_kb, True, by_watermarks=False, estimated=case.ram_kb is None)


def _was_for_a_page(case: Case) -> bool:
    """Whether the kernel killed for a page of a process: that memory was short is said by that alone."""
    event = case.event
    is_usual = case.request is None or case.request.movable
    return event.kind == OOM_KILL and event.trigger.order in (None, 0) and is_usual and not event.manner


def _is_short(case: Case, zones: Iterable[Zone]) -> bool:
    zones = list(zones)
    marks_kb = sum(_mark_kb(zone) or 0 for zone in zones)
    return _sum_spare_kb(case, zones) <= _SLACK * marks_kb


def _was_short(case: Case, zones: Iterable[Zone]) -> bool:
    """Whether a kill for a single page is reason enough, with no more free than comes free in between."""
    event, zones = case.event, list(zones)
    if event.kind == RECORDED:
        return True
    if event.kind != OOM_KILL or event.trigger.order != 0 or event.scope in (CPUSET, MEMPOLICY):
        return False
    marks_kb = sum(_mark_kb(zone) or 0 for zone in zones)
    known_kb = case.ram_kb or sum(_zone_kb(zone) for zone in zones)
    return _sum_spare_kb(case, zones) < max(_MEANWHILE_BY_HIGH * marks_kb, _MEANWHILE_SHARE * known_kb)


def _sum_spare_kb(case: Case, zones: Iterable[Zone]) -> int:
    return sum(max(0, _usable_kb(case, zone) - (_mark_kb(zone) or 0)) for zone in zones)


def _usable_kb(case: Case, zone: Zone) -> int:
    """Free memory without what the kernel takes off for such a request (__zone_watermark_unusable_free)."""
    kept_kb = zone.amounts_kb.get("reserved_highatomic", 0) + (case.reserve_kb(zone) or 0)
    return (zone.free_kb or 0) - kept_kb - _unusable_cma_kb(case, zone.amounts_kb.get("free_cma"))


def _unusable_cma_kb(case: Case, free_cma_kb: int | None) -> int:
    return 0 if case.request is None or case.request.movable else free_cma_kb or 0


def _mark_kb(zone: Zone) -> int | None:
    """The high watermark; where the line is cut after min, what it is by default, min and a half."""
    if zone.high_kb is not None or zone.min_kb is None:
        return zone.high_kb
    return zone.min_kb * 3 // 2


def _is_populated(zone: Zone) -> bool:
    return zone.free_kb is not None and 0 not in (zone.managed_kb, zone.present_kb)


def _zone_kb(zone: Zone) -> int:
    return zone.present_kb or 0 if zone.managed_kb is None else zone.managed_kb


def _could_be_reclaimed(case: Case, shortage: Shortage) -> bool:
    if case.request is None or case.request.may_reclaim:
        return False
    clean_kb = (shortage.file_kb or 0) - (shortage.amount_kb("dirty") or 0)
    return clean_kb >= _RECLAIMABLE_SHARE * shortage.total_kb
