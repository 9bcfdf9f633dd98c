"""Which zone is the worst: the one whose end is the end of the kernel's own memory."""

from math import isnan

import pytest
from tests.signals.conftest import machine_texts, make_desk, zone

PAGE = 4096


# As a guest of 384 MiB had it, with the free pages it had there.
BOOSTED_DMA = zone("DMA", 568, (538, 544, 550), 3840, boost=512, protection="0, 309, 309, 309, 309")
DMA32 = zone("DMA32", 4200, (549, 686, 823), 81601, boost=0)
# A 32-bit server of 32 GB.
I386 = (
    zone("DMA", 906, (35, 43, 52), 3952, protection="0, 869, 32487, 32487")
    + zone("Normal", 2014, (2012, 2515, 3018), 222502, protection="0, 0, 252949, 252949")
    + zone("HighMem", 100, (128, 7637, 15147), 8087360, protection="0, 0, 0, 0")
)


@pytest.mark.parametrize(
    ("text", "free"),
    [
        (BOOSTED_DMA + DMA32, 4200),
        (I386, 2014),
        (
            zone("DMA32", 13_000, (5636, 7045, 8454), 772_918, protection="0, 0, 6016, 6016, 6016")
            + zone("Normal", 600_000, (11_231, 14_038, 16_845), 1_540_096),
            600_000,
        ),
        (
            zone("DMA32", 700_000, (5636, 7045, 8454), 772_918, protection="0, 0, 6016, 6016, 6016")
            + zone("Normal", 12_000, (11_231, 14_038, 16_845), 1_540_096),
            700_000,
        ),
        (
            zone("DMA32", 11_700, (5636, 7045, 8454), 772_918, protection="0, 0, 6016, 6016, 6016")
            + zone("Normal", 12_000, (11_231, 14_038, 16_845), 1_540_096),
            12_000,
        ),
        (
            zone("Normal", 90_000, (900, 1000, 1100), 9_000_000)
            + zone("Normal", 5000, (900, 1000, 1100), 9_000_000, node=1)
            + zone("Movable", 10, (900, 1000, 1100), 9_000_000, node=1),
            5000,
        ),
        (zone("DMA", 70, (35, 43, 52), 3952), 70),
        (zone("DMA", 90, (35, 43, 52), 3952) + zone("Normal", 60, (35, 43, 52), 8000), 60),
    ],
    ids=[
        "DMA of a PC does not count",
        "32-bit: Normal, not HighMem",
        "reserved pages of DMA32 are no room",
        "Normal falls back on DMA32",
        "both at their end",
        "of nodes the tighter, without Movable",
        "a tiny zone that is all there is",
        "of tiny zones the larger",
    ],
)
def test_the_worst_zone_is_the_last_resort(text: bytes, free: int) -> None:
    """Caches would be dropped for a zone that nobody misses, or kept while the one that matters ends."""
    assert make_desk({"zoneinfo": text}).read("zone.worst.free") == free * PAGE


def test_the_watermark_is_taken_without_its_boost() -> None:
    """For seconds after each fragmentation event a zone would seem to be at its end."""
    desk = make_desk({"zoneinfo": zone("DMA32", 1500, (1061, 1198, 1335), 81601, boost=512)})
    names = ("min", "unboosted_min", "headroom", "room", "margin")
    assert [desk.read(f"zone.worst.{name}") for name in names] == [
        pages * PAGE for pages in (1061, 549, 951, 951, 951)
    ]
    assert desk.read("zone.worst.ratio") == pytest.approx(1500 / 823)


def test_the_zone_changes_with_the_text() -> None:
    """The first zone that was the worst would stay it, or one that is another's by now."""
    desk = make_desk({"zoneinfo": b""})
    node = zone("Normal", 90_000, (900, 1000, 1100), 9_000_000)
    other = zone("Normal", 50_000, (900, 1000, 1100), 9_000_000, node=1)
    renamed = zone("HighMem", 50_000, (900, 1000, 1100), 9_000_000, node=1)
    tighter = zone("Normal", 40_000, (900, 1000, 1100), 9_000_000)
    for text, free in ((node + other, 50_000), (tighter + other, 40_000), (node + renamed, 90_000)):
        desk.show({"zoneinfo": text})
        assert desk.read("zone.worst.free") == free * PAGE


@pytest.mark.parametrize(
    ("machine", "slab"),
    [("vanilla-3.2-i386-pae", "zone.0.Normal"), ("debian12-6.18", "node.0")],
)
def test_slab_is_that_of_the_zone_or_else_of_its_node(machine: str, slab: str) -> None:
    """What fills one zone would be compared with what all zones of all nodes have."""
    desk = make_desk(machine_texts(machine))
    expected = desk.read(f"{slab}.nr_slab_reclaimable") * PAGE
    assert desk.read("zone.worst.slab_reclaimable") == expected


def test_slab_of_a_node_belongs_to_all_its_zones_and_to_no_other_node() -> None:
    """A full node would be cured by dropping what is on another."""
    first = zone("DMA32", 1, (2, 3, 4), 99, node_slab=700) + zone("Normal", 1, (2, 3, 4), 99)
    text = first + zone("Normal", 1, (2, 3, 4), 99, node=1, node_slab=900)
    desk = make_desk({"zoneinfo": text})
    read = [desk.read(f"zone.{name}.slab_reclaimable") for name in ("0.DMA32", "0.Normal", "1.Normal")]
    assert read == [700 * PAGE, 700 * PAGE, 900 * PAGE]
    assert isnan(make_desk({"zoneinfo": I386}).read("zone.Normal.slab_reclaimable"))
