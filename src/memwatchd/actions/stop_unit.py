"""Stopping systemd units."""

from dataclasses import dataclass
from typing import ClassVar

from memwatchd.actions._units import UnitAction


@dataclass(frozen=True, slots=True, kw_only=True)
class StopUnit(UnitAction):
    """Has systemd stop units, by StopUnit over D-Bus; nothing is forked here.

    Waits for each job until the deadline, after which systemd goes on by itself. They are not started
    again when the rule clears: what took the memory once would take it again.
    """

    name: ClassVar[str] = "stop_unit"
    summary: ClassVar[str] = "Have systemd stop named units that are active."
    method: ClassVar[str] = "StopUnit"
    verb: ClassVar[str] = "stop"
    done: ClassVar[str] = "stopped"
    end_states: ClassVar[frozenset[str]] = frozenset({"inactive", "failed"})
