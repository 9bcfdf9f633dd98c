"""Where something stands in a file, down to a character within a quoted, folded or escaped text."""

import re
from dataclasses import dataclass, replace
from itertools import islice

_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")

_ANCHORS = re.compile(r"(?:&\S+\s+)*")
_BLOCK_HEADER = re.compile(r"[|>][^\r\n\x85\u2028\u2029]*")
# What stands in the source for one character, by the first one of the source.
_PIECES = {
    "'": re.compile(r"''|.", re.DOTALL),
    '"': re.compile(r"\\(?:x.{2}|u.{4}|U.{8}|.)|.", re.DOTALL),
}
_PIECE = re.compile(r".", re.DOTALL)
# Escapes of one letter that do not stand for a blank.
_SOLID = '"\\/0abe'


@dataclass(frozen=True, slots=True)
class Mark:
    """A position, both parts counted from 1."""

    line: int
    column: int
    file: str = ""


def mark_at(text: str, offset: int) -> Mark:
    """Say where in a text an offset is."""
    breaks = [match.end() for match in _LINE_BREAK.finditer(text, 0, offset)]
    return Mark(len(breaks) + 1, offset - (breaks[-1] if breaks else 0) + 1)


def mark_within(mark: Mark, source: str, text: str, at: int) -> Mark:
    """Say where a character of a scalar stands.

    Folding, indentation and line breaks only ever change blanks, so the others are counted.

    Args:
        mark: Where the scalar begins.
        source: The scalar as it stands in the file, with quotes or block header.
        text: What it means.
        at: The character, counted from 0; may be the end of the text.
    """
    within = mark_at(source, _offset(source, text, at))
    column = within.column if within.line > 1 else within.column + mark.column - 1
    return replace(mark, line=mark.line + within.line - 1, column=column)


def _offset(source: str, text: str, at: int) -> int:
    begin = _begin(source)
    pieces = _PIECES.get(source[begin - 1 : begin], _PIECE).finditer(source, begin)
    solid = (piece.span() for piece in pieces if not _is_blank(piece[0]))
    before = sum(not character.isspace() for character in text[:at])
    if at < len(text) and not text[at].isspace():
        return next(islice(solid, before, None))[0]
    return next(islice(solid, before - 1, None))[1] if before else begin


def _begin(source: str) -> int:
    """Say where in the source the text begins: behind an anchor, a quote, a block's header."""
    match = _ANCHORS.match(source)
    begin = match.end() if match else 0
    if source[begin : begin + 1] in _PIECES:
        return begin + 1
    header = _BLOCK_HEADER.match(source, begin)
    return header.end() if header else begin


def _is_blank(piece: str) -> bool:
    if piece[0] != "\\" or len(piece) == 1:
        return piece.isspace()
    if piece[1] in "xuU":
        code = piece[2:]
        return chr(int(code, 16)).isspace()
    return piece[1] not in _SOLID
