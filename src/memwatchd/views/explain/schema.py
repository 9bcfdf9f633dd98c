"""The JSON Schema of what ``explain --json`` prints; ``etc/explain.schema.json`` holds it.

Draft 2020-12. All keys are required. New ones may come in later versions, so other keys are allowed; that
none is printed without standing here is tested with the same schema, closed.
"""

import json
from typing import Any

from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    GLOBAL,
    MEMCG,
    MEMORY_INFO,
    MEMPOLICY,
    OOM_KILL,
    RECORDED,
    USERSPACE_KILL,
)
from memwatchd.views.explain.document import AMOUNTS, PAGE_FIGURES, SCHEMA

Schema = dict[str, Any]


def json_schema() -> Schema:
    """Make the schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "memwatchd explain --json",
        **_object("What was found.", schema={"const": SCHEMA}, events=_list({"$ref": "#/$defs/event"})),
        "$defs": {
            "quote": _object("A line of what was read.", line=_COUNT, text=_TEXT),
            "figures_kb": _table("By the kernel's names, in kB.", _INTEGER),
            "event": _event(),
        },
    }


def schema_text() -> str:
    """Write the schema as it stands in ``etc/explain.schema.json``."""
    return json.dumps(json_schema(), indent=2) + "\n"


def _object(description: str, **properties: Schema) -> Schema:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _list(items: Schema, description: str | None = None) -> Schema:
    found: Schema = {"type": "array", "items": items}
    return found if description is None else {"description": description} | found


def _table(description: str, values: Schema) -> Schema:
    return {"description": description, "type": "object", "additionalProperties": values}


def _said(kind: Schema, description: str) -> Schema:
    return {"description": description} | kind


def _or_null(kind: Schema, description: str | None = None) -> Schema:
    """A value that the log may not hold."""
    kinds = kind["type"]
    found = kind | {"type": [kinds, "null"]}
    return found if description is None else _said(found, description)


_INTEGER: Schema = {"type": "integer"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_TRUTH: Schema = {"type": "boolean"}
_TEXT: Schema = {"type": "string"}
_QUOTES = _list({"$ref": "#/$defs/quote"})
_FIGURES_KB: Schema = {"$ref": "#/$defs/figures_kb"}
_LINE = _or_null(_COUNT, "The line it stands on.")


def _kb(*names: str) -> dict[str, Schema]:
    return {f"{name}_kb": _or_null(_INTEGER) for name in names}


def _pages(*names: str) -> dict[str, Schema]:
    return {f"{name}_pages": _or_null(_INTEGER) for name in names}


def _event() -> Schema:
    return _object(
        "One event.",
        number=_said(_COUNT, "Which of all that were read, from 1."),
        input=_said(_TEXT, "What was read."),
        kind={"enum": [OOM_KILL, ALLOCATION_FAILURE, MEMORY_INFO, USERSPACE_KILL, RECORDED]},
        scope={"enum": [GLOBAL, MEMCG, CPUSET, MEMPOLICY, None]},
        manner=_or_null(_TEXT, "What is special: sysrq, stall, …; of a recording, what it was kept for."),
        killer=_or_null(_TEXT, "Who killed, where it was not the kernel."),
        reason=_or_null(_TEXT, "Why, in the killer's own words; of a recording, in memwatchd's."),
        complete=_said(_TRUTH, "Whether all is there that such a report has."),
        missing=_list(_TEXT, "What is not."),
        lines=_list(_COUNT, "The first and the last line.") | {"minItems": 2, "maxItems": 2},
        seconds=_or_null(_NUMBER, "By the kernel's clock."),
        time=_or_null(_TEXT, "As printed."),
        host=_or_null(_TEXT),
        kernel=_or_null(_TEXT, "Its release."),
        hardware=_or_null(_TEXT),
        taint=_or_null(_TEXT),
        trigger=_trigger(),
        memcg=_memcg(),
        kills=_list(_kill()),
        zones=_list(_zone()),
        nodes=_list(_node()),
        memory=_memory(),
        hugepages=_list(_hugepages()),
        slabs=_list(_slab()),
        allocations=_list(_allocation()),
        tasks_listed=_said(_TRUTH, "Whether there was a table of tasks at all."),
        tasks=_list(_task()),
        trace=_list(_TEXT, "The call trace, innermost function first."),
        findings=_list(_finding(), "The cause first."),
        dismissals=_list(_dismissal(), "What it was not, and why."),
        remarks=_said(_QUOTES, "Lines that say something which has no key."),
        unparsed=_said(_QUOTES, "Lines that nobody could read."),
    )


def _trigger() -> Schema:
    return _object(
        "Who asked for memory, and for what; all null where the head is lost.",
        comm=_or_null(_TEXT),
        pid=_or_null(_INTEGER),
        gfp_mask=_or_null(_TEXT, "As 0x…") | {"pattern": "^0x[0-9a-f]+$"},
        gfp_flags=_list(_TEXT),
        flags_printed=_said(_TRUTH, "Whether the kernel printed the names; otherwise they are decoded."),
        order=_or_null(_INTEGER, "log2 of the pages; -1 for SysRq-f."),
        oom_score_adj=_or_null(_INTEGER),
        oom_adj=_or_null(_INTEGER),
        nodemask=_or_null(_TEXT),
        cpuset=_or_null(_TEXT),
        mems_allowed=_or_null(_TEXT),
        line=_LINE,
    )


def _memcg() -> Schema:
    found = _object(
        "The cgroup whose limit was met.",
        limit_of=_or_null(_TEXT),
        task_of=_or_null(_TEXT),
        **_kb("usage", "limit"),
        failcnt=_or_null(_INTEGER),
        **_kb("memsw_usage", "memsw_limit", "swap_usage", "swap_limit", "kmem_usage", "kmem_limit"),
        statistics=_table("memory.stat, in bytes where the kernel counts bytes.", _INTEGER),
        statistics_of=_or_null(_TEXT),
        group_kill=_or_null(_TEXT, "The cgroup all of whose tasks were killed."),
    )
    return found | {"type": ["object", "null"]}


def _kill() -> Schema:
    return _object(
        "A process that was killed.",
        pid=_or_null(_INTEGER),
        comm=_or_null(_TEXT),
        uid=_or_null(_INTEGER),
        score=_or_null(_INTEGER, "oom_score, until 5.0."),
        **_kb("total_vm", "rss", "anon_rss", "file_rss", "shmem_rss", "pgtables"),
        oom_score_adj=_or_null(_INTEGER),
        reaped=_said(_TRUTH, "Whether the log says that its memory was taken back."),
        scope={"enum": [GLOBAL, MEMCG, None]},
        task_memcg=_or_null(_TEXT, "The cgroup it lived in."),
        line=_LINE,
    )


def _zone() -> Schema:
    return _object(
        "One zone of one node.",
        node=_or_null(_INTEGER),
        name=_TEXT,
        **_kb("free", "min", "low", "high", "present", "managed"),
        all_unreclaimable=_or_null(_TRUTH),
        lowmem_reserve_pages=_list(_INTEGER),
        free_blocks=_table("Free blocks by order.", _INTEGER),
        free_block_types=_table("Letters of their migrate types, by order.", _TEXT),
        **_kb("block", "blocks_total"),
        amounts_kb=_FIGURES_KB,
        line=_LINE,
    )


def _node() -> Schema:
    return _object(
        "One node, since 4.8.",
        node=_or_null(_INTEGER),
        all_unreclaimable=_or_null(_TRUTH),
        amounts_kb=_FIGURES_KB,
        line=_LINE,
    )


def _memory() -> Schema:
    amounts = {key: _or_null(_INTEGER) for key in AMOUNTS.values()}
    unaccounted_kb = _or_null(_INTEGER, "Given away by the allocator, and in no counter.")
    return _object(
        "The machine's memory.",
        page_kb=_or_null(_INTEGER, "Size of a page, where the report tells."),
        **_pages("ram", "reserved", "highmem", "cma_reserved", "hwpoisoned", "pagecache", "swapcache"),
        **_kb("swap_total", "swap_free", "available"),
        ram_kb=_or_null(_INTEGER, "What the allocator has."),
        accounted_kb=_or_null(_INTEGER, "The sum of parts_kb."),
        unaccounted_kb=unaccounted_kb,
        anon_kb=_or_null(_INTEGER, "Processes' own memory."),
        file_kb=_or_null(_INTEGER, "Page cache."),
        slab_kb=_or_null(_INTEGER),
        page_tables_kb=_or_null(_INTEGER),
        hugetlb_kb=_or_null(_INTEGER, "Set aside for huge pages."),
        swap_used_kb=_or_null(_INTEGER),
        **_kb(*PAGE_FIGURES),
        **amounts,
        pages=_table("The block after Mem-Info, by the kernel's names, in pages.", _INTEGER),
        parts_kb=_FIGURES_KB,
    )


def _hugepages() -> Schema:
    return _object(
        "One size of huge pages on one node.",
        node=_or_null(_INTEGER),
        size_kb=_INTEGER,
        total=_INTEGER,
        free=_INTEGER,
        surplus=_INTEGER,
        line=_COUNT,
    )


def _slab() -> Schema:
    return _object("One slab cache.", name=_TEXT, used_kb=_INTEGER, total_kb=_INTEGER, line=_COUNT)


def _allocation() -> Schema:
    return _object("Who allocated it.", size_bytes=_INTEGER, calls=_INTEGER, site=_TEXT, line=_COUNT)


def _task() -> Schema:
    return _object(
        "One row of the table of tasks.",
        pid=_INTEGER,
        uid=_or_null(_INTEGER),
        tgid=_or_null(_INTEGER),
        comm=_TEXT,
        **_pages("total_vm", "rss", "rss_anon", "rss_file", "rss_shmem"),
        page_table_bytes=_or_null(_INTEGER),
        **_pages("swap"),
        oom_score_adj=_or_null(_INTEGER),
        oom_adj=_or_null(_INTEGER),
        other=_table("The other columns, by the kernel's names.", _INTEGER),
        line=_LINE,
    )


def _finding() -> Schema:
    return _object(
        "One diagnosis that holds.",
        tag=_TEXT,
        primary=_said(_TRUTH, "Whether it is the cause."),
        confidence=_SHARE,
        weight=_said(_SHARE, "How much of what happened it explains; 0 for a circumstance."),
        summary=_TEXT,
        evidence=_QUOTES,
        advice=_list(_TEXT),
        figures=_table("The numbers of the summary.", {"type": ["number", "string", "null"]}),
    )


def _dismissal() -> Schema:
    return _object("One diagnosis that does not hold.", tag=_TEXT, reason=_TEXT, evidence=_QUOTES)
