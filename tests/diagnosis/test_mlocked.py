"""Memory that may not be reclaimed."""

import pytest
from tests.diagnosis.machines import case, zone

from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.mlocked import examine
from memwatchd.oomreport.report import MEMPOLICY


def test_locked_memory_is_told_with_its_share() -> None:
    """Swap would be added for memory that cannot be swapped."""
    found = examine(case(1000, unevictable=600, mlocked=590))
    assert isinstance(found, Finding)
    assert found.summary == (
        "600 MiB of 0.977 GiB of RAM (60 %) may not be reclaimed (unevictable): "
        "590 MiB of it are locked by mlock()."
    )
    assert found.weight == 0.6
    assert "LimitMEMLOCK=" in found.advice.change[0]


def test_a_ramfs_is_not_locked_by_anybody() -> None:
    """One would look for a process that calls mlock(), and there is none."""
    found = examine(case(1000, unevictable=600))
    assert isinstance(found, Finding)
    assert "and nothing of it is locked by mlock(): it is in a ramfs" in found.summary
    assert "findmnt -t ramfs" in found.advice.now[0]


@pytest.mark.parametrize(("held", "is_found"), [(95, False), (105, True)])
def test_from_a_tenth_on_it_is_a_finding(held: float, is_found: bool) -> None:
    """What key stores and time servers lock would be reported."""
    assert isinstance(examine(case(1000, unevictable=held)), Finding) == is_found


def test_it_is_judged_on_the_node_that_was_short() -> None:
    """A node full of locked memory would be lost in the figures of the machine."""
    full = zone("Normal", 1000, unevictable=600, mlocked=2)
    other = zone("Normal", 9000, free=8000, node=1, unevictable=0, mlocked=0)
    found = examine(case(10000, zones=(full, other), unevictable=600, scope=MEMPOLICY))
    assert isinstance(found, Finding)
    assert (found.weight, found.confidence) == (0.6, 0.85)
