"""Processes' own memory filled the machine, and its swap as well.

::

    active_anon:1413442 inactive_anon:1509191 isolated_anon:0
    Free swap  = 84kB
    Total swap = 25165820kB
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.processes import SHARE, Filling, filling_of, is_swap_full, shell_name
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.oomreport.report import GLOBAL, OOM_KILL
from memwatchd.units import printable

# That both were full is sure, what had filled them is not.
_CONFIDENCE_ALONE = 0.7
_WEIGHT_ALONE = 0.5


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether processes' own memory filled RAM and swap."""
    totals = case.event.totals
    filling = filling_of(case)
    if not totals.swap_total_kb or totals.swap_free_kb is None:
        return None
    if filling is None:
        return _alone(case)
    lines = case.quotes(*case.total_lines("swap_free_kb", "swap_total_kb"))
    if not is_swap_full(totals):
        free, total = size(totals.swap_free_kb), size(totals.swap_total_kb)
        return Dismissal("swap_full", f"Swap was not full: {free} of {total} were free.", lines)
    if filling.share < SHARE:
        told = filling.shortage.told(filling.own_kb)
        return Dismissal(
            "swap_full", f"Swap was full, but what processes still had in memory was only {told}.", lines
        )
    return Finding(
        tag="swap_full",
        confidence=round(filling.shortage.confidence * filling.certain, 2),
        weight=filling.shortage.weight(filling.own_kb),
        summary=(
            f"Processes' own memory filled {filling.shortage.told(filling.own_kb)}"
            f"{filling.era_words()}, and swap as well: {_left(totals.swap_free_kb, totals.swap_total_kb)}; "
            f"{filling.sentence()}."
            f"{_swapped(filling)}{filling.grower_sentence()}{filling.victims_sentence()}"
        ),
        evidence=filling.quotes("swap_free_kb", "swap_total_kb"),
        advice=_advice(shell_name(filling)),
        figures=filling.figures(),
    )


def _alone(case: Case) -> Finding | None:
    """Swap that was full, where the lines are lost that say what was in memory."""
    event, totals = case.event, case.event.totals
    is_told = bool(totals.pages) or any(zone.free_kb is not None for zone in event.zones)
    if event.kind != OOM_KILL or event.scope not in (GLOBAL, None) or is_told or not is_swap_full(totals):
        return None
    return Finding(
        tag="swap_full",
        confidence=_CONFIDENCE_ALONE,
        weight=_WEIGHT_ALONE,
        summary=(
            f"Swap was full: {_left(totals.swap_free_kb or 0, totals.swap_total_kb or 0)}. What was in memory"
            " is not in the text, but nothing other than processes' own memory and tmpfs goes to swap."
        ),
        evidence=case.quotes(*case.total_lines("swap_free_kb", "swap_total_kb")),
        advice=_advice(shell_name(None)),
        figures={"swap_total_kb": totals.swap_total_kb, "swap_free_kb": totals.swap_free_kb},
    )


def _left(free_kb: int, total_kb: int) -> str:
    return f"{size(free_kb)} of {size(total_kb)} were free" if free_kb else f"all {size(total_kb)} of it"


def _swapped(filling: Filling) -> str:
    """Whose swap it is; kernels before 3.7 do not tell."""
    most = max(filling.programs, key=lambda each: each.swap_kb, default=None)
    used_kb = filling.case.swap_used_kb
    if most is None or not most.swap_kb or not used_kb or used_kb < 0:
        return ""
    share = percent(min(1.0, most.swap_kb / used_kb))
    return f" Of what is swapped out, {size(most.swap_kb)} ({share}) are of {printable(most.comm)}."


def _advice(name: str) -> Advice:
    return Advice(
        now=(
            "`ps -eo pid,rss,comm --sort=-rss | head` shows who has it now; stop or restart the first.",
            "What is only swapped out: `grep VmSwap /proc/[0-9]*/status | sort -k2 -n | tail`.",
        ),
        change=(
            f"Limit the service that {name} belongs to, in memory and in swap: `systemctl set-property UNIT"
            " MemoryHigh=… MemoryMax=… MemorySwapMax=…`.",
            "More swap only puts it off if the memory is in use or leaking; then it needs more RAM, fewer"
            " workers, or a smaller heap.",
        ),
        check=("`swapon --show` and `vmstat 5`: swap does not fill again, and si and so stay near 0.",),
    )
