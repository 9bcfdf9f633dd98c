"""Memory that was there, but not for this request: in higher zones, on other nodes, in no printed zone."""

from collections.abc import Iterable
from dataclasses import dataclass

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.diagnosis.watermarks import barred_by_kind, free_of, size_of, unlisted_free_kb
from memwatchd.diagnosis.wording import zone_names
from memwatchd.oomreport.report import Zone

# A difference of this size between Mem-Info and the sum of zones is what moved while they were printed.
_NOISE_SHARE = 0.02
_NOISE_KB = 4 << 10


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What higher zones had.

    Attributes:
        zones: Those that are printed.
        free_kb: Free memory in them, CMA and what must stay taken off, with what is in no printed zone.
        unlisted_kb: What of it is in no printed zone.
        cache_kb: Page cache that could be reclaimed there; 0 where it is not told.
        swap_free_kb: Swap to which processes' memory there could go.
    """

    zones: tuple[Zone, ...]
    free_kb: int
    unlisted_kb: int
    cache_kb: int
    swap_free_kb: int


def above(case: Case) -> Elsewhere:
    """What zones had that the request could not use by their kind."""
    zones = barred_by_kind(case)
    unlisted_kb = notable(case, unlisted_free_kb(case))
    free_kb = unlisted_kb + sum(spare_of(zone) for zone in zones)
    cache_kb = _cache_kb(case, zones)
    return Elsewhere(zones, free_kb, unlisted_kb, cache_kb, case.event.totals.swap_free_kb or 0)


def spare_of(zone: Zone) -> int:
    """What a movable request would find in a zone above its high watermark."""
    kept_kb = zone.high_kb if zone.high_kb is not None else zone.min_kb or 0
    return max(0, free_of(zone) - kept_kb)


def notable(case: Case, unlisted_kb: int) -> int:
    """Free memory in no printed zone, if it is more than what moves while a report is printed."""
    free_kb = case.pages_kb("free") or 0
    return unlisted_kb if unlisted_kb > max(_NOISE_KB, _NOISE_SHARE * free_kb) else 0


def _cache_kb(case: Case, zones: Iterable[Zone]) -> int:
    """Clean page cache of zones; since 4.8 their lines have the lists, before that, too."""
    total_kb = 0
    for zone in zones:
        amounts = zone.amounts_kb
        lists_kb = amounts.get("active_file", 0) + amounts.get("inactive_file", 0)
        dirty_kb = amounts.get("dirty", amounts.get("writepending", 0)) + amounts.get("writeback", 0)
        total_kb += max(0, lists_kb - dirty_kb)
    if total_kb:
        return total_kb
    # The line of such a zone is lost or was never printed: what the machine has, less what the printed zones
    # have.
    file_kb = case.file_kb or 0
    listed_kb = sum(
        zone.amounts_kb.get("active_file", 0) + zone.amounts_kb.get("inactive_file", 0)
        for zone in case.zones_allowed
    )
    return max(0, file_kb - listed_kb) if list(zones) or not case.zones_are_all else 0


# What fills a zone, by the names of its line and of Mem-Info.
_FILLERS = (
    ("reclaimable slab", "slab_reclaimable"),
    ("unreclaimable slab", "slab_unreclaimable"),
    ("page tables", "pagetables"),
    ("kernel stacks", "kernel_stack"),
    ("bounce buffers", "bounce"),
    ("unevictable pages", "unevictable"),
)
_LISTS = (
    ("processes' own memory", ("active_anon", "inactive_anon", "isolated(anon)")),
    ("page cache", ("active_file", "inactive_file", "isolated(file)")),
)
_LEAST_SHARE = 0.05


def fillers(case: Case, zones: Iterable[Zone], *, all_kernel_memory: bool) -> tuple[tuple[str, int], ...]:
    """What zones are filled with, largest first, each at least a twentieth of them.

    Args:
        case: The event.
        zones: The zones.
        all_kernel_memory: The kernel's own memory can be nowhere else, so where zones do not count it (since
            4.8) the machine's figures are theirs.
    """
    zones = list(zones)
    total_kb = sum(size_of(zone) for zone in zones)
    found: dict[str, int] = {}
    for words, name in _FILLERS:
        amounts = [zone.amounts_kb[name] for zone in zones if name in zone.amounts_kb]
        if amounts:
            found[words] = sum(amounts)
        elif all_kernel_memory and name != "unevictable":
            found[words] = case.pages_kb(name) or case.amount_kb(name) or 0
    for words, names in _LISTS:
        found[words] = sum(zone.amounts_kb.get(name, 0) for zone in zones for name in names)
    large = [(words, kb) for words, kb in found.items() if kb and kb >= _LEAST_SHARE * total_kb]
    return tuple(sorted(large, key=lambda each: -each[1]))


def fillers_words(case: Case, zones: Iterable[Zone], *, all_kernel_memory: bool) -> str:
    """A sentence on what zones are filled with; empty where nothing stands out."""
    zones = list(zones)
    total_kb = sum(size_of(zone) for zone in zones)
    found = fillers(case, zones, all_kernel_memory=all_kernel_memory)
    if not found or not total_kb:
        return ""
    named = ", ".join(f"{words} {size(kb)} ({percent(min(1.0, kb / total_kb))})" for words, kb in found[:4])
    return f"{zone_names(case, zones)} held {named}."
