"""Pools of huge pages."""

import pytest
from tests.diagnosis.machines import case, zone

from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.hugetlb import examine
from memwatchd.oomreport.report import CPUSET, HugePages


def pool(total_mib: int, free_mib: int = 0, node: int = 0) -> HugePages:
    return HugePages(node=node, size_kb=2048, total=total_mib // 2, free=free_mib // 2, surplus=0, line=0)


def test_an_unused_pool_is_told_with_its_size() -> None:
    """Memory that nobody has is the last thing that one looks for."""
    found = examine(case(1000, anon=250, hugepages=(pool(600, free_mib=600),)))
    assert isinstance(found, Finding)
    assert found.summary == (
        "A pool of huge pages has 600 MiB of 0.977 GiB of RAM (60 %); none of it is in use. "
        "Nothing but programs that ask for huge pages can have this memory."
    )
    assert found.weight == 0.6
    assert found.evidence[0].text == "hugepages"
    assert "echo N > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" in found.advice.now[0]


@pytest.mark.parametrize(
    ("free", "words"), [(0, "all of it is in use."), (150, "150 MiB of it (25 %) are not in use.")]
)
def test_what_is_in_use_is_told(free: int, words: str) -> None:
    """A pool that a database fills would be shrunk in vain."""
    found = examine(case(1000, anon=250, hugepages=(pool(600, free),)))
    assert isinstance(found, Finding)
    assert words in found.summary


def test_a_pool_that_cannot_be_is_not_believed() -> None:
    """A broken or edited figure, larger than what is left of memory, would be the verdict."""
    found = examine(case(1000, anon=900, hugepages=(pool(1000),)))
    assert isinstance(found, Dismissal)
    assert "one of the figures is wrong" in found.reason


def test_a_small_pool_is_not_the_cause() -> None:
    """A few huge pages would be blamed for a machine full of processes."""
    assert isinstance(examine(case(1000, anon=800, hugepages=(pool(60),))), Dismissal)


def test_no_pool_is_no_question() -> None:
    """Every report on x86 has the lines, mostly with zeros."""
    assert examine(case(1000, hugepages=(pool(0),))) is None


def test_a_pool_on_another_node_does_not_count() -> None:
    """The pool of one node would explain why another one is full."""
    zones = (zone("Normal", 1000), zone("Normal", 9000, free=5000, node=1))
    assert examine(case(10000, zones=zones, scope=CPUSET, hugepages=(pool(3000, node=1),))) is None
    found = examine(case(10000, zones=zones, scope=CPUSET, hugepages=(pool(600), pool(3000, node=1))))
    assert isinstance(found, Finding)
    assert found.weight == 0.6
