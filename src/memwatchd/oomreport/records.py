"""From the bytes of any log to its messages.

cold chunks left out (`gate`) → lines (`lines`) → layers off (`transport`, `structured`) → whole (`unwrap`)
"""

import re
from collections.abc import Iterable, Iterator

from memwatchd.oomreport.gate import Gate, Part
from memwatchd.oomreport.lines import Cutter, Line, LineReader
from memwatchd.oomreport.record import Record
from memwatchd.oomreport.structured import Message, Structured
from memwatchd.oomreport.transport import BARE, FURTHER_HEADS, INNER, NOTHING, OUTER, Seen, Transport
from memwatchd.oomreport.unwrap import Piece, Unwrapper

_BYTES = re.compile(r"(?:\\x[\da-fA-F]{2})+")
_STRUCTURED = ("{", "__CURSOR=", "__REALTIME_TIMESTAMP=")
_BLANKS = frozenset(" \t")
_DICTIONARY = re.compile(r" [A-Z][A-Z0-9_]*=")


class RecordReader:
    """Reads records out of a log that comes block by block. Memory is constant.

    Attributes:
        open_event: To be set by whoever reads events as long as one is open: all that comes is read then, and
            not only what looks interesting.
    """

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._gate = Gate()
        self._lines = LineReader()
        self._structured = Structured()
        self._transport = Transport()
        self._unwrapper = Unwrapper()
        self._from_kmsg = False

    @property
    def lines(self) -> int:
        """Lines of the input seen so far."""
        return self._lines.count

    @property
    def open_event(self) -> bool:
        """Whether somebody has an event open."""
        return self._gate.open_event

    @open_event.setter
    def open_event(self, is_open: bool) -> None:
        self._gate.open_event = is_open

    def feed(self, block: bytes) -> Iterator[Record]:
        """Take in a block, cut anywhere, also inside a line or a character.

        Yields:
            The records that are complete; up to some hundred KiB of the log are held back.
        """
        for chunk in self._cutter.feed(block):
            for part in self._gate.pass_through(chunk):
                yield from self._read(part)

    def close(self) -> Iterator[Record]:
        """End the log.

        Yields:
            The records that were held back.
        """
        for chunk in self._cutter.close():
            for part in self._gate.pass_through(chunk):
                yield from self._read(part)
        for part in self._gate.close():
            yield from self._read(part)
        yield from self._rest()

    def _read(self, part: Part) -> Iterator[Record]:
        if part.cold:
            yield from self._rest()
            self._lines.skip(part.chunk)
            return
        yield from self._take(self._lines.read(part.chunk))

    def _rest(self) -> Iterator[Record]:
        """Whatever waits for something to follow."""
        yield from self._take(self._lines.close())
        yield from self._unwrapper.take([self._of_message(each) for each in self._structured.close()])
        yield from self._unwrapper.flush()

    def _take(self, lines: Iterable[Line]) -> Iterator[Record]:
        pieces: list[Piece] = []
        structured = self._structured
        for line in lines:
            text = line.text
            if structured.is_open or text.startswith(_STRUCTURED) or "[s=" in text:
                messages, was_part = structured.feed(line)
                pieces += [self._of_message(each) for each in messages]
                if was_part:
                    continue
            self._add(line, pieces)
        yield from self._unwrapper.take(pieces)

    def _add(self, line: Line, pieces: list[Piece]) -> None:
        """Take the layers off a line, and split it where it holds several messages."""
        number, last, text = line
        seen = Seen(NOTHING, BARE)
        at = self._transport.take_off(text, seen)
        message = text[at:]
        if self._is_dictionary(seen, message):
            return
        begin = 0 if seen.level else at
        indent = 0 if text[begin : begin + 1] not in _BLANKS else _indent(text, begin)
        if "#0" in message or "\\x" in message:
            message = _unescape(message, seen.escaped)
        if "] " in message and FURTHER_HEADS.search(message):
            self._split(line, seen, message, pieces)
            return
        head = seen.head() if seen.level else NOTHING
        pieces.append(Piece(number, last, head, seen.level, message, len(text), indent, seen.partial))

    def _split(self, line: Line, seen: Seen, message: str, pieces: list[Piece]) -> None:
        """Split a line that holds several messages, at the heads of all but the first."""
        begins = [match.start() for match in FURTHER_HEADS.finditer(message)]
        if begins[0]:
            pieces.append(Piece(line.number, line.last, seen.head(), seen.level, message[: begins[0]], 0))
        for begin, end in zip(begins, [*begins[1:], len(message)], strict=True):
            part = message[begin:end]
            at = Transport().take_off(part, seen)
            pieces.append(Piece(line.number, line.last, seen.head(), seen.level, part[at:], 0))
        pieces[-1] = pieces[-1]._replace(width=len(line.text))

    def _is_dictionary(self, seen: Seen, message: str) -> bool:
        """Whether a line is one of those behind a record of /dev/kmsg that hold device names."""
        if seen.escaped:
            self._from_kmsg = True
        elif seen.level:
            self._from_kmsg = False
        return self._from_kmsg and not seen.level and _DICTIONARY.match(message) is not None

    def _of_message(self, message: Message) -> Piece:
        """Take the layers off a message that JSON or the journal's fields carried."""
        seen = Seen(message.head, OUTER if message.is_container else INNER)
        at = Transport().take_off(message.text, seen)
        text = message.text[at:]
        if "#0" in text or "\\x" in text:
            text = _unescape(text, seen.escaped)
        return Piece(message.number, message.last, seen.head(), seen.level, text, 0, 0, message.cut)


def read_records(blocks: Iterable[bytes]) -> Iterator[Record]:
    """Read the records of a log.

    Args:
        blocks: The log, cut anywhere.

    Yields:
        Its messages in order, but for those far from anything that has to do with memory.
    """
    reader = RecordReader()
    for block in blocks:
        yield from reader.feed(block)
    yield from reader.close()


def _indent(text: str, begin: int) -> int:
    return len(text) - begin - len(text[begin:].lstrip(" \t"))


def _unescape(text: str, from_kmsg: bool) -> str:
    r"""Undo what rsyslog (``#012``) and /dev/kmsg (``\x0a``) make of control characters."""
    text = text.replace("#012", "\n").replace("#011", "\t")
    if from_kmsg:
        return _BYTES.sub(_bytes, text)
    return text.replace("\\x0a", "\n")


def _bytes(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "surrogateescape")
