"""The process that was killed is not the one that had the memory, or killing it gave nothing back.

::

    Out of memory: Kill process 4711 (bash) score 904 or sacrifice child
    Killed process 4712 (sleep) total-vm:4332kB, anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
    oom_reaper: unable to reap pid:4712 (sleep)

A circumstance, never the cause: it says why the kill did not help, and which knob (oom_score_adj) made the
choice.
"""

import re
from collections.abc import Callable

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.cgroup_paths import owner_of, service_of
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.oomreport.report import MEMCG, OOM_KILL, Task, Victim
from memwatchd.units import printable

TAG = "victim_mismatch"

# oom_score_adj is added to the size in thousandths of all memory: from here on hardly any size makes up for
# it.
SHIELDED_ADJ = -900
# The knob of kernels before 2.6.36; -17 exempts, and below -8 points are divided by 256 and more.
SHIELDED_OLD_ADJ = -8
# A shielded process is the real hog when it has a tenth of memory, and twice what the victim had.
HOG_SHARE = 0.1
HOG_BY_VICTIM = 2
# Less than this share of memory does not end a shortage; nor does what fits many times into the largest
# process.
TINY_SHARE = 0.01
TINY_BY_LARGEST = 0.1
TINY_KB = 64 << 10
# Processes that have together less than this of what is used are not the ones to kill.
LOW_SUM_SHARE = 0.25
# A program that was killed this often in one log comes back each time.
AGAIN = 2

_CHOSEN = re.compile(
    r"[Kk]ill process (\d{1,10}) \((.{1,64})\) score (?:-?\d{1,20}) or (?:sacrifice|a) child", re.DOTALL
)
_UNREAPED = ("unable to reap", "mm pinned by")


def examine(case: Case) -> Finding | None:
    """Say what was wrong with the choice."""
    victim = case.victim
    if case.event.kind != OOM_KILL or victim is None:
        return None
    reasons: list[Callable[[Case, Victim], str | None]] = [
        _shielded,
        _empty,
        _tiny,
        _low_sum,
        _again,
        _child,
        _first_of_container,
        _unreaped,
    ]
    words = [text for reason in reasons if (text := reason(case, victim))]
    if not words:
        return None
    hog = _shielded_hog(case, victim)
    largest = next(iter(case.tasks_by_size), None)
    return Finding(
        TAG,
        confidence=0.85,
        weight=0.0,
        summary=" ".join(words),
        evidence=case.quotes(
            victim.line,
            hog.line if hog else None,
            largest.line if largest else None,
            *(quote.line for quote in case.event.remarks if any(each in quote.text for each in _UNREAPED)),
        ),
        advice=_advice(hog),
        figures={
            "victim": victim.comm,
            "victim_rss_kb": rss_kb(victim),
            "shielded": hog.comm if hog else None,
            "tasks_rss_kb": _sum_kb(case),
        },
    )


def rss_kb(victim: Victim) -> int | None:
    """What a victim had resident; None where its line does not tell."""
    parts = (victim.anon_rss_kb, victim.file_rss_kb, victim.shmem_rss_kb)
    known = [each for each in parts if each is not None]
    return sum(known) if known else None


def _named(case: Case, comm: str | None, pid: int | None) -> str:
    name = printable(comm) if comm else "a process"
    return f"{name} ({pid})" if pid is not None else name


def _shielded(case: Case, victim: Victim) -> str | None:
    hog = _shielded_hog(case, victim)
    if hog is None:
        return None
    knob = f"oom_score_adj {hog.oom_score_adj}" if hog.oom_score_adj is not None else f"oom_adj {hog.oom_adj}"
    kb = (hog.rss_pages or 0) * case.page_kb
    return (
        f"The largest process, {_named(case, hog.comm, hog.pid)} with {size(kb)}, could not be chosen"
        f" ({knob}): {_named(case, victim.comm, victim.pid)} died in its place."
    )


def _shielded_hog(case: Case, victim: Victim) -> Task | None:
    hog = next(iter(case.tasks_by_size), None)
    if hog is None or not _is_shielded(hog) or hog.pid == victim.pid:
        return None
    hog_kb = (hog.rss_pages or 0) * case.page_kb
    limit_kb = case.event.memcg.limit_kb if case.event.memcg else case.ram_kb
    if hog_kb < HOG_BY_VICTIM * (rss_kb(victim) or 0) or hog_kb < HOG_SHARE * (limit_kb or 0):
        return None
    return hog


def _is_shielded(task: Task) -> bool:
    if task.oom_score_adj is not None:
        return task.oom_score_adj <= SHIELDED_ADJ
    return task.oom_adj is not None and task.oom_adj <= SHIELDED_OLD_ADJ


def _empty(case: Case, victim: Victim) -> str | None:
    if rss_kb(victim) != 0:
        return None
    return f"{_named(case, victim.comm, victim.pid)} had no resident memory left to give back."


def _tiny(case: Case, victim: Victim) -> str | None:
    kb, ram_kb = rss_kb(victim), case.ram_kb
    if not kb or case.event.scope == MEMCG:
        return None
    largest = next(iter(case.tasks_by_size), None)
    largest_kb = (largest.rss_pages or 0) * case.page_kb if largest else 0
    by_ram = ram_kb is not None and kb < TINY_SHARE * ram_kb
    by_largest = kb < TINY_BY_LARGEST * largest_kb and kb < TINY_KB
    if not by_ram and not by_largest:
        return None
    of_ram = f", {percent(kb / ram_kb)} of {size(ram_kb)} of RAM" if ram_kb else ""
    return (
        f"{_named(case, victim.comm, victim.pid)} had only {size(kb)}{of_ram}: killing it frees next to"
        " nothing."
    )


def _low_sum(case: Case, victim: Victim) -> str | None:
    sum_kb, used_kb = _sum_kb(case), _used_kb(case)
    if sum_kb is None or used_kb is None or used_kb <= 0 or sum_kb >= LOW_SUM_SHARE * used_kb:
        return None
    return (
        f"All {len(case.event.tasks)} processes of the table together have {size(sum_kb)} of the"
        f" {size(used_kb)} in use: no kill could have given much back."
    )


def _sum_kb(case: Case) -> int | None:
    """Resident memory of the table, where it can be taken for whole."""
    if not case.event.tasks or "tasks" in case.event.missing or "cut lines" in case.event.missing:
        return None
    return sum(task.rss_pages or 0 for task in case.event.tasks) * case.page_kb


def _used_kb(case: Case) -> int | None:
    """What of the machine is neither free nor page cache."""
    free_kb = case.pages_kb("free")
    if case.event.scope == MEMCG or case.ram_kb is None or free_kb is None:
        return None
    return case.ram_kb - free_kb - (case.file_kb or 0)


def _again(case: Case, victim: Victim) -> str | None:
    if not victim.comm:
        return None
    before = sum(
        event.kind == OOM_KILL and any(_same_program(each, victim) for each in event.victims)
        for event in case.earlier
    )
    if before < AGAIN:
        return None
    return (
        f"{printable(victim.comm)} had been killed {before} times before in this log: it is started again"
        " and fills memory again, or it is not the one who does."
    )


def _same_program(one: Victim, other: Victim) -> bool:
    """By name, which is "python3" or "java" for many: services of two names are two programs."""
    services = {service for each in (one, other) if (service := service_of(each.task_memcg)) is not None}
    return one.comm == other.comm and len(services) < 2


def _child(case: Case, victim: Victim) -> str | None:
    """Until 5.0 a child with memory of its own was killed in place of the process that was chosen."""
    for text in case.event.texts.values():
        found = _CHOSEN.search(text[:400]) if "child" in text[:400] else None
        if found and victim.pid is not None and int(found[1]) != victim.pid:
            return (
                f"{_named(case, found[2], int(found[1]))} had been chosen by its score; its child"
                f" {_named(case, victim.comm, victim.pid)} was sacrificed."
            )
    return None


def _first_of_container(case: Case, victim: Victim) -> str | None:
    """Whose first process dies, the container ends."""
    memcg = case.event.memcg
    if victim.pid == 1:
        return "The victim is init: the machine cannot go on without it."
    if (
        case.event.scope != MEMCG
        or memcg is None
        or not memcg.task_of
        or not owner_of(memcg.task_of).is_container
    ):
        return None
    pids = [task.pid for task in case.event.tasks]
    if len(pids) < 2 or memcg.limit_of != memcg.task_of or victim.pid != min(pids):
        return None
    return (
        f"{_named(case, victim.comm, victim.pid)} has the lowest pid of the {len(pids)} in this container,"
        " so it is probably its first process, and the container ended with it."
    )


def _unreaped(case: Case, victim: Victim) -> str | None:
    texts = [quote.text for quote in case.event.remarks if any(each in quote.text for each in _UNREAPED)]
    if not texts:
        return None
    return (
        "The oom_reaper could not take its memory back at once: it hangs in the kernel, or shares its memory."
    )


def _advice(hog: Task | None) -> Advice:
    change = [
        "Set who goes first: OOMScoreAdjust= in the units, positive for what may die, at most -500 for"
        " what must not (`choom -n 500 -p PID` for what runs)."
    ]
    if hog is not None:
        change.insert(
            0,
            f"Bound {printable(hog.comm)} itself, since the kernel may not: MemoryMax= of its unit, its"
            " heap.",
        )
    return Advice(
        change=tuple(change),
        check=("`grep -H . /proc/[0-9]*/oom_score | sort -t: -nk2 | tail -3` names the next victims.",),
    )
