"""The processes at the kill, and whether the right one was killed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memwatchd.diagnosis import victim_mismatch
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident
from memwatchd.oomreport.report import RECORDED, Task
from memwatchd.ring.stream import process_rows
from memwatchd.units import format_bytes

# The page would grow with the machine.
_MOST = 400
RIGHT, DOUBTFUL, UNKNOWN = "right", "doubtful", "unknown"


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it was at the kill, or when it was last looked at before; None is not known.

    Attributes:
        line: Of the kernel's report.
    """

    pid: int
    name: str
    resident_kib: int | None
    swapped_kib: int | None
    oom_score_adj: int | None
    cgroup: str | None
    is_victim: bool
    line: int | None = None

    @property
    def size_kib(self) -> int:
        """All it held."""
        return (self.resident_kib or 0) + (self.swapped_kib or 0)


@dataclass(frozen=True, slots=True)
class Processes:
    """The largest processes, the largest first.

    Attributes:
        count: How many there were.
        by: Whose table it is.
    """

    rows: tuple[Process, ...]
    count: int
    by: str


def processes_at_kill(incident: Incident, diagnosis: Diagnosis | None) -> Processes:
    """Give the kernel's own table where there is one, else what was read last before the trigger."""
    seen = _last_seen(incident)
    killed = {kill["pid"] for kill in incident.facts["kills"]}
    if diagnosis is not None and diagnosis.case.event.kind != RECORDED and diagnosis.case.event.tasks:
        killed |= {victim.pid for victim in diagnosis.case.event.victims}
        rows = list(_reported(diagnosis, killed, seen))
        by = "the kernel's report"
    else:
        rows = [_row(row, killed) for row in seen.values()]
        by = "the recorder's process table, read before the trigger a piece at a time"
    rows.sort(key=lambda row: -row.size_kib)
    kept = [row for place, row in enumerate(rows) if place < _MOST or row.is_victim]
    return Processes(tuple(kept), len(rows), by)


def victim_verdict(diagnosis: Diagnosis | None, processes: Processes) -> tuple[str, str]:
    """Say whether the right one was killed.

    Returns:
        `RIGHT`, `DOUBTFUL` or `UNKNOWN`, and why in a sentence or two.
    """
    if diagnosis is None or not diagnosis.case.event.victims:
        return UNKNOWN, "The kernel's log does not say that anybody was killed."
    rank = _rank(processes)
    finding = next((each for each in diagnosis.findings if each.tag == victim_mismatch.TAG), None)
    if finding is not None:
        return DOUBTFUL, f"{finding.summary} {rank}".strip()
    if not rank:
        return UNKNOWN, "There is no table of processes to compare the victim with."
    return RIGHT, f"Nothing speaks against the choice. {rank}"


def _rank(processes: Processes) -> str:
    """Say how large the victim was among all."""
    place = next((place for place, row in enumerate(processes.rows) if row.is_victim), None)
    if place is None:
        return ""
    victim, largest = processes.rows[place], processes.rows[0]
    size = format_bytes(victim.size_kib * 1024)
    if place:
        return (
            f"The victim was the {_ordinal(place + 1)} largest of {processes.count} processes with {size}; "
            f"the largest was {_named(largest)}."
            f"{_why_not_larger(victim, processes.rows[:place])}"
        )
    if processes.count == 1:
        return f"The victim was the only process there was, with {size}."
    after = processes.rows[1:2]
    next_one = f"; the next is {_named(after[0])}" if after else ""
    return f"The victim was the largest of {processes.count} processes with {size}{next_one}."


def _named(process: Process) -> str:
    return f"{process.name} (pid {process.pid}) with {format_bytes(process.size_kib * 1024)}"


def _why_not_larger(victim: Process, larger: tuple[Process, ...]) -> str:
    adj = victim.oom_score_adj
    if adj is None or not all(each.oom_score_adj is not None and each.oom_score_adj < adj for each in larger):
        return ""
    return " All that were larger have a lower oom_score_adj."


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _reported(
    diagnosis: Diagnosis, killed: set[int | None], seen: dict[int, dict[str, Any]]
) -> Iterator[Process]:
    page_kb = diagnosis.case.page_kb
    for task in diagnosis.case.event.tasks:
        if task.tgid is not None and task.tgid != task.pid:
            continue  # a thread; its process is a row of its own
        yield Process(
            pid=task.pid,
            name=task.comm,
            resident_kib=_kib(task.rss_pages, page_kb),
            swapped_kib=_kib(task.swap_pages, page_kb),
            oom_score_adj=task.oom_score_adj,
            cgroup=_cgroup(task, seen),
            is_victim=task.pid in killed,
            line=task.line,
        )


def _kib(pages: int | None, page_kb: int) -> int | None:
    return None if pages is None else pages * page_kb


def _cgroup(task: Task, seen: dict[int, dict[str, Any]]) -> str | None:
    """Where the process of this pid and name lived when it was last looked at."""
    row = seen.get(task.pid)
    return row.get("cgroup") if row is not None and row.get("comm") == task.comm else None


def _row(row: dict[str, Any], killed: set[int | None]) -> Process:
    return Process(
        pid=row["pid"],
        name=str(row.get("comm") or "?"),
        resident_kib=row.get("rss_kib"),
        swapped_kib=row.get("swap_kib"),
        oom_score_adj=row.get("oom_score_adj"),
        cgroup=row.get("cgroup"),
        is_victim=row["pid"] in killed,
    )


def _last_seen(incident: Incident) -> dict[int, dict[str, Any]]:
    """The last row of each pid before the trigger."""
    found: dict[int, dict[str, Any]] = {}
    for part in process_rows(incident.segments(BlockType.EVENTS)):
        for row in part.rows:
            if (
                isinstance(row.get("pid"), int)
                and row.get("read_ns", part.monotonic_ns) <= incident.trigger_ns
            ):
                found[row["pid"]] = row
    return found
