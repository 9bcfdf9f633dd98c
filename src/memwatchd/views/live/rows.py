"""Tables that sort, filter and scroll, and leave out columns where there is no room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from memwatchd.views.live.lines import Line, Span, Style, fit, fit_line

_Row = TypeVar("_Row")
_LEAST_FLEXIBLE = 10
_NO_STYLE = Style.PLAIN


@dataclass(frozen=True, slots=True)
class Column(Generic[_Row]):
    """A column.

    Attributes:
        width: In cells; 0: it takes what is left.
        key: What to sort by; None: it cannot be sorted by. What has no key comes last.
        descends: The largest first, unless that is reversed.
        tail: Of what does not fit the end is shown.
        rank: Where there is no room, columns of the highest rank go first; those of rank 0 stay.
    """

    title: str
    width: int
    text: Callable[[_Row], str]
    key: Callable[[_Row], Any] | None = None
    descends: bool = True
    right: bool = True
    rank: int = 0
    style: Callable[[_Row], Style] = lambda _row: _NO_STYLE
    tail: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """How somebody looks at a panel.

    Attributes:
        sort: Place among the columns that can be sorted by; None: as the panel would have it.
        wanted: Only rows with this in them, whatever its case.
        top: How many rows are scrolled away.
    """

    sort: int | None = None
    reverse: bool = False
    wanted: str = ""
    top: int = 0


@dataclass(frozen=True, slots=True)
class Rows(Generic[_Row]):
    """A table.

    Attributes:
        name: What is filtered by.
        sort: Which column it is sorted by at first, by its title; empty: as the rows come.
    """

    columns: Sequence[Column[_Row]]
    rows: Sequence[_Row]
    name: Callable[[_Row], str]
    sort: str = ""


def sorts_of(columns: Sequence[Column[_Row]]) -> list[Column[_Row]]:
    """The columns that can be sorted by."""
    return [column for column in columns if column.key is not None]


def chosen(table: Rows[_Row], view: View) -> list[_Row]:
    """The rows that are wanted, in their order."""
    rows = list(table.rows)
    if view.wanted:
        wanted = view.wanted.casefold()
        rows = [row for row in rows if wanted in table.name(row).casefold()]
    column = _sorted_by(table, view)
    if column is not None and column.key is not None:
        keyed = [(column.key(row), row) for row in rows]
        there = [each for each in keyed if each[0] is not None]
        there.sort(key=_key, reverse=column.descends != view.reverse)
        return [row for _, row in there] + [row for key, row in keyed if key is None]
    return rows[::-1] if view.reverse else rows


def _key(keyed: tuple[Any, object]) -> Any:
    return keyed[0]


def draw(table: Rows[_Row], view: View, width: int, height: int) -> list[Line]:
    """Draw the heading and as many rows as fit, from `view.top` on."""
    if height <= 0:
        return []
    columns = _fitting(table.columns, width)
    sorted_by = _sorted_by(table, view)
    rows = chosen(table, view)
    top = min(view.top, max(0, len(rows) - (height - 1)))
    lines = [_heading(columns, sorted_by, width)]
    lines += [_row(columns, row, width) for row in rows[top : top + height - 1]]
    return lines


def _sorted_by(table: Rows[_Row], view: View) -> Column[_Row] | None:
    sorts = sorts_of(table.columns)
    if view.sort is not None and sorts:
        return sorts[view.sort % len(sorts)]
    return next((column for column in sorts if column.title == table.sort), None)


def _fitting(columns: Sequence[Column[_Row]], width: int) -> list[tuple[Column[_Row], int]]:
    """The columns there is room for, and how wide each is."""
    kept = list(columns)
    while True:
        left = width - sum(column.width + 1 for column in kept) + 1
        flexible = any(column.width == 0 for column in kept)
        if left >= (_LEAST_FLEXIBLE if flexible else 0):
            break
        rank = max(column.rank for column in kept)
        if rank == 0:
            left = max(left, 1)
            break
        kept = [column for column in kept if column.rank < rank]
    return [(column, column.width or left) for column in kept]


def _heading(columns: list[tuple[Column[_Row], int]], sorted_by: Column[_Row] | None, width: int) -> Line:
    spans: list[Span] = []
    for column, cell_width in columns:
        is_it = column is sorted_by
        spans.append(
            (fit(column.title, cell_width, right=column.right), Style.STRONG if is_it else Style.DIM)
        )
        spans.append((" ", Style.PLAIN))
    return fit_line(spans, width)


def _row(columns: list[tuple[Column[_Row], int]], row: _Row, width: int) -> Line:
    spans: list[Span] = []
    left = width
    for column, cell_width in columns:
        cell_width = min(cell_width, left)
        text = fit(column.text(row), cell_width, right=column.right, tail=column.tail)
        left -= cell_width
        if left > 0:
            text += " "
            left -= 1
        spans.append((text, column.style(row)))
    if left > 0:
        spans.append((" " * left, Style.PLAIN))
    return tuple(spans)
