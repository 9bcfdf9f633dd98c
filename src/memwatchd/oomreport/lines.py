r"""From the blocks of a log to its lines: cut, decoded, and freed of what no log message consists of.

A log is handled in chunks of about 64 KiB that end where a line ends. Where they end depends on nothing but
the log, so that whoever cut it into blocks has no say in what is read out of it.

What is taken off here are byte order marks, UTF-16, carriage returns, NULs of a crashed file system, colours
(``\x1b[33m``, ``#033[33m``), no-break spaces, and quoted-printable: a mail saved as it was sent says

    [ 1.5] java invoked oom-killer: gfp_mask=3D0x100cca(GFP_HIGHUSER_MOVABLE), order=
    =3D0, oom_score_adj=3D0

where ``=`` at the end of a line is no part of it.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

CHUNK_BYTES = 1 << 16
# A line without an end is cut: nobody's record is as long, but whole reports without line ends are.
LINE_BYTES = 1 << 18

_COLOUR = re.compile(r"(?:\x1b|#033)\[[0-9;:?]{0,40}[ -/]?[@-~]|\x1b\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\)")
_RETURNS = re.compile(r"^\r+|\r+$", re.MULTILINE)
_BLANKS = str.maketrans(
    {"\xa0": " ", "\u2007": " ", "\u202f": " ", "\u200b": None, "\ufeff": None, "\0": None}
)
_ODD = re.compile("[\xa0\u2007\u202f\u200b\ufeff\0]")

_ENCODED = re.compile(
    r"\b(?:gfp_mask|order|oom_score_adj|constraint|nodemask|hugepages_\w+|swap {1,2})=(3D)?"
)
_ESCAPES = re.compile(r"(?:=[0-9A-F]{2})+")
_SOFT_BREAKS = 200


class Line(NamedTuple):
    """One line: a few of the input where quoted-printable had broken it."""

    number: int
    last: int
    text: str


class Cutter:
    """Cuts a stream of bytes into chunks that end where lines end, as far as there are line ends."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = CHUNK_BYTES
        self._decoder: codecs.IncrementalDecoder | None = None
        self._begun = False

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Take in a block.

        Yields:
            The chunks that are complete.
        """
        self._held += self._decoder.decode(block).encode(errors="replace") if self._decoder else block
        if not self._begun and len(self._held) >= 3:
            self._begin()
        while (end := self._end()) is not None:
            yield self._cut(end)

    def close(self) -> Iterator[bytes]:
        """End the stream.

        Yields:
            What is left of it.
        """
        if not self._begun:
            self._begin()
        if self._decoder:
            yield from self.feed(b"")
        if self._held:
            yield self._cut(len(self._held))

    def _begin(self) -> None:
        self._begun = True
        if self._held.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
            self._held = bytearray(self._decoder.decode(bytes(self._held)).encode(errors="replace"))
        elif self._held.startswith(codecs.BOM_UTF8):
            del self._held[:3]

    def _end(self) -> int | None:
        """Where the next chunk ends: None as long as more is needed to know."""
        held = len(self._held)
        if not self._begun or held <= CHUNK_BYTES:
            return None
        bound = CHUNK_BYTES + LINE_BYTES
        found = self._held.find(b"\n", self._searched, bound)
        if found >= 0:
            return found + 1
        self._searched = min(held, bound)
        return bound if held >= bound else None

    def _cut(self, end: int) -> bytes:
        chunk = bytes(self._held[:end])
        del self._held[:end]
        self._searched = CHUNK_BYTES
        return chunk


def decode(chunk: bytes) -> str:
    """Make text of a chunk.

    What is not UTF-8 is kept as surrogates; carriage returns, colours, NULs and odd blanks are gone. The
    number of line ends stays what it was.
    """
    text = chunk.decode("utf-8", "surrogateescape")
    if "\r" in text:
        text = _RETURNS.sub("", text.replace("\r\n", "\n")).replace("\r", " ")
    if "\x1b" in text or "#033" in text:
        text = _COLOUR.sub("", text)
    return text.translate(_BLANKS) if _ODD.search(text) else text


@dataclass(slots=True)
class LineReader:
    """Counts lines, and undoes quoted-printable where the text is clearly that.

    Attributes:
        count: Lines that were begun.
    """

    count: int = 0
    _open: bool = False
    _encoded: bool = False
    _soft: list[str] = field(default_factory=list)
    _soft_number: int = 0

    def skip(self, chunk: bytes) -> None:
        """Count the lines of a chunk that nobody reads."""
        self._soft.clear()
        self.count += chunk.count(b"\n") + (not self._open) - chunk.endswith(b"\n")
        self._open = not chunk.endswith(b"\n")

    def read(self, chunk: bytes) -> Iterator[Line]:
        """Read the lines of a chunk."""
        text = decode(chunk)
        number = self.count + (not self._open)
        ends = chunk.endswith(b"\n")
        lines = text.split("\n")
        if ends:
            lines.pop()
        self._open = not ends
        self.count = number + len(lines) - 1
        if self._encoded or "=3D" in text:
            yield from self._decoded(lines, number, text)
            return
        for line in lines:
            yield Line(number, number, line)
            number += 1

    def close(self) -> Iterator[Line]:
        """End the stream; yields a line that was waiting for its rest."""
        if self._soft:
            yield self._joined(self.count, "")

    def _decoded(self, lines: list[str], number: int, text: str) -> Iterator[Line]:
        first = _ENCODED.search(text)
        self._encoded = self._encoded if first is None else first[1] is not None
        for at, line in enumerate(lines, number):
            evidence = _ENCODED.search(line)
            if evidence is not None:
                self._encoded = evidence[1] is not None
            if not self._encoded:
                yield from self.close()
                yield Line(at, at, line)
            elif line.endswith("=") and len(self._soft) < _SOFT_BREAKS:
                self._soft_number = self._soft_number if self._soft else at
                self._soft.append(line[:-1])
            else:
                yield self._joined(at, line)

    def _joined(self, last: int, line: str) -> Line:
        number = self._soft_number if self._soft else last
        whole = _ESCAPES.sub(_unescape, "".join([*self._soft, line]))
        self._soft.clear()
        return Line(number, last, whole.replace("\r", "").replace("\n", " ").replace("\xa0", " "))


def _unescape(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("=", "")).decode("utf-8", "surrogateescape")
