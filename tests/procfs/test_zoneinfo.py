"""zoneinfo; each layout since 2.6.32 has a machine under fixtures, see their NOTE files."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.zoneinfo import NodeStats, Zone, Zoneinfo, parse_zoneinfo

KernelText = Callable[[str, str], bytes]

TEXT = b"""\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 976
      nr_mapped    2711
  pages free     3840
        boost    0
        min      58
        low      72
        high     86
        promo    100
        spanned  4095
        present  3998
        managed  3840
        cma      0
        protection: (0, 3019, 4299)
      nr_free_pages 3840
      numa_hit     12
  pagesets
    cpu: 0
              count:    17
              high:     0
              batch:    1
              high_min: 36
  vm stats threshold: 4
    cpu: 1
              count:    0
  vm stats threshold: 4
  node_unreclaimable:  0
  start_pfn:           1
Node 0, zone  Movable
  pages free     0
        min      32
        low      32
        high     32
        spanned  0
        present  0
        protection: (0, 0, 0)
"""


def test_whole_object() -> None:
    """If this fails, a size, counter or node statistic is in the wrong place, or a page set gets in."""
    dma = Zone(
        node=0,
        name="DMA",
        free_pages=3840,
        boost_pages=0,
        min_pages=58,
        low_pages=72,
        high_pages=86,
        promo_pages=100,
        spanned_pages=4095,
        present_pages=3998,
        managed_pages=3840,
        cma_pages=0,
        protection_pages=(0, 3019, 4299),
        counters={"nr_free_pages": 3840, "numa_hit": 12, "node_unreclaimable": 0},
        start_pfn=1,
    )
    movable = Zone(
        node=0,
        name="Movable",
        free_pages=0,
        boost_pages=None,
        min_pages=32,
        low_pages=32,
        high_pages=32,
        promo_pages=None,
        spanned_pages=0,
        present_pages=0,
        managed_pages=None,
        cma_pages=None,
        protection_pages=(0, 0, 0),
        counters={},
        start_pfn=None,
    )
    node = NodeStats(0, {"nr_inactive_anon": 976, "nr_mapped": 2711})
    assert parse_zoneinfo(TEXT) == Zoneinfo((dma, movable), (node,))


LAYOUTS = {
    # machine: zones, nodes, optional sizes there are, counters only this layout has
    "vanilla-2.6.32": (
        3,
        0,
        set(),
        {"scanned", "prev_priority", "all_unreclaimable", "inactive_ratio", "numa_hit"},
    ),
    "vanilla-3.2-i386-pae": (3, 0, set(), {"scanned", "all_unreclaimable", "inactive_ratio", "nr_dirtied"}),
    "el7-3.10": (3, 0, {"managed"}, {"scanned", "nr_free_cma", "numa_other"}),
    "vanilla-4.4": (2, 0, {"managed"}, {"nr_alloc_batch", "nr_pages_scanned", "workingset_refault"}),
    "vanilla-4.9": (3, 1, {"managed"}, {"node_scanned", "node_unreclaimable", "node_inactive_ratio"}),
    "vanilla-4.19": (5, 1, {"managed"}, {"node_unreclaimable", "numa_other", "nr_page_table_pages"}),
    "vanilla-5.15": (5, 1, {"managed", "cma"}, {"node_unreclaimable", "numa_local"}),
    "vanilla-6.1": (5, 1, {"managed", "cma", "boost"}, {"node_unreclaimable", "nr_zspages"}),
    "vanilla-6.12": (2, 1, {"managed", "cma", "boost", "promo"}, {"nr_unaccepted"}),
    "vanilla-5.14-numa-1536gib": (20, 4, {"managed", "cma"}, {"nr_free_cma"}),
    "debian12-6.18": (
        5,
        1,
        {"managed", "cma", "boost", "promo"},
        {"nr_free_pages_blocks", "numa_interleave"},
    ),
}


@pytest.mark.parametrize("machine", LAYOUTS)
def test_layouts(kernel_text: KernelText, machine: str) -> None:
    """If this fails, one era's layout has been broken: sizes are counters, or zones are lost."""
    zones, nodes, sizes, counters = LAYOUTS[machine]
    info = parse_zoneinfo(kernel_text(machine, "proc/zoneinfo"))
    first = info.zones[0]
    assert (len(info.zones), len(info.nodes)) == (zones, nodes)
    assert {
        name for name in ("managed", "cma", "boost", "promo") if getattr(first, f"{name}_pages") is not None
    } == sizes
    assert counters <= first.counters.keys()
    assert first.counters["nr_free_pages"] == first.free_pages
    assert not {"free", "min", "high", "count", "batch", "high_min", "start_pfn"} & first.counters.keys()


def test_lowmem_beside_free_highmem(kernel_text: KernelText) -> None:
    """If this fails, a Normal zone at its watermark cannot be seen beside plenty of HighMem."""
    dma, normal, high = parse_zoneinfo(kernel_text("vanilla-3.2-i386-pae", "proc/zoneinfo")).zones
    assert [zone.name for zone in (dma, normal, high)] == ["DMA", "Normal", "HighMem"]
    assert (normal.free_pages, normal.min_pages, high.free_pages) == (2014, 2012, 140573)
    assert (normal.counters["all_unreclaimable"], high.counters["all_unreclaimable"]) == (1, 0)
    assert normal.counters["scanned"] == 1015
    assert normal.protection_pages == (0, 0, 252949, 252949)
    assert (normal.managed_pages, normal.start_pfn) == (None, 4096)


def test_zones_without_pages(kernel_text: KernelText) -> None:
    """If this fails, the block of an empty zone is refused, or runs into the next one."""
    info = parse_zoneinfo(kernel_text("vanilla-5.15", "proc/zoneinfo"))
    empty = [zone for zone in info.zones if not zone.present_pages]
    assert [zone.name for zone in empty] == ["Normal", "Movable", "Device"]
    assert all((zone.counters, zone.start_pfn, zone.managed_pages) == ({}, None, 0) for zone in empty)


def test_node_statistics_follow_the_first_populated_zone(kernel_text: KernelText) -> None:
    """If this fails, the statistics of nodes whose DMA zones are empty go to the wrong node."""
    info = parse_zoneinfo(kernel_text("vanilla-5.14-numa-1536gib", "proc/zoneinfo"))
    assert [stats.node for stats in info.nodes] == [0, 1, 2, 10]
    assert sorted({zone.node for zone in info.zones}) == [0, 1, 2, 10]
    assert all("nr_inactive_anon" in stats.counters for stats in info.nodes)
    assert not any("nr_inactive_anon" in zone.counters for zone in info.zones)


def test_lines_after_start_pfn(kernel_text: KernelText) -> None:
    """If this fails, lines added to the end of a zone are lost or break it."""
    normal = parse_zoneinfo(kernel_text("vanilla-6.12", "proc/zoneinfo")).zones[-1]
    assert (normal.counters["reserved_highatomic"], normal.counters["free_highatomic"]) == (512, 498)
    assert normal.start_pfn == 1048576


def test_unknown_lines_and_additions_are_ignored() -> None:
    """If this fails, a kernel that says a little more is not understood at all."""
    text = TEXT.replace(b"min      58", b"min      58 (raised)\n        mood     good\n   a whole sentence")
    text = text.replace(b"node_unreclaimable:  0", b"node_unreclaimable:  0\n  comment: none")
    assert parse_zoneinfo(b"Zones of this machine:\n" + text) == parse_zoneinfo(TEXT)


def test_empty_file_has_no_zones() -> None:
    """If this fails, an empty read is an error instead of nothing."""
    assert parse_zoneinfo(b"") == Zoneinfo((), ())


@pytest.mark.parametrize(
    ("good", "bad", "item"),
    [
        (b"Node 0, zone      DMA", b"Node 0, zone", "zone"),
        (b"Node 0, zone      DMA", b"Node x, zone      DMA", "Node"),
        (b"pages free     3840", b"pages free     38#0", "free"),
        (b"  pages free     3840\n", b"", "free"),
        (b"        min      58\n", b"", "min"),
        (b"high     86", b"high", "high"),
        (b"nr_free_pages 3840", b"nr_free_pages", "nr_free_pages"),
        (b"nr_mapped    2711", b"nr_mapped    27-1", "nr_mapped"),
        (b"(0, 3019, 4299)", b"(0, 3019, )", "protection"),
        (b"start_pfn:           1", b"start_pfn:           ?", "start_pfn"),
        (b"start_pfn:           1", b"start_pfn:", "start_pfn"),
    ],
)
def test_broken_figures_are_named(good: bytes, bad: bytes, item: str) -> None:
    """If this fails, a damaged watermark or counter is dropped or guessed."""
    assert good in TEXT
    with pytest.raises(ParseError) as raised:
        parse_zoneinfo(TEXT.replace(good, bad, 1), path="/other/zoneinfo")
    assert (raised.value.path, raised.value.item) == ("/other/zoneinfo", item)
