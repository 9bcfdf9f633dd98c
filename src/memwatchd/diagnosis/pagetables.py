"""Page tables have a large share: many processes map the same large memory, each with tables of its own.

::

    mapped:1293 shmem:19540 pagetables:25704
    [    517]   111   517   590364   422324  4395008   107099             0 clamd
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.programs import Program, programs
from memwatchd.diagnosis.shortage import shortage_of, size
from memwatchd.units import printable

# A page table of 4 KiB maps 2 MiB, so 0.2 % of what is mapped is normal; with a twentieth of RAM in them,
# memory is mapped twenty-five times over.
_SHARE = 0.05
# Where a program's tables are a tenth of its memory, what it maps is shared, sparse, or swapped out.
_HEAVY = 0.1


def examine(case: Case) -> Finding | None:
    """Say whether page tables have a large share of the memory that was short."""
    shortage = shortage_of(case)
    tables_kb = shortage.sum_kb("pagetables", "sec_pagetables") if shortage else None
    if shortage is None or tables_kb is None or shortage.share(tables_kb) < _SHARE:
        return None
    found = sorted(programs(case), key=lambda each: -each.page_tables_kb)
    most = found[0] if found and found[0].page_tables_kb else None
    return Finding(
        tag="pagetables",
        confidence=shortage.confidence,
        weight=shortage.weight(tables_kb),
        summary=f"Page tables have {shortage.told(tables_kb)}.{_program(most)}",
        evidence=case.quotes(*shortage.lines("pagetables"), most.largest.line if most else None),
        advice=Advice(
            now=(
                "`grep VmPTE /proc/[0-9]*/status | sort -k2 -n | tail` shows whose they are; restart those.",
            ),
            change=(
                "Use huge pages for large shared memory (huge_pages=on in PostgreSQL, use_large_pages in "
                "Oracle): its tables shrink to a five-hundredth.",
                "Have fewer processes map the same memory: a pool of connections in front of the database.",
            ),
            check=("PageTables in /proc/meminfo stays below a hundredth of RAM.",),
        ),
        figures={
            "page_tables_kb": tables_kb,
            "total_kb": shortage.total_kb,
            "largest_program": printable(most.comm) if most else None,
            "largest_program_kb": most.page_tables_kb if most else None,
        },
    )


def _program(most: Program | None) -> str:
    if most is None:
        return ""
    many = f"{most.count} × " if most.count > 1 else ""
    words = f" {many}{printable(most.comm)} has {size(most.page_tables_kb)} of them"
    if most.page_tables_kb >= _HEAVY * max(1, most.own_kb):
        words += f", for {size(most.own_kb)} that it has in memory: it maps far more, shared or swapped out"
    return f"{words}."
