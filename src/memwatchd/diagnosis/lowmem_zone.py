"""The request had to come from low memory, which was used up, while memory of higher zones was free.

::

    clamd invoked oom-killer: gfp_mask=0x84d0, order=0, ...
    Normal free:8056kB min:8048kB ... present:890008kB ... slab_reclaimable:513008kB ...
    HighMem: 13*4kB 14*8kB ... 136*4096kB = 561924kB
    Free swap  = 1959892kB

A 32-bit kernel has its own data in the first 896 MB (DMA and Normal), however much HighMem there is; on 64
bits some drivers need DMA32, and ZONE_MOVABLE (``movablecore=``, memory hotplug) is closed to the kernel's
own data.
"""

from dataclasses import replace

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.dma_zone import is_dma_request
from memwatchd.diagnosis.elsewhere import Elsewhere, above, fillers, fillers_words
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import size
from memwatchd.diagnosis.watermarks import Answer, Gate, gates, order_of, refused, size_of
from memwatchd.diagnosis.wording import flags_words, listed, zone_names
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    MEMCG,
    MEMPOLICY,
    OOM_KILL,
    RECORDED,
    Trigger,
    Zone,
)

TAG = "lowmem_zone"

# Higher zones have something free when it is a twentieth of what the low ones have altogether: it would have
# ended the shortage. Against the machine half a gigabyte of HighMem would be nothing beside 32 GB of cache.
FREE_SHARE = 0.05
LEAST_FREE_KB = 8 << 10
# Page cache in higher zones could have been dropped at once: with this much of it the machine was not short.
CACHE_SHARE = 0.15
WEIGHT_FREE = 0.97
# Of low memory: what the kernel holds there stays.
_MOST = 0.5
# As the rule zone-pinned has it, which is to fire before somebody dies.
_LITTLE_BY_MARKS = 2
# With no free memory above, only page cache, the machine was under pressure, too.
WEIGHT_CACHE = 0.9

_HIGH = ("HighMem", "Movable", "Device")
# A yes that is not plain is one that came too late. A zone whose last free pages are in small blocks is used
# up, too; one with more is fragmented, and that is another finding.
_USED_UP = (Answer.SHORT, Answer.RESERVED, Answer.EMPTY, Answer.SERVES)


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether low memory was used up and other memory not."""
    if case.event.kind == RECORDED:
        return _of_recording(case)
    if case.event.kind not in (OOM_KILL, ALLOCATION_FAILURE) or case.event.scope in (
        MEMCG,
        CPUSET,
        MEMPOLICY,
    ):
        return None
    if case.request is None or case.request.highest_zone == "Movable" or is_dma_request(case):
        return _dismissal(case)
    rest, answers = above(case), gates(case)
    if not _is_limited(case, rest) or not answers:
        return _dismissal(case)
    if not refused(answers) or not all(map(_is_used_up, answers)):
        return None
    ram_kb = case.ram_kb or 0
    low_kb = sum(size_of(each.zone) for each in answers)
    is_free = rest.free_kb >= max(FREE_SHARE * low_kb, LEAST_FREE_KB)
    is_cache = bool(ram_kb) and rest.cache_kb >= CACHE_SHARE * ram_kb
    if not is_free and not is_cache:
        return _dismiss_full(case, rest)
    return _finding(case, rest, answers, is_free=is_free)


def _of_recording(case: Case) -> Finding | None:
    """Say whether a request of the kernel's own would fail, or soon: on 32 bits it cannot use HighMem."""
    asked = replace(case.event, trigger=Trigger(gfp_flags=("GFP_KERNEL",), order=0))
    supposed = Case(asked, case.history, case.earlier)
    rest, answers = above(supposed), gates(supposed)
    low_kb = sum(size_of(each.zone) for each in answers)
    is_used_up = refused(answers, strictly=True)
    if not case.is_32_bit or not (is_used_up or _is_nearly_used_up(case, answers)):
        return None
    if not rest.zones or rest.free_kb < max(FREE_SHARE * low_kb, LEAST_FREE_KB):
        return None
    state = "used up" if is_used_up else "nearly used up"
    return _finding(supposed, rest, answers, is_free=True, state=state)


def _is_nearly_used_up(case: Case, answers: tuple[Gate, ...]) -> bool:
    """Whether slab has most of it, and little is left for the taking, by what has to stay."""
    slab_kb = (case.pages_kb("slab_reclaimable") or 0) + (case.pages_kb("slab_unreclaimable") or 0)
    is_full = slab_kb > _MOST * sum(size_of(each.zone) for each in answers)
    left_kb, marks_kb = sum(each.plainly_kb for each in answers), sum(each.mark_kb for each in answers)
    return is_full and left_kb < _LITTLE_BY_MARKS * marks_kb


def _is_used_up(each: Gate) -> bool:
    if each.answer in (Answer.NO_BLOCK, Answer.SCATTERED):
        return not each.plainly_kb
    return each.answer in _USED_UP


def _is_limited(case: Case, rest: Elsewhere) -> bool:
    """Whether there are zones above those the request may use."""
    if rest.zones:
        return True
    # Since 6.2 zones above the request's are not printed at all. A lost list of nodes would look the same,
    # but for a request that could use all that a machine has by default.
    limited = case.request is not None and case.request.highest_zone == "DMA32"
    return rest.unlisted_kb > 0 and (limited or case.is_32_bit)


def _finding(
    case: Case, rest: Elsewhere, answers: tuple[Gate, ...], *, is_free: bool, state: str = "used up"
) -> Finding:
    low = tuple(each.zone for each in answers)
    main = max(answers, key=lambda each: (size_of(each.zone), each.mark_kb))
    # Nothing of the kernel's own is in HighMem or Movable.
    is_all = case.is_32_bit or (bool(rest.zones) and all(zone.name in _HIGH for zone in rest.zones))
    held = fillers(case, low, all_kernel_memory=is_all)
    sentences = (
        f"{_who_asks(case)} from low memory, {zone_names(case, low)},"
        f" which was {state}: {_gate_words(case, main)}.",
        _rest_words(case, rest, is_free=is_free),
        fillers_words(case, (main.zone,), all_kernel_memory=is_all),
    )
    return Finding(
        TAG,
        confidence=0.95 if rest.zones and is_free else 0.8,
        weight=WEIGHT_FREE if is_free else WEIGHT_CACHE,
        summary=" ".join(each for each in sentences if each),
        evidence=case.quotes(
            case.event.trigger.line,
            main.zone.line,
            *(zone.line or zone.blocks_line for zone in rest.zones[:2]),
            *(main.zone.reserve_line,) * (main.answer is Answer.RESERVED),
            *case.total_lines("swap_free_kb", "free"),
        ),
        advice=_advice(case, held),
        figures={
            "zone": main.zone.name,
            "free_kb": main.zone.free_kb,
            "min_kb": main.zone.min_kb,
            "reserve_kb": main.reserve_kb,
            "elsewhere_free_kb": rest.free_kb,
            "elsewhere_cache_kb": rest.cache_kb,
            "swap_free_kb": case.event.totals.swap_free_kb,
            "order": order_of(case),
        },
    )


def _who_asks(case: Case) -> str:
    if case.event.kind == RECORDED:
        return "What the kernel asks for itself (GFP_KERNEL) can only be met"
    return f"The request ({flags_words(case)}) could only be met"


def _gate_words(case: Case, main: Gate) -> str:
    text = (
        f"{size(main.zone.free_kb or 0)} free in {main.zone.name}, of which {size(main.mark_kb)} must"
        " stay (min)"
    )
    if main.answer is Answer.RESERVED:
        text += (
            f" and {size(main.reserve_kb)} are kept for requests that can use no other zone (lowmem_reserve)"
        )
    return text


def _rest_words(case: Case, rest: Elsewhere, *, is_free: bool) -> str:
    where = zone_names(case, rest.zones) if rest.zones else "zones that are not printed"
    found = []
    if is_free:
        found.append(f"{size(rest.free_kb)} were free in {where}")
    if rest.cache_kb:
        place = "there" if is_free else f"in {where}"
        found.append(f"{size(rest.cache_kb)} of page cache could have been dropped {place}")
    if rest.swap_free_kb:
        found.append(f"{size(rest.swap_free_kb)} of swap were free")
    return f"At the same time {listed(found)}, none of which helps it." if found else ""


def _advice(case: Case, held: tuple[tuple[str, int], ...]) -> Advice:
    now = []
    fillers = [words for words, _ in held]
    if "reclaimable slab" in fillers:
        now.append("Drop dentries and inodes: `echo 2 > /proc/sys/vm/drop_caches`.")
    if "unreclaimable slab" in fillers:
        now.append(
            "What cannot be dropped is held by somebody, mostly as open files and sockets: `grep FDSize"
            " /proc/[0-9]*/status | sort -t: -k3n | tail -3` names the processes with most of them."
        )
    if not case.is_32_bit:
        return Advice(
            tuple(now),
            (
                "Make the Movable zone smaller (`movablecore=`, `kernelcore=`, `movable_node` on the"
                " command line, or online hotplugged memory as `online_kernel`), or find what fills the"
                " lower zones.",
            ),
            ("`grep -A5 'zone  *Normal' /proc/zoneinfo` shows free well above high.",),
        )
    return Advice(
        now=tuple(now),
        change=(
            "Run a 64-bit kernel, which has no HighMem; 32-bit programs run on it unchanged.",
            "Until then keep the kernel's data small: vm.vfs_cache_pressure above 100, fewer files and"
            " processes at once, and vm.lowmem_reserve_ratio lower for HighMem, so that programs' memory"
            " stays out of Normal.",
        ),
        check=("LowFree in /proc/meminfo stays well above the min of zone Normal in /proc/zoneinfo.",),
    )


def _dismiss_full(case: Case, rest: Elsewhere) -> Dismissal | None:
    if not rest.zones or not case.is_32_bit:
        return None
    reason = (
        f"Low memory was short, but so was the rest: {size(rest.free_kb)} were free above the watermarks of"
        f" {zone_names(case, rest.zones)}."
    )
    return Dismissal(TAG, reason, case.quotes(*(zone.line for zone in rest.zones[:2])))


def _dismissal(case: Case) -> Dismissal | None:
    """On 32 bits everybody thinks of low memory."""
    high = next((zone for zone in case.event.zones if zone.name == "HighMem" and _is_there(zone)), None)
    if high is None or case.request is None or case.request.highest_zone not in ("HighMem", "Movable"):
        return None
    reason = (
        f"Not low memory alone: the request ({flags_words(case)}) may use HighMem, too, where"
        f" {size(high.free_kb or 0)} were free."
    )
    return Dismissal(TAG, reason, case.quotes(case.event.trigger.line, high.line))


def _is_there(zone: Zone) -> bool:
    return bool(zone.present_kb or zone.managed_kb)
