"""Tables that sort, filter and scroll."""

import pytest

from memwatchd.views.live.lines import plain
from memwatchd.views.live.rows import Column, Rows, View, chosen, draw

Row = tuple[str, float | None]
TABLE: Rows[Row] = Rows(
    (
        Column("name", 0, lambda row: row[0], lambda row: row[0], descends=False, right=False),
        Column("size", 4, lambda row: f"{row[1]:g}" if row[1] is not None else "–", lambda row: row[1]),
        Column("more", 8, lambda row: row[0].upper(), rank=1),
    ),
    (("bee", 2.0), ("ant", None), ("cow", 3.0)),
    lambda row: row[0],
    "size",
)


@pytest.mark.parametrize(
    ("view", "names"),
    [
        (View(), ["cow", "bee", "ant"]),
        (View(reverse=True), ["bee", "cow", "ant"]),
        (View(sort=0), ["ant", "bee", "cow"]),
        (View(sort=0, reverse=True), ["cow", "bee", "ant"]),
        (View(wanted="O"), ["cow"]),
    ],
)
def test_rows_are_chosen_and_sorted(view: View, names: list[str]) -> None:
    """What matters most would not be at the top; what is not known would be."""
    assert [name for name, _ in chosen(TABLE, view)] == names


def test_columns_go_where_there_is_no_room() -> None:
    """A narrow panel would show cut figures."""
    assert [plain(line) for line in draw(TABLE, View(), 24, 2)] == [
        "name       size     more",
        "cow           3      COW",
    ]
    assert [plain(line) for line in draw(TABLE, View(), 20, 2)] == [
        "name            size",
        "cow                3",
    ]


def test_scrolling_ends_with_the_last_row() -> None:
    """One could scroll into nothing."""
    lines = [plain(line).split()[0] for line in draw(TABLE, View(top=1), 20, 3)]
    assert lines == ["name", "bee", "ant"]
    assert [plain(line).split()[0] for line in draw(TABLE, View(top=99), 20, 3)] == lines


def test_no_height_is_no_line() -> None:
    """A panel without room would write over the one below."""
    assert draw(TABLE, View(), 20, 0) == []
