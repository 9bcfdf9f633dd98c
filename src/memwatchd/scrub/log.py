"""A log without its strangers' names: every line of the input has one in the output.

A message with names that a mail program or a terminal had wrapped is put together again, with blank lines
after it, so that line numbers still fit. Lines of programs that have nothing to do with memory, and lines
with words of which nobody knows whether they are names, are left out: a sentence stands in their place.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from memwatchd.oomreport.lines import Cutter, Line, LineReader
from memwatchd.oomreport.record import Record
from memwatchd.oomreport.records import RecordReader
from memwatchd.oomreport.transport import FURTHER_HEADS
from memwatchd.procfs._text import decode_name
from memwatchd.procfs.kmsg import unescape
from memwatchd.scrub.carrier import Carrier, find_carrier
from memwatchd.scrub.fields import FieldScrubber
from memwatchd.scrub.names import Names
from memwatchd.scrub.text import MessageScrubber, Piece, joined

LEFT_OUT = "(a line of another program was left out)"
UNKNOWN = "(a line with words that may be names was left out)"

_KERNEL = frozenset({None, "kernel", "klogd"})
_KILLERS = frozenset(
    {"systemd", "systemd-oomd", "earlyoom", "nohang", "oomd", "kubelet", "lmkd", "lowmemorykiller"}
)
_OWN = "memwatchd"
# systemd says much else; these are its words when a unit has lost a process.
_ABOUT_KILLS = re.compile(r"oom|OOM|[Kk]illed|status=9|[Mm]emory")
# How a newline within a message is written by rsyslog, and by the kernel.
_NEWLINE = re.compile(r"(\n|#012|\\x0a|\\n)")
_HEADING = re.compile(rb"\d{1,4},\d{1,20},\d{1,20}(?:,[-c+])?(?:,caller=[TC]\d{1,8})?")
_PARTIAL = re.compile(r"\b(std(?:out|err)) P ")
_LONGEST = 1 << 17


class _Wrapped(NamedTuple):
    """Records of which each ends on a line on which another goes on, or spans several lines by itself.

    Attributes:
        last: The last line of them.
    """

    last: int
    records: list[Record]


Blocks = Callable[[], Iterable[bytes]]


class LogScrubber:
    """Takes names out of logs, and out of single messages.

    Args:
        names: The stand-ins.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._messages = MessageScrubber(names)
        self._fields = FieldScrubber(self._scrub_line, names.host, self._program)
        self._wrapped: dict[int, _Wrapped] = {}

    def scrub(self, blocks: Blocks) -> Iterator[str]:
        """Yield the lines of a log without names.

        Args:
            blocks: Gives the log from its beginning, cut anywhere. It is read three times: what is a name in
                one line is then known in all others.
        """
        self._wrapped = _find_wrapped(blocks())
        for _ in self._lines(_read_lines(blocks())):
            pass
        self._names.dropped.clear()
        return self._lines(_read_lines(blocks()))

    def scrub_kmsg(self, raw: bytes) -> bytes:
        """One record of /dev/kmsg; what stands in lines of its own after the message is left out."""
        heading, separator, body = raw.partition(b";")
        if not separator or not _HEADING.fullmatch(heading):
            self._names.dropped["line"] += 1
            return b"0,0,0,-;" + LEFT_OUT.encode()
        text = decode_name(unescape(body.partition(b"\n")[0]))
        by_kernel = int(heading.partition(b",")[0]) >> 3 == 0
        scrubbed = self._scrub_line(text, None if by_kernel else "?")
        return heading + separator + _escaped(scrubbed) + (b"\n" if raw.endswith(b"\n") else b"")

    def scrub_backlog(self, raw: bytes) -> bytes:
        """Records of /dev/kmsg one after the other, each ended by a newline."""
        records = (line for line in raw.split(b"\n") if line and not line.startswith(b" "))
        return b"".join(self.scrub_kmsg(record + b"\n") for record in records)

    # ---- lines

    def _lines(self, lines: Iterable[Line]) -> Iterator[str]:
        following = iter(lines)
        for line in following:
            wrapped = self._wrapped.get(line.number)
            if wrapped is None:
                yield from self._ended(line, self._line(line))
                continue
            block = [line]
            while block[-1].last < wrapped.last and (another := next(following, None)):
                block.append(another)
            whole = self._whole(block, wrapped.records)
            texts = map(self._line, block) if whole is None else whole
            for each, text in zip(block, texts, strict=True):
                yield from self._ended(each, text)

    def _line(self, line: Line) -> str:
        scrubbed = self._fields.scrub(line.text)
        return self._scrub_line(line.text, None) if scrubbed is None else scrubbed

    def _ended(self, line: Line, text: str) -> Iterator[str]:
        yield text + "\n" * (1 + line.last - line.number)

    def _whole(self, block: list[Line], records: list[Record]) -> list[str] | None:
        """The lines of messages that were wrapped, or ran together; None where words may be names."""
        if any(self._fields.scrub(line.text) is not None for line in block):
            return None
        carrier = find_carrier(block[0].text)
        scrubbed = [self._pieces(record.text, carrier.program) for record in records]
        messages = [joined(pieces) for pieces in scrubbed if pieces is not None]
        if len(messages) < len(records):
            return None
        head = self._label(block[0].text, carrier)
        rest = [block[0].text[carrier.end :], *(line.text for line in block[1:])]
        # Where there is no name in it, and nothing else either, all stays as it was.
        same = all(record.text == message for record, message in zip(records, messages, strict=True))
        if same and _bare("".join(rest)) == _bare("".join(messages)):
            return [head + rest[0], *rest[1:]]
        texts = {line.number: "" for line in block}
        for record, message in zip(records, messages, strict=True):
            stamp = (
                f"[{record.seconds:12.6f}] " if record.seconds is not None and texts[record.number] else ""
            )
            texts[record.number] += f" {stamp}{message}" if texts[record.number] else message
        texts[block[0].number] = _PARTIAL.sub(r"\1 F ", head) + texts[block[0].number]
        return list(texts.values())

    def _scrub_line(self, text: str, program: str | None) -> str:
        """A message with what carries it.

        Args:
            text: Of one line.
            program: Who wrote it, if the line itself does not say so; None is the kernel.
        """
        if len(text) > _LONGEST:
            return self._left_out("", None)
        carrier = find_carrier(text)
        begins = [0]
        if "] " in text:
            begins += [found.start() for found in FURTHER_HEADS.finditer(text, carrier.end)]
        if len(begins) == 1:
            return self._message(text, program, carrier)
        ends = [*begins[1:], len(text)]
        return "".join(self._message(text[at:end], program) for at, end in zip(begins, ends, strict=True))

    def _message(self, text: str, program: str | None, carrier: Carrier | None = None) -> str:
        carrier = carrier or find_carrier(text)
        program = carrier.program or program
        body = text[carrier.end :]
        pieces = self._pieces(body, program)
        return self._label(text, carrier) + (
            self._left_out(body, program) if pieces is None else joined(pieces)
        )

    def _pieces(self, text: str, program: str | None) -> list[Piece] | None:
        """A message without its names, piece by piece; None where it is to be left out."""
        if program == _OWN:
            return [Piece(0, len(text), self._messages.scrub_sentence(text))]
        if program in _KILLERS and (program != "systemd" or _ABOUT_KILLS.search(text)):
            return self._messages.scrub_killer(text)
        return self._of_kernel(text) if program in _KERNEL else None

    def _of_kernel(self, text: str) -> list[Piece] | None:
        pieces, at = list[Piece](), 0
        for part in _NEWLINE.split(text):
            newline = _NEWLINE.fullmatch(part)
            scrubbed = [Piece(0, len(part), part)] if newline else self._messages.scrub(part)
            if scrubbed is None:
                return None
            pieces += [Piece(at + start, at + end, new) for start, end, new in scrubbed]
            at += len(part)
        return pieces

    def _left_out(self, text: str, program: str | None) -> str:
        self._names.dropped["line"] += 1
        blanks = text[: len(text) - len(text.lstrip())]
        return blanks + (UNKNOWN if program in _KERNEL else LEFT_OUT)

    # ---- what carries them

    def _label(self, text: str, carrier: Carrier) -> str:
        parts, at = [], 0
        for label in carrier.labels:
            parts += [text[at : label.start], self._name(label.kind, text[label.start : label.end])]
            at = label.end
        return "".join(parts) + text[at : carrier.end]

    def _name(self, kind: str, text: str) -> str:
        match kind:
            case "host":
                return self._names.host(text)
            case "file":
                return self._names.path(text)
            case "drop":
                return " ".join("-" * len(text.split(" ", 2)))
            case "comm":
                return self._names.comm(text)
        return self._program(text)

    def _program(self, name: str) -> str:
        return name if name in _KERNEL or name in _KILLERS or name == _OWN else self._names.comm(name)


def _read_lines(blocks: Iterable[bytes]) -> Iterator[Line]:
    cutter, reader = Cutter(), LineReader()
    for block in blocks:
        for chunk in cutter.feed(block):
            yield from reader.read(chunk)
    for chunk in cutter.close():
        yield from reader.read(chunk)
    yield from reader.close()


def _find_wrapped(blocks: Iterable[bytes]) -> dict[int, _Wrapped]:
    """The records that span several lines, with those that share a line with them, by their first lines."""
    reader = RecordReader()
    reader.open_event = True  # whatever the log is about, all of it is read
    found: dict[int, _Wrapped] = {}
    held: list[Record] = []
    for record in _records(reader, blocks):
        if held and record.number > held[-1].last:
            _keep(held, found)
            held = []
        held.append(record)
    _keep(held, found)
    return found


def _keep(records: list[Record], found: dict[int, _Wrapped]) -> None:
    if records and records[-1].last > records[0].number:
        found[records[0].number] = _Wrapped(records[-1].last, records)


def _bare(text: str) -> str:
    return "".join(text.split()).replace(">", "")


def _records(reader: RecordReader, blocks: Iterable[bytes]) -> Iterator[Record]:
    for block in blocks:
        yield from reader.feed(block)
    yield from reader.close()


def _escaped(text: str) -> bytes:
    """As the kernel writes it to readers of /dev/kmsg."""
    return "".join(map(_escape, text)).encode()


def _escape(char: str) -> str:
    if " " <= char <= "~" and char != "\\":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
