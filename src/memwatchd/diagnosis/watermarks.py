"""What the allocator's own check says of this request, zone by zone: served, or why not.

It follows ``__zone_watermark_ok`` (mm/page_alloc.c). A zone serves a request when

- its free pages, less those of CMA areas for a request that is not movable, less those kept for high-order
  atomic requests, are above ``min`` (lowered for the privileged) and the ``lowmem_reserve`` for that kind of
  request, and
- for more than one page, there is a block large enough of a type the request may take. Before 4.4 the free
  pages less all smaller blocks had to be above ``min``, halved with each order, instead.

::

    Node 0 DMA32 free:2783784kB min:28kB low:32kB high:40kB ... present:2961572kB ...
    lowmem_reserve[]: 0 0 772650 772650
    Normal: 8939*4kB (UMEC) 6885*8kB (UECH) 810*16kB (UECH) 8*32kB (CH) 5*64kB (H) ... = 106292kB

Figures of a report are taken a moment after the request has failed, and may have moved since.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from memwatchd.diagnosis.case import ABSURD_KB, Case
from memwatchd.oomreport.report import OOM_KILL, Zone


class Answer(StrEnum):
    """What a zone says to the request."""

    SERVES = "serves"
    EMPTY = "has no memory"
    BROKEN = "has watermarks that no machine can meet"
    SHORT = "is at its min watermark"
    RESERVED = "keeps the rest for requests that can use no other zone"
    CMA = "has free memory in CMA areas only"
    HIGHATOMIC = "keeps the rest for atomic requests of a higher order"
    NO_BLOCK = "has no free block of that size"
    SCATTERED = "has too much of its free memory in smaller blocks"


@dataclass(frozen=True, slots=True)
class Gate:
    """One zone's answer.

    Attributes:
        mark_kb: The min watermark, as lowered for this request.
        reserve_kb: lowmem_reserve for this request; 0 where none is printed.
        usable_kb: Free memory of the kinds the request may use, whatever the size of the blocks.
        blocks: Free blocks of its size or larger that it may use; None where the list is not whole, or not
            needed.
    """

    zone: Zone
    answer: Answer
    mark_kb: int
    reserve_kb: int
    usable_kb: int
    blocks: int | None = None

    @property
    def spare_kb(self) -> int:
        """Usable memory above what must stay; negative where that is not reached."""
        return self.usable_kb - self.mark_kb - self.reserve_kb

    @property
    def plainly_kb(self) -> int:
        """Usable memory above the high watermark, where kswapd sleeps; less may be there by chance."""
        high_kb = self.zone.high_kb
        kept_kb = self.mark_kb * _HIGH_BY_MIN if high_kb is None else max(high_kb, self.mark_kb)
        return max(0, round(self.usable_kb - self.reserve_kb - kept_kb))


# Where the line is cut after min: high is at least one and a half of it by default.
_HIGH_BY_MIN = 1.5
# The letters of free blocks: U(nmovable), M(ovable), (r)E(claimable) and R(eserve, until 4.3) may be taken by
# anybody when nothing better is left; C(MA) by movable requests, H(ighatomic) by atomic ones, I(solated) by
# none.
_COMMON_TYPES = frozenset("UMER")
# The list of blocks is printed after the zone's line; it is whole when it sums up to what it says, or nearly
# to free.
_NEARLY_WHOLE = 0.9
# Nobody sets a watermark to so many times the memory there is.
_BEYOND_RAM = 16
_RELEASE = re.compile(r"(\d{1,3})\.(\d{1,4})", re.ASCII)
# 4.4 is the first with block lists by type in the check (commit 97a16fc82a7c); its masks are the first beyond
# bit 24.
_FIRST_WITH_TYPES = (4, 4)
_FIRST_MASK_WITH_TYPES = 1 << 25


def order_of(case: Case) -> int:
    """The order that was asked for; 0 where nothing says so, and for SysRq's -1."""
    return max(0, case.event.trigger.order or 0)


def is_atomic(case: Case) -> bool:
    """Whether the request could not wait for memory to be freed."""
    return case.request is not None and not case.request.may_reclaim


def is_by_hand(case: Case) -> bool:
    """Whether somebody pressed SysRq-f: no request was refused."""
    return case.event.manner == "sysrq" or (case.event.trigger.order or 0) < 0


def is_page_fault(case: Case) -> bool:
    """Whether the page fault path killed, because a fault handler had reported OOM; nobody asked."""
    return case.event.kind == OOM_KILL and case.event.trigger.gfp_mask == 0


def plenty_kb(case: Case) -> int:
    """What zones that serve the request have above their high watermarks."""
    return sum(each.plainly_kb for each in gates(case) if each.answer is Answer.SERVES)


def usable_zones(case: Case) -> tuple[Zone, ...]:
    """Zones the request could use by their kind, on nodes it was allowed."""
    return tuple(zone for zone in case.zones_allowed if node_allowed(case, zone.node))


def gates(case: Case) -> tuple[Gate, ...]:
    """The answers of all zones that the request could use; zones whose figures are cut are left out."""
    answers = (gate(case, zone) for zone in usable_zones(case))
    return tuple(each for each in answers if each is not None)


def untold(case: Case) -> tuple[Zone, ...]:
    """Zones with plainly enough for the request, of which only the list of blocks is missing."""
    return tuple(
        zone
        for zone in usable_zones(case)
        if None not in (zone.free_kb, zone.min_kb)
        and gate(case, zone) is None
        and (zone.free_kb or 0) - sum(_kept_kb(case, zone)) - (case.reserve_kb(zone) or 0)
        > (zone.high_kb or _HIGH_BY_MIN * (zone.min_kb or 0))
    )


def refused(answers: Iterable[Gate], *, strictly: bool = False) -> bool:
    """Whether there are answers, and none is a yes.

    Args:
        answers: Of all zones.
        strictly: Count a yes that rests on less than the high watermark. Between the request's failure and
            the report others free memory, so that mostly it is no yes.
    """
    known = tuple(answers)
    return bool(known) and not any(
        each.answer is Answer.SERVES and (strictly or each.plainly_kb > 0) for each in known
    )


def is_only_cma_free(case: Case) -> bool:
    """Whether no zone would serve the request but for free memory in CMA areas."""
    zones = [zone for zone in usable_zones(case) if None not in (zone.free_kb, zone.min_kb)]
    return any(zone.amounts_kb.get("free_cma") for zone in zones) and all(
        (zone.free_kb or 0) - zone.amounts_kb.get("free_cma", 0) - (case.reserve_kb(zone) or 0)
        <= max(zone.high_kb or 0, zone.min_kb or 0)
        for zone in zones
    )


def barred_by_kind(case: Case) -> tuple[Zone, ...]:
    """Zones whose kind the request could not use."""
    allowed = {id(zone) for zone in case.zones_allowed}
    return tuple(zone for zone in case.event.zones if id(zone) not in allowed)


def size_of(zone: Zone) -> int:
    """Memory the allocator was given in a zone; what the zone has where that is not printed (until 3.8)."""
    return (zone.present_kb if zone.managed_kb is None else zone.managed_kb) or 0


def free_of(zone: Zone) -> int:
    """Free memory by the zone's line, or by its list of blocks where that line is lost."""
    return zone.free_kb if zone.free_kb is not None else zone.blocks_total_kb or 0


def absurd_from_kb(case: Case) -> int:
    """Watermarks from here on are not what somebody set, but have underflowed."""
    return min(ABSURD_KB, _BEYOND_RAM * (case.ram_kb or ABSURD_KB))


def unlisted_free_kb(case: Case) -> int:
    """Free memory that is in no printed zone: other nodes, or zones the request could not use."""
    free_kb = case.pages_kb("free")
    if free_kb is None or not case.event.zones or case.known_page_kb is None:
        return 0
    return max(0, free_kb - sum(free_of(zone) for zone in case.event.zones))


def gate(case: Case, zone: Zone) -> Gate | None:
    """The answer of one zone; None where its line does not have what that takes."""
    if zone.free_kb is None or zone.min_kb is None:
        return None
    mark_kb, reserve_kb = _mark_kb(case, zone.min_kb), case.reserve_kb(zone) or 0
    kept = _kept_kb(case, zone)
    usable_kb = max(0, zone.free_kb - sum(kept))
    blocks = usable_blocks(case, zone)
    answer = _by_amount(zone, mark_kb, reserve_kb, kept, absurd_from_kb(case))
    answer = answer or _by_blocks(case, zone, usable_kb, blocks)
    return None if answer is None else Gate(zone, answer, mark_kb, reserve_kb, usable_kb, blocks)


def usable_blocks(case: Case, zone: Zone) -> int | None:
    """Free blocks of the order or above that the request may take; None where the list is cut."""
    if not zone.free_blocks:
        return None
    order, types = order_of(case), _types(case)
    found = sum(
        block.count
        for size, block in zone.free_blocks.items()
        if size >= order and (not block.types or not types.isdisjoint(block.types))
    )
    return found if found or _is_whole(zone) else None


def unusable_index(case: Case, zone: Zone) -> float | None:
    """What share of a zone's free memory is in blocks smaller than asked for (unusable free index)."""
    if not zone.free_blocks or not _is_whole(zone):
        return None
    order = order_of(case)
    pages = {at: block.count << at for at, block in zone.free_blocks.items()}
    total = sum(pages.values())
    return sum(count for at, count in pages.items() if at < order) / total if total else None


def node_allowed(case: Case, node: int | None) -> bool:
    """Whether the request might use a node, by the node lists that are printed."""
    trigger = case.event.trigger
    masks = [trigger.nodemask]
    # An atomic request may leave its cpuset.
    if case.event.kind == OOM_KILL or not is_atomic(case):
        masks.append(trigger.mems_allowed)
    return all(in_nodes(mask, node) for mask in masks)


def in_nodes(nodes: str | None, node: int | None) -> bool:
    """Whether a list like ``0-1,4`` has a node; an absent or odd list has all."""
    if not nodes or node is None:
        return True
    ranges = [part.strip().partition("-") for part in nodes.split(",")]
    if not all(
        first.isdecimal() and (not dash or last.isdecimal()) and len(first) + len(last) < 20
        for first, dash, last in ranges
    ):
        return True
    return any(int(first) <= node <= int(last or first) for first, _, last in ranges)


def _mark_kb(case: Case, min_kb: int) -> int:
    """Min, of which __GFP_HIGH may use half, and an atomic request with it a quarter of the rest."""
    if case.request is None or not case.request.high_priority:
        return min_kb
    half_kb = min_kb - min_kb // 2
    return half_kb - half_kb // 4 if is_atomic(case) else half_kb


def _kept_kb(case: Case, zone: Zone) -> tuple[int, int]:
    """Free memory it may not use: of CMA areas, and of the reserve for high-order atomic requests."""
    if case.request is None:
        return 0, 0
    cma_kb = 0 if case.request.movable else zone.amounts_kb.get("free_cma", 0)
    if is_atomic(case) and case.request.high_priority:
        return cma_kb, 0
    # Until 6.12 the whole reserve was taken off, used or not; since then only what of it is free, which is
    # printed.
    amounts = zone.amounts_kb
    return cma_kb, amounts.get("free_highatomic", amounts.get("reserved_highatomic", 0))


def _types(case: Case) -> frozenset[str]:
    if case.request is None:
        return _COMMON_TYPES | {"C", "H"}
    types = _COMMON_TYPES
    if case.request.movable:
        types |= {"C"}
    if is_atomic(case):
        types |= {"H"}
    return types


def _by_amount(
    zone: Zone, mark_kb: int, reserve_kb: int, kept: tuple[int, int], absurd_kb: int
) -> Answer | None:
    """What the amount of free memory says; None when there is enough."""
    free_kb, needed_kb = zone.free_kb or 0, mark_kb + reserve_kb
    if 0 in (zone.managed_kb, zone.present_kb):
        return Answer.EMPTY
    if max(mark_kb, zone.high_kb or 0, reserve_kb) >= absurd_kb:
        return Answer.BROKEN
    steps = (
        (Answer.SHORT, free_kb, mark_kb),
        (Answer.RESERVED, free_kb, needed_kb),
        (Answer.CMA, free_kb - kept[0], needed_kb),
        (Answer.HIGHATOMIC, free_kb - sum(kept), needed_kb),
    )
    return next((answer for answer, left_kb, mark in steps if left_kb <= mark), None)


def _by_blocks(case: Case, zone: Zone, usable_kb: int, blocks: int | None) -> Answer | None:
    if order_of(case) == 0:
        return Answer.SERVES
    if blocks is None:
        return None
    if blocks == 0:
        return Answer.NO_BLOCK
    if _checks_smaller_blocks(case) and not _passes_old_check(case, zone, usable_kb):
        return Answer.SCATTERED
    return Answer.SERVES


def _passes_old_check(case: Case, zone: Zone, usable_kb: int) -> bool:
    """The check before 4.4: at each order, what is left without smaller blocks, against min halved."""
    order, page_kb = order_of(case), zone.block_kb or case.page_kb
    left = usable_kb // page_kb - (1 << order) + 1
    mark = _mark_kb(case, zone.min_kb or 0) // page_kb
    if left <= mark + (case.reserve_kb(zone) or 0) // page_kb:
        return False
    for smaller in range(order):
        block = zone.free_blocks.get(smaller)
        left -= (block.count if block else 0) << smaller
        mark >>= 1
        if left <= mark:
            return False
    return True


def _checks_smaller_blocks(case: Case) -> bool:
    release = _RELEASE.match(case.event.kernel or "")
    if release:
        return (int(release[1]), int(release[2])) < _FIRST_WITH_TYPES
    trigger = case.event.trigger
    return (
        not trigger.flags_printed
        and trigger.gfp_mask is not None
        and trigger.gfp_mask < _FIRST_MASK_WITH_TYPES
    )


def _is_whole(zone: Zone) -> bool:
    page_kb = zone.block_kb or 0
    total_kb = sum((block.count << order) * page_kb for order, block in zone.free_blocks.items())
    if zone.blocks_total_kb is not None:
        return total_kb == zone.blocks_total_kb
    return total_kb >= _NEARLY_WHOLE * (zone.free_kb or 0)
