"""Restarting systemd units."""

from dataclasses import dataclass
from typing import ClassVar

from memwatchd.actions._units import UnitAction


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartUnit(UnitAction):
    """Has systemd restart units, by TryRestartUnit over D-Bus; nothing is forked here.

    Waits for each job until the deadline, after which systemd goes on by itself. What a service does on
    stopping and starting may take longer than the usual deadline: give it one. Units that are not active
    are left alone.
    """

    name: ClassVar[str] = "restart_unit"
    summary: ClassVar[str] = "Have systemd restart named units that are active."
    method: ClassVar[str] = "TryRestartUnit"
    verb: ClassVar[str] = "restart"
    done: ClassVar[str] = "restarted"
    end_states: ClassVar[frozenset[str]] = frozenset({"active"})
