"""Very many tasks."""

import pytest
from tests.diagnosis.machines import case, task, tasks

from memwatchd.diagnosis.anon_exhaustion import examine as examine_anon
from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.fork_bomb import examine

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
