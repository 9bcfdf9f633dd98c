"""Nodes, zones, reserves and free blocks."""

from memwatchd.oomreport.report import FreeBlocks, Node
from memwatchd.oomreport.statements.zones import (
    ZoneBlocks,
    ZoneFigures,
    is_per_cpu,
    parse_blocks,
    parse_node,
    parse_reserve,
    parse_zone,
)


def test_a_zone_of_2_6() -> None:
    """The oldest form has neither nodes nor kinds of pages."""
    line = (
        "DMA32 free:1120kB min:128kB low:160kB high:192kB active:6208kB inactive:6440kB present:16384kB "
        "pages_scanned:4228 all_unreclaimable? no"
    )
    amounts = {
        "free": 1120,
        "min": 128,
        "low": 160,
        "high": 192,
        "active": 6208,
        "inactive": 6440,
        "present": 16384,
    }
    assert parse_zone(line) == ZoneFigures(None, "DMA32", amounts, False, is_cut=False)


def test_a_zone_of_today() -> None:
    """Fields were added in the middle, and one of them has its unit in capitals."""
    line = (
        "Node 1 Normal free:31060kB boost:0kB min:28232kB low:35288kB reserved_highatomic:4096KB "
        "free_highatomic:12KB active_anon:31608kB present:2097152kB managed:1363100kB free_cma:0kB"
    )
    zone = parse_zone(line)
    assert zone is not None
    assert (zone.node, zone.name, zone.all_unreclaimable, zone.is_cut) == (1, "Normal", None, False)
    assert zone.amounts_kb["boost"] == 0
    assert zone.amounts_kb["reserved_highatomic"] == 4096
    assert zone.amounts_kb["managed"] == 1363100


def test_a_cut_zone_has_no_half_numbers() -> None:
    """The digits before the cut are not the number; half a figure would be an invention."""
    zone = parse_zone(
        "Node 0 DMA free:11556kB min:36kB low:48kB high:60kB reserved_highatomic:0KB active_anon:15"
    )
    assert zone == ZoneFigures(
        0,
        "DMA",
        {"free": 11556, "min": 36, "low": 48, "high": 60, "reserved_highatomic": 0},
        None,
        is_cut=True,
    )


def test_a_node() -> None:
    """Since 4.8 counters are per node, some with a blank before the number, new ones after the yes or no."""
    line = (
        "Node 0 active_anon:174kB isolated(file):4kB shmem_thp: 8kB kernel_stack:16kB all_unreclaimable? yes "
        "Balloon:2048kB"
    )
    amounts = {
        "active_anon": 174,
        "isolated(file)": 4,
        "shmem_thp": 8,
        "kernel_stack": 16,
        "Balloon": 2048,
    }
    assert parse_node(line, 7) == Node(0, amounts, True, 7)
    assert (
        parse_node("Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB", 7)
        is None
    )
    assert parse_node("Node 0 Normal free:31060kB min:1kB", 7) is None


def test_free_blocks() -> None:
    """Orders come from the sizes, not from their place, and types only where blocks are."""
    line = "Node 0 DMA32: 934*4kB (UM) 28*8kB (U) 0*16kB 1*4096kB (C) = 8056kB"
    blocks = {0: FreeBlocks(934, "UM"), 1: FreeBlocks(28, "U"), 2: FreeBlocks(0), 10: FreeBlocks(1, "C")}
    assert parse_blocks(line) == ZoneBlocks(0, "DMA32", blocks, 4, 8056, is_cut=False)


def test_pages_of_64_kb() -> None:
    """The smallest block is a page; a page of 64 kB makes everything else sixteen times as large."""
    found = parse_blocks("Node 0 Normal: 3*64kB (U) 2*128kB (M) = 448kB")
    assert found is not None
    assert (found.block_kb, found.blocks) == (64, {0: FreeBlocks(3, "U"), 1: FreeBlocks(2, "M")})


def test_blocks_that_are_cut_or_empty() -> None:
    """A count without its size says nothing."""
    cut = parse_blocks("Node 0 DMA: 0*4kB 1*8kB (U) 1*512kB (U) 0*4B")
    assert cut == ZoneBlocks(
        0, "DMA", {0: FreeBlocks(0), 1: FreeBlocks(1, "U"), 7: FreeBlocks(1, "U")}, 4, None, is_cut=True
    )
    assert parse_blocks("HighMem: empty") == ZoneBlocks(None, "HighMem", {}, None, None, is_cut=False)
    assert parse_blocks("Normal per-cpu:") is None


def test_blocks_without_asterisks() -> None:
    """Forums take them for emphasis, and the largest free block would be lost with them."""
    assert parse_blocks("Node 0 DMA: 2_4kB 0_8kB 3_16kB = 56kB") == parse_blocks(
        "Node 0 DMA: 2*4kB 0*8kB 3*16kB = 56kB"
    )


def test_reserves() -> None:
    """They are in pages, one for each kind of zone; a broken kernel prints absurd ones."""
    assert parse_reserve("lowmem_reserve[]: 0 972 972 972") == (0, 972, 972, 972)
    assert parse_reserve("lowmem_reserve[]: 0 0 72057594037927865") == (0, 0, 72057594037927865)
    assert parse_reserve("protections[]: 0 0 0") == (0, 0, 0)
    assert parse_reserve("reserve") is None


def test_lines_about_processors() -> None:
    """Old reports have two for each processor and zone; as unread lines they would bury the others."""
    for line in ("DMA per-cpu:", "Node 0 DMA32 per-cpu:", "CPU    0: hi:  186, btch:  31 usd:  70"):
        assert is_per_cpu(line)
    assert is_per_cpu("cpu 0 hot: high 90, batch 15 used:31")
    assert is_per_cpu("CPU    1: Hot: hi:  186, btch:  31 usd:  50   Cold: hi:   62, btch:  15 usd:  59")
    assert not is_per_cpu("CPU: 0 PID: 3841 Comm: x Not tainted 4.4.0")
