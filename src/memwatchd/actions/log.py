"""Writing a line into the journal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from memwatchd.actions._template import fill, template_problems
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Verdict, World
from memwatchd.keys import Kind, key

Level = Literal["error", "warning", "info", "debug"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Action):
    """Writes a line into the journal, or to standard error where there is none.

    In `message` stand `{rule}`, `{reason}` (the condition with its figures when it fired) and any signal of
    the rule's condition, as in `{meminfo.MemAvailable}`, for its value at this step: bytes, seconds or a
    plain number. A signal that is not in the condition becomes a question mark.
    """

    name: ClassVar[str] = "log"
    summary: ClassVar[str] = "Write a line of your own into the journal."
    single: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()

    level: Level = field(
        default="warning",
        metadata=key("level", Kind.CHOICE, "How bad it is.", example="warning", choices=get_args(Level)),
    )
    message: str = field(
        default="rule {rule}: {reason}",
        metadata=key(
            "message",
            Kind.TEXT,
            "What is written; {rule}, {reason} and signals in braces are filled in.",
            example="rule {rule}: {reason}",
            max_bytes=1000,
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say which placeholders are none."""
        return [f"message: {problem}" for problem in template_problems(self.message)]

    def aim(self, world: World) -> Intent:
        """Say what would be written."""
        return Intent(f"log as {self.level}: {self.message}")

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Write it."""
        world.outlets.note(self.level, fill(self.message, occasion), rule=occasion.rule)
        return Outcome(Verdict.HELPED, "a line was logged")
