"""Nearly all free memory is in CMA areas, and the request was for pages that cannot be moved.

::

    unity-system-co: page allocation failure: order:0, mode:0xd0
    Normal free:59860kB min:3508kB low:4384kB high:5260kB ... free_cma:59828kB ...
    Normal: 0*4kB 1*8kB (C) 0*16kB 1*32kB (C) ... 14*4096kB (C) = 59880kB

CMA areas (``cma=`` on the command line, device trees) are lent to movable pages only, page cache and
processes' own, until a driver wants a large piece of them.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.diagnosis.watermarks import Answer, gates, is_only_cma_free, order_of, refused, usable_zones
from memwatchd.diagnosis.wording import flags_words, zone_name
from memwatchd.oomreport.report import ALLOCATION_FAILURE, MEMCG, OOM_KILL

TAG = "cma"

# The zone had enough free for it but for CMA; nothing else explains that it was refused.
WEIGHT = 0.96
# With CMA counted in the zone was still near its watermarks: whoever filled it explains more.
WEIGHT_UNDER_PRESSURE = 0.3
# By the rules it could have used it: that it did not is concluded from its failure.
WEIGHT_KEPT = 0.9
CONFIDENCE_KEPT = 0.7
# CMA that makes up this much of free memory is what a reader asks about.
NOTABLE_SHARE = 0.2


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether the free memory was CMA that the request could not use."""
    if case.event.kind not in (OOM_KILL, ALLOCATION_FAILURE) or case.event.scope == MEMCG:
        return None
    answers = gates(case)
    caught = [each for each in answers if each.answer is Answer.CMA]
    if case.request is None or not refused(answers) or not caught:
        return _kept(case) or _dismissal(case)
    worst = max(caught, key=lambda each: each.zone.free_kb or 0)
    zone, cma_kb = worst.zone, worst.zone.amounts_kb["free_cma"]
    elsewhere_kb = sum(each.amounts_kb.get("free_cma", 0) for each in case.event.zones if each is not zone)
    high_kb = max(zone.high_kb or 0, worst.mark_kb)
    plainly_free = (zone.free_kb or 0) - worst.reserve_kb > high_kb
    more = f" {size(elsewhere_kb)} more CMA is free in other zones." if elsewhere_kb else ""
    left_kb = (zone.free_kb or 0) - cma_kb
    summary = (
        f"{size(cma_kb)} of the {size(zone.free_kb or 0)} free in {zone_name(case, zone)} are in CMA areas,"
        f" which this request ({flags_words(case)}) may not use, since its pages cannot be moved:"
        f" {size(max(0, left_kb))} were left for it, and {size(worst.mark_kb + worst.reserve_kb)} must stay"
        f" free.{more}"
    )
    return Finding(
        TAG,
        confidence=0.95,
        weight=WEIGHT if plainly_free else WEIGHT_UNDER_PRESSURE,
        summary=summary,
        evidence=case.quotes(
            case.event.trigger.line, zone.line, zone.blocks_line, *case.total_lines("free_cma")
        ),
        advice=_advice(),
        figures={"zone": zone.name, "free_kb": zone.free_kb, "free_cma_kb": cma_kb, "min_kb": zone.min_kb},
    )


def _kept(case: Case) -> Finding | None:
    """CMA that a movable request did not get, though nothing else was free.

    Kernels of vendors keep it for drivers, and so does memalloc_nocma_save() (since 5.2) for pages that are
    to be pinned: no flag of the request shows it.
    """
    zones = usable_zones(case)
    free_kb = sum(zone.free_kb or 0 for zone in zones)
    cma_kb = sum(zone.amounts_kb.get("free_cma", 0) for zone in zones)
    is_asked = case.request is None or case.request.movable
    if not is_asked or order_of(case) or not is_only_cma_free(case) or cma_kb < NOTABLE_SHARE * free_kb:
        return None
    flags, rest = flags_words(case), size(max(0, free_kb - cma_kb))
    which = f"This request ({flags})" if flags else "A request for a process's page"
    return Finding(
        TAG,
        confidence=CONFIDENCE_KEPT,
        weight=WEIGHT_KEPT,
        summary=(
            f"{size(cma_kb)} of the {size(free_kb)} that were free are in CMA areas. {which} may use them by"
            f" the rules, but it was refused, and only {rest} were free besides, not enough by"
            " the watermarks: this kernel keeps its CMA for drivers, or the page was to be pinned."
        ),
        evidence=case.quotes(
            case.event.trigger.line, *(zone.line for zone in zones), *case.total_lines("free_cma")
        ),
        advice=_advice(),
        figures={"free_kb": free_kb, "free_cma_kb": cma_kb},
    )


def _advice() -> Advice:
    return Advice(
        now=("Stop what fills the rest of memory with kernel data or drivers' buffers.",),
        change=(
            "Make the CMA areas smaller: `cma=` on the kernel's command line, CONFIG_CMA_SIZE_MBYTES, or"
            " the areas with linux,cma-default or `reusable` in the device tree.",
            "Move memory of drivers that need no contiguous pieces to allocations outside CMA.",
        ),
        check=("CmaFree in /proc/meminfo is well below MemFree.",),
    )


def _dismissal(case: Case) -> Dismissal | None:
    free_kb, cma_kb = case.pages_kb("free"), case.pages_kb("free_cma")
    if not free_kb or not cma_kb or case.request is None or cma_kb < NOTABLE_SHARE * free_kb:
        return None
    share = percent(cma_kb / free_kb)
    if case.request.movable:
        reason = f"{share} of the free memory is CMA, but this request is movable and may use it."
    else:
        reason = f"{share} of the free memory is CMA, but that is not what the request failed for."
    return Dismissal(TAG, reason, case.quotes(*case.total_lines("free_cma")))
