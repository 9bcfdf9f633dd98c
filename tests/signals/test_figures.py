"""Figures that are worked out of several, by hand."""

from math import inf, isnan

import pytest
from tests.signals.conftest import ARCSTATS, ZRAM, make_desk

ZONEINFO = b"""\
Node 0, zone      DMA
  pages free     100
        min      10
        low      12
        high     14
        present  4000
        protection: (0, 800, 900)
Node 0, zone   Normal
  pages free     600
        min      500
        low      600
        high     1000
        present  90000
        protection: (0, 0, 50)
Node 1, zone   Normal
  pages free     5000
        min      1000
        low      2000
        high     2500
        present  90000
        protection: (0, 0, 0)
Node 1, zone  Movable
  pages free     0
        min      32
        low      32
        high     32
        present  0
        protection: (0, 0, 0)
"""
BUDDYINFO = b"""\
Node 0, zone      DMA      0      0      1
Node 0, zone   Normal      4      2      0
Node 1, zone   Normal      0      0      0
"""
PAGE = 4096


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("zone.worst.ratio", 0.6),
        ("zone.worst.room", 100 * PAGE),
        ("zone.DMA.room", (90 - 900) * PAGE),
        ("zone.Normal.managed", 90000 * PAGE),
        ("zone.worst.free", 600 * PAGE),
        ("zone.worst.headroom", 100 * PAGE),
        ("zone.worst.margin", 50 * PAGE),
        ("zone.Normal.margin", 50 * PAGE),
        ("zone.1.Normal.margin", 4000 * PAGE),
        ("zone.DMA.margin", (90 - 900) * PAGE),
        ("zone.DMA.protection", 900 * PAGE),
        ("zone.1.Normal.ratio", 2),
        ("buddy.Normal.order0", 4),
        ("buddy.1.Normal.order0", 0),
        ("buddy.Normal.largest_order", 1),
        ("buddy.1.Normal.largest_order", -1),
        ("buddy.any.largest_order", 2),
        ("buddy.kernel.largest_order", 1),
        ("buddy.kernel.order0", 4),
        ("buddy.Normal.unusable_order1", 4 / 8),
        ("buddy.Normal.unusable_order2", 1),
        ("buddy.1.Normal.unusable_order0", 1),
        ("buddy.any.unusable_order2", 8 / 12),
        ("buddy.any.unusable_order0", 0),
        ("zram.used", 2 * 281_018_368),
        ("zram.0.limit", inf),
        ("arc.shrinkable", 8_361_294_336 - 1_073_741_824),
        ("arc.memory_available_bytes", -1_073_741_824),
    ],
)
def test_figures(name: str, value: float) -> None:
    """A rule would fire at another moment than the kernel runs out."""
    texts = {
        "zoneinfo": ZONEINFO,
        "buddyinfo": BUDDYINFO,
        "zram/zram0": ZRAM,
        "zram/zram1": ZRAM,
        "arcstats": ARCSTATS,
    }
    assert make_desk(texts).read(name) == pytest.approx(value)


@pytest.mark.parametrize(
    ("lines", "largest_order"),
    [
        (b"Node 0, zone DMA 0 0 1\nNode 0, zone DMA32 9 0 0\nNode 0, zone HighMem 0 9 0\n", 0),
        (b"Node 0, zone DMA 0 0 1\nNode 0, zone Movable 0 9 0\n", 2),
    ],
    ids=["beside other zones", "all there is"],
)
def test_blocks_that_serve_nobody_hide_no_fragmentation(lines: bytes, largest_order: int) -> None:
    """The untouched DMA of every PC, or HighMem, would keep the rule against fragmentation from firing."""
    assert make_desk({"buddyinfo": lines}).read("buddy.kernel.largest_order") == largest_order


def test_a_zone_without_pages_is_not_there() -> None:
    """The margin of an empty zone is always negative: its rule would always fire."""
    desk = make_desk({"zoneinfo": ZONEINFO})
    for name in ("zone.Movable.margin", "zone.1.Movable.free", "zone.1.Movable.present"):
        assert isnan(desk.read(name)), name


def test_an_arc_below_its_least_size_has_nothing_to_give() -> None:
    """A rule would wait for memory that does not come."""
    text = ARCSTATS.replace(b"8361294336", b"1000")
    assert make_desk({"arcstats": text}).read("arc.shrinkable") == 0


def test_a_machine_without_swap_uses_no_share_of_it() -> None:
    """A machine without swap would look like one whose swap is free, or full."""
    desk = make_desk({"meminfo": b"MemTotal: 9 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"})
    assert (desk.read("swap.used"), desk.read("swap.total")) == (0, 0)
    assert isnan(desk.read("swap.used_share"))


def test_the_recorder_itself() -> None:
    """A rule on a recorder that falls behind would never fire; before its first tick nothing is known."""
    desk = make_desk({})
    assert isnan(desk.read("recorder.lag"))
    pulse = desk.recording.pulse
    pulse.lag_ns, pulse.read_ns, pulse.missed = 1_500_000, 400_000, 3
    assert desk.read("recorder.lag") == pytest.approx(0.0015)
    assert desk.read("recorder.read_time") == pytest.approx(0.0004)
    assert desk.read("recorder.missed") == 3
