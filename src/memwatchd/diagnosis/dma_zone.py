"""A driver asked for memory of the lowest addresses (GFP_DMA, GFP_DMA32), and that zone has none.

::

    swapper/0: page allocation failure: order:6, mode:0x1(GFP_DMA), nodemask=(null),cpuset=/,mems_allowed=0
    Node 0 DMA free:0kB min:0kB ... present:128kB managed:0kB ...
    Node 0 Normal free:5894876kB min:9552kB ...

Zone DMA has 16 MB on x86, often none at all in a kdump kernel, and up to 1 GB or nothing on arm64, by device
tree.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.elsewhere import above
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.diagnosis.watermarks import (
    Answer,
    Gate,
    gates,
    order_of,
    refused,
    size_of,
    unlisted_free_kb,
    usable_zones,
)
from memwatchd.diagnosis.wording import flags_words, pages_words, zone_name, zone_names
from memwatchd.oomreport.report import ALLOCATION_FAILURE, MEMCG, OOM_KILL, Zone

TAG = "dma_zone"

# A zone DMA32 of this size is what is left of it beside a crash kernel or firmware, not one that can be
# filled.
TINY_KB = 64 << 10
# The rest of the machine counts as free with this share of it, and more than the zone itself could ever have
# had.
ELSEWHERE_SHARE = 0.05
WEIGHT = 0.98


def is_dma_request(case: Case) -> bool:
    """Whether the request is for zone DMA, or for a zone DMA32 that has nearly nothing anyway."""
    if case.request is None:
        return False
    if case.request.highest_zone == "DMA":
        return True
    if case.request.highest_zone != "DMA32":
        return False
    zones = [zone for zone in usable_zones(case) if zone.name == "DMA32"]
    return sum(size_of(zone) for zone in zones) < TINY_KB


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether the DMA zone could not serve what the rest of the machine could have."""
    if case.event.kind not in (OOM_KILL, ALLOCATION_FAILURE) or case.event.scope == MEMCG:
        return None
    if not is_dma_request(case):
        return None
    zones, answers = usable_zones(case), gates(case)
    rest = above(case)
    free_kb = case.pages_kb("free")
    if not zones:
        # Not printed since it has no memory: then only the machine's figures are left.
        missing_kb = unlisted_free_kb(case) or rest.free_kb or (free_kb or 0)
        return _finding(case, zones, None, missing_kb) if missing_kb else None
    if not refused(answers):
        return _dismissal(case, answers)
    worst = max(answers, key=lambda each: size_of(each.zone))
    if rest.free_kb < ELSEWHERE_SHARE * (case.ram_kb or 0) and worst.answer is not Answer.EMPTY:
        return None
    if worst.answer in (Answer.NO_BLOCK, Answer.SCATTERED) and size_of(worst.zone) >= TINY_KB:
        return None
    return _finding(case, zones, worst, rest.free_kb)


def _finding(case: Case, zones: tuple[Zone, ...], worst: Gate | None, elsewhere_kb: int) -> Finding:
    wanted = pages_words(order_of(case), case.page_kb)
    highest = case.request.highest_zone if case.request else "DMA"
    others = above(case).zones
    where = f" in {zone_names(case, others)}" if others else " elsewhere"
    summary = (
        f"The request for {wanted} ({flags_words(case)}) had to come from zone {highest},"
        f" {_state_words(case, worst)}, while {size(elsewhere_kb)} were free{where}."
    )
    return Finding(
        TAG,
        confidence=0.97 if worst else 0.7,
        weight=WEIGHT,
        summary=summary,
        evidence=case.quotes(
            case.event.trigger.line,
            *(zone.line for zone in zones[:2]),
            *(zone.blocks_line for zone in zones[:2]),
            *(zone.line or zone.blocks_line for zone in others[:2]),
            *case.total_lines("free"),
        ),
        advice=_advice(worst),
        figures={
            "zone": highest,
            "zone_kb": sum(size_of(zone) for zone in zones) if zones else None,
            "free_kb": worst.zone.free_kb if worst else None,
            "elsewhere_free_kb": elsewhere_kb,
            "order": order_of(case),
        },
    )


def _state_words(case: Case, worst: Gate | None) -> str:
    if worst is None:
        return "which is not among the printed ones"
    zone = worst.zone
    if worst.answer is Answer.EMPTY:
        present = f" (present {size(zone.present_kb)})" if zone.present_kb else ""
        return f"which has no memory at all{present}"
    text = f"of whose {size(size_of(zone))} {size(zone.free_kb or 0)} were free"
    if worst.answer in (Answer.NO_BLOCK, Answer.SCATTERED):
        return f"{text}, but no block as large"
    return f"{text}, not more than must stay ({size(worst.mark_kb + worst.reserve_kb)})"


def _advice(worst: Gate | None) -> Advice:
    if worst is not None and worst.answer is not Answer.EMPTY:
        change = (
            "Load the driver earlier, before others have taken the zone; give it fewer or smaller buffers."
        )
    else:
        change = (
            "Give that zone memory: `crashkernel=SIZE,low` for a crash kernel, the dma-ranges of the"
            " device tree, or CONFIG_ZONE_DMA off, so that GFP_DMA means any memory."
        )
    return Advice(
        now=(
            "Nothing to free: other memory does not help this request, and killing processes does not"
            " either.",
        ),
        change=(
            change,
            "Newer drivers ask by dma_set_mask() and get by with any memory: update the driver or kernel.",
        ),
        check=("`grep -A8 'zone  *DMA' /proc/zoneinfo` shows managed and free above 0.",),
    )


def _dismissal(case: Case, answers: tuple[Gate, ...]) -> Dismissal | None:
    serving = [each for each in answers if each.answer is Answer.SERVES]
    if not serving:
        return None
    best = max(serving, key=lambda each: each.spare_kb)
    share = percent((best.zone.free_kb or 0) / max(1, size_of(best.zone)))
    reason = f"The request was bound to {zone_name(case, best.zone)}, but {share} of that zone were free."
    return Dismissal(TAG, reason, case.quotes(best.zone.line))
