"""The kernel's own emergency commands."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args

from memwatchd.actions._i_know import i_know_key, unknowing
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Verdict, World
from memwatchd.kernel.files import refusal, write_value
from memwatchd.keys import Kind, key
from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.roots import Roots

Letter = Literal["m", "w", "t", "s", "f", "u", "b"]

NEEDS = "uid 0, a kernel with CONFIG_MAGIC_SYSRQ and a writable /proc/sysrq-trigger"
_DOES: dict[Letter, str] = {
    "m": "prints the state of memory into the kernel's log",
    "w": "prints the tasks that wait uninterruptibly into the kernel's log",
    "t": "prints all tasks into the kernel's log",
    "s": "begins to write all that is dirty to the disks",
    "f": "has the OOM killer kill a process",
    "u": "remounts all file systems read-only",
    "b": "restarts the machine at once, without writing anything to disk",
}
_HARMLESS = frozenset({"m", "w", "t", "s"})
_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysrq(Action):
    """Writes a letter to /proc/sysrq-trigger.

    m, w and t print memory, stuck tasks or all tasks into the kernel's log, where an incident then has
    them; s begins to write dirty data; f calls the OOM killer, u remounts everything read-only, b restarts
    the machine at once. The last three need `i_know: true`.

    The mask in /proc/sys/kernel/sysrq does not matter here: it is about the keyboard. Of f it is measured
    whether the count of OOM kills rose; the others are told to the kernel, which does not say what came of
    it.
    """

    name: ClassVar[str] = "sysrq"
    summary: ClassVar[str] = "Give the kernel one of its emergency commands."
    needs: ClassVar[tuple[str, ...]] = (NEEDS,)

    letter: Letter = field(
        metadata=key(
            "letter", Kind.CHOICE, "The command.", example="m", choices=get_args(Letter), required=True
        ),
    )
    i_know: bool = field(default=False, metadata=i_know_key())

    def problems(self) -> Iterable[str]:
        """Say whether the letter needs a word more."""
        if self.letter not in _DOES:
            yield f"letter: expected one of {', '.join(_DOES)}; got {self.letter!r}"
        elif self.letter not in _HARMLESS and not self.i_know:
            yield unknowing(f"sysrq {self.letter}", _DOES[self.letter])

    def missing(self, world: World) -> Iterable[str]:
        """Say whether the file may be written."""
        problem = refusal(trigger_path(world.roots), NEEDS)
        return [problem] if problem else []

    def aim(self, world: World) -> Intent:
        """Say what the letter does."""
        return Intent(f"write {self.letter} to {trigger_path(world.roots)}: it {_DOES[self.letter]}")

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Write the letter."""
        kills_before = _kills(world.roots)
        write_value(trigger_path(world.roots), self.letter)
        if self.letter == "f" and kills_before is not None:
            return _wait_for_kill(world, occasion, kills_before)
        return Outcome(Verdict.HELPED, f"the kernel was told: it {_DOES[self.letter]}")


def trigger_path(roots: Roots) -> Path:
    """Where the letters are written to."""
    return roots.procfs / "sysrq-trigger"


def _wait_for_kill(world: World, occasion: Occasion, before: int) -> Outcome:
    """Wait until the count of kills rises: the kernel looks for a victim in a worker of its own."""
    while (_kills(world.roots) or 0) <= before:
        if world.now_ns() >= occasion.until_ns:
            return Outcome(
                Verdict.NO_EFFECT, "the OOM killer has killed nothing by the deadline", {"kills": 0}
            )
        time.sleep(_POLL_S)
    figures: dict[str, Figure] = {"kills": (_kills(world.roots) or 0) - before}
    return Outcome(Verdict.HELPED, "the OOM killer has killed", figures)


def _kills(roots: Roots) -> int | None:
    """Read the count of OOM kills, None before Linux 4.13."""
    path = roots.procfs / "vmstat"
    return parse_vmstat(path.read_bytes(), str(path)).get("oom_kill")
