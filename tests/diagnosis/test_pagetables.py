"""Page tables as a consumer."""

import pytest
from tests.diagnosis.machines import case, task, tasks

from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.pagetables import examine


def test_many_processes_with_the_same_memory_are_named() -> None:
    """Hundreds of connections to a database, each with tables of its own, would not be seen."""
    workers = tasks("oracle", 300, 1, page_table_bytes=1 << 20)
    found = examine(case(1000, pagetables=310, tasks=(*workers, task("sh", 2, page_table_bytes=40960))))
    assert isinstance(found, Finding)
    assert found.summary == (
        "Page tables have 310 MiB of 0.977 GiB of RAM (31 %). 300 × oracle has 300 MiB of them, for 300 "
        "MiB that it has in memory: it maps far more, shared or swapped out."
    )
    assert found.weight == 0.31


def test_older_kernels_count_tables_instead_of_bytes() -> None:
    """Before 4.15 whose page tables they are would not be told."""
    found = examine(
        case(1000, pagetables=100, tasks=(task("java", 500, other={"nr_ptes": 20000, "nr_pmds": 80}),))
    )
    assert isinstance(found, Finding)
    assert "java has 78.4 MiB of them" in found.summary


@pytest.mark.parametrize(("tables", "is_found"), [(49, False), (51, True)])
def test_from_a_twentieth_on_it_is_a_finding(tables: float, is_found: bool) -> None:
    """The page tables of any large process would be reported."""
    assert isinstance(examine(case(1000, pagetables=tables)), Finding) == is_found


def test_without_a_table_it_is_told_all_the_same() -> None:
    """With vm.oom_dump_tasks=0 the finding would be lost."""
    found = examine(case(1000, pagetables=200))
    assert isinstance(found, Finding)
    assert found.summary == "Page tables have 200 MiB of 0.977 GiB of RAM (20 %)."
