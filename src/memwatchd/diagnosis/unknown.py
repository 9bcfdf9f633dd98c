"""No shortage to be seen, or nothing to see it by: what is said when no cause can be named.

::

    python3 invoked oom-killer: gfp_mask=0x0(), order=0, oom_score_adj=0
    DMA32 free:589296kB min:2804kB low:4804kB high:6804kB ...
    Node 0 Normal free:193448kB min:99395541895224kB low:73886371836733356kB ...

Where zones that the request could use were far above their watermarks, memory was not what it failed for, and
who uses how much of it is beside the point. `examine` finds that; `last_resort` says what is missing.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.diagnosis.watermarks import (
    Answer,
    absurd_from_kb,
    gates,
    is_by_hand,
    is_only_cma_free,
    is_page_fault,
    order_of,
    plenty_kb,
    refused,
    size_of,
)
from memwatchd.diagnosis.wording import flags_words, zone_name
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    MEMCG,
    MEMORY_INFO,
    MEMPOLICY,
    RECORDED,
    USERSPACE_KILL,
    Zone,
)
from memwatchd.units import printable

TAG = "unknown"

# Another processor may free the memory of a victim between the failed request and its report. More than this
# share of the machine, and four times the high watermarks, is not from that.
PLENTY_SHARE = 0.03
PLENTY_BY_HIGH = 3
# A dump that nobody was killed over: a twentieth free and no zone at its mark is a healthy machine.
WEIGHT = 0.99
# Somebody asked for it; but when memory was short as well, whoever asked did so for that reason.
WEIGHT_BY_HAND_SHORT = 0.3
WEIGHT_LAST = 0.05
_BEYOND_WATERMARKS = ("min", "low", "high", "managed", "boost")


def examine(case: Case) -> Finding | None:
    """Say that memory was not short, if that is so beyond doubt."""
    event = case.event
    # What there is to say of a recording without a shortage, `recorded` says.
    if event.kind in (USERSPACE_KILL, RECORDED) or event.scope in (MEMCG, CPUSET, MEMPOLICY):
        return None
    if is_by_hand(case):
        return _by_hand(case)
    broken = _broken_zones(case)
    if broken:
        return _broken(case, broken)
    if event.manner == "vmalloc" and (lines := _address_lines(case)):
        return _no_addresses(case, lines)
    if not _is_plenty(case) or _some_node_is_full(case):
        return None
    if event.kind != MEMORY_INFO and is_only_cma_free(case):
        return None
    if is_page_fault(case):
        return _page_fault(case)
    if event.kind == MEMORY_INFO:
        return _dump(case)
    if event.manner == "vmalloc":
        return _address_space(case)
    return _no_shortage(case)


def last_resort(case: Case) -> Finding:
    """Say why no cause can be named, whatever the event."""
    event = case.event
    victim = case.victim
    who = ""
    if victim is not None:
        pid = f" ({victim.pid})" if victim.pid is not None else ""
        who = f" {printable(victim.comm or 'A process')}{pid} was killed."
    summary = f"The text does not tell why.{who} {_missing_words(case)}"
    lines = [event.trigger.line, *(each.line for each in event.victims[:2])]
    return Finding(
        TAG,
        confidence=0.5,
        weight=WEIGHT_LAST,
        summary=summary,
        evidence=case.quotes(*lines),
        advice=Advice(
            change=(
                "Have the whole report kept: `dmesg` from a boot parameter log_buf_len=4M, and `sysctl"
                " vm.oom_dump_tasks=1`.",
            ),
            check=("`journalctl -k -g 'Mem-Info|Killed process'` shows both for the next one.",),
        ),
        figures={"missing": ", ".join(event.missing) or None},
    )


def _missing_words(case: Case) -> str:
    event = case.event
    if not event.zones and not event.totals.pages:
        if event.victims and event.trigger.comm is None and event.trigger.gfp_mask is None:
            return (
                "There is the line of the kill only: neither the request nor the Mem-Info block is in the"
                " text, which the kernel leaves out when it kills too often, and cut logs lose."
            )
        return "The Mem-Info block with the zones and their watermarks is missing."
    if not event.zones:
        return "The lines of the zones with their watermarks are missing."
    answers = gates(case)
    if event.kind == MEMORY_INFO and answers and not refused(answers):
        return (
            "It is the state of memory that somebody asked for, with nobody killed and no request refused:"
            f" {size(plenty_kb(case))} were free above the watermarks."
        )
    return (
        "No figure of the report stands out: memory was short, but nothing that is counted took most of it."
    )


def _by_hand(case: Case) -> Finding:
    answers = gates(case)
    is_short = refused(answers)
    state = (
        "Memory was at its watermarks at that moment."
        if is_short
        else f"{size(plenty_kb(case))} were free above the watermarks."
        if answers
        else "The text does not show whether memory was short."
    )
    return Finding(
        TAG,
        confidence=0.97,
        weight=WEIGHT_BY_HAND_SHORT if is_short else WEIGHT,
        summary=f"Somebody asked for the kill by SysRq-f (order=-1): no request had failed. {state}",
        evidence=case.quotes(case.event.trigger.line, *_best_lines(case)),
        advice=Advice(
            check=("`sysctl kernel.sysrq` says whether the keys and /proc/sysrq-trigger are allowed.",)
        ),
        figures={"order": case.event.trigger.order, "free_kb": case.pages_kb("free")},
    )


def _broken_zones(case: Case) -> list[Zone]:
    """Zones with watermarks or reserves that have underflowed, of those the request could use."""
    absurd_kb = absurd_from_kb(case)
    return [
        zone
        for zone in case.event.zones
        if any(zone.amounts_kb.get(name, 0) >= absurd_kb for name in _BEYOND_WATERMARKS)
        or any(pages * case.page_kb >= absurd_kb for pages in zone.lowmem_reserve_pages)
    ]


def _broken(case: Case, zones: list[Zone]) -> Finding | None:
    free_kb, ram_kb = case.pages_kb("free"), case.ram_kb
    if free_kb is None:
        free_kb = sum(zone.free_kb or 0 for zone in case.event.zones)
    if ram_kb and free_kb < PLENTY_SHARE * ram_kb:
        return None
    worst = max(zones, key=lambda zone: max(zone.amounts_kb.get(name, 0) for name in _BEYOND_WATERMARKS))
    name, amount_kb = max(
        ((name, worst.amounts_kb.get(name, 0)) for name in _BEYOND_WATERMARKS), key=lambda each: each[1]
    )
    what = f"{name} of {zone_name(case, worst)} is {amount_kb:,} kB"
    if amount_kb < absurd_from_kb(case):
        pages = max(worst.lowmem_reserve_pages)
        what = f"lowmem_reserve of {zone_name(case, worst)} is {pages:,} pages"
    of_ram = f" of {size(ram_kb)}" if ram_kb else ""
    return Finding(
        TAG,
        confidence=0.95,
        weight=WEIGHT,
        summary=(
            f"Not a shortage: {size(free_kb)}{of_ram} were free, but {what}, which nothing can ever be"
            " above. The kernel's own accounting has underflowed (memory hotplug and balloon drivers have"
            " done that), and it kills in vain."
        ),
        evidence=case.quotes(
            *(zone.line for zone in zones[:2]),
            *(zone.reserve_line for zone in zones[:2]),
            *case.total_lines("free"),
        ),
        advice=Advice(
            now=("Restart the machine: killing processes cannot raise free memory above such a mark.",),
            change=(
                "Update the kernel; until then do not change the balloon or unplug memory while it runs.",
            ),
            check=("`grep -E 'zone|min|managed' /proc/zoneinfo` shows sensible figures.",),
        ),
        figures={"free_kb": free_kb, "zone": worst.name, name + "_kb": amount_kb},
    )


def _is_plenty(case: Case) -> bool:
    """Whether more was free than can have come from a victim in the meantime."""
    serving = [each for each in gates(case) if each.answer is Answer.SERVES]
    if not serving:
        return False
    high_kb = sum(each.zone.high_kb or 2 * each.mark_kb for each in serving)
    known_kb = case.ram_kb or sum(size_of(each.zone) for each in serving)
    return plenty_kb(case) >= max(PLENTY_BY_HIGH * high_kb, PLENTY_SHARE * known_kb)


def _some_node_is_full(case: Case) -> bool:
    """Whether the request may have been bound to a node that had nothing."""
    if case.event.kind == MEMORY_INFO or case.request is None:
        return False
    answers = gates(case)
    nodes = {each.zone.node for each in answers}
    return len(nodes) > 1 and any(
        refused(each for each in answers if each.zone.node == node) for node in nodes
    )


def _page_fault(case: Case) -> Finding:
    return _plenty(
        case,
        "Not a shortage: a page fault handler reported OOM (gfp_mask=0x0) without any request for memory"
        f" having failed: {_free_words(case)}. A driver, a file system or a damaged page table or swap"
        " entry returns VM_FAULT_OOM.",
        Advice(
            now=("Look at the kernel's messages around it for errors of drivers, file systems or swap.",),
            change=("Update the kernel or the driver whose functions are in the call trace.",),
            check=("No more reports with gfp_mask=0x0.",),
        ),
    )


def _dump(case: Case) -> Finding:
    return _plenty(
        case,
        f"Nobody was killed, and memory was not short: this is a dump of its state, in which"
        f" {_free_words(case)}. A driver, a vendor's monitor or SysRq-m asked for it.",
        Advice(),
    )


def _address_lines(case: Case) -> list[int]:
    """Where the kernel says that it found no addresses, whatever memory there was."""
    return [line for line, text in case.event.texts.items() if text.startswith("vmap allocation for size ")]


def _no_addresses(case: Case, lines: list[int]) -> Finding:
    return Finding(
        TAG,
        confidence=0.95,
        weight=WEIGHT,
        summary=(
            "Not a shortage of memory but of addresses: vmalloc found no gap of that size among those that"
            " are set aside for it, as the kernel says itself."
        ),
        evidence=case.quotes(*lines[:2], case.event.trigger.line),
        advice=_advice_addresses(),
        figures={"free_kb": case.pages_kb("free")},
    )


def _advice_addresses() -> Advice:
    return Advice(
        change=(
            "On 32 bits raise `vmalloc=` on the command line; otherwise look who asks, in the call trace.",
        ),
        check=("VmallocUsed in /proc/meminfo, and /proc/vmallocinfo.",),
    )


def _address_space(case: Case) -> Finding:
    return _plenty(
        case,
        f"Not a shortage of memory: {_free_words(case)}. vmalloc found no room among its addresses, or was"
        " asked for more than can be.",
        _advice_addresses(),
    )


def _no_shortage(case: Case) -> Finding:
    doubt = (
        " It may have been freed between the failure and the report, or the request was limited in a"
        " way that the report does not show."
    )
    what = "the kernel killed" if case.event.kind != ALLOCATION_FAILURE else "the request failed"
    flags = flags_words(case)
    like = f"a request like this ({flags})" if flags else "most requests"
    return _plenty(
        case,
        f"No shortage is visible: {what} although {_free_words(case)}, which {like} may use.{doubt}",
        Advice(
            now=("Look at the messages before it, and whether others were killed a moment earlier.",),
            change=("Record the seconds before: memwatchd does.",),
        ),
        confidence=0.85 if order_of(case) == 0 else 0.7,
    )


def _plenty(case: Case, summary: str, advice: Advice, confidence: float = 0.95) -> Finding:
    return Finding(
        TAG,
        confidence=confidence,
        weight=WEIGHT,
        summary=summary,
        evidence=case.quotes(case.event.trigger.line, *_best_lines(case), *case.total_lines("free")),
        advice=advice,
        figures={"free_kb": case.pages_kb("free"), "plainly_free_kb": plenty_kb(case)},
    )


def _free_words(case: Case) -> str:
    amount_kb = plenty_kb(case)
    share = case.share(amount_kb)
    of_ram = f" ({percent(share)} of RAM)" if share is not None else ""
    return f"{size(amount_kb)}{of_ram} were free above all watermarks"


def _best_lines(case: Case) -> tuple[int | None, ...]:
    best = sorted(gates(case), key=lambda each: -each.plainly_kb)
    return tuple(each.zone.line for each in best[:2])
