"""Small charts from text."""

from collections.abc import Sequence

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


def format_bytes(size: float) -> str:
    """Write a size with three digits and a binary unit."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:,.3g} TiB" if abs(value) < 999.5 else f"{value:,.0f} TiB"


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


def printable(text: str) -> str:
    """Make a stranger's name safe for a terminal and a log line."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    # surrogateescape keeps a byte that is no UTF-8 as U+DC00 + byte.
    return f"\\x{code & 0xFF:02x}" if code < 0x100 or 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
