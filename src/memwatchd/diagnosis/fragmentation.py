"""Several pages in one piece were asked for; what is free is in smaller pieces, or not for the asker.

::

    mc: page allocation failure. order:1, mode:0x20
    Normal free:17936kB min:1864kB low:2328kB high:2796kB ...
    Normal: 4408*4kB 12*8kB 13*16kB 0*32kB ... = 17936kB

The letters behind a count (since 3.8) are the types of the blocks: (U)nmovable, (M)ovable and r(E)claimable
ones can be had by everybody, (C)MA by movable requests only, (H)ighatomic by atomic ones only, (I)solated by
none.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import size
from memwatchd.diagnosis.watermarks import (
    Answer,
    Gate,
    gates,
    is_atomic,
    order_of,
    refused,
    untold,
    unusable_index,
)
from memwatchd.diagnosis.wording import flags_words, pages_words, zone_name
from memwatchd.oomreport.report import ALLOCATION_FAILURE, MEMCG, OOM_KILL, Zone

TAG = "fragmentation"

# Memory was free beyond doubt when it was above the high watermark, at which kswapd sleeps.
WEIGHT_PLAINLY_FREE = 0.95
# Between min and high every zone under pressure is: that no block was left there is the pressure's doing as
# well, and whoever took most of the memory explains more.
WEIGHT_UNDER_PRESSURE = 0.6
WEIGHT_UNPROVEN = 0.85
# PAGE_ALLOC_COSTLY_ORDER: up to it the kernel reclaims, compacts and kills for a request; above it gives up.
COSTLY_ORDER = 3
HUGE_PAGE_ORDER = 9


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether the size of the request was what could not be met."""
    if case.event.kind not in (OOM_KILL, ALLOCATION_FAILURE) or case.event.scope == MEMCG:
        return None
    order = order_of(case)
    answers = gates(case)
    if order == 0:
        return _dismiss_single_page(case)
    unseen = untold(case)
    if unseen and not any(each.plainly_kb for each in answers):
        return _by_elimination(case, max(unseen, key=lambda each: each.free_kb or 0), order)
    if not refused(answers, strictly=True):
        return _dismiss_served(case, answers)
    broken = [each for each in answers if each.answer in (Answer.NO_BLOCK, Answer.SCATTERED)]
    if not broken:
        return _dismiss_short(case, answers)
    return _finding(case, max(broken, key=lambda each: each.spare_kb), order)


def _finding(case: Case, worst: Gate, order: int) -> Finding:
    zone = worst.zone
    plainly_free = worst.plainly_kb > 0
    unusable = unusable_index(case, zone)
    sentences = (_why(case, worst, order), _types_words(case, worst), _context_words(case, order))
    return Finding(
        TAG,
        confidence=0.95 if case.request is not None else 0.7,
        weight=WEIGHT_PLAINLY_FREE if plainly_free else WEIGHT_UNDER_PRESSURE,
        summary=" ".join(each for each in sentences if each),
        evidence=case.quotes(case.event.trigger.line, zone.blocks_line, zone.line),
        advice=_advice(case, order),
        figures={
            "order": order,
            "zone": zone_name(case, zone),
            "free_kb": zone.free_kb,
            "min_kb": zone.min_kb,
            "usable_blocks": worst.blocks,
            "unusable_index": None if unusable is None else round(unusable, 3),
        },
    )


def _by_elimination(case: Case, zone: Zone, order: int) -> Finding:
    """With enough free, only the size of the request is left as a reason."""
    summary = (
        f"The request was for {pages_words(order, case.page_kb)}, and {size(zone.free_kb or 0)} were free in"
        f" {zone_name(case, zone)}, well above its min watermark of {size(zone.min_kb or 0)}: most probably"
        " no block was as large. The list of free blocks, which would prove it, is missing or cut."
    )
    return Finding(
        TAG,
        confidence=0.6,
        weight=WEIGHT_UNPROVEN,
        summary=summary,
        evidence=case.quotes(case.event.trigger.line, zone.line),
        advice=_advice(case, order),
        figures={
            "order": order,
            "zone": zone_name(case, zone),
            "free_kb": zone.free_kb,
            "min_kb": zone.min_kb,
        },
    )


def _why(case: Case, worst: Gate, order: int) -> str:
    name = zone_name(case, worst.zone)
    wanted = pages_words(order, case.page_kb)
    free = (
        f"{size(worst.zone.free_kb or 0)} were free in {name}, above its min watermark of"
        f" {size(worst.mark_kb)}"
    )
    if worst.answer is Answer.NO_BLOCK:
        return f"The request was for {wanted}: {free}, but no free block that it may use is as large."
    return (
        f"The request was for {wanted}: {free}, but nearly all of it in smaller blocks, and"
        f" kernels before 4.4 count only the larger ones ({worst.blocks} of them) against the watermark."
    )


def _types_words(case: Case, worst: Gate) -> str:
    """Blocks that are large enough, and yet not for this request."""
    order = order_of(case)
    names = {"C": "CMA areas", "H": "the reserve for atomic requests", "I": "isolated blocks"}
    large = [block for at, block in worst.zone.free_blocks.items() if at >= order and block.count]
    letters = set("".join(block.types for block in large)) & set(names)
    if worst.answer is not Answer.NO_BLOCK or not large or not letters:
        return ""
    kinds = " or ".join(names[letter] for letter in sorted(letters))
    return f"The {sum(block.count for block in large)} blocks of that size and above are of {kinds}."


def _context_words(case: Case, order: int) -> str:
    if is_atomic(case):
        return f"It could not wait ({flags_words(case)}), so nothing was reclaimed or compacted for it."
    if order >= HUGE_PAGE_ORDER:
        return "It is of a huge page's size; whoever asks for that must expect to be refused."
    if order > COSTLY_ORDER:
        return (
            f"Above order {COSTLY_ORDER} the kernel does not try hard: such a request may fail at any time."
        )
    return ""


def _advice(case: Case, order: int) -> Advice:
    now = ("Compact by hand: `echo 1 > /proc/sys/vm/compact_memory`, then look at /proc/buddyinfo.",)
    change = []
    if is_atomic(case):
        change.append(
            "Raise vm.min_free_kbytes (`sysctl vm.min_free_kbytes=...`, some per cent of RAM at most), so"
            " that larger blocks stay free for requests that cannot wait."
        )
    if order > COSTLY_ORDER:
        change.append(
            "Have whoever asks fall back to vmalloc or smaller buffers: jumbo frames, ring and queue sizes."
        )
    change.append(
        "Let the kernel compact earlier: vm.compaction_proactiveness (since 5.9),"
        " vm.watermark_scale_factor up to 200, vm.extfrag_threshold lower; CONFIG_COMPACTION must be set"
        " at all."
    )
    check = ("/proc/buddyinfo has blocks of that order, and compact_fail in /proc/vmstat stays still.",)
    return Advice(now, tuple(change), check)


def _dismiss_single_page(case: Case) -> Dismissal | None:
    if case.event.trigger.order is None or not gates(case):
        return None
    reason = "The request was for a single page, which any free page serves, however fragmented memory is."
    return Dismissal(TAG, reason, case.quotes(case.event.trigger.line))


def _dismiss_served(case: Case, answers: tuple[Gate, ...]) -> Dismissal | None:
    serving = [each for each in answers if each.answer is Answer.SERVES]
    if not serving:
        return None
    best = max(serving, key=lambda each: each.spare_kb)
    reason = (
        f"{best.blocks:,} free blocks of order {order_of(case)} or above were left in"
        f" {zone_name(case, best.zone)}, which had {size(best.zone.free_kb or 0)} free above a min"
        f" watermark of {size(best.mark_kb)}."
    )
    return Dismissal(TAG, reason, case.quotes(best.zone.blocks_line, best.zone.line))


def _dismiss_short(case: Case, answers: tuple[Gate, ...]) -> Dismissal:
    largest = max(answers, key=lambda each: each.usable_kb)
    reason = (
        f"The zones were short of memory as such: {zone_name(case, largest.zone)} had"
        f" {size(largest.usable_kb)} free for it, of which {size(largest.mark_kb + largest.reserve_kb)}"
        " must stay."
    )
    return Dismissal(TAG, reason, case.quotes(largest.zone.line))
