"""What grew before the event, how fast and since when; a recording only can tell.

The report says what there was at the moment of the kill: a process that has had its memory for days looks
like one that took it in the last three seconds.
"""

from collections.abc import Sequence

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import CGROUP, PAGE_CACHE, PROCESS, SLAB, SWAP, UNACCOUNTED, Grower, History
from memwatchd.diagnosis.plight import Plight, plight_of
from memwatchd.oomreport.report import MEMCG, MEMORY_INFO, RECORDED
from memwatchd.units import format_bytes, printable

TAG = "growth"

_NOUNS = {
    "AnonPages": "processes' own memory",
    "Shmem": "shared memory and tmpfs",
    "SReclaimable": "reclaimable slab",
    "SUnreclaim": "unreclaimable slab",
    "PageTables": "page tables",
    "SecPageTables": "page tables of devices and guests",
    "KernelStack": "kernel stacks",
    "Percpu": "per-CPU memory",
    "Hugetlb": "memory set aside as huge pages",
    "Zswap": "the pool of zswap",
    PAGE_CACHE: "the page cache",
    SWAP: "swap in use",
    UNACCOUNTED: "memory that no counter shows",
}
_SLABS = ("SReclaimable", "SUnreclaim")
# Growth of less than this share of what was short explains nothing.
_LEAST_SHARE = 0.01
# What is named beside what grew most has grown at least so much of it.
_BESIDE = 0.2
_NAMED = 3
_CONFIDENCE = 0.95


def examine(case: Case) -> Finding | Dismissal | None:
    """Say what grew; None without a recording."""
    history = case.history
    if history is None or case.event.kind == MEMORY_INFO:
        return None
    parts, owners = _beside(parts_of(case)), _beside(owners_of(case))
    told = [*parts, *owners]
    most = max(told, key=lambda each: each.grown_bytes, default=None)
    if _is_calm(case) and most is None:
        return None
    if most is None or most.grown_bytes < _LEAST_SHARE * (_short_kb(case) or 0) * 1024:
        return Dismissal(TAG, _nothing(history, most))
    return Finding(
        tag=TAG,
        confidence=_CONFIDENCE,
        weight=0.0,
        summary=(
            f"In the {-history.from_s:.0f} s recorded before it, {'; '.join(_said(each) for each in told)}."
            f"{_about_victim(case)}"
        ),
        figures=_figures(history, parts, owners),
    )


def _is_calm(case: Case) -> bool:
    return case.event.kind == RECORDED and plight_of(case) is Plight.CALM


def parts_of(case: Case) -> list[Grower]:
    """What grew of the memory concerned: parts of the machine's, or the cgroup where that is watched."""
    history = case.history
    if history is None:
        return []
    if case.event.scope == MEMCG:
        limit_of = case.event.memcg.limit_of if case.event.memcg else None
        return list(history.growers_of(CGROUP, limit_of)) if limit_of else []
    return [each for each in history.growers if each.kind in _NOUNS]


def owners_of(case: Case) -> list[Grower]:
    """Slab caches and processes that grew, the most first; for a cgroup's event its own processes."""
    history = case.history
    if history is None:
        return []
    if case.event.scope != MEMCG:
        slab_grew = any(each.kind in _SLABS for each in history.growers)
        return [each for each in history.growers if each.kind == PROCESS or (each.kind == SLAB and slab_grew)]
    tasks = [pid for task in case.event.tasks for pid in (task.pid, task.tgid)]
    inside = {*tasks, *(victim.pid for victim in case.event.victims)}
    return [each for each in history.growers_of(PROCESS) if each.pid in inside]


def name_of(grower: Grower) -> str:
    """What it is called in a sentence."""
    name = printable(grower.name)
    if grower.kind == PROCESS:
        return f"{name} (pid {grower.pid})"
    if grower.kind == SLAB:
        return f"the slab cache {name}"
    return f"cgroup {name}" if grower.kind == CGROUP else _NOUNS.get(grower.kind, printable(grower.kind))


def when_of(grower: Grower) -> str:
    """Say since when it grew: ``in the last 5.9 s``."""
    if not grower.rising:
        return f"from {-grower.since_s:.1f} s to {-grower.until_s:.1f} s before"
    return "all the time" if grower.from_start else f"in the last {-grower.since_s:.1f} s"


def _beside(growers: Sequence[Grower]) -> list[Grower]:
    return [each for each in growers if each.grown_bytes >= _BESIDE * growers[0].grown_bytes][:_NAMED]


def _said(grower: Grower) -> str:
    rate = "" if grower.bytes_per_s is None else f" ({format_bytes(grower.bytes_per_s)}/s)"
    amounts = f"from {format_bytes(grower.from_bytes)} to {format_bytes(grower.to_bytes)}"
    return f"{name_of(grower)} grew {amounts} {when_of(grower)}{rate}"


def _about_victim(case: Case) -> str:
    """Say that the process killed was not the one that grew."""
    history, victim = case.history, case.victim
    if history is None or victim is None or victim.pid not in history.seen_pids:
        return ""
    grown = next((each for each in owners_of(case) if each.kind == PROCESS), None)
    if grown is None or history.grower(PROCESS, pid=victim.pid) is not None:
        return ""
    return f" The process that was killed, {printable(victim.comm or '?')} (pid {victim.pid}), did not grow."


def _short_kb(case: Case) -> int | None:
    """All of the memory that was short."""
    return case.event.memcg.limit_kb if case.event.scope == MEMCG and case.event.memcg else case.ram_kb


def _nothing(history: History, most: Grower | None) -> str:
    said = f"; {_said(most)}" if most else ""
    return (
        f"Nothing that could explain it grew in the {-history.from_s:.0f} s recorded before: "
        f"the memory had been taken earlier, or was taken between two samples{said}."
    )


def _figures(
    history: History, parts: Sequence[Grower], owners: Sequence[Grower]
) -> dict[str, float | int | str | None]:
    figures: dict[str, float | int | str | None] = {"recorded_s": round(-history.from_s, 3)}
    for prefix, grower in (("part", next(iter(parts), None)), ("owner", next(iter(owners), None))):
        if grower is not None:
            figures |= {
                prefix: grower.name or grower.kind,
                f"{prefix}_kind": grower.kind,
                f"{prefix}_pid": grower.pid,
                f"{prefix}_from_bytes": grower.from_bytes,
                f"{prefix}_to_bytes": grower.to_bytes,
                f"{prefix}_since_s": round(grower.since_s, 3),
                f"{prefix}_until_s": round(grower.until_s, 3),
                f"{prefix}_bytes_per_s": None if grower.bytes_per_s is None else round(grower.bytes_per_s),
            }
    return figures
