"""An explained event for a terminal: the verdict first, then what proves it, then what to do."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memwatchd.diagnosis.finding import Advice
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import Quote
from memwatchd.units import printable
from memwatchd.views.explain import words

_WIDEST = 100
_NARROWEST = 40
_EVIDENCE_SHOWN = 12
_SENTENCES_SHOWN = 8
_ADVICE_SHOWN = 5
_UNPARSED_SHOWN = 3
# Of a log line where nobody says how wide the screen is.
_LINE_CHARS = 1000
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
# Of time, kind and cause, behind the number; the victim has the rest. The table grows while the log is being
# read, so that no row can wait for the others.
_NUMBER_CHARS = 4
_COLUMNS = (24, 19, 19)
_NARROW_COLUMNS = (19, 16, 19)
_NARROW = 100


@dataclass(frozen=True, slots=True)
class Screen:
    """What it is written for.

    Attributes:
        width: Columns.
        colour: Whether it understands bold.
        cut: Whether lines of the log are cut to the width; in a file they stay whole.
    """

    width: int = 80
    colour: bool = False
    cut: bool = True

    @property
    def prose(self) -> int:
        """Columns for sentences."""
        return max(_NARROWEST, min(self.width, _WIDEST))

    def bold(self, text: str) -> str:
        """Make it stand out."""
        return f"{_BOLD}{text}{_PLAIN}" if self.colour else text

    def dim(self, text: str) -> str:
        """Make it stand back."""
        return f"{_DIM}{text}{_PLAIN}" if self.colour else text


def table_head(screen: Screen) -> str:
    """Write the head of the table of events."""
    return screen.dim(_table_line(words.Row("", "time", "kind", "cause", "killed"), screen))


def table_row(row: words.Row, screen: Screen) -> str:
    """Write one line of the table of events."""
    return _table_line(row, screen)


def render(diagnosis: Diagnosis, screen: Screen) -> Iterator[str]:
    """Write an event as lines without their ends."""
    verdict = diagnosis.verdict
    first, rest = words.headline(verdict.summary)
    yield from (screen.bold(line) for line in _wrapped(first, screen.prose, ""))
    yield from _wrapped(rest, screen.prose, "")
    yield screen.dim(printable(f"{verdict.tag}, {words.sure(verdict)}"))
    yield ""
    for label, fact in words.facts(diagnosis.case):
        yield from _wrapped(fact, screen.prose, f"  {label:<9} ", "            ")
    yield from _listed("Why not something else", [each.reason for each in diagnosis.dismissals], screen)
    yield from _evidence(verdict.evidence, screen)
    yield from _listed("Besides", [f"{each.summary} ({each.tag})" for each in diagnosis.findings[1:]], screen)
    yield from _advice(words.advice_of(diagnosis.findings), screen)
    yield from _limits(diagnosis, screen)


def _evidence(quotes: Sequence[Quote], screen: Screen) -> Iterator[str]:
    if quotes:
        yield ""
        yield "The lines that say so"
        yield from _quotes(quotes[:_EVIDENCE_SHOWN], screen)
    yield from _more(len(quotes) - _EVIDENCE_SHOWN)


def _quotes(quotes: Sequence[Quote], screen: Screen) -> Iterator[str]:
    digits = max(len(str(quote.line)) for quote in quotes)
    for quote in quotes:
        text = printable(quote.text[:_LINE_CHARS].strip())
        room = screen.width - digits - 4 if screen.cut else _LINE_CHARS
        yield f"  {screen.dim(f'{quote.line:>{digits}}')}  {_cut(text, room)}".rstrip()


def _listed(heading: str, sentences: Sequence[str], screen: Screen) -> Iterator[str]:
    if sentences:
        yield ""
        yield heading
    for sentence in sentences[:_SENTENCES_SHOWN]:
        yield from _wrapped(sentence, screen.prose, "  ", "    ")
    yield from _more(len(sentences) - _SENTENCES_SHOWN)


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"  … and {count} more (--json has them all)"


def _advice(advice: Advice, screen: Screen) -> Iterator[str]:
    for heading, name in words.ADVICE:
        sentences: tuple[str, ...] = getattr(advice, name)
        if sentences:
            yield ""
            yield heading
        for sentence in sentences[:_ADVICE_SHOWN]:
            text, commands = words.commands_of(sentence)
            yield from _wrapped(text.replace("`", ""), screen.prose, "  ", "    ")
            # Never wrapped nor cut: they are there to be copied.
            yield from (f"      {printable(command)}" for command in commands)
        yield from _more(len(sentences) - _ADVICE_SHOWN)


def _limits(diagnosis: Diagnosis, screen: Screen) -> Iterator[str]:
    yield from _listed("What could not be read", list(words.limits(diagnosis)), screen)
    unparsed = diagnosis.case.event.unparsed[:_UNPARSED_SHOWN]
    if unparsed:
        yield from _quotes(unparsed, screen)


def _table_line(row: words.Row, screen: Screen) -> str:
    cells = [row.number.rjust(_NUMBER_CHARS)]
    widths = _NARROW_COLUMNS if screen.width < _NARROW and screen.cut else _COLUMNS
    for cell, width in zip((row.time, row.kind, row.cause), widths, strict=True):
        cells.append(_cut(printable(cell), width).ljust(width))
    return _cut(
        "  ".join([*cells, printable(row.victim)]).rstrip(), screen.width if screen.cut else _LINE_CHARS
    )


def _wrapped(text: str, width: int, first: str, others: str | None = None) -> Iterator[str]:
    """Break a sentence into lines; a path that is longer than a line stays whole."""
    yield from textwrap.wrap(
        printable(text),
        width,
        initial_indent=first,
        subsequent_indent=first if others is None else others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
