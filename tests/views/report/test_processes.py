"""Who was there at the kill, and whether the right one was killed."""

import pytest
from tests.conftest import Tape, WriteIncident
from tests.views.conftest import eater_row, kill_facts
from tests.views.report.conftest import CGROUP, COMM

from memwatchd.incidents.reader import open_incident
from memwatchd.views.report.processes import (
    UNKNOWN,
    Process,
    Processes,
    processes_at_kill,
    victim_verdict,
)
from memwatchd.views.report.story import Story


def process(pid: int, kib: int, adj: int | None = 0, *, killed: bool = False) -> Process:
    return Process(pid, f"p{pid}", kib, 0, adj, None, is_victim=killed)


def test_the_kernel_s_table_comes_first(story: Story) -> None:
    """What was seen seconds before would be taken for what was there at the kill."""
    assert story.processes == Processes(
        rows=(
            Process(4711, COMM, 262_000, 0, 0, CGROUP, is_victim=True, line=8),
            Process(4712, "small", 10_000, 0, 0, None, is_victim=False, line=9),
        ),
        count=2,
        by="the kernel's report",
    )


def test_without_a_report_the_recorder_s_table_is_used(tape: Tape, write_incident: WriteIncident) -> None:
    """A kill whose report was lost would have no processes at all."""
    tape.processes(-3, eater_row(1000, -3))
    tape.processes(-1, eater_row(4096, -1, swap_kib=1024), eater_row(400, -1, pid=1, comm="init"))
    tape.processes(1, eater_row(1, 1))
    found = processes_at_kill(open_incident(write_incident({"kills": [kill_facts(0)]})), None)
    assert (found.rows, found.count) == (
        (
            Process(4711, "eater", 4096, 1024, 0, "/user.slice", is_victim=True),
            Process(1, "init", 400, 0, 0, "/user.slice", is_victim=False),
        ),
        2,
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            (process(1, 900, killed=True), process(2, 300)),
            "The victim was the largest of 9 processes with 900 KiB; the next is p2 (pid 2) with 300 KiB.",
        ),
        (
            (process(2, 900, -900), process(1, 300, killed=True)),
            "The victim was the 2nd largest of 9 processes with 300 KiB; the largest was p2 (pid 2) with "
            "900 KiB. All that were larger have a lower oom_score_adj.",
        ),
        (
            (process(2, 900), process(1, 300, killed=True)),
            "The victim was the 2nd largest of 9 processes with 300 KiB; the largest was p2 (pid 2) with "
            "900 KiB.",
        ),
        (
            (process(1, 900, killed=True),),
            "The victim was the largest of 9 processes with 900 KiB.",
        ),
        ((process(2, 900),), "There is no table of processes to compare the victim with."),
    ],
)
def test_the_victim_is_compared_with_the_others(
    story: Story, rows: tuple[Process, ...], expected: str
) -> None:
    """Nobody could say whether it was the right one."""
    found = victim_verdict(story.diagnosis, Processes(rows, 9, "the test"))
    assert found[1].removeprefix("Nothing speaks against the choice. ") == expected


def test_without_a_kill_there_is_no_victim() -> None:
    """A page about a rule that fired would call somebody's death right."""
    assert victim_verdict(None, Processes((), 0, "nobody"))[0] == UNKNOWN
