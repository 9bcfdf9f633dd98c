"""Shared memory and tmpfs."""

import pytest
from tests.diagnosis.machines import case, task, tasks, victim

from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.shmem import examine


def test_a_full_tmpfs_is_told_from_processes() -> None:
    """Processes would be killed one after the other for files that none of them holds."""
    found = examine(case(1000, shmem=700, victims=(victim("sh", 1, shmem_rss_kb=0),)))
    assert isinstance(found, Finding)
    assert found.summary == (
        "Shared memory has 700 MiB of 0.977 GiB of RAM (70 %): tmpfs files, System V segments or memfds. "
        "No process in the report maps any of it: killing frees nothing. Without swap it can go nowhere."
    )
    assert found.weight == 0.7
    assert "shmem:179200" in [quote.text for quote in found.evidence]


def test_buffers_of_a_database_are_mapped() -> None:
    """Shared buffers would be looked for among the files of tmpfs."""
    workers = tasks("postgres", 5, 620, rss_shmem_pages=600 * 256)
    found = examine(case(1000, shmem=650, tasks=(*workers, task("sh", 2, rss_shmem_pages=0))))
    assert isinstance(found, Finding)
    assert "One process maps 600 MiB of it" in found.summary
    assert "shared_buffers of PostgreSQL" in found.advice.change[0]


def test_without_figures_nobody_is_accused() -> None:
    """That no process maps it would be claimed of a report that does not say."""
    found = examine(case(1000, shmem=700))
    assert isinstance(found, Finding)
    assert "Killing processes frees it only where they were its last users" in found.summary


def test_an_initramfs_is_unevictable_and_early() -> None:
    """The first file system, soon after start, would be called an unknown user of shared memory."""
    found = examine(case(240, shmem=160, unevictable=42, seconds=8.46))
    assert isinstance(found, Finding)
    assert "Another 42 MiB are unevictable without being mlocked: a ramfs, an initramfs" in found.summary
    assert "The machine was up for 8 s" in found.summary


@pytest.mark.parametrize(("shmem", "kind"), [(10, type(None)), (90, Dismissal), (110, Finding)])
def test_from_a_tenth_on_it_is_a_finding(shmem: float, kind: type) -> None:
    """What every desktop has would be reported, or a large tmpfs would not."""
    assert isinstance(examine(case(1000, shmem=shmem)), kind)


def test_swap_takes_the_sentence_about_swap_away() -> None:
    """A machine with swap would be told that it has none."""
    found = examine(case(1000, shmem=700, swap=500))
    assert isinstance(found, Finding)
    assert "Without swap" not in found.summary


def test_a_large_tmpfs_beside_free_memory_asks_no_question() -> None:
    """A build in /tmp would be the cause of an unrelated failure."""
    assert examine(case(2000, shmem=700, free=600)) is None
