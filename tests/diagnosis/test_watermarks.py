"""The allocator's check, recomputed from what a report prints."""

import pytest
from tests.diagnosis.reports import asked, case, report, zone

from memwatchd.diagnosis.watermarks import Answer, gates, in_nodes, refused, unlisted_free_kb
from memwatchd.oomreport.report import ALLOCATION_FAILURE, Trigger, Zone

KERNEL = "GFP_KERNEL"
MOVABLE = "GFP_HIGHUSER_MOVABLE"
ATOMIC = "GFP_ATOMIC"


@pytest.mark.parametrize(
    ("trigger", "one", "answer"),
    [
        (asked(KERNEL), zone("Normal", 9000, (4000, 6000)), Answer.SERVES),
        (asked(KERNEL), zone("Normal", 4000, (4000, 6000)), Answer.SHORT),
        # __GFP_HIGH may use half of min, an atomic request a quarter of the rest, too: 1500 of 4000.
        (asked(ATOMIC), zone("Normal", 1600, (4000, 6000)), Answer.SERVES),
        (asked(ATOMIC), zone("Normal", 1500, (4000, 6000)), Answer.SHORT),
        (asked(KERNEL), zone("Normal", 0, (0, 0), managed=0), Answer.EMPTY),
        (asked(KERNEL), zone("Normal", 9000, (1 << 60, 1 << 61)), Answer.BROKEN),
        (asked(KERNEL), zone("Normal", 9000, (4000, 6000), free_cma=5000), Answer.CMA),
        (asked(MOVABLE), zone("Normal", 9000, (4000, 6000), free_cma=5000), Answer.SERVES),
        (asked(KERNEL), zone("Normal", 9000, (4000, 6000), reserved_highatomic=5000), Answer.HIGHATOMIC),
        (asked(ATOMIC), zone("Normal", 9000, (4000, 6000), reserved_highatomic=5000), Answer.SERVES),
        # What is free of that reserve is what counts, where it is printed.
        (
            asked(KERNEL),
            zone("Normal", 9000, (4000, 6000), reserved_highatomic=5000, free_highatomic=100),
            Answer.SERVES,
        ),
        (asked(KERNEL, 2), zone("Normal", 9000, (400, 600), blocks="2000*4(UM) 125*8(E)"), Answer.NO_BLOCK),
        (asked(KERNEL, 2), zone("Normal", 9000, (400, 600), blocks="2000*4(UM) 60*16(CH)"), Answer.NO_BLOCK),
        (asked(KERNEL, 2), zone("Normal", 9000, (400, 600), blocks="2000*4(UM) 60*16(CE)"), Answer.SERVES),
        (asked(MOVABLE, 2), zone("Normal", 9000, (400, 600), blocks="2000*4(UM) 60*16(C)"), Answer.SERVES),
        (asked(ATOMIC, 2), zone("Normal", 9000, (400, 600), blocks="2000*4(UM) 60*16(H)"), Answer.SERVES),
        (asked(ATOMIC, 2), zone("Normal", 9000, (400, 600), blocks="2000*4(UM) 60*16(I)"), Answer.NO_BLOCK),
    ],
)
def test_each_answer(trigger: Trigger, one: Zone, answer: Answer) -> None:
    """A wrong answer here is a wrong cause everywhere."""
    assert [each.answer for each in gates(case(report(trigger, one)))] == [answer]


def test_before_44_smaller_blocks_do_not_count() -> None:
    """A failure of an old kernel would seem to have no reason: there are blocks of that size."""
    tight = zone("Normal", 17936, (1864, 2796), blocks="4408*4 12*8 13*16")
    old = report(asked(None, 1, mask=0x20), tight, kind=ALLOCATION_FAILURE)
    named = report(asked(None, 1, mask=0xD0), tight, kernel="3.10.0-327.el7.x86_64")
    new = report(asked(KERNEL, 1), tight, kernel="5.10.0-8-amd64")

    answers = [gates(case(each))[0].answer for each in (old, named, new)]

    assert answers == [Answer.SCATTERED, Answer.SCATTERED, Answer.SERVES]


def test_the_reserve_for_lower_zones_is_kept() -> None:
    """Free memory that a request may not have would count as free."""
    dma32 = zone("DMA32", 2_783_784, (28, 40), reserve=(0, 0, 772_650, 772_650))
    normal = zone("Normal", 8120, (8160, 12240), reserve=(0, 0, 0, 0))

    answers = gates(case(report(asked(MOVABLE), zone("DMA", 0, (0, 0), managed=0), dma32, normal)))

    assert [each.answer for each in answers] == [Answer.EMPTY, Answer.RESERVED, Answer.SHORT]


def test_a_cut_list_of_blocks_is_no_proof() -> None:
    """A terminal's right edge would make a fragmented zone."""
    cut = zone("Normal", 90_000, (400, 600), blocks="2000*4(UM) 125*8(E)")
    assert gates(case(report(asked(KERNEL, 5), cut))) != ()
    without_sum = Zone(
        None,
        "Normal",
        amounts_kb=cut.amounts_kb,
        free_blocks=cut.free_blocks,
        block_kb=4,
        blocks_total_kb=None,
    )
    assert gates(case(report(asked(KERNEL, 5), without_sum))) == ()


def test_a_narrow_yes_counts_only_strictly() -> None:
    """Memory that was freed while the report was printed would be a shortage that never was."""
    answers = gates(case(report(asked(KERNEL), zone("Normal", 5000, (4000, 6000)))))
    assert (refused(answers), refused(answers, strictly=True)) == (True, False)


def test_without_zones_nothing_was_refused() -> None:
    """An empty report would prove everything."""
    assert not refused(())


@pytest.mark.parametrize(
    ("nodes", "node", "expected"),
    [
        ("0-1,4", 4, True),
        ("0-1,4", 1, True),
        ("0-1,4", 3, False),
        ("0", 0, True),
        (None, 7, True),
        ("0", None, True),
        ("(null)", 3, True),
        ("9" * 4000 + "-1", 3, True),
        ("-", 3, True),
        ("٣", 4, False),
    ],
)
def test_lists_of_nodes(nodes: str | None, node: int | None, expected: bool) -> None:
    """A wrong list would make a bound request of a free one."""
    assert in_nodes(nodes, node) is expected


def test_free_memory_of_zones_that_are_not_printed() -> None:
    """Nodes that a report leaves out would be taken for used up."""
    one = report(asked(KERNEL), zone("Normal", 4000, (4000, 6000)), pages={"free": 1_000_000})
    assert unlisted_free_kb(case(one)) == 3_996_000


def test_the_reserve_of_a_32_bit_kernel_that_does_not_print_highmem() -> None:
    """Since 6.2 it is left out, and its column would be taken for Normal's."""
    normal = zone("Normal", 90_000, (8048, 12072), reserve=(0, 0, 252_949, 252_949))
    dma = zone("DMA", 3624, (140, 208), reserve=(0, 869, 32_487, 32_487))
    one = report(asked(KERNEL), dma, normal, kernel="6.6.0-686-pae i686")

    assert [each.reserve_kb for each in gates(case(one))] == [3476, 0]
