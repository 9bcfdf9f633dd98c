"""Whether a statement must be of another event than the one under way: that has said it otherwise."""

from collections.abc import Callable
from typing import Any

from memwatchd.oomreport.draft import Draft
from memwatchd.oomreport.report import ALLOCATION_FAILURE, GLOBAL, MEMCG, Node, Victim
from memwatchd.oomreport.statements import recognise as said
from memwatchd.oomreport.statements.killed import Chosen
from memwatchd.oomreport.statements.memcg import Constraint
from memwatchd.oomreport.statements.zones import ZoneBlocks, ZoneFigures


def is_of_another(draft: Draft, statement: said.Statement) -> bool:
    """Whether a statement cannot be of this event."""
    conflicts = _CONFLICTS.get(type(statement))
    return False if conflicts is None else conflicts(draft, statement)


def _has_figures(draft: Draft, statement: said.MemInfo) -> bool:
    del statement
    return draft.is_finished or bool(draft.pages or draft.zones)


def _has_other_pages(draft: Draft, block: said.Block) -> bool:
    return draft.is_finished or any(
        draft.pages.get(name, pages) != pages for name, pages in block.pages.items()
    )


def _has_other_zone(draft: Draft, zone: ZoneFigures) -> bool:
    known = draft.zones.get((zone.node, zone.name))
    return draft.is_finished or (
        known is not None and bool(known.amounts_kb) and known.amounts_kb != zone.amounts_kb
    )


def _has_other_node(draft: Draft, node: Node) -> bool:
    known = draft.nodes.get(node.node)
    return draft.is_finished or (known is not None and known.amounts_kb != node.amounts_kb)


def _has_other_blocks(draft: Draft, blocks: ZoneBlocks) -> bool:
    known = draft.zones.get((blocks.node, blocks.name))
    return draft.is_finished or (
        known is not None and bool(known.free_blocks) and known.free_blocks != blocks.blocks
    )


def _has_table(draft: Draft, header: said.Header) -> bool:
    del header
    return draft.is_finished or bool(draft.tasks)


def _has_other_constraint(draft: Draft, constraint: Constraint) -> bool:
    if draft.kind == ALLOCATION_FAILURE or draft.is_finished:
        return not any(victim.pid == constraint.pid for victim in draft.victims)
    return draft.constraint is not None and draft.constraint.pid != constraint.pid


def _has_other_usage(draft: Draft, usage: said.Usage) -> bool:
    if draft.is_finished or draft.kind == ALLOCATION_FAILURE:
        return True
    return any(draft.memcg.get(name, value) != value for name, value in usage.figures.items())


def _has_other_limit(draft: Draft, limit: said.Limit) -> bool:
    return draft.is_finished or draft.memcg.get("limit_of", limit.limit_of) != limit.limit_of


def _has_other_choice(draft: Draft, chosen: Chosen) -> bool:
    if draft.kind == ALLOCATION_FAILURE or draft.is_finished:
        return True
    return draft.chosen is not None and draft.chosen.pid != chosen.pid


def _has_other_victim(draft: Draft, victim: Victim) -> bool:
    if draft.kind == ALLOCATION_FAILURE or draft.manner in ("no_killable_process", "deadlocked"):
        return True
    if "group_kill" in draft.memcg:
        return False
    if draft.victims:
        return all(known.pid != victim.pid for known in draft.victims)
    if draft.constraint is not None and draft.constraint.pid is not None:
        return victim.pid != draft.constraint.pid
    if victim.scope == MEMCG:
        return bool(draft.zones) and not draft.memcg
    return victim.scope == GLOBAL and bool(draft.memcg)


_CONFLICTS: dict[type, Callable[[Draft, Any], bool]] = {
    said.MemInfo: _has_figures,
    said.Block: _has_other_pages,
    ZoneFigures: _has_other_zone,
    Node: _has_other_node,
    ZoneBlocks: _has_other_blocks,
    said.Header: _has_table,
    Constraint: _has_other_constraint,
    said.Usage: _has_other_usage,
    said.Limit: _has_other_limit,
    Chosen: _has_other_choice,
    Victim: _has_other_victim,
}
