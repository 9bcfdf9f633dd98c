"""Send a signal to a process, and leave it at that."""

import signal
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._packs import Pack
from memwatchd.actions._victims import VANISHED, send_to_all, take
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Verdict, World
from memwatchd.actions.kill import missing_signals
from memwatchd.actions.processes import Choice, choose
from memwatchd.actions.selection import Selection
from memwatchd.keys import Kind, key, section_key

# Not STOP: nobody would put it back; that is what `freeze` is for.
_SIGNALS = ("HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "TERM", "KILL", "WINCH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Action):
    """Sends one signal to the chosen process or group, and does not wait for what becomes of it.

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
        self.select.prepare(world)

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
        if choice.pack is not None:
            return self._send_to_group(world, occasion, choice, choice.pack)
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
        detail = f"SIG{self.signal} sent to {', '.join(reached)}: {choice.reason}"
        return Outcome(Verdict.HELPED, detail, {"signalled": len(reached), "signal": f"SIG{self.signal}"})

    def _send_to_group(self, world: World, occasion: Occasion, choice: Choice, pack: Pack) -> Outcome:
        """One round: who is forked meanwhile is not asked."""
        try:
            number = getattr(signal, f"SIG{self.signal}")
            reached = send_to_all(world, pack.members, number, occasion.until_ns)
        except PermissionError as error:
            return Outcome(Verdict.FAILED, f"{pack.title}: {error.strerror} (CAP_KILL)")
        if not reached:
            return VANISHED
        detail = f"SIG{self.signal} sent to {reached} processes of {pack.name}: {choice.reason}"
        return Outcome(Verdict.HELPED, detail, {"signalled": reached, "signal": f"SIG{self.signal}"})
