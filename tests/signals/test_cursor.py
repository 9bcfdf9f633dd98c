"""Reading single figures out of a text without parsing all of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import FIXTURES, meminfo, pressure, vmstat, zoneinfo

from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.signals.cursor import (
    Cursor,
    events_cursor,
    meminfo_cursor,
    pressure_cursor,
    vmstat_cursor,
    zone_levels,
)

KernelText = Callable[[str, str], bytes]


def read(cursor: Cursor, text: bytes) -> int | None:
    return cursor.read(text, len(text))


@pytest.mark.parametrize(
    ("cursor", "text", "value"),
    [
        (meminfo_cursor("MemAvailable"), meminfo(MemFree=5, MemAvailable=1_234_567), 1_234_567),
        (meminfo_cursor("MemAvailable"), meminfo(MemFree=5), None),
        (vmstat_cursor("oom_kill"), vmstat(oom_kill_x=1, oom_kill=0), 0),
        (vmstat_cursor("oom_kill"), vmstat(x_oom_kill=1), None),
        (pressure_cursor(), pressure(18_446_744_073_709_551_615), 18_446_744_073_709_551_615),
        (pressure_cursor(), b"", None),
        (events_cursor("oom_kill"), b"low 0\noom 2\noom_kill 3\noom_group_kill 1\n", 3),
        (events_cursor("oom_kill"), b"oom_kill_disable 0\nunder_oom 0\noom_kill 17\n", 17),
    ],
)
def test_a_figure_is_found_by_its_whole_name(cursor: Cursor, text: bytes, value: int | None) -> None:
    """A counter of a similar name would be taken for it, or an absent one for 0."""
    assert read(cursor, text) == value
    assert read(cursor, text) == value


def test_the_first_stall_line_is_the_one_of_some(kernel_text: KernelText) -> None:
    """`full` would be read, which is 0 on a machine with two busy CPUs."""
    text = b"some avg10=1.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 total=3\n"
    assert read(pressure_cursor(), text) == 77
    assert read(pressure_cursor(), kernel_text("vanilla-5.4", "proc/pressure/memory")) is not None


def test_a_figure_that_moves_is_found_again() -> None:
    """A field that appears at run time would put all others out of reach, or misread them."""
    cursor = vmstat_cursor("oom_kill")
    assert read(cursor, vmstat(a=1, oom_kill=5, z=1)) == 5
    assert read(cursor, vmstat(a=1000, oom_kill=6, z=1)) == 6
    assert read(cursor, vmstat(a=1, z=1)) is None
    assert read(cursor, vmstat(oom_kill=7)) == 7


@given(values=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_any_width_is_read(values: list[int]) -> None:
    """Figures above 95 GiB move their column and would be cut off."""
    cursor = vmstat_cursor("pswpout")
    assert [read(cursor, vmstat(before=value, pswpout=value, after=1)) for value in values] == values


def test_what_lies_after_the_text_is_not_read() -> None:
    """The remains of a longer text in the same buffer would be believed."""
    text = vmstat(a=1)
    buffer = bytearray(text + b"oom_kill 9\n")
    assert vmstat_cursor("oom_kill").read(buffer, len(text)) is None
    assert vmstat_cursor("oom_kill").read(buffer, len(buffer)) == 9


@pytest.mark.parametrize("after", [b"", b"kill 99\n"])
def test_a_figure_that_is_cut_off_is_not_read(after: bytes) -> None:
    """Twelve kills would be taken for one."""
    text = b"nr 1\noom_kill 12"
    assert vmstat_cursor("oom_kill").read(bytearray(text + after), len(text)) is None


@pytest.mark.parametrize(
    "text", [b"\noom_kill \n", b"\noom_kill x\n", b"\noom_kill 1 2\n", b"\noom_kill " + b"9" * 5000]
)
def test_what_is_no_number_is_absent(text: bytes) -> None:
    """An odd line would end the sampler."""
    assert read(vmstat_cursor("oom_kill"), text) is None


# ---- zones


ZONEINFOS = sorted(FIXTURES.glob("*/proc/zoneinfo"))


@pytest.mark.parametrize("path", ZONEINFOS, ids=lambda path: path.parent.parent.name)
def test_zones_are_the_same_as_the_parser_finds(path: Path) -> None:
    """The short way would see another machine than the long one."""
    text = path.read_bytes()
    expected = [
        (zone.free_pages, zone.high_pages) for zone in parse_zoneinfo(text).zones if zone.present_pages
    ]
    assert list(zone_levels(text, len(text))) == expected
    assert expected


def test_a_zone_without_pages_is_left_out() -> None:
    """An empty Movable zone is always under its watermark: every machine would be armed for ever."""
    text = zoneinfo(5, 10) + zoneinfo(0, 32, present=0) + zoneinfo(7, 10)
    assert list(zone_levels(text, len(text))) == [(5, 10), (7, 10)]


def test_zones_stop_where_the_text_does() -> None:
    """A longer text of before in the same buffer would add a zone that is not there."""
    text = zoneinfo(5, 10)
    buffer = bytearray(text + zoneinfo(1, 100))
    assert list(zone_levels(buffer, len(text))) == [(5, 10)]


def test_cut_off_zones_never_raise() -> None:
    """A text that was cut off would end the sampler, or `show`."""
    text = zoneinfo(5, 10) + zoneinfo(7, 10)
    for end in range(len(text)):
        levels = list(zone_levels(text[:end], end))
        assert all(level in ((5, 10), (7, 10)) for level in levels)
