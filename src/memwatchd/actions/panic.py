"""Making the kernel panic."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._i_know import i_know_key, unknowing
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Verdict, World
from memwatchd.actions.sysrq import NEEDS, trigger_path
from memwatchd.kernel.files import refusal, write_value

_CONSEQUENCE = (
    "stops the machine at once: for a crash dump where kdump is set up, else until somebody restarts it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panic(Action):
    """Writes c to /proc/sysrq-trigger: the kernel panics.

    For machines with kdump, when the whole memory is wanted as it is, and for cluster nodes that are better
    dead than stuck (with kernel.panic set, so that they restart). Nothing is written to disk and nobody is
    asked.
    """

    name: ClassVar[str] = "panic"
    summary: ClassVar[str] = "Make the kernel panic, for a crash dump of the whole memory."
    needs: ClassVar[tuple[str, ...]] = (NEEDS,)

    i_know: bool = field(default=False, metadata=i_know_key())

    def problems(self) -> Iterable[str]:
        """Say whether a word is missing."""
        if not self.i_know:
            yield unknowing(self.name, _CONSEQUENCE)

    def missing(self, world: World) -> Iterable[str]:
        """Say whether the file may be written."""
        problem = refusal(trigger_path(world.roots), NEEDS)
        return [problem] if problem else []

    def aim(self, world: World) -> Intent:
        """Say what it does."""
        return Intent(f"write c to {trigger_path(world.roots)}: it {_CONSEQUENCE}")

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Do it; on a real machine this does not come back."""
        world.outlets.note("error", f"rule {occasion.rule} has the kernel panic: {occasion.reason}")
        write_value(trigger_path(world.roots), "c")
        return Outcome(Verdict.FAILED, "the kernel was told to panic, and goes on")
