"""Low memory that is used up while other memory is free."""

from dataclasses import replace

import pytest
from tests.diagnosis.reports import asked, case, dismissed, found, quoted, report, zone

from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.lowmem_zone import WEIGHT_CACHE, WEIGHT_FREE, examine
from memwatchd.oomreport.report import RECORDED, Event, Trigger, Zone

DMA = zone("DMA", 3624, (140, 208), managed=15808, reserve=(0, 869, 32487, 32487))
NORMAL = zone(
    "Normal", 8056, (8048, 12072), managed=890_008, reserve=(0, 0, 252_949, 252_949), slab_reclaimable=513_008
)
HIGHMEM = zone(
    "HighMem", 561_924, (512, 9000), managed=32_000_000, inactive_file=31_000_000, reserve=(0, 0, 0, 0)
)


def seed(flags: str = "GFP_KERNEL|__GFP_ZERO", **others: object) -> Event:
    zones = (DMA, NORMAL, HIGHMEM)
    return report(asked(flags), *zones, swap=(1_959_892, 1_959_892), **others)  # type: ignore[arg-type]


def test_a_32_bit_server_with_a_full_normal_zone() -> None:
    """The story the program was written for would end with another culprit."""
    finding = found(examine(case(seed())))
    assert finding.weight == WEIGHT_FREE
    assert finding.summary == (
        "The request (GFP_KERNEL|__GFP_ZERO) could only be met from low memory, DMA and Normal, which was"
        " used up: 7.87 MiB free in Normal, of which 7.86 MiB must stay (min). At the same time 540 MiB"
        " were free in HighMem, 29.6 GiB of page cache could have been dropped there and 1.87 GiB of swap"
        " were free, none of which helps it. Normal held reclaimable slab 501 MiB (58 %)."
    )
    assert quoted(finding) == ["the request", "zone Normal", "zone HighMem", "swap", "Mem-Info"]
    assert finding.advice.now == ("Drop dentries and inodes: `echo 2 > /proc/sys/vm/drop_caches`.",)


def test_what_is_held_cannot_be_dropped() -> None:
    """Sockets that servers hold fill low memory just so, and the reader would drop caches in vain."""
    held = zone("Normal", 8056, (8048, 12072), managed=890_008, slab_unreclaimable=513_008)
    finding = found(examine(case(report(asked("GFP_KERNEL"), held, HIGHMEM))))
    assert ["FDSize" in each for each in finding.advice.now] == [True]


def test_the_reserve_can_be_what_blocks() -> None:
    """Free above min and yet refused would look like a bug of the kernel."""
    kept = zone("DMA", 8000, (64, 96), managed=15_812, reserve=(0, 2000, 2000, 2000))
    event = report(asked("GFP_KERNEL"), kept, HIGHMEM)
    finding = found(examine(case(event)))
    assert "7.81 MiB are kept for requests that can use no other zone (lowmem_reserve)" in finding.summary
    assert "reserve DMA" in quoted(finding)


def test_page_cache_above_counts_as_well() -> None:
    """HighMem is kept full of page cache, so that little of it is ever free."""
    full = zone("HighMem", 9000, (512, 9000), managed=4_000_000, inactive_file=3_000_000)
    event = report(asked("GFP_KERNEL"), NORMAL, full, ram_kb=4_890_008)
    assert found(examine(case(event))).weight == WEIGHT_CACHE


def test_a_request_for_any_zone_is_not_limited() -> None:
    """A process that fills all of memory would be excused."""
    assert "may use HighMem, too" in dismissed(examine(case(seed("GFP_HIGHUSER_MOVABLE"))))


def test_everything_was_short() -> None:
    """An exhausted machine would be blamed on its zones."""
    full = zone("HighMem", 800, (512, 9000), managed=7_000_000, active_anon=6_900_000)
    event = report(asked("GFP_KERNEL"), NORMAL, full, ram_kb=7_890_008)
    assert "so was the rest" in dismissed(examine(case(event)))


def test_normal_was_not_short() -> None:
    """A failure of another reason would be put on low memory."""
    easy = zone("Normal", 90_056, (8048, 12072), managed=890_008)
    assert examine(case(report(asked("GFP_KERNEL"), easy, HIGHMEM))) is None


def test_64_bit_drivers_that_need_dma32() -> None:
    """A graphics driver would be told that 40 GiB were free, without why that is of no use."""
    dma32 = zone("DMA32", 6000, (7000, 9000), managed=1_900_000, reserve=(0, 0, 0))
    normal = zone("Normal", 40_000_000, (60_000, 90_000), managed=60_000_000, reserve=(0, 0, 0))
    finding = found(examine(case(report(asked("GFP_KERNEL|GFP_DMA32"), dma32, normal))))
    assert "could only be met from low memory, DMA32" in finding.summary
    assert finding.figures["elsewhere_free_kb"] == 39_910_000


@pytest.mark.parametrize("flags", ["GFP_DMA", "GFP_KERNEL|GFP_DMA"])
def test_zone_dma_is_another_finding(flags: str) -> None:
    """The same would be said twice."""
    assert examine(case(report(asked(flags), zone("DMA", 0, (8, 12), managed=15_000), NORMAL))) is None


def test_the_last_pages_of_low_memory_are_in_small_blocks() -> None:
    """A kernel stack takes two pages, and would turn each such kill into one of fragmentation."""
    crumbs = zone("Normal", 9000, (8048, 12072), managed=890_008, blocks="2250*4(UE)")
    assert found(examine(case(report(asked("GFP_KERNEL", 1), crumbs, HIGHMEM)))).weight == WEIGHT_FREE


def test_low_memory_with_much_free_in_small_blocks() -> None:
    """A fragmented zone is not a full one."""
    crumbs = zone("Normal", 90_000, (8048, 12072), managed=890_008, blocks="22500*4(UE)")
    assert examine(case(report(asked("GFP_KERNEL", 1), crumbs, HIGHMEM))) is None


def test_slab_below_movable_memory() -> None:
    """Since 4.8 zones do not count slab; what had filled the only zone for it would not be said."""
    normal = zone("Normal", 12652, (14344, 23840), managed=4_750_196, reserve=(0, 15360))
    movable = zone("Movable", 1_351_196, (2544, 6472), managed=1_966_080)
    event = report(asked("GFP_KERNEL"), normal, movable, pages={"slab_unreclaimable": 795_718})
    assert "Normal held unreclaimable slab 3.04 GiB (67 %)." in found(examine(case(event))).summary


def recorded(*zones: Zone) -> Event:
    """The same machine, of which there is no request but a recording."""
    return replace(report(asked("GFP_KERNEL"), *zones), kind=RECORDED, trigger=Trigger())


def test_a_recording_has_no_request() -> None:
    """A 32-bit server that hangs for want of low memory, with HighMem free, would be called healthy."""
    full = replace(NORMAL, amounts_kb={**NORMAL.amounts_kb, "free": 8000})
    low = replace(DMA, amounts_kb={**DMA.amounts_kb, "free": 100})
    finding = found(examine(case(recorded(low, full, HIGHMEM))))
    assert finding.summary.startswith(
        "What the kernel asks for itself (GFP_KERNEL) can only be met from low memory,"
        " DMA and Normal, which was"
        " used up: 7.81 MiB free in Normal, of which 7.86 MiB must stay (min)."
    )


def test_a_recording_of_low_memory_near_its_watermark() -> None:
    """Kswapd keeps Normal between low and high on every busy machine: that is no shortage."""
    busy = replace(NORMAL, amounts_kb={**NORMAL.amounts_kb, "free": 11000})
    assert examine(case(recorded(DMA, busy, HIGHMEM))) is None


@pytest.mark.parametrize(("slab_mib", "is_found"), [(300, True), (100, False)])
def test_a_recording_of_low_memory_that_slab_will_soon_have_filled(slab_mib: int, is_found: bool) -> None:
    """What a rule had averted in time would be told as nothing, or a busy page cache as the end."""
    busy = replace(NORMAL, amounts_kb={**NORMAL.amounts_kb, "free": 11000})
    low = replace(DMA, amounts_kb={**DMA.amounts_kb, "free": 100})
    event = recorded(low, busy, HIGHMEM)
    pages = {**event.totals.pages, "slab_unreclaimable": slab_mib << 8, "slab_reclaimable": 300 << 8}
    finding = examine(case(replace(event, totals=replace(event.totals, pages=pages))))
    assert isinstance(finding, Finding) is is_found
    if isinstance(finding, Finding):
        assert "which was nearly used up: 10.7 MiB free in Normal" in finding.summary
