"""A column of a table as a list, for comparing."""

from math import nan

from memwatchd.signals.table import Column


def each_row(column: Column, count: int) -> list[float]:
    """The value in each of so many rows; NaN before the first."""
    values = [nan] * count
    for value, start, end in column.runs(count):
        values[start:end] = [value] * (end - start)
    return values
