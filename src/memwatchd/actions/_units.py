"""What is common to actions on systemd's units."""

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.keys import Kind, key
from memwatchd.units import format_bytes

if TYPE_CHECKING:
    from memwatchd.kernel.unitbus import UnitBus

_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,244}\.(service|scope|slice|socket|timer|target|mount|swap|path)")
# Without these there would be nobody left to do or to see anything.
_SPARED = re.compile(
    r"memwatchd.*|init\.scope|-\.slice|-\.mount|dbus.*|systemd-journald.*|user\.slice|system\.slice"
)
# How long systemd is waited for when it is only asked how things are.
LOOK_NS = 2_000_000_000


def unit_bus(until_ns: int) -> AbstractContextManager["UnitBus"]:
    """Connect to systemd, see `memwatchd.kernel.unitbus.open_unit_bus`."""
    # Not at the top: without such an action, the service should not hold megabytes of D-Bus library. With
    # one, it is there from the start, because `missing` asks systemd.
    from memwatchd.kernel.unitbus import open_unit_bus

    return open_unit_bus(until_ns)


def unreachable(error: OSError) -> str:
    """Say that systemd does not answer, and why."""
    where = f"{error.filename}: " if error.filename else ""
    return f"systemd: {where}{error.strerror or error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAction(Action):
    """Does something to named units, by a job of systemd's for each."""

    method: ClassVar[str]
    verb: ClassVar[str]
    done: ClassVar[str]
    end_states: ClassVar[frozenset[str]]
    needs: ClassVar[tuple[str, ...]] = (
        "systemd",
        "uid 0, or polkit's org.freedesktop.systemd1.manage-units",
    )

    units: tuple[str, ...] = field(
        metadata=key(
            "units",
            Kind.WORDS,
            "Names of the units, one after the other; no others are touched.",
            example="buildd.service",
            maximum=16,
            required=True,
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say which names are none, or those of units that must stay."""
        if not self.units:
            yield "units: expected at least one unit"
        for unit in self.units:
            if _UNIT.fullmatch(unit) is None:
                yield f"units: expected the full name of a unit such as cron.service; got {unit!r}"
            elif _SPARED.fullmatch(unit):
                yield f"units: {unit} must stay"

    def missing(self, world: World) -> Iterable[str]:
        """Say whether systemd answers; one that is only slow, as on a busy machine, is not missing."""
        try:
            with unit_bus(world.now_ns() + LOOK_NS) as bus:
                for unit in self.units:
                    bus.state(unit)
        except TimeoutError:
            return
        except OSError as error:
            yield unreachable(error)

    def aim(self, world: World) -> Intent:
        """Say which units would be hit; those that do not run are spared."""
        with unit_bus(world.now_ns() + LOOK_NS) as bus:
            states = {unit: bus.state(unit) for unit in self.units}
        return Intent(
            f"{self.verb} {', '.join(self.units)}",
            tuple(Target(unit, f"is {state}") for unit, state in states.items() if state == "active"),
            tuple(Target(unit, f"is {state}") for unit, state in states.items() if state != "active"),
        )

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Have systemd do it unit by unit, and wait for the end of each job."""
        told: list[str] = []
        freed: dict[str, int] = {}
        try:
            with unit_bus(occasion.until_ns) as bus:
                running = [unit for unit in self.units if bus.state(unit) == "active"]
                for unit in running:
                    self._do(bus, unit, told, freed)
        except TimeoutError:
            told.append("systemd was not done with it by the deadline")
            return Outcome(Verdict.TIMED_OUT, "; ".join(told), _figures(freed))
        if not running:
            return Outcome(Verdict.DECLINED, f"none of {', '.join(self.units)} is active")
        verdict = Verdict.HELPED if len(freed) == len(running) else Verdict.FAILED
        return Outcome(verdict, "; ".join(told), _figures(freed))

    def _do(self, bus: "UnitBus", unit: str, told: list[str], freed: dict[str, int]) -> None:
        before_bytes = bus.memory_bytes(unit)
        result = bus.wait_for(bus.start_job(self.method, unit, "replace"))
        state = bus.state(unit)
        if result != "done" or state not in self.end_states:
            told.append(f"{unit}: the job ended as {result}, the unit is {state}")
            return
        freed[unit] = max(0, (before_bytes or 0) - (bus.memory_bytes(unit) or 0))
        told.append(f"{unit} {self.done}, {format_bytes(freed[unit])} less")


def _figures(freed: dict[str, int]) -> dict[str, Figure]:
    return {"units_done": len(freed), "freed_bytes": sum(freed.values())}
