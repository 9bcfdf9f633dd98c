"""Processes' own memory, and swap full of it."""

from dataclasses import replace

import pytest
from tests.diagnosis.machines import case, cgroup, task, victim, zone

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.swap_full import examine
from memwatchd.oomreport.report import Memcg


def test_it_says_whose_the_swap_is() -> None:
    """The program with the most in swap, often not the largest in memory, would go unnamed."""
    found = examine(
        case(
            1000,
            anon=900,
            swap=2048,
            swap_free=1,
            tasks=(task("firefox", 700), task("java", 100, swap=1800)),
            victims=(victim("firefox", 690),),
        )
    )
    assert isinstance(found, Finding)
    assert found.summary == (
        "Processes' own memory filled 900 MiB of 0.977 GiB of RAM (90 %), and swap as well: 1 MiB of 2 GiB "
        "were free; firefox: 700 MiB, java: 100 MiB. Of what is swapped out, 1.76 GiB (88 %) are of java. "
        "The process that was killed had 690 MiB of it (77 %)."
    )
    assert found.weight == 0.9


@pytest.mark.parametrize(("free", "is_full"), [(0, True), (40, True), (50, False)])
def test_full_is_within_two_hundredths(free: float, is_full: bool) -> None:
    """What processors hold back in their caches of slots would make full swap look usable."""
    found = examine(case(1000, swap=2048, swap_free=free))
    assert isinstance(found, Finding) == is_full


def test_swap_with_room_is_told_with_figures() -> None:
    """A reader who suspects full swap would not learn that it was not."""
    found = examine(case(1000, swap=3256, swap_free=3045))
    assert isinstance(found, Dismissal)
    assert found.reason == "Swap was not full: 2.97 GiB of 3.18 GiB were free."


def test_full_swap_alone_is_not_the_cause() -> None:
    """Swap fills first when the kernel leaks; the leak would be taken for processes."""
    found = examine(case(1000, anon=50, swap=100))
    assert isinstance(found, Dismissal)
    assert "what processes still had in memory was only 50 MiB" in found.reason


def test_without_swap_there_is_no_question() -> None:
    """A machine without swap would be said to have it full, or not full."""
    assert examine(case(1000)) is None
    assert examine(case(1000, swap=None)) is None


def test_the_machines_swap_says_nothing_of_a_cgroups_limit() -> None:
    """A container's limit would be explained by the host's memory."""
    assert examine(Case(cgroup(Memcg(limit_of="/a", usage_kb=1000, limit_kb=1000)))) is None


def test_zones_that_are_kept_for_others_count_as_short() -> None:
    """Low memory that a process may not have because of lowmem_reserve would look like free memory."""
    low = zone("Normal", 860, free=228, reserve=(0, 0, 57342, 57342))
    high = zone("HighMem", 7168, reserve=(0, 0, 0, 0))
    found = examine(
        case(8028, zones=(zone("DMA", 16, free=8, reserve=(0, 867, 8034, 8034)), low, high), swap=8192)
    )
    assert isinstance(found, Finding)
    assert found.confidence == 0.95


def test_swap_alone_is_left_of_the_report() -> None:
    """Its beginning is lost first; that swap was full would not be said at all."""
    event = case(1000, swap=400, swap_free=0).event
    tail = replace(event, zones=(), nodes=(), totals=replace(event.totals, pages={}))
    found = examine(Case(tail))
    assert isinstance(found, Finding)
    assert (found.weight, found.confidence) == (0.5, 0.7)
    assert found.summary.startswith("Swap was full: all 400 MiB of it. What was in memory is not in the text")


def test_the_table_of_tasks_is_left_of_the_report() -> None:
    """Where the Mem-Info block is lost, the table says as well who had the memory."""
    event = case(1000, swap=400, swap_free=0, tasks=(task("java", 900),)).event
    tail = replace(event, zones=(), nodes=(), totals=replace(event.totals, pages={}))
    found = examine(Case(tail))
    assert isinstance(found, Finding)
    assert found.weight == 0.9
    assert "java: 900 MiB" in found.summary
