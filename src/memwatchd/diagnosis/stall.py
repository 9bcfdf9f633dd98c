"""How long tasks waited for memory in the last seconds, by the counters of /proc/pressure/memory.

The averages of that file lag behind by seconds; its ``total`` does not. Since 4.20, with CONFIG_PSI.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import History
from memwatchd.oomreport.report import RECORDED

TAG = "stall"

_LEAST_SHARE = 0.01
# Over a shorter time a share says little.
_LEAST_S = 0.5
_CONFIDENCE = 0.95


def examine(case: Case) -> Finding | Dismissal | None:
    """Say how much was stalled; None without a recording or without PSI."""
    history = case.history
    if history is None or history.stalled_some_s is None or history.last_s < _LEAST_S:
        return None
    some_s, last_s = history.stalled_some_s, history.last_s
    if some_s < _LEAST_SHARE * last_s:
        return Dismissal(
            TAG,
            f"Tasks hardly waited for memory before: {some_s:.2f} s of the last {last_s:.1f} s."
            f"{_unseen(case)}",
        )
    return Finding(
        tag=TAG,
        confidence=_CONFIDENCE,
        weight=0.0,
        summary=(
            f"Tasks waited for memory in {some_s:.2f} s of the last {last_s:.1f} s "
            f"({some_s / last_s:.1%}){_full(history)}{_allocstalls(history)}{_refaults(history)}."
        ),
        figures={
            "last_s": round(last_s, 3),
            "some_s": round(some_s, 3),
            "full_s": None if history.stalled_full_s is None else round(history.stalled_full_s, 3),
            "allocstalls": history.allocstalls,
            "refaulted_file_pages": history.refaulted_file_pages,
            "refaulted_anon_pages": history.refaulted_anon_pages,
            "major_faults": history.major_faults,
        },
    )


def _unseen(case: Case) -> str:
    # A moment that was recorded has not come upon anybody.
    return "" if case.event.kind == RECORDED else " It came without a stall that a rule could have seen."


def _full(history: History) -> str:
    if not history.stalled_full_s:
        return ""
    full_s, share = history.stalled_full_s, history.stalled_full_s / history.last_s
    return f", and all that had something to do at once in {full_s:.2f} s ({share:.1%})"


def _allocstalls(history: History) -> str:
    return f"; {history.allocstalls:,} allocations had to reclaim memory first" if history.allocstalls else ""


def _refaults(history: History) -> str:
    pages = (history.refaulted_file_pages or 0) + (history.refaulted_anon_pages or 0)
    return f"; {pages:,} pages came back that had just been dropped" if pages else ""
