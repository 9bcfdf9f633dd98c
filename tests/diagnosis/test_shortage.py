"""Which memory was short, if any was: what all findings about consumers rest on."""

from dataclasses import replace
from typing import Any

import pytest
from tests.diagnosis.machines import GFP_KERNEL, MIB, case, cgroup, machine, zone

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.shortage import Shortage, percent, shortage_of, spare_kb
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    MEMORY_INFO,
    USERSPACE_KILL,
    Event,
    Memcg,
    Totals,
    Trigger,
)


def short(**figures: Any) -> Shortage:
    found = shortage_of(case(1000, **figures))
    assert found is not None
    return found


def test_a_machine_at_its_watermarks_is_short() -> None:
    """No consumer would ever be found."""
    found = short()
    assert (found.total_kb, found.whole, found.place, found.confidence) == (1000 * MIB, True, "RAM", 0.95)


@pytest.mark.parametrize(
    ("kind", "free", "is_short"),
    [
        ("oom_kill", 9, True),
        ("oom_kill", 25, True),
        ("oom_kill", 45, False),
        (ALLOCATION_FAILURE, 25, False),
        (MEMORY_INFO, 9, True),
        (MEMORY_INFO, 25, False),
        (USERSPACE_KILL, 5, False),
    ],
)
def test_how_much_may_be_free(kind: str, free: float, is_short: bool) -> None:
    """A kill proves that memory was short a moment ago, unless there is plenty; a dump does not."""
    assert (shortage_of(case(1000, kind=kind, free=free)) is not None) == is_short


def test_more_pages_at_once_may_fail_beside_free_memory() -> None:
    """Fragmentation would be blamed on whoever has memory."""
    assert shortage_of(case(1000, free=25, order=3)) is None


def test_areas_for_movable_pages_are_not_free_to_the_kernel() -> None:
    """Free memory in a CMA area would hide that the kernel had none."""
    zones = (zone("Normal", 1000, free=100, free_cma=98),)
    assert shortage_of(case(1000, zones=zones, gfp=GFP_KERNEL)) is not None
    assert shortage_of(case(1000, zones=zones)) is None


def test_a_reserve_counts_even_if_the_request_is_not_known() -> None:
    """Without the line of the request, the reserve of low zones would look like free memory."""
    zones = (zone("DMA", 16, free=15, reserve=(0, 4000, 4000)), zone("Normal", 984, reserve=(0, 0, 0)))
    assert shortage_of(case(1000, zones=zones, gfp=None)) is not None


def test_zones_without_memory_do_not_count() -> None:
    """An empty zone has neither free memory nor a shortage."""
    zones = (zone("Normal", 1000), zone("Movable", 0, free=0))
    found = short(zones=zones)
    assert [each.name for each in found.zones] == ["Normal"]


def test_a_cpuset_of_other_nodes_is_not_short() -> None:
    """Figures of nodes that the request could not use would explain it."""
    zones = (zone("Normal", 1000), zone("Normal", 1000, node=1, free=900))
    event = machine(2000, zones=zones, scope=CPUSET)
    bound = replace(event, trigger=replace(event.trigger, mems_allowed="1"))
    assert shortage_of(Case(bound)) is None


def test_no_usable_zone_is_no_shortage() -> None:
    """A request that may use none of the zones would be blamed on whoever fills them."""
    assert shortage_of(case(1000, zones=(zone("Movable", 1000),), gfp=GFP_KERNEL)) is None


def test_a_cgroups_limit_is_not_the_machines_shortage() -> None:
    """The host would be searched for what a container did."""
    assert shortage_of(Case(cgroup(Memcg(limit_of="/a")))) is None


def test_a_cut_report_is_judged_by_what_is_free() -> None:
    """A report without its zones would have no cause; or the same certainty as a whole one."""
    event = replace(machine(1000), zones=(), nodes=(), missing=("zones",), complete=False)
    found = shortage_of(Case(event))
    assert found is not None
    assert (found.whole, found.by_watermarks, found.confidence) == (True, False, 0.69)
    plenty = replace(machine(1000, free=100), zones=(), nodes=())
    assert shortage_of(Case(plenty)) is None


def test_a_report_without_the_size_of_memory_gives_bounds() -> None:
    """The sum of what is known is all that shares can be of; they must be doubted."""
    event = machine(1000, anon=800)
    cut = replace(event, zones=(), totals=Totals(pages=event.totals.pages, lines=event.totals.lines))
    found = shortage_of(Case(cut))
    assert found is not None
    assert found.estimated
    assert found.total_kb == round((800 + 10 + 30 + 4 + 4 + 5) * MIB)
    assert found.confidence < 0.5


def test_watermarks_that_no_machine_has_are_not_believed() -> None:
    """A zone whose watermarks have underflowed would be short for ever."""
    broken = zone("Normal", 1000, free=300, min=1e14, high=1e14)
    assert shortage_of(case(1000, zones=(broken,))) is None
    assert spare_kb(case(1000, zones=(broken,))) is None
    reserved = zone("Normal", 1000, free=300, reserve=(0, 1 << 55, 1 << 55))
    assert shortage_of(case(1000, zones=(zone("DMA", 16, free=15), reserved))) is None


def test_an_empty_event_is_no_shortage() -> None:
    """A lone line of a kill would end in an exception."""
    assert shortage_of(Case(Event("oom_kill"))) is None
    assert shortage_of(Case(Event("oom_kill", trigger=Trigger(order=0, gfp_mask=GFP_KERNEL)))) is None


def test_figures_of_nodes_hold_for_zones_that_are_nearly_all_of_them() -> None:
    """Since 4.8 shared memory is counted for nodes only, and would be unknown for the zones of one."""
    event = machine(9000, zones=(zone("Normal", 1000), zone("Normal", 8000, node=1, free=6000)), scope=CPUSET)
    nodes = (replace(event.nodes[0], amounts_kb={"shmem": 5 * MIB}), replace(event.nodes[0], node=1))
    found = shortage_of(Case(replace(event, nodes=nodes)))
    assert found is not None
    assert (found.place, found.amount_kb("shmem"), found.amount_kb("pagetables")) == (
        "Normal of node 0",
        5 * MIB,
        None,
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0001, "less than 0.1 %"),
        (0.004, "0.4 %"),
        (0.2, "20 %"),
        (0.988, "99 %"),
        (0.998, "99.8 %"),
    ],
)
def test_shares_are_written_as_percentages(share: float, text: str) -> None:
    """What is nearly nothing, or nearly all, would be written as 0 or 100 %."""
    assert percent(share) == text
