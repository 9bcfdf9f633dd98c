"""Very many tasks: each is small, but for each the kernel needs a stack, page tables and its own objects.

::

    kernel_stack:482304kB pagetables:1024680kB
    [  9123]  1000  9123     1443      121    45056        0             0 bash
    [  9124]  1000  9124     1443      122    45056        0             0 bash
"""

from collections.abc import Sequence

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.history import PROCESS
from memwatchd.diagnosis.programs import Program, programs
from memwatchd.diagnosis.shortage import Shortage, percent, shortage_of, size
from memwatchd.oomreport.report import RECORDED
from memwatchd.units import format_bytes, printable

# More of one name than any pool of workers has by intention, and most of the table.
_MANY = 200
_MOST = 0.5
# Larger ones are workers with memory of their own: then it is that memory that counts.
_SMALL_KB = 2 << 10
# As consumers like others, from a tenth on.
_SHARE = 0.1
# Kernel stacks alone: a twentieth of RAM is thousands of threads for each GiB.
_STACK_SHARE = 0.05
# Size of a kernel stack on 64 bits (since 3.15 on x86) and on 32.
_STACK_KB, _STACK_KB_32 = 16, 8


def examine(case: Case) -> Finding | None:
    """Say whether the number of tasks is what filled memory."""
    shortage = shortage_of(case)
    if shortage is None:
        return None
    found = programs(case)
    stacks_kb = shortage.amount_kb("kernel_stack") or 0
    swarm = _swarm(shortage, found)
    if swarm is not None:
        cost_kb = _cost_kb(shortage, swarm, stacks_kb)
        if shortage.share(cost_kb) >= _SHARE:
            return _of_swarm(shortage, swarm, found, cost_kb, stacks_kb)
    if shortage.share(stacks_kb) >= _STACK_SHARE:
        return _of_threads(shortage, found, stacks_kb)
    return _of_births(shortage, found, stacks_kb)


def _swarm(shortage: Shortage, found: Sequence[Program]) -> Program | None:
    """The program that most processes are of, if they are very many and small."""
    swarm = max(found, key=lambda each: each.count, default=None)
    if swarm is None or swarm.count < _MANY or swarm.count < _MOST * sum(each.count for each in found):
        return None
    return swarm if _own_kb(shortage, swarm) <= _SMALL_KB * swarm.count else None


def _own_kb(shortage: Shortage, swarm: Program) -> int:
    """Their own memory, no more than the lists have: until it writes, a child shares its parent's pages."""
    return swarm.own_kb if shortage.anon_kb is None else min(swarm.own_kb, shortage.anon_kb)


def _cost_kb(shortage: Shortage, swarm: Program, stacks_kb: int) -> int:
    """What they take: their own memory, page tables and stacks."""
    tables_kb = shortage.amount_kb("pagetables")
    theirs_kb = swarm.page_tables_kb if tables_kb is None else min(swarm.page_tables_kb, tables_kb)
    return _own_kb(shortage, swarm) + theirs_kb + stacks_kb


def _of_swarm(
    shortage: Shortage, swarm: Program, found: Sequence[Program], cost_kb: int, stacks_kb: int
) -> Finding:
    case, tasks = shortage.case, sum(each.count for each in found)
    each_kb = _own_kb(shortage, swarm) / swarm.count
    return Finding(
        tag="fork_bomb",
        confidence=shortage.confidence,
        weight=shortage.weight(cost_kb),
        summary=(
            f"{swarm.count:,} of {tasks:,} processes are {printable(swarm.comm)}, "
            f"{size(each_kb)} each; with page tables and kernel stacks they take "
            f"{shortage.told(cost_kb)}."
        ),
        evidence=case.quotes(
            *shortage.lines("pagetables"), *(node.line for node in case.event.nodes[:1]), swarm.largest.line
        ),
        advice=_advice(),
        figures={
            "tasks": tasks,
            "program": printable(swarm.comm),
            "program_count": swarm.count,
            "program_kb": cost_kb,
            "kernel_stack_kb": stacks_kb,
            "total_kb": shortage.total_kb,
        },
    )


def _of_threads(shortage: Shortage, found: Sequence[Program], stacks_kb: int) -> Finding:
    case = shortage.case
    threads = _tasks(case, stacks_kb)
    processes = sum(each.count for each in found)
    of = f", of which the table lists {processes:,} as processes" if processes else ""
    return Finding(
        tag="fork_bomb",
        # How large a stack is depends on the machine; that there are very many does not.
        confidence=round(shortage.confidence * 0.9, 2),
        weight=shortage.weight(stacks_kb),
        summary=(
            f"Kernel stacks alone have {shortage.told(stacks_kb)}: that is about {threads:,} threads{of}. "
            f"What else the kernel keeps for each is in slab, "
            f"{percent(shortage.share(shortage.slab_kb or 0))}."
        ),
        evidence=case.quotes(*shortage.zone_lines(), *(node.line for node in case.event.nodes[:1])),
        advice=_advice(),
        figures={"kernel_stack_kb": stacks_kb, "threads": threads, "total_kb": shortage.total_kb},
    )


def _of_births(shortage: Shortage, found: Sequence[Program], stacks_kb: int) -> Finding | None:
    """Find a storm in a recording: its table of processes comes late, each task's stack counts at once."""
    case, history = shortage.case, shortage.case.history
    if case.event.kind != RECORDED or history is None:
        return None
    stacks, anon = history.grower("KernelStack"), history.grower("AnonPages")
    if stacks is None or anon is None or shortage.anon_kb is None:
        return None
    born = _tasks(case, stacks.grown_bytes // 1024)
    largest_bytes = max((each.grown_bytes for each in history.growers_of(PROCESS)), default=0)
    if born < _MANY or largest_bytes > _SHARE * anon.grown_bytes:
        return None
    cost_kb = shortage.anon_kb + (shortage.amount_kb("pagetables") or 0) + stacks_kb
    most = max(found, key=lambda each: each.count, default=None)
    read = f"; of those that were read in time {most.count} are {printable(most.comm)}" if most else ""
    return Finding(
        tag="fork_bomb",
        confidence=shortage.confidence,
        weight=shortage.weight(cost_kb),
        summary=(
            f"About {born:,} tasks were started within {stacks.until_s - stacks.since_s:.0f} s (kernel "
            f"stacks grew from {format_bytes(stacks.from_bytes)} to {format_bytes(stacks.to_bytes)}), "
            f"none of which grew much by itself{read}. Processes' own memory, page tables and kernel "
            f"stacks have {shortage.told(cost_kb)}."
        ),
        evidence=case.quotes(*shortage.lines("pagetables"), *(node.line for node in case.event.nodes[:1])),
        advice=_advice(),
        figures={"tasks_started": born, "program_kb": cost_kb, "total_kb": shortage.total_kb},
    )


def _tasks(case: Case, stacks_kb: int) -> int:
    """About how many tasks have stacks of this size altogether."""
    return stacks_kb // (_STACK_KB_32 if case.is_32_bit else _STACK_KB)


def _advice() -> Advice:
    return Advice(
        now=(
            "`ps -eLo comm= | sort | uniq -c | sort -n | tail` counts them by name; `killall -STOP NAME`, "
            "so that none starts another, then `killall -KILL NAME`.",
        ),
        change=(
            "Limit tasks: TasksMax= of the unit (DefaultTasksMax= in system.conf), nproc in limits.conf "
            "for users, pids.max of the cgroup or container.",
            "Look for what starts them: a cron job that takes longer than its interval, a server without a "
            "limit of workers, a pool of threads without one.",
        ),
        check=("The count after the slash in /proc/loadavg, which is all tasks, stays level.",),
    )
