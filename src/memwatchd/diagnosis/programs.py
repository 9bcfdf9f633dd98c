"""The table of tasks, added up by name: forty workers of one server are one consumer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.shortage import size
from memwatchd.oomreport.report import Task
from memwatchd.units import printable

# What Task.other holds on kernels before 4.15, each a page.
_PAGE_TABLE_COLUMNS = ("nr_ptes", "nr_pmds", "nr_puds")


@dataclass(frozen=True, slots=True)
class Program:
    """All processes of one name.

    Attributes:
        own_kb: Their own memory: rss_anon where the kernel prints it (since 6.8), otherwise all of rss, in
            which what they share is counted once for each.
        swap_kb: What they have in swap.
        page_tables_kb: Their page tables.
        largest: The largest of them.
    """

    comm: str
    count: int
    own_kb: int
    swap_kb: int
    page_tables_kb: int
    largest: Task

    def told(self) -> str:
        """Write it as ``12 × httpd: 830 MiB``."""
        many = f"{self.count} × " if self.count > 1 else ""
        return f"{many}{printable(self.comm)}: {size(self.own_kb)}"


def programs(case: Case) -> tuple[Program, ...]:
    """Add the table up, the program with the most memory of its own first; empty without a table."""
    groups: dict[str, list[Task]] = {}
    for task in _processes(case.event.tasks):
        groups.setdefault(task.comm, []).append(task)
    found = (_program(case, comm, tasks) for comm, tasks in groups.items())
    return tuple(sorted(found, key=lambda each: -each.own_kb))


def largest(found: Sequence[Program], at_most: int = 3) -> tuple[Program, ...]:
    """The programs worth naming: none that has less than a twentieth of the largest."""
    return tuple(each for each in found[:at_most] if each.own_kb >= found[0].own_kb / 20)


def page_tables_kb(case: Case, task: Task) -> int:
    """A task's page tables."""
    if task.page_table_bytes is not None:
        return task.page_table_bytes // 1024
    return sum(task.other.get(name, 0) for name in _PAGE_TABLE_COLUMNS) * case.page_kb


def has_anon_column(case: Case) -> bool:
    """Whether the table tells a task's own memory from what it maps."""
    return any(task.rss_anon_pages is not None for task in case.event.tasks)


def _processes(tasks: Iterable[Task]) -> Iterable[Task]:
    """One row for each process; some vendors list threads, which share their memory."""
    seen: set[int] = set()
    for task in tasks:
        identity = task.pid if task.tgid is None else task.tgid
        if identity not in seen:
            seen.add(identity)
            yield task


def _own_pages(task: Task) -> int:
    return (task.rss_pages or 0) if task.rss_anon_pages is None else task.rss_anon_pages


def _program(case: Case, comm: str, tasks: Sequence[Task]) -> Program:
    return Program(
        comm,
        len(tasks),
        own_kb=sum(map(_own_pages, tasks)) * case.page_kb,
        swap_kb=sum(task.swap_pages or 0 for task in tasks) * case.page_kb,
        page_tables_kb=sum(page_tables_kb(case, task) for task in tasks),
        largest=max(tasks, key=_own_pages),
    )
