"""Several pages in one piece."""

from tests.diagnosis.reports import asked, case, dismissed, found, quoted, report, zone

from memwatchd.diagnosis.fragmentation import WEIGHT_PLAINLY_FREE, WEIGHT_UNDER_PRESSURE, examine
from memwatchd.oomreport.report import ALLOCATION_FAILURE, MEMCG


def test_only_cma_blocks_are_large_enough() -> None:
    """A kernel request would be told that there were blocks, which it could not have."""
    event = report(
        asked("GFP_KERNEL|__GFP_COMP", 5),
        zone(
            "Normal",
            33244,
            (1956, 2932),
            blocks="2127*4(UMEC) 1508*8(UMEC) 472*16(UMEC) 96*32(UMC) 12*64(C) 13*128(C)",
        ),
        zone("HighMem", 236_820, (512, 3720), blocks="225*128(UM)"),
        kind=ALLOCATION_FAILURE,
    )
    finding = found(examine(case(event)))
    assert finding.weight == WEIGHT_PLAINLY_FREE
    assert finding.summary == (
        "The request was for 32 pages in one piece (order 5, 128 KiB): 32.5 MiB were free in Normal,"
        " above its min watermark of 1.91 MiB, but no free block that it may use is as large. The 13"
        " blocks of that size and above are of CMA areas. Above order 3 the kernel does not try hard: such"
        " a request may fail at any time."
    )
    assert quoted(finding) == ["the request", "blocks Normal", "zone Normal"]


def test_an_atomic_request_of_an_old_kernel() -> None:
    """The classic network card that gets no pair of pages would be blamed on whoever is large."""
    event = report(
        asked(None, 1, mask=0x20),
        zone("Normal", 17936, (1864, 2796), blocks="4408*4 12*8 13*16", inactive_file=21608),
        kind=ALLOCATION_FAILURE,
    )
    finding = found(examine(case(event)))
    assert "kernels before 4.4" in finding.summary
    assert "could not wait" in finding.summary
    assert finding.figures["unusable_index"] == 0.983


def test_between_the_watermarks_it_weighs_less() -> None:
    """A machine full of processes would be said to be fragmented."""
    event = report(asked("GFP_KERNEL", 2), zone("Normal", 5000, (4000, 6000), blocks="1250*4(UME)"))
    assert found(examine(case(event))).weight == WEIGHT_UNDER_PRESSURE


def test_a_block_of_that_size_dismisses_it() -> None:
    """Any failure of a larger order would be called fragmentation."""
    event = report(asked("GFP_KERNEL", 2), zone("Normal", 9000, (4000, 6000), blocks="1000*4(UME) 313*16(U)"))
    assert dismissed(examine(case(event))) == (
        "313 free blocks of order 2 or above were left in Normal, which had 8.79 MiB free above a min"
        " watermark of 3.91 MiB."
    )


def test_a_zone_without_memory_is_not_fragmented() -> None:
    """A plain shortage that happens to hit a larger request would be misnamed."""
    event = report(asked("GFP_KERNEL", 2), zone("Normal", 3900, (4000, 6000), blocks="975*4(UME)"))
    assert "short of memory as such" in dismissed(examine(case(event)))


def test_a_single_page_dismisses_it() -> None:
    """The reader who sees many small blocks would wonder."""
    event = report(asked("GFP_KERNEL"), zone("Normal", 3900, (4000, 6000), blocks="975*4(UME)"))
    assert "a single page" in dismissed(examine(case(event)))


def test_a_cgroups_limit_has_no_blocks() -> None:
    """The order of a charge says nothing."""
    assert examine(case(report(asked("GFP_KERNEL", 2), scope=MEMCG))) is None


def test_a_list_that_is_cut_leaves_it_probable() -> None:
    """Without the list a large request beside much free memory would have no reason at all."""
    event = report(asked("GFP_KERNEL", 4), zone("Normal", 200_000, (4000, 6000)))
    finding = found(examine(case(event)))
    assert (finding.confidence, "most probably no block was as large" in finding.summary) == (0.6, True)


def test_a_list_that_is_cut_in_a_zone_under_pressure() -> None:
    """Below the high watermark the amount may have been the reason as well."""
    assert examine(case(report(asked("GFP_KERNEL", 4), zone("Normal", 5000, (4000, 6000))))) is None
