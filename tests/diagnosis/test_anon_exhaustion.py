"""Processes' own memory without swap, or with swap that is not full."""

from dataclasses import replace
from typing import Any

import pytest
from tests.diagnosis.machines import GFP_ATOMIC, GFP_KERNEL, case, task, tasks, victim, zone

from memwatchd.diagnosis.anon_exhaustion import examine
from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.oomreport.report import ALLOCATION_FAILURE, MEMORY_INFO, MEMPOLICY, Totals


def test_it_names_who_has_the_memory() -> None:
    """A reader would learn that memory was full, and not of whom."""
    found = examine(
        case(
            1000,
            anon=800,
            tasks=(*tasks("httpd", 12, 40), task("mysqld", 300), task("sshd", 1)),
            victims=(victim("mysqld", 296),),
        )
    )
    assert isinstance(found, Finding)
    assert found.summary == (
        "Processes' own memory filled it: 800 MiB of 0.977 GiB of RAM (80 %), and there is no swap; "
        "12 × httpd: 480 MiB, mysqld: 300 MiB. The process that was killed had 296 MiB of it (37 %)."
    )
    assert (found.weight, found.confidence) == (0.8, 0.95)
    assert [quote.text for quote in found.evidence][-3:] == [
        "task httpd",
        "task mysqld",
        "killed mysqld",
    ]


def test_a_table_that_explains_little_is_said_to() -> None:
    """Memory of processes that are gone would be blamed on the few that are left."""
    found = examine(case(1000, anon=900, tasks=(task("init", 3), task("bash", 90))))
    assert isinstance(found, Finding)
    assert "bash: 90 MiB; the table of tasks shows only 93 MiB of it" in found.summary


def test_own_memory_is_preferred_to_what_is_shared() -> None:
    """Forty workers that map the same buffers would count as forty times as much."""
    found = examine(
        case(1000, anon=500, tasks=(*tasks("postgres", 40, 200, anon=2), task("php", 420, anon=400)))
    )
    assert isinstance(found, Finding)
    assert "php: 400 MiB, 40 × postgres: 80 MiB" in found.summary


def test_swap_that_is_not_full_is_mentioned() -> None:
    """It would be taken for a machine without swap."""
    found = examine(case(1000, swap=2048, swap_free=1024))
    assert isinstance(found, Finding)
    assert "though 1 GiB of 2 GiB of swap were free" in found.summary


def test_full_swap_is_left_to_the_other_finding() -> None:
    """The same memory would be told of twice."""
    assert examine(case(1000, swap=2048, swap_free=20)) is None


def test_shared_memory_is_not_processes_own() -> None:
    """A tmpfs would be taken for processes, since it is on the same lists."""
    found = examine(case(1000, anon=150, shmem=700))
    assert isinstance(found, Dismissal)
    assert found.reason == "All processes together had only 150 MiB of 0.977 GiB of RAM (15 %) as their own."


@pytest.mark.parametrize("free", [300, 900])
def test_free_memory_rules_it_out(free: float) -> None:
    """A kill on a machine with much free memory would be blamed on the processes that run there."""
    found = examine(case(1000, free=free))
    assert isinstance(found, Dismissal)
    assert found.reason.startswith("Memory was not used up: ")


def test_a_little_that_came_free_meanwhile_only_lowers_the_confidence() -> None:
    """The memory of the last victim, free by the time of the report, would hide a plain shortage."""
    found = examine(case(1000, free=20))
    assert isinstance(found, Finding)
    assert found.confidence < 0.95


def test_a_dump_of_a_healthy_machine_has_no_cause() -> None:
    """Asking for the state of memory would be answered with a diagnosis of a kill."""
    assert examine(case(1000, free=200, kind=MEMORY_INFO, scope=None)) is None


def test_failing_without_waiting_is_no_exhaustion() -> None:
    """A burst of network packets would be blamed on processes, though page cache could have been dropped."""
    failed = case(1000, anon=500, file=400, gfp=GFP_ATOMIC, kind=ALLOCATION_FAILURE, scope=None)
    assert examine(failed) is None


def test_only_the_zones_of_the_request_count() -> None:
    """A request for low memory on 32 bits would be blamed on processes that live in high memory."""
    low = zone("Normal", 860, active_anon=0, inactive_anon=20, unevictable=0)
    high = zone("HighMem", 3000, free=900, active_anon=1900, inactive_anon=100, unevictable=0)
    found = examine(case(3860, zones=(low, high), gfp=GFP_KERNEL))
    assert isinstance(found, Dismissal)
    assert found.reason == "All processes together had only 20 MiB of 860 MiB of Normal (2 %) as their own."


def test_a_policy_confines_it_to_the_short_node() -> None:
    """Processes on other nodes would be blamed for one node that is full."""
    full = zone("Normal", 1000, active_anon=900, inactive_anon=0, unevictable=0)
    other = zone("Normal", 9000, free=8000, node=1, active_anon=900, inactive_anon=0, unevictable=0)
    found = examine(case(10000, zones=(full, other), scope=MEMPOLICY))
    assert isinstance(found, Finding)
    assert (found.weight, found.figures["total_kb"]) == (0.9, 1000 * 1024)
    assert "900 MiB of 0.977 GiB of Normal of node 0 (90 %)" in found.summary


def test_kernels_that_do_not_tell_are_believed_less() -> None:
    """Page cache and processes are one figure before 2.6.28; the finding would be as sure as with two."""
    lists = {"active_anon": None, "inactive_anon": None, "isolated_anon": None}
    event = case(256, anon=0, file=0, pages={"active": 120 * 256, "inactive": 110 * 256}).event
    pages = {
        name: count for name, count in event.totals.pages.items() if name not in lists and "_file" not in name
    }
    old = case(
        256, totals=type(event.totals)(pages=pages, ram_pages=event.totals.ram_pages, reserved_pages=4096)
    )
    found = examine(old)
    assert isinstance(found, Finding)
    assert (found.weight, found.confidence) == (0.8984, 0.57)
    assert "(this kernel counts some page cache among it)" in found.summary


def early(mapped: float, added: float = 0, **totals: Any) -> Case:
    """A machine of 256 MiB before 2.6.18, all of it on the lists."""
    lists = {"active": 100 * 256, "inactive": 140 * 256, "mapped": round(mapped * 256), "free": 256}
    event = case(256, anon=0, file=0).event
    made = replace(
        event,
        totals=Totals(
            pages=lists,
            ram_pages=256 * 256,
            reserved_pages=0,
            swap_added=round(added * 256),
            swap_deleted=0,
            **totals,
        ),
        texts={**event.texts, 99: "cpu 0 hot: low 32, high 96, batch 16"},
    )
    return Case(made)


def test_early_kernels_count_what_is_mapped() -> None:
    """Page cache of a copied disk would be taken for processes' memory."""
    found = examine(early(mapped=30))
    assert isinstance(found, Dismissal)
    assert "only 30 MiB" in found.reason
    full = examine(early(mapped=30, added=180, swap_free_kb=400 << 10))
    assert isinstance(full, Finding)
    assert "210 MiB of 256 MiB of RAM (82 %)" in full.summary
    assert "though 400 MiB of swap were free" in full.summary


def test_swap_of_unknown_size() -> None:
    """A report that shows swap in use would be said to show none."""
    found = examine(early(mapped=200, added=10))
    assert isinstance(found, Finding)
    assert "the report does not show how much swap there was" in found.summary
