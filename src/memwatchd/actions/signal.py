"""Send a signal to a process, and leave it at that."""

import signal
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._victims import VANISHED, take
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Verdict, World
from memwatchd.actions.kill import missing_signals
from memwatchd.actions.processes import Selection, choose
from memwatchd.keys import Kind, key, section_key

# Not STOP: nobody would put it back; that is what `freeze` is for.
_SIGNALS = ("HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "TERM", "KILL", "WINCH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Action):
    """Sends one signal to the chosen process, and does not wait for what becomes of it.

    There is no STOP among the signals: `freeze` stops a process and makes sure that it goes on again.
    """

    name: ClassVar[str] = "signal"
    summary: ClassVar[str] = "Send one signal to a process, such as one that makes it drop its caches."
    needs: ClassVar[tuple[str, ...]] = ("pidfd_open (Linux 5.3)", "CAP_KILL")

    select: Selection = field(
        default_factory=Selection, metadata=section_key("select", Selection, "Which process.")
    )
    signal: str = field(
        default="TERM",
        metadata=key("signal", Kind.CHOICE, "What is sent.", example="USR1", choices=_SIGNALS),
    )

    def missing(self, world: World) -> Iterable[str]:
        """Say which rights are missing."""
        yield from self.select.missing(world)
        yield from missing_signals()

    def prepare(self, world: World) -> None:
        """Keep the process table fresh."""
        world.table.refresh()

    def aim(self, world: World) -> Intent:
        """Say who would get it."""
        choice = choose(world, self.select)
        return Intent(f"send SIG{self.signal}", choice.targets(), choice.spared)

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Send it; what the process makes of it is not waited for."""
        choice = choose(world, self.select)
        stay = choice.already_dying() or choice.declined()
        if stay is not None:
            return stay
        number = getattr(signal, f"SIG{self.signal}")
        reached: list[str] = []
        with ExitStack() as held:
            for victim in take(world, choice, held):
                try:
                    victim.handle.send(number)
                except ProcessLookupError:
                    continue
                except PermissionError as error:
                    return Outcome(Verdict.FAILED, f"{victim.process.name}: {error.strerror} (CAP_KILL)")
                reached.append(victim.process.name)
        if not reached:
            return VANISHED
        detail = f"SIG{self.signal} sent to {', '.join(reached)}: {choice.why(choice.candidates[0])}"
        return Outcome(Verdict.HELPED, detail, {"signalled": len(reached), "signal": f"SIG{self.signal}"})
