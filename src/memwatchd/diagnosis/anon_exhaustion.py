"""Processes' own memory filled the machine, and there was no swap, or still room in it.

::

    active_anon:209326 inactive_anon:10048 isolated_anon:0
    Node 0 DMA32 free:44296kB min:44344kB low:55428kB high:66516kB ...
    Total swap = 0kB
    [ 3456]     0  3456   106521    46349     179        0             0 yum-cron
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.processes import SHARE, Filling, filling_of, is_swap_full, shell_name
from memwatchd.diagnosis.shortage import is_of_cgroup, size, spare_kb
from memwatchd.diagnosis.watermarks import usable_zones
from memwatchd.diagnosis.wording import source_word
from memwatchd.oomreport.report import OOM_KILL

# Less than this beyond the watermarks is not free memory to speak of.
_WORTH_KB = 1 << 10


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether processes' own memory filled the machine."""
    filling = filling_of(case)
    if filling is None:
        return _not_short(case)
    if is_swap_full(case.event.totals):
        return None
    if filling.share < SHARE:
        told = filling.shortage.told(filling.own_kb)
        return Dismissal(
            "anon_exhaustion", f"All processes together had only {told} as their own.", filling.quotes()[:2]
        )
    return Finding(
        tag="anon_exhaustion",
        confidence=round(filling.shortage.confidence * filling.certain, 2),
        weight=filling.shortage.weight(filling.own_kb),
        summary=(
            f"Processes' own memory filled it: {filling.shortage.told(filling.own_kb)}"
            f"{filling.era_words()}, {_swap(case)}; {filling.sentence()}."
            f"{filling.grower_sentence()}{filling.victims_sentence()}"
        ),
        evidence=filling.quotes("swap_free_kb", "swap_total_kb"),
        advice=_advice(case, filling),
        figures=filling.figures(),
    )


def _swap(case: Case) -> str:
    totals = case.event.totals
    if totals.swap_total_kb is None and totals.swap_free_kb:
        return f"though {size(totals.swap_free_kb)} of swap were free"
    if totals.swap_total_kb is None:
        word = source_word(case)
        told = f"and the {word} does not show how much swap there was"
        return told if totals.swap_added else f"and the {word} shows no swap"
    if not totals.swap_total_kb:
        return "and there is no swap"
    return f"though {size(totals.swap_free_kb or 0)} of {size(totals.swap_total_kb)} of swap were free"


def _advice(case: Case, filling: Filling) -> Advice:
    name = shell_name(filling)
    change = [
        f"Limit the service that {name} belongs to, so that it alone fails: `systemctl set-property UNIT"
        " MemoryHigh=… MemoryMax=…`; or give it less to do at a time (workers, heap, caches).",
    ]
    if not case.event.totals.swap_total_kb:
        change.append(
            "Give the machine some swap for memory that is never touched again: `fallocate -l 2G /swapfile &&"
            " chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile`."
        )
    change.append("Otherwise the machine is too small for what runs on it: more RAM, or less on it.")
    return Advice(
        now=("`ps -eo pid,rss,comm --sort=-rss | head` shows who has it now; stop or restart the first.",),
        change=tuple(change),
        check=(
            f"`ps -C {name} -o rss=` does not grow from day to day, and MemAvailable in /proc/meminfo "
            "stays above a tenth at the busiest hour.",
        ),
    )


def _not_short(case: Case) -> Dismissal | None:
    """The first thing that one thinks of is that memory was used up; say so where it was not."""
    left_kb = spare_kb(case) or 0
    if case.event.kind != OOM_KILL or is_of_cgroup(case) or left_kb < _WORTH_KB:
        return None
    lines = (zone.line for zone in usable_zones(case))
    return Dismissal(
        "anon_exhaustion",
        f"Memory was not used up: the zones this request could use had {size(left_kb)} more free than "
        "their high watermarks ask for.",
        case.quotes(*lines)[:3],
    )
