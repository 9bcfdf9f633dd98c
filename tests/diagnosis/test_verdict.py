"""Which of the findings is the verdict."""

import pytest
from tests.diagnosis.reports import asked, report, zone

from memwatchd.diagnosis.verdict import diagnose
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    MEMCG,
    MEMORY_INFO,
    OOM_KILL,
    USERSPACE_KILL,
    Event,
    Memcg,
    Trigger,
    Victim,
)

MOVABLE = "GFP_HIGHUSER_MOVABLE"
FULL = zone("Normal", 8000, (8160, 12240), managed=8_000_000, node=0)
IDLE = zone("Normal", 3_000_000, (8160, 12240), managed=8_000_000, node=1)
# Processes fill nine tenths of the machine, whatever else is wrong with it.
CROWDED = {"active_anon": 1_800_000, "inactive_anon": 10, "active_file": 10, "inactive_file": 10}


@pytest.mark.parametrize(
    ("event", "tag"),
    [
        (Event(USERSPACE_KILL, killer="systemd-oomd"), "userspace_kill"),
        (Event(OOM_KILL, scope=MEMCG, memcg=Memcg("/a", "/a", 1000, 1000)), "memcg_limit"),
        (report(asked(MOVABLE, nodemask="0"), FULL, IDLE, pages=CROWDED), "cpuset_or_mempolicy"),
        (
            report(asked(MOVABLE, mems_allowed="0"), FULL, IDLE, scope=CPUSET, pages=CROWDED),
            "cpuset_or_mempolicy",
        ),
        (
            report(
                asked("GFP_KERNEL|GFP_DMA"),
                zone("DMA", 0, (0, 0), managed=0),
                zone("Normal", 3_000_000, (8160, 12240), managed=8_000_000),
                pages=CROWDED,
            ),
            "dma_zone",
        ),
        (
            report(
                asked("GFP_KERNEL"),
                zone("Normal", 8000, (8160, 12240), managed=890_000),
                zone("HighMem", 700_000, (512, 9000), managed=7_000_000),
                pages=CROWDED,
            ),
            "lowmem_zone",
        ),
        (
            report(
                asked("GFP_KERNEL"),
                zone("Normal", 90_000, (8160, 12240), managed=8_000_000, free_cma=89_000),
                pages=CROWDED,
            ),
            "cma",
        ),
        (
            report(
                asked("GFP_KERNEL", 3),
                zone("Normal", 90_000, (8160, 12240), managed=8_000_000, blocks="22500*4(UME)"),
                pages=CROWDED,
            ),
            "fragmentation",
        ),
        (
            report(
                asked("GFP_ATOMIC"),
                zone("Normal", 900, (8160, 12240), managed=8_000_000),
                kind=ALLOCATION_FAILURE,
                pages={
                    "active_anon": 1_000_000,
                    "inactive_anon": 0,
                    "active_file": 0,
                    "inactive_file": 900_000,
                },
            ),
            "reserve_too_small",
        ),
        (
            report(
                asked(None, mask=0), zone("Normal", 900_000, (8160, 12240), managed=8_000_000), pages=CROWDED
            ),
            "unknown",
        ),
        (
            report(Trigger(), zone("Normal", 900_000, (8160, 12240), managed=8_000_000), kind=MEMORY_INFO),
            "unknown",
        ),
        (Event(OOM_KILL, victims=(Victim(4711, "java", anon_rss_kb=0),)), "unknown"),
        (Event(ALLOCATION_FAILURE), "unknown"),
        (Event(MEMORY_INFO), "unknown"),
    ],
)
def test_the_verdict(event: Event, tag: str) -> None:
    """What a careful reader sees first would come second."""
    diagnosis = diagnose(event)
    assert diagnosis.verdict.tag == tag, [(each.tag, each.weight) for each in diagnosis.findings]
    assert diagnosis.verdict.weight > 0


def test_circumstances_come_last_and_are_never_alone() -> None:
    """A victim without memory would be given as the reason of its own death."""
    diagnosis = diagnose(Event(OOM_KILL, victims=(Victim(4711, "java", anon_rss_kb=0),)))
    assert [each.tag for each in diagnosis.findings] == ["unknown", "victim_mismatch"]


def test_nothing_is_said_twice_of_a_kill_by_another_program() -> None:
    """The kernel's findings have no place there."""
    event = Event(USERSPACE_KILL, killer="earlyoom", victims=(Victim(4711, "java", anon_rss_kb=0),))
    assert [each.tag for each in diagnose(event).findings] == ["userspace_kill"]


def test_a_cut_report_is_trusted_less() -> None:
    """What is missing might say otherwise."""
    whole = Event(OOM_KILL, scope=MEMCG, memcg=Memcg("/a", "/a", 1000, 1000), complete=True)
    cut = Event(OOM_KILL, scope=MEMCG, memcg=Memcg("/a", "/a", 1000, 1000), missing=("head", "cut lines"))
    confidences = [diagnose(each).verdict.confidence for each in (whole, cut)]
    assert confidences == [0.99, 0.85]


def test_why_it_is_not_something_else() -> None:
    """A reader who thinks of fragmentation would have to look himself."""
    event = report(
        asked(MOVABLE), zone("Normal", 8000, (8160, 12240), managed=8_000_000, blocks="2000*4(UM)")
    )
    assert [each.tag for each in diagnose(event).dismissals] == ["fragmentation"]


def test_a_twentieth_is_not_the_cause() -> None:
    """Page tables of 62 MiB would be the verdict where nothing else that is counted is large."""
    pages = {"active_anon": 0, "active_file": 40_000, "inactive_file": 240_000, "slab_unreclaimable": 1000}
    event = report(
        asked("GFP_HIGHUSER_MOVABLE"),
        zone("Normal", 4000, (8160, 12240), managed=1_200_000),
        pages={**pages, "pagetables": 16_000},
        ram_kb=1_200_000,
    )
    assert [each.tag for each in diagnose(event).findings] == ["unknown", "pagetables"]
