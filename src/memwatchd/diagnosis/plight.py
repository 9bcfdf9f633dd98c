"""Whether memory was short at a moment that was recorded, where no kill says so.

That little is free says nothing by itself: the kernel fills memory with page cache, and keeps just so much
free as its watermarks ask for. Short it is when there is little to be reclaimed as well, which is what
MemAvailable estimates. It counts most of reclaimable slab, which may be held: where tasks had to reclaim for
themselves, slab is not taken for available.
"""

from enum import StrEnum

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.watermarks import gates

# As `shortage` has it for kills: more than this, and than three times the high watermarks, is free.
_FREE_SHARE = 0.03
_FREE_BY_HIGH = 3
# By default zones' high watermarks are a hundredth of memory or less.
_FREE_SHARE_WITHOUT_ZONES = 0.05
# Little is left: for machines of all sizes; for those that had to reclaim for themselves.
_LITTLE_SHARE = 0.06
_LITTLE_KB = 4 << 20
_LITTLE_SHARE_RECLAIMING = 0.15
# What the rule little-time-left, too, takes for the last seconds.
_LAST_S = 10.0
_RUNNING_OUT_SHARE = 0.4


class Plight(StrEnum):
    """How things stood."""

    SHORT = "short"
    RUNNING_OUT = "running out"
    CALM = "not short"


def plight_of(case: Case) -> Plight | None:
    """Say how memory stood at the moment of a recording; None where it does not tell."""
    available_kb, ram_kb = available_of(case), case.ram_kb
    if available_kb is None or not ram_kb:
        return None
    if _is_little_free(case) and _is_little_left(case, available_kb / ram_kb, available_kb):
        return Plight.SHORT
    left_s = seconds_left(case)
    if left_s is not None and left_s < _LAST_S and available_kb < _RUNNING_OUT_SHARE * ram_kb:
        return Plight.RUNNING_OUT
    return Plight.CALM


def available_of(case: Case) -> int | None:
    """MemAvailable in kB; before 3.14 what is free, page cache and reclaimable slab, which is rather more."""
    totals = case.event.totals
    if totals.available_kb is not None:
        return totals.available_kb
    free_kb, file_kb = case.pages_kb("free"), case.file_kb
    if free_kb is None or file_kb is None:
        return None
    clean_kb = max(0, file_kb - (case.pages_kb("dirty") or 0))
    return free_kb + clean_kb + (case.pages_kb("slab_reclaimable") or 0)


def seconds_left(case: Case) -> float | None:
    """How long available memory would have lasted; None where it did not shrink, or nobody knows."""
    history = case.history
    if history is None or history.available_bytes is None or history.available_bytes_per_s is None:
        return None
    if history.available_bytes_per_s >= 0:
        return None
    return history.available_bytes / -history.available_bytes_per_s


def _is_little_free(case: Case) -> bool:
    """Whether free memory is near the zones' watermarks, as a kill would have to find it."""
    answers, ram_kb = gates(case), case.ram_kb or 0
    if not answers:
        return (case.pages_kb("free") or 0) <= _FREE_SHARE_WITHOUT_ZONES * ram_kb
    high_kb = sum(each.zone.high_kb or 0 for each in answers)
    return sum(each.plainly_kb for each in answers) < max(_FREE_BY_HIGH * high_kb, _FREE_SHARE * ram_kb)


def _is_little_left(case: Case, share: float, available_kb: int) -> bool:
    if share < _LITTLE_SHARE and available_kb < _LITTLE_KB:
        return True
    direct = case.history.direct if case.history is not None else None
    if direct is None or not direct.scanned_pages:
        return False
    rest_kb = max(0, available_kb - (case.pages_kb("slab_reclaimable") or 0))
    return rest_kb < _LITTLE_SHARE_RECLAIMING * (case.ram_kb or 0)
