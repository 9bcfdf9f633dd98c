"""Requests that are bound to the lowest addresses."""

from tests.diagnosis.reports import asked, case, dismissed, found, quoted, report, zone

from memwatchd.diagnosis.dma_zone import examine
from memwatchd.oomreport.report import ALLOCATION_FAILURE

DMA32 = zone("DMA32", 256_000, (408, 920), managed=256_000, node=0)
NORMAL = zone("Normal", 5_894_876, (9552, 21456), managed=5_953_112, node=0)


def test_a_zone_without_memory() -> None:
    """Nobody would understand why a boot fails with 96 % of memory free."""
    empty = zone("DMA", 0, (0, 0), managed=0, node=0)
    event = report(asked("GFP_DMA", 6), empty, DMA32, NORMAL, kind=ALLOCATION_FAILURE)
    finding = found(examine(case(event)))
    assert finding.summary == (
        "The request for 64 pages in one piece (order 6, 256 KiB) (GFP_DMA) had to come from zone DMA,"
        " which has no memory at all, while 5.84 GiB were free in DMA32 and Normal."
    )
    assert quoted(finding)[:3] == ["the request", "zone DMA", "blocks DMA"]
    assert finding.weight > 0.9


def test_a_zone_that_is_full() -> None:
    """ISA-like drivers fail when others have taken the 16 MB."""
    full = zone("DMA", 60, (64, 96), managed=15_908, node=0)
    finding = found(examine(case(report(asked("GFP_KERNEL|GFP_DMA"), full, DMA32, NORMAL))))
    assert "of whose 15.5 MiB 60 KiB were free, not more than must stay (64 KiB)" in finding.summary


def test_a_zone_that_is_not_printed() -> None:
    """Newer kernels leave zones without memory out."""
    event = report(asked("GFP_KERNEL|GFP_DMA"), pages={"free": 1_000_000}, kind=ALLOCATION_FAILURE)
    finding = found(examine(case(event)))
    assert (finding.confidence, "is not among the printed" in finding.summary) == (0.7, True)


def test_a_crash_kernels_rest_of_dma32() -> None:
    """A DMA32 of some megabytes is no zone that a program could fill."""
    small = zone("DMA32", 100, (128, 192), managed=8_000, node=0)
    assert "zone DMA32" in found(examine(case(report(asked("GFP_KERNEL|GFP_DMA32"), small, NORMAL)))).summary


def test_the_zone_had_enough() -> None:
    """A driver's failure of another reason would be put on the zone."""
    free = zone("DMA", 15_000, (64, 96), managed=15_908, node=0)
    assert "94 % of that zone were free" in dismissed(examine(case(report(asked("GFP_DMA"), free, NORMAL))))


def test_everything_was_full() -> None:
    """With nothing free anywhere the zone is not the reason."""
    full = zone("DMA", 60, (64, 96), managed=15_908, node=0)
    normal = zone("Normal", 9000, (9552, 21456), managed=5_953_112, node=0)
    assert examine(case(report(asked("GFP_DMA"), full, normal))) is None


def test_other_requests_are_not_bound() -> None:
    """An empty zone DMA is ordinary, and no reason for anything else."""
    empty = zone("DMA", 0, (0, 0), managed=0, node=0)
    assert examine(case(report(asked("GFP_KERNEL"), empty, NORMAL))) is None
