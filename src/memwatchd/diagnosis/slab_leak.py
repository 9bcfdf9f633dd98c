"""Slab, the kernel's memory for its own objects, has a large share of the memory that was short.

::

    slab_reclaimable:355621 slab_unreclaimable:422360
    Unreclaimable slab info:
    Name                      Used          Total
    xfs_iul_item             932KB        932KB
"""

from memwatchd.diagnosis import kernel_users
from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.growth import name_of, when_of
from memwatchd.diagnosis.history import SLAB, Grower
from memwatchd.diagnosis.shortage import Shortage, percent, shortage_of, size
from memwatchd.diagnosis.slab_caches import Culprit, culprit
from memwatchd.diagnosis.wording import source_word
from memwatchd.oomreport.report import RECORDED, SlabCache
from memwatchd.units import format_bytes, printable

# A busy machine has a twentieth to a tenth of its memory in slab, mostly reclaimable dentries and inodes.
# A fifth is a question worth asking.
_SHARE = 0.2
# What a kernel has just after it was started, with its drivers; on a small machine that is a large share.
_FLOOR_KB = 32 << 10
_NAMED = 3
# Where less of the slab is unreclaimable, it was pinned by something else: less sure that it leaked.
_PINNED_CONFIDENCE = 0.9


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether slab is what filled the memory that was short."""
    shortage = shortage_of(case)
    if shortage is None or shortage.slab_kb is None:
        return None
    slab_kb = shortage.slab_kb
    lines = ("slab_unreclaimable", "slab_reclaimable", "slab")
    if shortage.share(slab_kb) < _SHARE or slab_kb < _FLOOR_KB:
        few = ", no more than any kernel needs" if slab_kb < _FLOOR_KB else ""
        return Dismissal(
            "slab_leak",
            f"The kernel's own objects (slab) did not fill it: they have {shortage.told(slab_kb)}{few}.",
            case.quotes(*shortage.lines(*lines))[:2],
        )
    pinned_kb = shortage.amount_kb("slab_unreclaimable")
    caches = largest_caches(case, slab_kb)
    recorded = _recorded(case, slab_kb)
    sites = kernel_users.sites(case.event, slab_kb)
    mostly_pinned = pinned_kb is None or 2 * pinned_kb >= slab_kb
    return Finding(
        tag="slab_leak",
        confidence=round(shortage.confidence * (1 if mostly_pinned else _PINNED_CONFIDENCE), 2),
        weight=shortage.weight(slab_kb),
        summary=(
            f"The kernel's own objects (slab) have {shortage.told(slab_kb)}, "
            f"{_kinds(case, slab_kb, pinned_kb)}"
            f"{_cause(case, caches, kernel_users.told(sites))}.{_grown(recorded)}{_dropped(case)}"
        ),
        evidence=case.quotes(
            *shortage.lines(*lines), *(cache.line for cache in caches), *(site.line for site in sites)
        ),
        advice=_advice([cache.name for cache in caches] + [each.name for each in recorded], mostly_pinned),
        figures=_figures(shortage, slab_kb, pinned_kb, caches, case),
    )


def largest_caches(case: Case, slab_kb: int) -> tuple[SlabCache, ...]:
    """The largest caches, of at least a twentieth of all slab; reports print unreclaimable ones only."""
    found = sorted(case.event.slabs, key=lambda cache: -cache.total_kb)
    return tuple(cache for cache in found[:_NAMED] if cache.total_kb >= slab_kb / 20)


def _recorded(case: Case, slab_kb: int) -> list[Grower]:
    """The cache that grew most before the event, if it is a part of the slab worth naming.

    A report lists no reclaimable cache at all: only a recording knows which of them it was.
    """
    grower = case.history.grower(SLAB) if case.history else None
    return [grower] if grower is not None and grower.to_bytes >= slab_kb * 1024 / 20 else []


def _grown(recorded: list[Grower]) -> str:
    return "".join(
        f" Of it {name_of(each)} had {format_bytes(each.to_bytes)}, having grown from "
        f"{format_bytes(each.from_bytes)} {when_of(each)}."
        for each in recorded
    )


def _dropped(case: Case) -> str:
    """What came of dropping caches before: how much came free, and who may hold the rest."""
    actions = case.history.actions if case.history is not None else ()
    dropped = [each for each in actions if each.action == "drop_caches" and each.holds and each.detail]
    if not dropped:
        return ""
    last = dropped[-1]
    when = f"{-last.at_s:.1f} s before"
    return f" Rule {printable(last.rule)} dropped what it could {when}: {printable(last.detail)}."


def _kinds(case: Case, slab_kb: int, pinned_kb: int | None) -> str:
    if pinned_kb is None:
        return f"and the {source_word(case)} does not say how much of it could have been reclaimed"
    if pinned_kb >= 0.95 * slab_kb:
        return "practically all of it unreclaimable"
    share = percent(pinned_kb / slab_kb)
    if 2 * pinned_kb >= slab_kb:
        return f"{size(pinned_kb)} of it ({share}) unreclaimable"
    return (
        f"of which the kernel counts only {size(pinned_kb)} ({share}) as unreclaimable: the rest was in use,"
        " or kept from reclaim by a cgroup's memory.min"
    )


def _cause(case: Case, caches: tuple[SlabCache, ...], sites: str) -> str:
    words = ""
    if caches:
        named = ", ".join(f"{printable(cache.name)} {size(cache.total_kb)}" for cache in caches)
        which = "caches" if case.event.kind == RECORDED else "of the unreclaimable caches"
        words += f"; the largest {which}: {named}"
    if sites:
        words += f"; the kernel's list of allocations names {printable(sites)}"
    return words


def _advice(caches: list[str], mostly_pinned: bool) -> Advice:
    known = [(cache, each) for cache in caches if (each := culprit(cache)) is not None]
    now = [f"`{each.now}`" for _, each in known if each.now]
    if not mostly_pinned and not now:
        now.append("`sync; echo 2 > /proc/sys/vm/drop_caches` frees what nobody uses; what stays is held.")
    change = [_named(cache, each) for cache, each in known]
    if not change:
        change.append(
            "`slabtop -o -s c | head` names the cache (the report lists only unreclaimable ones, if any); "
            "then find who makes its objects: /sys/kernel/slab/CACHE/alloc_calls, or /proc/allocinfo since "
            "6.10."
        )
    return Advice(
        now=tuple(dict.fromkeys(now)),
        change=tuple(dict.fromkeys(change)),
        check=(
            "SUnreclaim and SReclaimable in /proc/meminfo do not grow from day to day under the same load.",
        ),
    )


def _named(cache: str, known: Culprit) -> str:
    return f"{printable(cache)} holds {known.holds}: {known.change}."


def _figures(
    shortage: Shortage, slab_kb: int, pinned_kb: int | None, caches: tuple[SlabCache, ...], case: Case
) -> dict[str, float | int | str | None]:
    return {
        "slab_kb": slab_kb,
        "slab_unreclaimable_kb": pinned_kb,
        "total_kb": shortage.total_kb,
        "listed_caches_kb": sum(cache.total_kb for cache in case.event.slabs) or None,
        "largest_cache": printable(caches[0].name) if caches else None,
        "largest_cache_kb": caches[0].total_kb if caches else None,
    }
