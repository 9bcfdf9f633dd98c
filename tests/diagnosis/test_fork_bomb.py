"""Very many tasks."""

from dataclasses import replace

import pytest
from tests.diagnosis.machines import case, machine, task, tasks

from memwatchd.diagnosis.anon_exhaustion import examine as examine_anon
from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.fork_bomb import examine
from memwatchd.diagnosis.history import PROCESS, Grower, History
from memwatchd.oomreport.report import RECORDED

BOMB = tasks("bash", 2000, 0.25, page_table_bytes=65536)


def test_a_fork_bomb_outweighs_the_memory_of_its_processes() -> None:
    """Adding memory, or limiting one process, would be advised against thousands of small ones."""
    bomb = case(1000, anon=600, pagetables=125, kernel_stack=40, tasks=(*BOMB, task("sshd", 5)))
    found, processes = examine(bomb), examine_anon(bomb)
    assert isinstance(found, Finding)
    assert isinstance(processes, Finding)
    assert found.summary == (
        "2,000 of 2,001 processes are bash, 256 KiB each; with page tables and kernel stacks they take "
        "665 MiB of 0.977 GiB of RAM (66 %)."
    )
    assert found.weight > processes.weight


def test_workers_with_memory_of_their_own_are_no_bomb() -> None:
    """A web server with too many workers would be taken for an accident with fork()."""
    assert examine(case(10000, tasks=tasks("php-fpm", 300, 30))) is None


def test_many_small_processes_of_many_names_are_no_bomb() -> None:
    """A busy multi-user machine would be taken for one."""
    crowd = tuple(task(f"program{number}", 0.5, pid=number) for number in range(2000))
    assert examine(case(1000, anon=900, tasks=crowd)) is None


def test_few_processes_are_no_bomb() -> None:
    """A hundred shells of a build would be taken for one."""
    assert examine(case(1000, tasks=tasks("sh", 150, 1))) is None


def test_a_bomb_that_takes_little_is_not_the_cause() -> None:
    """A large machine full of something else would be blamed on its many small processes."""
    assert examine(case(100000, tasks=BOMB)) is None


def test_shared_memory_is_not_counted_for_each() -> None:
    """What thousands of processes share would count a thousand times, and be more than the machine."""
    found = examine(case(1000, anon=300, kernel_stack=20, pagetables=100, tasks=tasks("sh", 2000, 1.5)))
    assert isinstance(found, Finding)
    assert found.figures["program_kb"] == (300 + 20) * 1024


def test_what_children_share_with_their_parent_does_not_make_them_large() -> None:
    """A storm of an interpreter's children would pass for workers: each shows all of its rss."""
    found = examine(case(460, anon=260, pagetables=19, tasks=(*tasks("python3", 337, 8), task("sshd", 5))))
    assert isinstance(found, Finding)
    assert found.summary.startswith("337 of 338 processes are python3, 790 KiB each; ")


@pytest.mark.parametrize(("stacks", "is_found"), [(45, False), (80, True)])
def test_threads_show_in_kernel_stacks(stacks: float, is_found: bool) -> None:
    """The table lists processes only: tens of thousands of threads of one server would not be seen."""
    found = examine(case(1000, kernel_stack=stacks, tasks=(task("java", 400),)))
    assert isinstance(found, Finding) == is_found
    if isinstance(found, Finding):
        assert "that is about 5,120 threads, of which the table lists 1 as processes" in found.summary


@pytest.mark.parametrize(
    ("stacks_mib", "largest_mib", "is_found"), [(6, 8, True), (3, 8, False), (6, 80, False)]
)
def test_a_storm_is_faster_than_the_table_of_processes(
    stacks_mib: int, largest_mib: int, is_found: bool
) -> None:
    """A recorded storm would be called a hog that nobody can find, or a hog among many threads a storm."""
    event = machine(460, free=2, anon=250, pagetables=20, kernel_stack=7, kind=RECORDED, gfp=None)
    event = replace(event, totals=replace(event.totals, available_kb=10 << 10), tasks=tasks("python3", 21, 5))
    growers = (
        Grower("AnonPages", "", None, 100 << 20, 250 << 20, -30.0, 0.0, None),
        Grower("KernelStack", "", None, 1 << 20, (1 + stacks_mib) << 20, -25.0, 0.0, None),
        Grower(PROCESS, "python3", 407, 0, largest_mib << 20, -24.0, 0.0, None),
    )
    found = examine(Case(event, History(growers=growers)))
    assert isinstance(found, Finding) is is_found
    if isinstance(found, Finding):
        assert found.summary == (
            "About 384 tasks were started within 25 s (kernel stacks grew from 1 MiB to 7 MiB), none of which"
            " grew much by itself; of those that were read in time 21 are python3. Processes' own memory,"
            " page tables and kernel stacks have 277 MiB of 460 MiB of RAM (60 %)."
        )
