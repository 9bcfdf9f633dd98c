"""Restarting the machine."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from memwatchd.actions._i_know import i_know_key, unknowing
from memwatchd.actions._units import LOOK_NS, unit_bus, unreachable
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Verdict, World
from memwatchd.kernel import reboot
from memwatchd.kernel.processes import has_capability
from memwatchd.keys import Kind, key

How = Literal["orderly", "at_once"]

_SENTENCES: dict[How, str] = {
    "orderly": "have systemd end everything and restart the machine",
    "at_once": "restart the machine by reboot(2), without ending or writing anything",
}
_CAP_SYS_BOOT = 22
_TARGET = "reboot.target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot(Action):
    """Restarts the machine: in order through systemd, or at once by reboot(2).

    *orderly* is what `systemctl reboot` does: it may take minutes where services do not end, or never come
    about where systemd itself has no memory. *at_once* ends nothing and writes nothing: what was not on
    disk is lost. A chain of both, the second with `after`, has the best of each.
    """

    name: ClassVar[str] = "reboot"
    summary: ClassVar[str] = "Restart the machine, in order or at once."
    needs: ClassVar[tuple[str, ...]] = ("orderly: systemd and uid 0", "at_once: CAP_SYS_BOOT")

    how: How = field(
        default="orderly",
        metadata=key(
            "how",
            Kind.CHOICE,
            "Through systemd, or by the kernel alone.",
            example="orderly",
            choices=get_args(How),
        ),
    )
    i_know: bool = field(default=False, metadata=i_know_key())

    def problems(self) -> Iterable[str]:
        """Say whether a word is missing."""
        if not self.i_know:
            yield unknowing(self.name, "ends everything that runs on this machine")

    def missing(self, world: World) -> Iterable[str]:
        """Say whether systemd answers, or the right is there."""
        if self.how == "at_once":
            if not has_capability(_CAP_SYS_BOOT):
                yield "reboot: not permitted (needs CAP_SYS_BOOT)"
            elif reboot.is_filtered():
                yield "reboot: not permitted by the system call filter (needs SystemCallFilter=@reboot)"
            return
        try:
            with unit_bus(world.now_ns() + LOOK_NS) as bus:
                bus.state(_TARGET)
        except TimeoutError:
            return  # busy, and not missing
        except OSError as error:
            yield unreachable(error)

    def aim(self, world: World) -> Intent:
        """Say what would be done."""
        return Intent(_SENTENCES[self.how])

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Do it; systemd takes the request and ends this daemon in its turn."""
        world.outlets.note("error", f"rule {occasion.rule} restarts the machine: {occasion.reason}")
        if self.how == "at_once":
            reboot.restart_now()
            return Outcome(Verdict.FAILED, "the kernel was told to restart, and goes on")
        with unit_bus(occasion.until_ns) as bus:
            bus.start_job("StartUnit", _TARGET, "replace-irreversibly")
        return Outcome(Verdict.HELPED, "systemd has begun to restart the machine")
