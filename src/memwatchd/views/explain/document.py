"""An explained event as plain values: what ``explain --json`` prints, see docs/explain.md and `schema`.

Every key is always there: what the log does not say is None, a list it does not hold is empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import Memcg, Node, Quote, Task, Trigger, Victim, Zone

SCHEMA = "memwatchd.explain/1"
# Figures of the Mem-Info block that are given in kB under the kernel's names.
PAGE_FIGURES = (
    *("free", "free_pcp", "free_cma"),
    *("active_anon", "inactive_anon", "isolated_anon", "active_file", "inactive_file", "isolated_file"),
    *("active", "inactive", "unevictable", "dirty", "writeback", "unstable", "mapped", "shmem"),
    *("slab_reclaimable", "slab_unreclaimable", "kernel_misc_reclaimable"),
    *("pagetables", "sec_pagetables", "bounce"),
)
# Those that only the lines of nodes or zones have, and what they are called here.
AMOUNTS = {
    "kernel_stack": "kernel_stack_kb",
    "shadow_call_stack": "shadow_call_stack_kb",
    "Balloon": "balloon_kb",
    "gpu_active": "gpu_active_kb",
    "gpu_reclaim": "gpu_reclaim_kb",
}
_TOTALS = (
    *("ram_pages", "reserved_pages", "highmem_pages", "cma_reserved_pages", "hwpoisoned_pages"),
    *("pagecache_pages", "swapcache_pages", "swap_total_kb", "swap_free_kb", "available_kb"),
)
_FIGURES = (
    *("ram_kb", "accounted_kb", "unaccounted_kb", "anon_kb", "file_kb", "slab_kb", "page_tables_kb"),
    *("hugetlb_kb", "swap_used_kb"),
)


def document(number: int, source: str, diagnosis: Diagnosis) -> dict[str, Any]:
    """Make an event into plain values.

    Args:
        number: Which event it is of all that were read, from 1.
        source: What was read.
        diagnosis: What is known of it.
    """
    event = diagnosis.case.event
    return {
        "number": number,
        "input": source,
        "kind": event.kind,
        "scope": event.scope,
        "manner": event.manner,
        "killer": event.killer,
        "reason": event.reason,
        "complete": event.complete,
        "missing": list(event.missing),
        "lines": [event.first_line, event.last_line],
        "seconds": event.seconds,
        "time": event.time,
        "host": event.host,
        "kernel": event.kernel,
        "hardware": event.hardware,
        "taint": event.taint,
        "trigger": _trigger(event.trigger),
        "memcg": None if event.memcg is None else _memcg(event.memcg),
        "kills": [_kill(victim) for victim in event.victims],
        "zones": [_zone(zone) for zone in event.zones],
        "nodes": [_node(node) for node in event.nodes],
        "memory": _memory(diagnosis.case),
        "hugepages": [asdict(pool) for pool in event.hugepages],
        "slabs": [asdict(cache) for cache in event.slabs],
        "allocations": [asdict(site) for site in event.allocations],
        "tasks_listed": event.tasks_listed,
        "tasks": [_task(task) for task in event.tasks],
        "trace": list(event.trace),
        "findings": [_finding(finding, place == 0) for place, finding in enumerate(diagnosis.findings)],
        "dismissals": [_dismissal(dismissal) for dismissal in diagnosis.dismissals],
        "remarks": _quotes(event.remarks),
        "unparsed": _quotes(event.unparsed),
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    mask = trigger.gfp_mask
    return asdict(trigger) | {
        "gfp_mask": None if mask is None else f"{mask:#x}",
        "gfp_flags": list(trigger.gfp_flags),
    }


def _memcg(memcg: Memcg) -> dict[str, Any]:
    found = {name: getattr(memcg, name) for name in Memcg.__dataclass_fields__ if name != "lines"}
    return found | {"statistics": dict(memcg.statistics)}


def _kill(victim: Victim) -> dict[str, Any]:
    return asdict(victim)


def _zone(zone: Zone) -> dict[str, Any]:
    return {
        "node": zone.node,
        "name": zone.name,
        **{
            f"{name}_kb": zone.amounts_kb.get(name)
            for name in ("free", "min", "low", "high", "present", "managed")
        },
        "all_unreclaimable": zone.all_unreclaimable,
        "lowmem_reserve_pages": list(zone.lowmem_reserve_pages),
        "free_blocks": {str(order): blocks.count for order, blocks in zone.free_blocks.items()},
        "free_block_types": {str(order): blocks.types for order, blocks in zone.free_blocks.items()},
        "block_kb": zone.block_kb,
        "blocks_total_kb": zone.blocks_total_kb,
        "amounts_kb": dict(zone.amounts_kb),
        "line": zone.line,
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "node": node.node,
        "all_unreclaimable": node.all_unreclaimable,
        "amounts_kb": dict(node.amounts_kb),
        "line": node.line,
    }


def _memory(case: Case) -> dict[str, Any]:
    totals = case.event.totals
    return (
        {"page_kb": case.known_page_kb}
        | {name: getattr(totals, name) for name in _TOTALS}
        | {name: getattr(case, name) for name in _FIGURES}
        | {f"{name}_kb": case.pages_kb(name) for name in PAGE_FIGURES}
        | {key: case.amount_kb(name) for name, key in AMOUNTS.items()}
        | {"pages": dict(totals.pages), "parts_kb": dict(case.parts_kb)}
    )


def _task(task: Task) -> dict[str, Any]:
    # Not asdict, which copies deeply: there may be tens of thousands.
    found = {name: getattr(task, name) for name in Task.__dataclass_fields__}
    return found | {"other": dict(task.other)}


def _finding(finding: Finding, primary: bool) -> dict[str, Any]:
    return {
        "tag": finding.tag,
        "primary": primary,
        "confidence": finding.confidence,
        "weight": finding.weight,
        "summary": finding.summary,
        "evidence": _quotes(finding.evidence),
        "advice": list(finding.advice.sentences()),
        "figures": _figures(finding.figures),
    }


def _dismissal(dismissal: Dismissal) -> dict[str, Any]:
    return {
        "tag": dismissal.tag,
        "reason": dismissal.reason,
        "evidence": _quotes(dismissal.evidence),
    }


def _quotes(quotes: Sequence[Quote]) -> list[dict[str, Any]]:
    return [{"line": quote.line, "text": quote.text} for quote in quotes]


def _figures(figures: Mapping[str, float | int | str | None]) -> dict[str, float | int | str | None]:
    """JSON has no number without end."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in figures.items()
    }
