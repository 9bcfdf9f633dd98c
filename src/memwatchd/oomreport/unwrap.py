"""From lines without their layers to whole messages: what was wrapped is joined, what ran together is split.

The rest of a wrapped line has no layers of its own (`transport`): no time stamp, no host. So have the further
lines of a message of the kernel's that has several, which are statements by themselves and become records of
their own, with the time and host of the one they follow:

    [162256.830969] active_anon:1302805 inactive_anon:174717 isolated_anon:0
                     active_file:17627 inactive_file:648643 isolated_file:0

And so have the lines of a mail around the log. In doubt nothing is joined.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from memwatchd.oomreport.forms import RESERVE, ROW, TABLE, TRACE, Form, State, form_of
from memwatchd.oomreport.record import Record
from memwatchd.oomreport.transport import BARE, OUTER, STAMPS, Head
from memwatchd.oomreport.widths import Seam, Widths, judge
from memwatchd.oomreport.words import ELISION, FURTHER, INSIDE, PROSE, SOLID, is_cut_in_word

LONGEST_RECORD = 1 << 16
MOST_LINES = 200

_DIGITS = re.compile(r"[\d ]+$")
# Nobody has looked yet what kind of statement it is.
_UNKNOWN = Form("", None)
# How a pager shows that it cut a line off.
_CUT_OFF = (">", "…")
# Statements with a stranger's name in them.
_NAMES = re.compile(
    r"\s*(?:\[ {0,9}\d{1,10}\] |CPU: \d|oom_reaper: |.{0,40}oom-kill:|.{0,60}\b[kK]ill(?:ed)? process \d"
    r"|Task in |Tasks in |Memory cgroup stats)"
)
# No statement begins behind one of these.
_DANGLING = re.compile(
    r"(?:^|\s)(?:\?|invoked|page|page allocation|Node \d{1,4}|Out|Out of|out of|Memory cgroup|process)$"
)
_DANGLING_SIGN = re.compile(r"(?:[:,=(|]|\b(?:of|for|cgroup|oom_kill:?))$")
_MOST_COLUMNS = 40
# TASK_COMM_LEN less the NUL.
_NAME = 15


class Piece(NamedTuple):
    """A line, or a part of one, whose layers are off.

    Attributes:
        number, last: Of the input.
        head: What the layers said.
        level: Which kinds of layers there were: `BARE`, `OUTER`, `INNER`.
        text: The message with the blanks at its ends, which has a line end where the kernel's has one.
        width: Length of the whole line; 0 where more of the line follows.
        indent: Blanks it begins with.
        partial: Whatever carried it cut it here; the next piece goes on with it.
    """

    number: int
    last: int
    head: Head
    level: int
    text: str
    width: int
    indent: int = 0
    partial: bool = False


@dataclass(slots=True)
class _Open:
    """A message that may get a rest.

    Attributes:
        number: Line it begins on.
        head, level: What its layers said, or those of the message it belongs to.
        text: What there is of it.
        end: The piece it ends with so far.
        form: Its kind, if somebody looked already.
        seams: Where its further lines begin in the text, and their numbers.
    """

    number: int
    head: Head
    level: int
    text: str
    end: Piece
    form: Form | None = _UNKNOWN
    seams: list[tuple[int, int]] = field(default_factory=list)

    @property
    def message(self) -> str:
        """Its last line without the blanks around it."""
        return self.text.strip().rpartition("\n")[2].strip()


class Unwrapper:
    """Joins and splits; holds one message."""

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._widths = Widths()
        self._indent = 0
        self._columns: int | None = None

    def take(self, pieces: Sequence[Piece]) -> Iterator[Record]:
        """Take in the pieces of some lines in order; yields the messages that are complete by them."""
        forms = self._judge(pieces)
        ahead = [piece.level for piece in pieces[1:]]
        ahead.append(BARE)
        for at, piece in enumerate(pieces):
            held = self._open
            if held is not None:
                if held.end.partial:
                    self._join(held, piece, None)
                    continue
                if piece.level == BARE or piece.level < held.level:
                    yield from self._follow(held, piece, forms.get(at, _UNKNOWN))
                    continue
                yield from self.flush()
            text = piece.text.strip()
            if (
                ahead[at] < piece.level
                or piece.level == BARE
                or piece.partial
                or "\n" in text
                or len(text) > LONGEST_RECORD
            ):
                self._open = _Open(piece.number, piece.head, piece.level, piece.text, piece)
            elif text:
                if text.endswith("name"):
                    self._note_columns(text)
                yield Record(piece.number, piece.last, *piece.head, text)

    def flush(self) -> Iterator[Record]:
        """End the message that is held."""
        if self._open is not None:
            held, self._open = self._open, None
            yield from self._records(held)

    # ---- where lines meet

    def _follow(self, held: _Open, piece: Piece, form: Form | None) -> Iterator[Record]:
        """A line has fewer layers than the one before: it is its rest, a further statement, or a stranger."""
        after = piece.text.strip()
        if not after:
            yield from self.flush()
            return
        seam = Seam(held.end.text, held.end.width, piece.text[min(piece.indent, self._indent) :])
        if form is _UNKNOWN:
            form = form_of(after)
        if self._is_rest(held, seam, after, form) and self._join(held, piece, self._widths.glue(seam)):
            return
        yield from self._records(held)
        belongs = form is not None and piece.level < held.level
        head, level = (held.head, held.level) if belongs else (piece.head, piece.level)
        self._open = _Open(piece.number, head, level, piece.text, piece, form)

    def _join(self, held: _Open, piece: Piece, glue: str | None) -> bool:
        """Join a piece to the message: with a blank, with nothing between, or, if None, as it stands."""
        full = len(held.text) + len(piece.text) > LONGEST_RECORD or len(held.seams) >= MOST_LINES - 1
        if glue is None:
            before, after = held.text, piece.text
        else:
            before, after = held.text.rstrip() + glue, piece.text.strip()
        held.end = piece if not full else held.end._replace(partial=False)
        if not full:
            held.seams.append((len(before), piece.number))
            held.text = before + after
        return not full

    def _is_rest(self, held: _Open, seam: Seam, after: str, form: Form | None) -> bool:
        message = held.message
        inside = form is None and INSIDE.match(after) is not None
        if not message:
            return form is not None or inside or self._widths.may_break(seam)
        kind = held.form if held.form is not _UNKNOWN and not held.seams else form_of(message)
        if ELISION.match(after) or message.endswith(_CUT_OFF):
            return False
        if kind is None and held.level <= OUTER:
            return form is None and self._is_at_edge(seam)
        state = self._state(kind, message)
        if form is not None:
            if form is TRACE and kind in (None, TRACE) and self._is_at_edge(seam):
                return state is not State.WHOLE
            return state is not State.WHOLE and self._completes(kind, message, seam, after)
        if inside or (kind is RESERVE and _DIGITS.match(after)):
            return True
        if state is State.UNFINISHED:
            return (
                not PROSE.search(after[:200])
                or (kind is ROW and len(after) <= _NAME)
                or self._widths.may_break(seam)
                or is_cut_in_word(message, after)
            )
        if state is State.UNSURE:
            return self._widths.may_break(seam)
        return self._is_at_edge(seam) or (kind is ROW and self._is_rest_of_name(message, after))

    def _is_rest_of_name(self, row: str, after: str) -> bool:
        """Whether the name of a process was broken, whose length is bounded, where any line was."""
        name = row.rpartition(" ")[2] + after
        return self._widths != Widths() and len(name) <= _NAME and " " not in after

    def _completes(self, kind: Form | None, message: str, seam: Seam, after: str) -> bool:
        """Whether something that begins like a statement is a rest all the same."""
        if _DANGLING.search(message[-40:]):
            return True
        if kind is None:
            return False
        unfinished = self._state(kind, message) is State.UNFINISHED
        if unfinished and (_DANGLING_SIGN.search(message) or self._is_at_edge(seam)):
            return True
        return self._state(kind, message + self._widths.glue(seam) + after) is State.WHOLE

    def _is_at_edge(self, seam: Seam) -> bool:
        """Whether the line was cut there, whatever it says."""
        widths = self._widths
        if widths.blanks_kept and seam.before.endswith(" "):
            return True
        return widths.hard is not None and seam.width >= widths.hard

    def _state(self, kind: Form | None, message: str) -> State:
        if kind is ROW:
            return State.WHOLE if _row(self._columns).search(message) else State.UNFINISHED
        return kind.state(message) if kind is not None else State.UNSURE

    def _judge(self, pieces: Sequence[Piece]) -> dict[int, Form | None]:
        """Look at all line ends behind which a line follows that has no layers.

        Returns:
            What the lines without layers are, by their place.
        """
        bare = [at for at, piece in enumerate(pieces) if piece.level == BARE]
        if not bare:
            self._indent = min((piece.indent for piece in pieces), default=0)
            return {}
        with_layers = [piece for piece in pieces if piece.level != BARE]
        self._indent = min((piece.indent for piece in with_layers or pieces if piece.text.strip()), default=0)
        forms = {at: form_of(pieces[at].text.strip()) for at in bare}
        seams = [
            seam
            for at in bare
            if at and forms[at] is None and (seam := _seam(pieces[at - 1], forms.get(at - 1), pieces[at]))
        ]
        if seams:
            longest = max(
                max((piece.width for piece in with_layers), default=0), *(seam.width for seam in seams)
            )
            self._widths = judge(seams, longest, self._widths)
        return forms

    # ---- out

    def _records(self, held: _Open) -> Iterator[Record]:
        text = held.text.strip()
        if held.seams or "\n" in text or len(text) > LONGEST_RECORD:
            yield from self._several(held)
        elif text:
            if text.endswith("name"):
                self._note_columns(text)
            yield Record(held.number, held.end.last, *held.head, text)

    def _several(self, held: _Open) -> Iterator[Record]:
        """The records of a message that spans lines, or has line ends in it."""
        starts = [0, *(begin for begin, _ in held.seams)]
        numbers = [held.number, *(number for _, number in held.seams)]
        at = 0
        for line in _statements(held.text):
            begin = at
            for head, offset, part in _split(line, held.head):
                text = part.strip()
                if text:
                    self._note_columns(text)
                    begin = at + offset + len(part) - len(part.lstrip())
                    number = numbers[bisect_right(starts, begin) - 1] if at + offset else held.number
                    end = bisect_right(starts, begin + len(text) - 1)
                    last = held.end.last if end == len(starts) else numbers[end - 1]
                    yield Record(number, last, *head, text[:LONGEST_RECORD])
            at += len(line) + 1

    def _note_columns(self, text: str) -> None:
        """Remember how many numbers the rows of a table have, if this is its header."""
        if text.endswith("name") and form_of(text) is TABLE:
            self._columns = min(len(text.partition("]")[2].split()) - 1, _MOST_COLUMNS)


def _seam(before: Piece, form: Form | None, piece: Piece) -> Seam | None:
    """The end of a line and the next one, if that may be its rest."""
    after, end = piece.text.strip(), before.text.strip()
    if not after or not end or (before.level == BARE and form is None and not _is_inside(end)):
        return None
    return Seam(before.text, before.width, after, _is_inside(after), SOLID.match(after) is not None)


def _statements(text: str) -> list[str]:
    """Cut one message of the kernel at its line ends, but for those that are part of a stranger's name."""
    found: list[str] = []
    for line in text.split("\n"):
        words = line.strip()
        if words and found and _NAMES.match(found[-1]) and form_of(words) is None and not _is_inside(words):
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def _is_inside(text: str) -> bool:
    return INSIDE.match(text) is not None or FURTHER.match(text) is not None


def _split(line: str, head: Head) -> Iterator[tuple[Head, int, str]]:
    """Split a text at time stamps, which may have shown only now that it is joined."""
    begin = 0
    for match in STAMPS.finditer(line) if "] " in line else ():
        if match.start() > begin:
            yield head, begin, line[begin : match.start()]
        head = head._replace(seconds=float(match[1]))
        begin = match.end()
    yield head, begin, line[begin:]


@lru_cache(maxsize=_MOST_COLUMNS)
def _row(columns: int | None) -> re.Pattern[str]:
    """A row of the table of tasks that is whole; any of 6 columns or more where the header is missing."""
    if columns is None or columns < 1:
        return re.compile(r"\](?: +-?\d{1,20}){6,11} +\S*[^\d\s-]")
    return re.compile(rf"\](?: +-?\d{{1,20}}){{{columns}}} +\S")
