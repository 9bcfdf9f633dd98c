"""Several events one after the other: as they come, in a table with the most telling one in full, or as JSON.

Each of these is given the events as they are read, and gives text to print at once, so that memory does not
grow with the log.
"""

import json
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import ALLOCATION_FAILURE, OOM_KILL, RECORDED, USERSPACE_KILL
from memwatchd.views.explain import markdown, text, words
from memwatchd.views.explain.document import SCHEMA, document

_RANKS = {OOM_KILL: 3, RECORDED: 3, USERSPACE_KILL: 2, ALLOCATION_FAILURE: 1}


class Paper(Protocol):
    """What events are written on."""

    def begin(self) -> Iterator[str]:
        """Give what stands before the first event."""

    def take(self, number: int, source: str, diagnosis: Diagnosis) -> Iterator[str]:
        """Give what can be written of an event now."""

    def end(self) -> Iterator[str]:
        """Give the rest."""


@dataclass(slots=True)
class Document:
    """JSON, element by element."""

    _count: int = 0

    def begin(self) -> Iterator[str]:
        """Open the list."""
        yield f'{{\n  "schema": "{SCHEMA}",\n  "events": ['

    def take(self, number: int, source: str, diagnosis: Diagnosis) -> Iterator[str]:
        """Write an element."""
        yield ",\n" if self._count else "\n"
        self._count += 1
        element = json.dumps(document(number, source, diagnosis), indent=2, allow_nan=False)
        yield textwrap.indent(element, "    ")

    def end(self) -> Iterator[str]:
        """Close the list."""
        yield ("\n  ]" if self._count else "]") + "\n}\n"


@dataclass(frozen=True, slots=True)
class Style:
    """How a table and an event are written."""

    head: Callable[[], str]
    row: Callable[[words.Row], str]
    event: Callable[[Diagnosis], Iterator[str]]
    note: Callable[[str], str]


def on_screen(screen: text.Screen) -> Style:
    """Text for a terminal."""
    return Style(
        head=lambda: text.table_head(screen),
        row=lambda row: text.table_row(row, screen),
        event=lambda diagnosis: text.render(diagnosis, screen),
        note=lambda sentence: screen.dim(sentence),
    )


def in_markdown() -> Style:
    """Markdown for a ticket."""
    return Style(markdown.table_head, markdown.table_row, markdown.render, markdown.escaped)


@dataclass(slots=True)
class Digest:
    """One event in full; of several a table, then the most telling one in full, or all of them.

    Args:
        style: How they are written.
        whole: Write every event in full, and no table.
    """

    style: Style
    whole: bool
    _count: int = 0
    _first: words.Row | None = None
    _best: tuple[int, Diagnosis] | None = field(default=None)

    def begin(self) -> Iterator[str]:
        """Nothing: whether there will be a table only the second event tells."""
        return iter(())

    def take(self, number: int, source: str, diagnosis: Diagnosis) -> Iterator[str]:
        """Write the event, or its line."""
        self._count += 1
        if self.whole:
            yield from self._whole(number, diagnosis)
            return
        row = words.row(number, diagnosis)
        if self._count == 1:
            self._first = row
        elif self._first is not None:
            yield f"{self.style.head()}\n{self.style.row(self._first)}\n"
            self._first = None
        if self._count > 1:
            yield f"{self.style.row(row)}\n"
        if self._best is None or telling(diagnosis) >= telling(self._best[1]):
            self._best = number, diagnosis

    def end(self) -> Iterator[str]:
        """Write the most telling event."""
        if self._best is None:
            return
        number, diagnosis = self._best
        if self._count > 1:
            note = f"Event {number}, which tells most; --event N prints another one, --all prints every one"
            yield f"\n{self.style.note(note)}\n\n"
        yield from (f"{line}\n" for line in self.style.event(diagnosis))

    def _whole(self, number: int, diagnosis: Diagnosis) -> Iterator[str]:
        if self._count > 1:
            yield "\n"
        event = diagnosis.case.event
        note = f"Event {number}, {words.when(event)}, {words.kind(event)}"
        yield f"{self.style.note(note)}\n\n"
        yield from (f"{line}\n" for line in self.style.event(diagnosis))


def telling(diagnosis: Diagnosis) -> tuple[int, bool, float]:
    """How much an event tells: a kill more than mere figures, a whole report more than half of one."""
    event, verdict = diagnosis.case.event, diagnosis.verdict
    rank = _RANKS.get(event.kind, 0)
    if event.kind == RECORDED and verdict.tag != "unknown":
        # The incident is about this, whatever older reports are still in its log.
        rank += 1
    return rank, event.complete, round(verdict.confidence, 1)
