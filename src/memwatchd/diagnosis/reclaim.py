"""Whether there was anything left to reclaim: how many of the pages looked at were freed.

By ``pgscan_direct``, ``pgsteal_direct``, ``pgscan_kswapd`` and ``pgsteal_kswapd`` of /proc/vmstat. Reclaim by
the limit of a cgroup is not counted there.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import History, Reclaim
from memwatchd.oomreport.report import MEMCG, MEMORY_INFO
from memwatchd.units import format_bytes

TAG = "reclaim"

# The kernel calls the killer when a priority's whole round frees nothing; well before that little is freed.
_POOR = 0.1
_GOOD = 0.5
_CONFIDENCE = 0.9


def examine(case: Case) -> Finding | Dismissal | None:
    """Say what reclaim came to; None without a recording, and for cgroups."""
    history = case.history
    if history is None or case.event.scope == MEMCG or case.event.kind == MEMORY_INFO:
        return None
    if history.direct is None or history.kswapd is None:
        return None
    both = Reclaim(
        history.direct.scanned_pages + history.kswapd.scanned_pages,
        history.direct.reclaimed_pages + history.kswapd.reclaimed_pages,
    )
    if both.efficiency is None:
        return _finding(history, "Reclaim was not tried: not one page was looked at")
    done = (
        f"of {both.scanned_pages:,} pages looked at, {both.reclaimed_pages:,} were freed "
        f"({both.efficiency:.1%}; by tasks themselves {_amount(history.direct)}, "
        f"by kswapd {_amount(history.kswapd)})"
    )
    if both.efficiency > _GOOD:
        return Dismissal(TAG, f"Reclaim was not at its end: {done} in the last {history.last_s:.1f} s.")
    return _finding(
        history, f"Reclaim {'found next to nothing' if both.efficiency < _POOR else 'was hard'}: {done}"
    )


def _finding(history: History, said: str) -> Finding:
    direct, kswapd = history.direct, history.kswapd
    return Finding(
        tag=TAG,
        confidence=_CONFIDENCE,
        weight=0.0,
        summary=f"{said} in the last {history.last_s:.1f} s{_swap(history)}.",
        figures={
            "last_s": round(history.last_s, 3),
            "direct_scanned_pages": direct.scanned_pages if direct else None,
            "direct_reclaimed_pages": direct.reclaimed_pages if direct else None,
            "kswapd_scanned_pages": kswapd.scanned_pages if kswapd else None,
            "kswapd_reclaimed_pages": kswapd.reclaimed_pages if kswapd else None,
            "swapped_out_pages": history.swapped_out_pages,
            "swap_free_bytes": history.swap_free_bytes,
            "swap_free_bytes_per_s": (
                None if history.swap_free_bytes_per_s is None else round(history.swap_free_bytes_per_s)
            ),
        },
    )


def _amount(reclaim: Reclaim) -> str:
    if reclaim.efficiency is None:
        return "none"
    return f"{reclaim.reclaimed_pages:,} of {reclaim.scanned_pages:,}"


def _swap(history: History) -> str:
    """Say whether swap took anything."""
    if not history.swap_total_bytes or history.swapped_out_pages is None:
        return ""
    free = (
        ""
        if history.swap_free_bytes is None
        else f", {format_bytes(history.swap_free_bytes)} of swap were free"
    )
    if not history.swapped_out_pages:
        return f"; nothing was swapped out{free}"
    return f"; {history.swapped_out_pages:,} pages were swapped out{free}"
