"""A table of signals row by row, though it is kept by column."""

from collections.abc import Iterator
from math import isfinite, isnan

from memwatchd.signals.table import Table

# Rows of which the changes are gathered at a time: more would take memory, less time.
_CHUNK = 256


def by_row(table: Table) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Yield the time of each row and what changed in it: number of the column, and its new value."""
    columns = list(table.columns.values())
    places = [0] * len(columns)
    for start in range(0, len(table.times_ns), _CHUNK):
        times_ns = table.times_ns[start : start + _CHUNK]
        chunk: list[list[tuple[int, float]]] = [[] for _ in times_ns]
        for number, column in enumerate(columns):
            rows, values, place = column.rows, column.values, places[number]
            while place < len(rows) and rows[place] < start + _CHUNK:
                chunk[rows[place] - start].append((number, values[place]))
                place += 1
            places[number] = place
        yield from zip(times_ns, chunk, strict=True)


def plain(value: float) -> float | int | None:
    """A number as it is written: whole ones without a point; None for none, and for one without end."""
    if not isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def written(value: float) -> str:
    """A number as text: empty for none, ``inf`` for no limit."""
    if isnan(value):
        return ""
    found = plain(value)
    return repr(value) if found is None else repr(found)
