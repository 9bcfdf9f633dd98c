"""Small charts from text."""

from collections.abc import Sequence

from memwatchd.units import format_bytes as format_bytes
from memwatchd.units import printable as printable

_BARS = "▁▂▃▄▅▆▇█"
_EMPTY = " "


def sparkline(values: Sequence[float | None]) -> str:
    """Draw one character per value, from the lowest to the highest; a blank where there is none."""
    there = [value for value in values if value is not None]
    if not there:
        return _EMPTY * len(values)
    low, span = min(there), max(there) - min(there)
    steps = len(_BARS) - 1
    return "".join(
        _EMPTY if value is None else _BARS[round((value - low) / span * steps) if span else 0]
        for value in values
    )


def format_value(value: float | None, unit: str) -> str:
    """Write a figure in its unit."""
    if value is None:
        return "–"
    if unit == "bytes":
        return format_bytes(value)
    if unit == "share":
        return f"{value:.1%}"
    number = f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
    if unit == "ratio":
        return f"{number} ×"
    if unit == "pages/s":
        return f"{value:,.0f} /s"
    return f"{number} {unit}"


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Align rows in columns; those whose place is in `right` end flush."""
    if not rows:
        return []
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
