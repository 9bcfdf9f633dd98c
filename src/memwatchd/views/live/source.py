"""Where frames come from: what live and recorded have in common, and how they are asked to move."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from memwatchd.config.rules import Rule
from memwatchd.views.live.frame import Frame


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules to look at.

    Attributes:
        rules: Those that are switched on.
        dry_run: All of them only say what they would do.
        note: Why there are none, or whose they are; empty when there is nothing to be said.
    """

    rules: Sequence[Rule] = ()
    dry_run: bool = False
    note: str = ""


class Move(StrEnum):
    """Where to go in a recording."""

    SAMPLE_BACK = "a sample back"
    SAMPLE_ON = "a sample on"
    SECOND_BACK = "a second back"
    SECOND_ON = "a second on"
    EVENT_BACK = "the event before"
    EVENT_ON = "the next event"
    KILL = "the next kill"
    ZERO = "moment zero"
    FIRST = "the first sample"
    LAST = "the last sample"


class Source(Protocol):
    """Something that is watched."""

    @property
    def title(self) -> str:
        """What it is."""

    def frame(self, span_s: float) -> Frame:
        """The present moment; growth is told over so many seconds."""

    def move(self, move: Move) -> str:
        """Go there; says why not, or nothing."""

    def move_to(self, text: str) -> str:
        """Go to the moment that somebody typed in; says why not, or nothing."""

    def play(self, elapsed_s: float) -> bool:
        """Let so much of its time pass, negative backwards; False at the end."""

    def work(self, budget_s: float) -> bool:
        """Go on with what is to be read beforehand; False when there is nothing left of it."""
