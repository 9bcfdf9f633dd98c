"""The reserve below the min watermark: too small for requests that cannot wait, or too large for the machine.

::

    ksoftirqd/1: page allocation failure: order:0, mode:0x480020(GFP_ATOMIC), nodemask=(null)
    Node 0 Normal free:812kB min:1024kB low:1280kB high:1536kB ... inactive_file:498132kB ...
    Normal free:0kB boost:4096kB min:5044kB low:5280kB high:5516kB ...

A request that cannot wait (interrupts, network receive) takes what is free or fails: page cache does not help
it, only that kswapd has freed enough beforehand. vm.min_free_kbytes sets min, vm.watermark_scale_factor the
distance up to low and high; boost (since 5.0) raises all three for a while after blocks of different types
were mixed.
"""

from math import isqrt

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.diagnosis.watermarks import (
    Answer,
    Gate,
    absurd_from_kb,
    gates,
    is_atomic,
    order_of,
    refused,
    size_of,
)
from memwatchd.diagnosis.wording import flags_words, pages_words, zone_name
from memwatchd.oomreport.report import ALLOCATION_FAILURE, CPUSET, MEMCG, MEMORY_INFO, MEMPOLICY, OOM_KILL

TAG = "reserve_too_small"

# Page cache that could have been dropped, had the request waited: as a share of the machine, and beside the
# reserve.
CACHE_SHARE = 0.05
CACHE_BY_MIN = 2
# Nothing else refused it: another kind of request would have been served.
WEIGHT_ATOMIC = 0.9
# By default min is 4 * sqrt(lowmem), at most 64 MB (256 MB since 5.8), and a twentieth of memory with huge
# pages (mm/page_alloc.c, khugepaged.c). A third of the first, or twice the last, was set by somebody.
TINY_BY_DEFAULT = 1 / 3
LARGE_SHARE = 0.1
# A boost is at most one and a half of high by default; from a quarter of min on it is worth a word.
BOOST_BY_MIN = 0.25


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether the reserve was what failed, or is unusual."""
    event = case.event
    if event.kind == MEMORY_INFO or event.scope in (MEMCG, CPUSET, MEMPOLICY) or not event.zones:
        return None
    answers = gates(case)
    if event.kind == ALLOCATION_FAILURE and is_atomic(case) and refused(answers):
        return _atomic(case, answers)
    if event.kind not in (OOM_KILL, ALLOCATION_FAILURE) or not case.zones_are_all:
        return None
    return _unusual(case)


def _atomic(case: Case, answers: tuple[Gate, ...]) -> Finding | Dismissal | None:
    short = [each for each in answers if each.answer in (Answer.SHORT, Answer.RESERVED, Answer.SERVES)]
    if not short:
        return None
    main = max(short, key=lambda each: size_of(each.zone))
    cache_kb, needed_kb = _cache_kb(case), CACHE_BY_MIN * sum(each.zone.min_kb or 0 for each in short)
    if cache_kb < max(needed_kb, CACHE_SHARE * (case.ram_kb or 0)):
        reason = (
            f"The request could not wait, but waiting would not have helped much: only {size(cache_kb)} of"
            " page cache could have been dropped."
        )
        return Dismissal(TAG, reason, case.quotes(*case.total_lines("inactive_file")))
    summary = (
        f"The request for {pages_words(order_of(case), case.page_kb)} ({flags_words(case)}) could not wait,"
        f" and {zone_name(case, main.zone)} was down to {size(main.zone.free_kb or 0)} (min"
        f" {size(main.zone.min_kb or 0)}), though {size(cache_kb)} of page cache could have been dropped:"
        " the reserve is too small for such bursts."
    )
    return Finding(
        TAG,
        confidence=0.85,
        weight=WEIGHT_ATOMIC,
        summary=summary,
        evidence=case.quotes(
            case.event.trigger.line, main.zone.line, *case.total_lines("inactive_file", "active_file")
        ),
        advice=_advice_larger(case),
        figures={
            "zone": main.zone.name,
            "free_kb": main.zone.free_kb,
            "min_kb": main.zone.min_kb,
            "high_kb": main.zone.high_kb,
            "cache_kb": cache_kb,
        },
    )


def _unusual(case: Case) -> Finding | None:
    """Watermarks that somebody set, or a boost: a circumstance, unless they keep much memory free."""
    zones = [zone for zone in case.event.zones if zone.min_kb is not None and zone.name != "Movable"]
    min_kb = sum(zone.min_kb or 0 for zone in zones)
    boost_kb = sum(zone.amounts_kb.get("boost", 0) for zone in zones)
    ram_kb = case.ram_kb
    if not zones or not ram_kb or min_kb >= absurd_from_kb(case):
        return None
    plain_kb, usual_kb = min_kb - boost_kb, 4 * isqrt(ram_kb)
    figures: dict[str, float | int | str | None] = {
        "min_kb": min_kb,
        "boost_kb": boost_kb,
        "usual_kb": usual_kb,
    }
    lines = case.quotes(*(zone.line for zone in zones[:3]))
    if plain_kb >= LARGE_SHARE * ram_kb:
        summary = (
            f"The min watermarks keep {size(plain_kb)} of {size(ram_kb)} of RAM free"
            f" ({percent(plain_kb / ram_kb)}), which no ordinary request may use: vm.min_free_kbytes is far"
            " too large for this machine."
        )
        return Finding(
            TAG, 0.9, min(1.0, plain_kb / ram_kb), summary, lines, _advice_smaller(plain_kb), figures
        )
    if boost_kb >= max(1, BOOST_BY_MIN * plain_kb):
        summary = (
            f"A boost had raised the min watermarks by {size(boost_kb)} to {size(min_kb)}, because blocks"
            " of different types had been mixed (vm.watermark_boost_factor)."
        )
        return Finding(TAG, 0.9, 0.0, summary, lines, _advice_boost(), figures)
    # Watermarks too small for the machine matter when the reserve was used up to the last.
    if 0 < plain_kb < TINY_BY_DEFAULT * min(usual_kb, 64 << 10):
        summary = (
            f"The min watermarks are {size(plain_kb)} altogether, where a machine with {size(ram_kb)} has"
            f" {size(min(usual_kb, 64 << 10))} or more by default: kswapd wakes late, and little is left in"
            " reserve."
        )
        return Finding(TAG, 0.7, 0.0, summary, lines, _advice_larger(case), figures)
    return None


def _cache_kb(case: Case) -> int:
    """Page cache that is neither dirty nor being written."""
    if case.file_kb is not None:
        unwritten_kb = (case.pages_kb("dirty") or 0) + (case.pages_kb("writeback") or 0)
        return max(0, case.file_kb - unwritten_kb)
    # The Mem-Info block is lost; the lines of nodes or zones have the same.
    cache_kb = (case.amount_kb("active_file") or 0) + (case.amount_kb("inactive_file") or 0)
    return max(0, cache_kb - (case.amount_kb("dirty") or 0) - (case.amount_kb("writeback") or 0))


def _advice_larger(case: Case) -> Advice:
    target_kb = max(4 * isqrt(case.ram_kb or 0), 2 * sum(zone.min_kb or 0 for zone in case.event.zones))
    return Advice(
        now=("Nothing: such requests are mostly tried again, by the network after a lost packet.",),
        change=(
            f"Raise the reserve: `sysctl vm.min_free_kbytes={target_kb}`, and write it to /etc/sysctl.d.",
            "Wake kswapd earlier: `sysctl vm.watermark_scale_factor=50` (half a per cent of memory between"
            " marks).",
            "Make the bursts smaller: ring sizes (`ethtool -G`), jumbo frames, socket buffers.",
        ),
        check=("No more such lines in the kernel's log; allocstall_* in /proc/vmstat grows more slowly.",),
    )


def _advice_smaller(min_kb: int) -> Advice:
    return Advice(
        now=(f"Lower it at once: `sysctl vm.min_free_kbytes={max(1024, min_kb // 8)}`.",),
        change=(
            "Take vm.min_free_kbytes out of /etc/sysctl.conf and /etc/sysctl.d, or set a hundredth of"
            " memory.",
        ),
        check=("`grep -E 'min|high' /proc/zoneinfo` shows some thousand pages, not a tenth of the zone.",),
    )


def _advice_boost() -> Advice:
    return Advice(
        change=("On small machines switch the boost off: `sysctl vm.watermark_boost_factor=0`.",),
        check=("boost in /proc/zoneinfo is 0.",),
    )
