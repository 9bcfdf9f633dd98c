"""Styled lines of text, measured in the cells a terminal gives them."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from unicodedata import combining, east_asian_width

from memwatchd.units import format_bytes

_CUT = "…"
_FULL = "█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Style(IntEnum):
    """What something means; the terminal says how that looks."""

    PLAIN = 0
    DIM = 1
    STRONG = 2
    TITLE = 3
    FOCUS = 4
    GOOD = 5
    WARN = 6
    BAD = 7
    INFO = 8
    BAR = 9


Span = tuple[str, Style]
Line = tuple[Span, ...]


def cells(text: str) -> int:
    """How wide a text is on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_width(char) for char in text)


def fit(text: str, width: int, *, right: bool = False, tail: bool = False) -> str:
    """Cut or fill a text to a width; what is cut ends with a mark, or begins with one to keep its `tail`."""
    have = len(text)
    if have <= width and text.isascii():  # nearly always
        return text.rjust(width) if right else text.ljust(width)
    have = cells(text)
    if have > width:
        text = _cut(text[::-1], width)[::-1] if tail else _cut(text, width)
        have = cells(text)
    blanks = " " * (width - have)
    return blanks + text if right else text + blanks


def fit_line(spans: Iterable[Span], width: int) -> Line:
    """Cut or fill a line to a width."""
    fitted: list[Span] = []
    left = width
    for text, style in spans:
        have = cells(text)
        if have >= left:
            if left:
                fitted.append((text if have == left else fit(text, left), style))
            return tuple(fitted)
        fitted.append((text, style))
        left -= have
    fitted.append((" " * left, Style.PLAIN))
    return tuple(fitted)


def plain(line: Line) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in line)


def beside(blocks: Sequence[tuple[Sequence[Line], int]], height: int, between: str = " ") -> list[Line]:
    """Put blocks of lines side by side.

    Args:
        blocks: Lines, and how wide they are to be.
        height: How many lines there are to be.
        between: What stands between two blocks.
    """
    rows: list[Line] = []
    for row in range(height):
        spans: list[Span] = []
        for place, (lines, width) in enumerate(blocks):
            if place:
                spans.append((between, Style.DIM))
            spans += lines[row] if row < len(lines) else ((" " * width, Style.PLAIN),)
        rows.append(tuple(spans))
    return rows


def bar(share: float | None, width: int) -> str:
    """Draw a share of 0 to 1, to the eighth of a cell."""
    if share is None or width <= 0:
        return " " * max(width, 0)
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return (_FULL * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def size_text(size_bytes: float | None) -> str:
    """Write a size; a dash for one that is not known."""
    return "–" if size_bytes is None else format_bytes(size_bytes)


def growth_text(bytes_per_s: float | None) -> str:
    """Write how fast something grows, with its sign; a dash where that is not known."""
    if bytes_per_s is None:
        return "–"
    return "0" if abs(bytes_per_s) < 1 else f"{'+' if bytes_per_s > 0 else ''}{format_bytes(bytes_per_s)}/s"


def share_text(share: float | None) -> str:
    """Write a share in per cent."""
    return "–" if share is None else f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}"


def growth_style(bytes_per_s: float | None, size_bytes: float | None) -> Style:
    """Mark what doubles within a minute, or would be gone in one."""
    if bytes_per_s is None or abs(bytes_per_s) < 1:
        return Style.DIM
    return Style.WARN if size_bytes and abs(bytes_per_s) * 60 > size_bytes else Style.PLAIN


def _cut(text: str, width: int) -> str:
    if width <= 0:
        return ""
    kept, have = [], 0
    for char in text:
        have += _width(char)
        if have > width - 1:
            break
        kept.append(char)
    return "".join(kept) + _CUT


def _width(char: str) -> int:
    if combining(char):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1
