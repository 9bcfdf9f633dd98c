"""An explained event as GitHub-flavoured Markdown, for a ticket.

Names in it are strangers': outside of fenced blocks every character that means something is escaped, what
would become a link by itself is broken by a blank of no width, and a fence is longer than any run of
backquotes in it.
"""

import re
from collections.abc import Iterator, Sequence

from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import Quote
from memwatchd.units import printable
from memwatchd.views.explain import words

_LINE_CHARS = 1000
_EVIDENCE_SHOWN = 40
_UNPARSED_SHOWN = 10
_MARKS = re.compile(r"([\\`*_\[\]#|~$])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What GitHub turns into links by itself: @name, #12, GH-12, addresses.
_LINKED = re.compile(r"(@|#|GH-|://|www\.)", re.IGNORECASE)
_BACKQUOTES = re.compile(r"`+")
_SPAN = re.compile(r"(`[^`]+`)")
_NO_WIDTH = "\u200b"
_TITLE = "## Events\n\n| | time | kind | cause | killed |\n|--:|---|---|---|---|"


def table_head() -> str:
    """Write the head of the table of events."""
    return _TITLE


def table_row(row: words.Row) -> str:
    """Write one line of the table of events."""
    return f"| {' | '.join(map(escaped, (row.number, row.time, row.kind, row.cause, row.victim)))} |"


def render(diagnosis: Diagnosis) -> Iterator[str]:
    """Write an event as lines without their ends."""
    verdict = diagnosis.verdict
    first, rest = words.headline(verdict.summary)
    yield f"## {escaped(first)}"
    yield ""
    if rest:
        yield f"{escaped(rest)}"
        yield ""
    yield f"{escaped(verdict.tag)}, {escaped(words.sure(verdict))}"
    yield ""
    for label, fact in words.facts(diagnosis.case):
        yield f"- **{label}**: {escaped(fact)}"
    yield from _listed("Why not something else", [each.reason for each in diagnosis.dismissals])
    yield from _evidence("The lines that say so", verdict.evidence[:_EVIDENCE_SHOWN])
    for finding in diagnosis.findings[1:]:
        yield from _evidence(
            f"Besides: {finding.summary} ({finding.tag})", finding.evidence[:_UNPARSED_SHOWN]
        )
    yield from _advice(diagnosis)
    yield from _listed("What could not be read", list(words.limits(diagnosis)))
    if diagnosis.case.event.unparsed:
        yield ""
        yield from _fenced(_quoted(diagnosis.case.event.unparsed[:_UNPARSED_SHOWN]))


def escaped(text: str) -> str:
    """Make a stranger's text mean nothing but itself."""
    plain = _MARKS.sub(r"\\\1", printable(text))
    plain = "".join(_HTML.get(char, char) for char in plain)
    return _LINKED.sub(lambda found: f"{found[1]}{_NO_WIDTH}", plain)


def _listed(heading: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield ""
        yield f"### {heading}"
        yield ""
    yield from (f"- {escaped(sentence)}" for sentence in sentences)


def _evidence(heading: str, quotes: Sequence[Quote]) -> Iterator[str]:
    yield ""
    yield f"### {escaped(heading)}"
    if quotes:
        yield ""
        yield from _fenced(_quoted(quotes))


def _advice(diagnosis: Diagnosis) -> Iterator[str]:
    advice = words.advice_of(diagnosis.findings)
    for heading, name in words.ADVICE:
        sentences: tuple[str, ...] = getattr(advice, name)
        if sentences:
            yield ""
            yield f"### {heading}"
            yield ""
        for sentence in sentences:
            text, commands = words.commands_of(sentence)
            yield f"- {_with_code(text)}"
            if commands:
                yield from (f"  {line}" for line in _fenced([printable(each) for each in commands], "sh"))


def _with_code(sentence: str) -> str:
    """Escape a sentence but for what stands in backquotes, which is code."""
    parts = _SPAN.split(printable(sentence))
    return "".join(part if place % 2 else escaped(part) for place, part in enumerate(parts))


def _quoted(quotes: Sequence[Quote]) -> list[str]:
    digits = max(len(str(quote.line)) for quote in quotes)
    return [f"{quote.line:>{digits}}  {printable(quote.text[:_LINE_CHARS].strip())}" for quote in quotes]


def _fenced(lines: Sequence[str], language: str = "") -> Iterator[str]:
    longest = max((len(run) for line in lines for run in _BACKQUOTES.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield from lines
    yield fence
