"""buddyinfo; the format has not changed since 2.6, only its widths do."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.buddyinfo import BuddyZone, parse_buddyinfo

KernelText = Callable[[str, str], bytes]


def test_highmem_machine(kernel_text: KernelText) -> None:
    """If this fails, orders are shifted or zones mixed up."""
    assert parse_buddyinfo(kernel_text("vanilla-3.2-i386-pae", "proc/buddyinfo")) == (
        BuddyZone(0, "DMA", (0, 7, 3, 6, 4, 6, 5, 2, 0, 0, 0)),
        BuddyZone(0, "Normal", (830, 80, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
        BuddyZone(0, "HighMem", (20101, 13022, 7719, 2411, 804, 91, 10, 3, 1, 0, 4)),
    )


def test_free_pages_add_up_over_the_orders() -> None:
    """If this fails, fragmentation is computed from a wrong sum."""
    assert BuddyZone(0, "Normal", (830, 80, 0, 0, 0, 0, 0, 0, 0, 0, 1)).free_pages == 830 + 160 + 1024


def test_wide_figures_and_node_numbers(kernel_text: KernelText) -> None:
    """If this fails, large NUMA machines are misread: seven digits, nodes with gaps and two digits."""
    zones = parse_buddyinfo(kernel_text("vanilla-5.14-numa-1536gib", "proc/buddyinfo"))
    assert [(zone.node, zone.zone) for zone in zones][2:] == [
        (0, "Normal"),
        (1, "Normal"),
        (2, "Normal"),
        (10, "Normal"),
    ]
    assert zones[-1].free_blocks[:2] == (1000010, 700000)


def test_any_number_of_orders_and_headings() -> None:
    """If this fails, architectures with another MAX_ORDER, or a heading, are refused."""
    text = b"Free blocks by order:\nNode 0, zone Normal 1 2 3\n\nNode 3, zone Movable " + b"0 " * 14 + b"\n"
    assert parse_buddyinfo(text) == (BuddyZone(0, "Normal", (1, 2, 3)), BuddyZone(3, "Movable", (0,) * 14))
    assert parse_buddyinfo(b"") == ()


def test_captured_file(kernel_text: KernelText) -> None:
    """If this fails, a running kernel is not understood."""
    zones = parse_buddyinfo(kernel_text("debian12-6.18", "proc/buddyinfo"))
    assert [zone.zone for zone in zones] == ["DMA", "DMA32", "Normal"]
    assert {len(zone.free_blocks) for zone in zones} == {11}


@pytest.mark.parametrize(
    "line",
    [
        "Node 0",
        "Node 0, zone",
        "Node 0, zone Normal",
        "Node 0, zone 1 2 3",
        "Node x, zone DMA 1",
        "Node 0, zone DMA 1 x",
    ],
)
def test_broken_lines_are_named(line: str) -> None:
    """If this fails, a cut-off line passes for a zone with less free memory."""
    with pytest.raises(ParseError) as raised:
        parse_buddyinfo(line.encode() + b"\n")
    assert (raised.value.path, raised.value.line) == ("/proc/buddyinfo", line)
