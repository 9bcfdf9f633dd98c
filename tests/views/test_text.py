"""Small charts, sizes, columns, and names that are safe to print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.views.text import columns, format_bytes, format_value, printable, sparkline


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([None, None], "  "),
        ([5.0], "▁"),
        ([0.0, 0.0, 0.0], "▁▁▁"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "▁▂▃▄▅▆▇█"),
        ([7.0, None, 0.0], "█ ▁"),
        ([-3.0, 0.0, -1.5], "▁█▅"),
    ],
)
def test_one_character_per_value(values: list[float | None], drawn: str) -> None:
    """A chart would lie about when memory fell, or end in a traceback."""
    assert sparkline(values) == drawn


@given(values=st.lists(st.none() | st.floats(0, 2**70), max_size=40))
def test_any_figures_can_be_drawn(values: list[float | None]) -> None:
    """An odd figure would end `show` with a traceback."""
    assert len(sparkline(values)) == len(values)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (999 * 1024, "999 KiB"),
        (1 << 20, "1 MiB"),
        (-(1 << 20), "-1 MiB"),
        (870 * (1 << 20), "870 MiB"),
        (32 * (1 << 30), "32 GiB"),
        (1536 * (1 << 30), "1.5 TiB"),
        (5000 * (1 << 40), "5,000 TiB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(size: float, text: str) -> None:
    """A size would be off by a thousand."""
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    "size", [999.6, 999.6 * 1024, 999.7 * (1 << 20), 999.9 * (1 << 30), 999.6 * (1 << 40)]
)
def test_sizes_just_below_a_thousand_have_no_exponent(size: float) -> None:
    """`1e+03 MiB` would stand in a report for what is nearly a gigabyte."""
    assert "e" not in format_bytes(size)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "bytes", "–"),
        (1 << 20, "bytes", "1 MiB"),
        (0.5, "share", "50.0%"),
        (1.2345, "ratio", "1.23 ×"),
        (2000, "pages/s", "2,000 /s"),
        (12.0, "events", "12 events"),
    ],
)
def test_figures_in_their_unit(value: float | None, unit: str, text: str) -> None:
    """A ratio would be read as a size, or a figure not at all."""
    assert format_value(value, unit) == text


@pytest.mark.parametrize("unit", ["bytes", "share", "ratio", "pages/s", "events", "seconds"])
@pytest.mark.parametrize("value", [1234.5, 12_345.0, 1e6, 1e9])
def test_large_figures_have_no_exponent(value: float, unit: str) -> None:
    """`1.23e+04 ×` would stand beside a zone that has plenty."""
    assert "e+" not in format_value(value, unit)


def test_columns_are_aligned() -> None:
    """A table would be unreadable."""
    rows = [["name", "size"], ["a", "1 B"], ["long name", "1000 B"]]
    assert columns(rows, right=frozenset({1})) == [
        "name         size",
        "a             1 B",
        "long name  1000 B",
    ]
    assert columns(rows)[1] == "a          1 B"
    assert columns([]) == []
    assert columns([["a", ""]]) == ["a"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("java", "java"),
        ("Web Content", "Web Content"),
        ("café ✓ 漢字", "café ✓ 漢字"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\r\t\0", "a\\x0ab\\x0d\\x09\\x00"),
        ("\x7f\x9b31m", "\\x7f\\x9b31m"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("a\u2028b\u00a0", "a\\u2028b\\xa0"),
    ],
)
def test_names_of_strangers_are_made_safe(name: str, shown: str) -> None:
    """A process could take over the administrator's terminal by its name."""
    assert printable(name) == shown


@given(name=st.text())
def test_whatever_a_name_holds_it_can_be_printed(name: str) -> None:
    """A name would end `show` with a traceback, or control the terminal."""
    shown = printable(name)
    assert shown.isprintable()
    shown.encode()
