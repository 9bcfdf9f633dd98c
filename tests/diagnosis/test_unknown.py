"""No shortage to be seen, or nothing to see it by."""

import pytest
from tests.diagnosis.reports import asked, case, found, quoted, report, zone

from memwatchd.diagnosis.unknown import WEIGHT, WEIGHT_BY_HAND_SHORT, WEIGHT_LAST, examine, last_resort
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    MEMCG,
    MEMORY_INFO,
    USERSPACE_KILL,
    Event,
    Trigger,
    Victim,
)

MOVABLE = "GFP_HIGHUSER_MOVABLE"
EASY = zone("Normal", 852_132, (8608, 20896), managed=6_147_344)
TIGHT = zone("Normal", 8000, (8608, 20896), managed=6_147_344)


def test_the_page_fault_path_had_no_request() -> None:
    """The largest process would be blamed for a driver's error."""
    event = report(asked(None, mask=0), EASY)
    finding = found(examine(case(event)))
    assert finding.weight == WEIGHT
    assert finding.summary == (
        "Not a shortage: a page fault handler reported OOM (gfp_mask=0x0) without any request for memory"
        " having failed: 812 MiB (14 % of RAM) were free above all watermarks. A driver, a file system or a"
        " damaged page table or swap entry returns VM_FAULT_OOM."
    )
    assert quoted(finding) == ["the request", "zone Normal", "Mem-Info"]


def test_the_page_fault_path_on_a_machine_that_is_full() -> None:
    """Old kernels report real shortages that way, too."""
    assert examine(case(report(asked(None, mask=0), TIGHT))) is None


def test_watermarks_that_have_underflowed() -> None:
    """With 2.7 GiB free somebody would still look for who used memory."""
    event = report(
        asked(MOVABLE),
        zone("DMA32", 2_677_864, (7004, 13052), reserve=(0, 0, 72_057_594_037_927_865)),
        zone("Normal", 193_448, (99_395_541_895_224, 147_673_348_131_571_488)),
        ram_kb=2_965_812,
    )
    finding = found(examine(case(event)))
    assert finding.weight == WEIGHT
    assert "high of Normal is 147,673,348,131,571,488 kB, which nothing can ever be above" in finding.summary


def test_a_dump_of_a_healthy_machine() -> None:
    """A vendor's monitor would be taken for an OOM."""
    event = report(Trigger(), EASY, kind=MEMORY_INFO)
    assert found(examine(case(event))).summary.startswith("Nobody was killed, and memory was not short")


def test_a_kill_by_hand() -> None:
    """SysRq-f would be explained by whoever was large."""
    event = report(asked("GFP_KERNEL", -1), EASY, manner="sysrq")
    finding = found(examine(case(event)))
    assert (finding.weight, finding.confidence) == (WEIGHT, 0.97)
    assert "no request had failed" in finding.summary


def test_a_kill_by_hand_while_memory_was_short() -> None:
    """Who pressed the keys on a machine that hung wants to know why it hung."""
    event = report(asked("GFP_KERNEL", -1), TIGHT, manner="sysrq")
    assert found(examine(case(event))).weight == WEIGHT_BY_HAND_SHORT


def test_vmalloc_without_addresses() -> None:
    """Free memory does not help where addresses are missing."""
    event = report(asked("GFP_KERNEL"), EASY, kind=ALLOCATION_FAILURE, manner="vmalloc")
    assert "among its addresses" in found(examine(case(event))).summary


def test_an_ordinary_kill_without_a_shortage() -> None:
    """A consumer would be named although there was enough for everybody."""
    finding = found(examine(case(report(asked(MOVABLE), EASY))))
    assert finding.summary.startswith(
        "No shortage is visible: the kernel killed although 812 MiB (14 % of RAM)"
    )


@pytest.mark.parametrize(
    "event",
    [
        report(asked(MOVABLE), TIGHT),
        # Above high, but no more than a victim may have given back meanwhile.
        report(asked(MOVABLE), zone("Normal", 60_000, (8608, 20896), managed=6_147_344)),
        # The free memory is CMA, which is another finding's.
        report(
            asked("GFP_KERNEL"), zone("Normal", 852_132, (8608, 20896), managed=6_147_344, free_cma=850_000)
        ),
        # One node is full: somebody may have been bound to it.
        report(
            asked(MOVABLE),
            zone("Normal", 8000, (8608, 20896), managed=6_147_344, node=0),
            zone("Normal", 852_132, (8608, 20896), managed=6_147_344, node=1),
        ),
        report(
            asked("GFP_KERNEL", 5),
            zone("Normal", 852_132, (8608, 20896), managed=6_147_344, blocks="213033*4(U)"),
        ),
        report(asked(MOVABLE), EASY, scope=MEMCG),
        Event(USERSPACE_KILL),
        Event("oom_kill"),
    ],
)
def test_nearly_so(event: Event) -> None:
    """Any other cause would be talked away."""
    assert examine(case(event)) is None


def test_the_last_resort_says_what_is_missing() -> None:
    """An answer that names nothing looks like a bug of ours."""
    lone = Event("oom_kill", victims=(Victim(4503, "(sd-pam)", line=7),), texts={7: "Killed process 4503"})
    finding = last_resort(case(lone))
    assert finding.weight == WEIGHT_LAST
    assert finding.summary == (
        "The text does not tell why. (sd-pam) (4503) was killed. There is the line of the kill only:"
        " neither the request nor the Mem-Info block is in the text, which the kernel leaves out when it"
        " kills too often, and cut logs lose."
    )
    assert quoted(finding) == ["Killed process 4503"]
    assert "Mem-Info block" in last_resort(case(Event("oom_kill", trigger=asked("GFP_KERNEL")))).summary
    assert "nothing that is counted" in last_resort(case(report(asked(MOVABLE), TIGHT))).summary


def test_addresses_that_the_kernel_says_it_has_not() -> None:
    """The text names its cause, and would be said not to tell it."""
    said = "vmap allocation for size 36864 failed: use vmalloc=<size> to increase size"
    event = report(asked("GFP_KERNEL"), kind=ALLOCATION_FAILURE, manner="vmalloc", texts={1: said})
    finding = found(examine(case(event)))
    assert finding.weight == WEIGHT
    assert finding.summary.startswith("Not a shortage of memory but of addresses")
    assert quoted(finding) == [said]


def test_a_dump_of_a_machine_that_gets_along() -> None:
    """It would be said to be short of memory, though nobody was refused any."""
    event = report(Trigger(), zone("DMA", 36288, (11584, 17344), managed=8_388_608), kind=MEMORY_INFO)
    assert examine(case(event)) is None
    assert "nobody killed and no request refused: 18.5 MiB were free" in last_resort(case(event)).summary


def test_a_request_of_which_nothing_is_known() -> None:
    """The sentence would have a pair of empty brackets in it."""
    assert "which most requests may use" in found(examine(case(report(Trigger(), EASY)))).summary


def test_the_reserve_counts_for_a_request_of_which_nothing_is_known() -> None:
    """What is kept for others would be free memory that the kernel had overlooked."""
    kept = zone("DMA", 400_000, (4000, 6000), managed=1_000_000, reserve=(0, 125_000, 125_000))
    assert examine(case(report(Trigger(), kept))) is None
