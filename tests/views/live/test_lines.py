"""Lines measured in cells."""

import pytest

from memwatchd.views.live.lines import (
    Style,
    bar,
    beside,
    cells,
    fit,
    fit_line,
    growth_text,
    plain,
    share_text,
    size_text,
)

P = Style.PLAIN


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("█▌", 2), ("", 0)])
def test_cells_are_what_a_terminal_takes(text: str, width: int) -> None:
    """Columns would not stand below each other behind a name in Chinese."""
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 4, "abc…"),
        ("漢字漢字", 5, "漢字…"),
        ("漢字漢字", 4, "漢… "),
        ("abc", 0, ""),
    ],
)
def test_a_text_is_fitted_to_its_width(text: str, width: int, fitted: str) -> None:
    """A long name would push the figures behind it out of their columns."""
    assert fit(text, width) == fitted


def test_the_tail_is_kept_where_it_tells_more() -> None:
    """All cgroups of a system would look like /system.slice…."""
    assert fit("/system.slice/a.service", 10, tail=True) == "…a.service"


def test_figures_stand_at_the_right() -> None:
    """Figures of different lengths could not be compared at a glance."""
    assert fit("12", 4, right=True) == "  12"


def test_lines_are_cut_and_filled() -> None:
    """A line too long would wrap and shift the whole screen."""
    assert plain(fit_line([("ab", P), ("cdef", P)], 4)) == "abc…"
    assert plain(fit_line([("ab", P)], 4)) == "ab  "


def test_blocks_stand_side_by_side() -> None:
    """A short panel would pull those at its right to the left."""
    left, right = [fit_line([("a", P)], 2)], [fit_line([("b", P)], 2), fit_line([("c", P)], 2)]
    assert [plain(line) for line in beside([(left, 2), (right, 2)], 2)] == ["a  b ", "   c "]


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, "    "), (0.5, "██  "), (0.53, "██▏ "), (1, "████"), (7, "████"), (None, "    ")]
)
def test_bars_go_by_eighths(share: float | None, drawn: str) -> None:
    """Bars would be longer than what they stand for, or than their column."""
    assert bar(share, 4) == drawn


def test_figures_have_units_and_absent_ones_a_dash() -> None:
    """What is not known would look like nothing."""
    assert (size_text(None), size_text(1536)) == ("–", "1.5 KiB")
    assert (growth_text(None), growth_text(0.2), growth_text(-2048), growth_text(2048)) == (
        *("–", "0", "-2 KiB/s", "+2 KiB/s"),
    )
    assert (share_text(None), share_text(0.012), share_text(0.5)) == ("–", "1.2%", "50%")
