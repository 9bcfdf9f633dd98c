"""A number in one of the kernel's files that is changed, and put back when it is over.

The value before is noted in `World.changes` before the new one is written. It is put back only while ours
is still there. When several rules change the same file, the value before is the one from before the first
of them: in whatever order they clear, the one whose value is there puts that back, and the others find
nothing of theirs.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from memwatchd.actions._before import before_ours
from memwatchd.actions.base import Occasion, Outcome, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.errors import ParseError
from memwatchd.kernel.files import write_value

_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Knob:
    """One such file.

    Attributes:
        action: Registry name of the action that changes it.
        setting: Its name for a person, the same for whoever changes it.
    """

    action: str
    setting: str
    path: Path

    def read(self) -> int:
        """Read the present value.

        Raises:
            OSError: It cannot be read.
            ParseError: It is no number.
        """
        text = self.path.read_text(errors="replace").strip()
        if not _NUMBER.fullmatch(text):
            raise ParseError(str(self.path), text, self.setting, "a number")
        return int(text)

    def set(self, world: World, occasion: Occasion, value: int, *, for_zero: int = 0) -> None:
        """Note the change and make it.

        Args:
            world: Where the change is noted.
            occasion: Whose clearing puts it back.
            value: To be written.
            for_zero: What is to be put back where the present value is 0.

        Raises:
            OSError: It cannot be noted, or the kernel refuses the value; then nothing has been changed.
        """
        target = {"setting": self.setting}
        old = before_ours(world, self.action, target, self.read()) or for_zero
        change = world.changes.note(self.action, occasion.rule, {**target, "old": old, "new": value})
        try:
            write_value(self.path, str(value))
        except OSError:
            world.changes.forget(change)
            raise

    def put_back(self, change: Change) -> Outcome:
        """Put the value before back, unless the present one is not ours.

        Raises:
            OSError: The kernel refuses it.
        """
        ours, before, present = change.facts.get("new"), change.facts.get("old"), self.read()
        if not isinstance(before, int):
            return Outcome(Verdict.DECLINED, f"the note of the change does not say what {self.setting} was")
        if present == before:
            return Outcome(Verdict.DECLINED, f"{self.setting} is {before} again already")
        if present != ours:
            return Outcome(
                Verdict.DECLINED,
                f"{self.setting} is {present} by now and not the {ours} set here: left alone",
            )
        write_value(self.path, str(before))
        return Outcome(Verdict.HELPED, f"{self.setting} put back from {ours} to {before}")
