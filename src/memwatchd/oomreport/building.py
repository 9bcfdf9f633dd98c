"""From what was collected to the event: its scope, and what is missing of it."""

from dataclasses import replace

from memwatchd.oomreport.draft import Draft
from memwatchd.oomreport.gfp import decode
from memwatchd.oomreport.report import (
    CPUSET,
    GLOBAL,
    MEMCG,
    MEMORY_INFO,
    MEMPOLICY,
    OOM_KILL,
    Event,
    Memcg,
    Totals,
    Trigger,
    Victim,
)

_CONSTRAINTS = {
    "CONSTRAINT_NONE": GLOBAL,
    "CONSTRAINT_MEMCG": MEMCG,
    "CONSTRAINT_CPUSET": CPUSET,
    "CONSTRAINT_MEMORY_POLICY": MEMPOLICY,
}


def build(draft: Draft) -> Event:
    """Give the event as it stands."""
    scope = _scope(draft)
    missing = _missing(draft, scope)
    return Event(
        kind=draft.kind,
        scope=scope,
        manner=draft.manner,
        complete=not missing,
        missing=missing,
        first_line=draft.first.number,
        last_line=draft.last_line,
        host=draft.first.host,
        seconds=draft.first.seconds,
        time=draft.first.time,
        kernel=draft.process.release if draft.process else None,
        hardware=draft.hardware,
        taint=draft.process.taint if draft.process else None,
        trigger=_trigger(draft),
        memcg=_memcg(draft),
        victims=_victims(draft),
        zones=tuple(draft.zones.values()),
        nodes=tuple(draft.nodes.values()),
        totals=_totals(draft),
        hugepages=tuple(draft.hugepages.values()),
        slabs=tuple(draft.slabs.values()),
        allocations=tuple(draft.allocations.values()),
        tasks=tuple(draft.tasks.values()),
        tasks_listed=draft.columns is not None or bool(draft.tasks),
        trace=tuple(draft.trace),
        remarks=tuple(draft.remarks),
        unparsed=tuple(draft.unparsed),
        texts=draft.texts,
    )


def _trigger(draft: Draft) -> Trigger:
    trigger = draft.trigger
    if trigger.flags_printed or trigger.gfp_mask is None:
        return trigger
    release = draft.process.release if draft.process else None
    return replace(trigger, gfp_flags=decode(trigger.gfp_mask, release) or ())


def _victims(draft: Draft) -> tuple[Victim, ...]:
    """Who was killed; who was chosen for it where the line of the kill is lost."""
    if not draft.victims and draft.chosen is not None:
        chosen = draft.chosen
        return (Victim(chosen.pid, chosen.comm, score=chosen.score, scope=chosen.scope, line=chosen.line),)
    return tuple(
        replace(victim, reaped=True) if victim.pid in draft.reaped else victim for victim in draft.victims
    )


def _totals(draft: Draft) -> Totals:
    figures = dict(draft.figures)
    pages = figures.pop("swap_free_pages", None)
    sizes = [zone.block_kb for zone in draft.zones.values() if zone.block_kb]
    if pages is not None and sizes:
        figures.setdefault("swap_free_kb", pages * min(sizes))
    return Totals(pages=draft.pages, lines=draft.figure_lines, **figures)


def _memcg(draft: Draft) -> Memcg | None:
    if not draft.memcg and not draft.statistics:
        return None
    return Memcg(**draft.memcg, statistics=draft.statistics, lines=draft.memcg_lines)


def _scope(draft: Draft) -> str | None:
    if draft.kind != OOM_KILL:
        return None
    if draft.constraint is not None and (known := _CONSTRAINTS.get(draft.constraint.constraint)):
        return known
    if draft.memcg or any("mem_cgroup_o" in name for name in draft.trace):
        return MEMCG
    scope = next((victim.scope for victim in draft.victims if victim.scope), None)
    scope = scope or (draft.chosen.scope if draft.chosen else None)
    nodemask = draft.trigger.nodemask
    if scope in (None, GLOBAL) and nodemask and nodemask != draft.trigger.mems_allowed:
        return MEMPOLICY
    return scope or (GLOBAL if draft.has_head else None)


def _missing(draft: Draft, scope: str | None) -> tuple[str, ...]:
    begins = draft.has_head or (draft.kind == MEMORY_INFO and draft.has_mem_info)
    missing = [] if begins else ["head"]
    if draft.kind == OOM_KILL and not draft.is_finished:
        missing.append("kill")
    if scope == MEMCG:
        if "limit_kb" not in draft.memcg:
            missing.append("memory_info")
    elif draft.manner != "slub":
        missing += _missing_figures(draft)
    if draft.is_cut:
        missing.append("cut lines")
    return tuple(missing)


def _missing_figures(draft: Draft) -> list[str]:
    missing = []
    if "free" not in draft.pages:
        missing.append("memory_info")
    if not draft.zones or any(zone.line is None for zone in draft.zones.values()):
        missing.append("zones")
    # Before 2.6.16, which prints the order, the OOM killer printed no more than the free areas.
    is_early = draft.kind == OOM_KILL and draft.has_head and draft.trigger.order is None
    if "ram_pages" not in draft.figures and not is_early:
        missing.append("totals")
    return missing
