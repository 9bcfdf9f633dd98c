"""Ways of standing still, a frozen cgroup and stopped processes, that can be noted and ended.

What is noted says which one it was so that nobody else is ever thawed: pid and start time, or path and inode.
"""

import errno
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from memwatchd.actions.base import World
from memwatchd.kernel.cgroups import Cgroup, asked_frozen, set_frozen, wait_frozen
from memwatchd.kernel.processes import Handle, Identity, open_process, read_stat
from memwatchd.units import printable

_POLL_S = 0.002


class Standstill(Protocol):
    """A process or cgroup that stands still, or is about to.

    All methods raise FileNotFoundError or ProcessLookupError when it is gone, and OSError when the kernel
    refuses.
    """

    @property
    def name(self) -> str:
        """What a person calls it."""

    def facts(self) -> dict[str, Any]:
        """What is noted of it."""

    def stands(self, world: World) -> bool:
        """Whether somebody has let it stand still already."""

    def begin(self, world: World) -> None:
        """Let it stand still."""

    def wait(self, world: World, until_ns: int) -> bool:
        """Wait until all of it does, or until a moment of the monotonic clock."""

    def end(self, world: World) -> bool:
        """Let it go on; False when it did so already."""


@dataclass(frozen=True, slots=True)
class FrozenGroup:
    """A cgroup."""

    cgroup: Cgroup

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"cgroup {printable(self.cgroup.path)}"

    def facts(self) -> dict[str, Any]:
        """What is noted of it."""
        group = self.cgroup
        return {
            "path": group.path,
            "directory": group.directory,
            "inode": group.inode,
            "version": group.version,
        }

    def stands(self, world: World) -> bool:
        """Whether it has been frozen already."""
        return asked_frozen(self.cgroup)

    def begin(self, world: World) -> None:
        """Freeze it."""
        set_frozen(self.cgroup, True)

    def wait(self, world: World, until_ns: int) -> bool:
        """Wait until the kernel says that it is frozen."""
        return wait_frozen(self.cgroup, until_ns)

    def end(self, world: World) -> bool:
        """Thaw it."""
        if not asked_frozen(self.cgroup):
            return False
        set_frozen(self.cgroup, False)
        return True


@dataclass(frozen=True, slots=True)
class StoppedProcess:
    """A process by itself.

    Attributes:
        name: What a person calls it.
    """

    identity: Identity
    name: str

    def facts(self) -> dict[str, Any]:
        """What is noted of it."""
        return {
            "pid": self.identity.pid,
            "starttime_ticks": self.identity.starttime_ticks,
            "name": self.name,
        }

    def stands(self, world: World) -> bool:
        """Whether it has been stopped already."""
        with open_process(world.roots, self.identity) as directory:
            return read_stat(directory).state in "Tt"

    def begin(self, world: World) -> None:
        """Stop it."""
        with Handle.open(world.roots, self.identity) as handle:
            handle.send(signal.SIGSTOP)

    def wait(self, world: World, until_ns: int) -> bool:
        """Wait until it is stopped; SIGSTOP is taken at the next return to user space."""
        while not self.stands(world):
            if world.now_ns() >= until_ns:
                return False
            time.sleep(_POLL_S)
        return True

    def end(self, world: World) -> bool:
        """Have it go on; the signal is sent even while it is not stopped yet, to take back a pending stop."""
        with Handle.open(world.roots, self.identity) as handle:
            stopped = read_stat(handle.directory).state == "T"
            handle.send(signal.SIGCONT)
            return stopped


@dataclass(frozen=True, slots=True)
class StoppedProcesses:
    """Some processes of a group that has no cgroup of its own; those that have ended do not matter.

    Attributes:
        name: What a person calls them.
    """

    identities: tuple[Identity, ...]
    name: str

    def facts(self) -> dict[str, Any]:
        """What is noted of them."""
        return {
            "members": [[each.pid, each.starttime_ticks] for each in self.identities],
            "name": self.name,
        }

    def stands(self, world: World) -> bool:
        """Whether all that are left have been stopped already."""
        states = [self._state(world, each) for each in self.identities]
        if not any(states):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return all(state in "TtZX" for state in states)

    def begin(self, world: World) -> None:
        """Stop them, one after the other."""
        for identity in self.identities:
            with suppress(ProcessLookupError), Handle.open(world.roots, identity) as handle:
                handle.send(signal.SIGSTOP)

    def wait(self, world: World, until_ns: int) -> bool:
        """Wait until all are stopped."""
        while not self.stands(world):
            if world.now_ns() >= until_ns:
                return False
            time.sleep(_POLL_S)
        return True

    def end(self, world: World) -> bool:
        """Have them go on; all get the signal, to take back stops that are pending."""
        stopped = [each for each in self.identities if self._state(world, each) == "T"]
        for identity in self.identities:
            with suppress(ProcessLookupError), Handle.open(world.roots, identity) as handle:
                handle.send(signal.SIGCONT)
        return bool(stopped)

    @staticmethod
    def _state(world: World, identity: Identity) -> str:
        """Its state, one letter; empty when it is gone."""
        try:
            with open_process(world.roots, identity) as directory:
                return read_stat(directory).state
        except ProcessLookupError:
            return ""


def standstill_of(facts: Mapping[str, Any]) -> Standstill | None:
    """Give back what was noted; None when the note makes no sense."""
    match facts:
        case {"path": str(path), "directory": str(directory), "inode": int(inode), "version": int(version)}:
            return FrozenGroup(Cgroup(path, directory, inode, version))
        case {"pid": int(pid), "starttime_ticks": int(ticks), "name": str(name)}:
            return StoppedProcess(Identity(pid, ticks), name)
        case {"members": list(members), "name": str(name)}:
            return StoppedProcesses(tuple(_identities(members)), name)
    return None


def _identities(noted: list[Any]) -> Iterator[Identity]:
    for each in noted:
        match each:
            case [int(pid), int(ticks)]:
                yield Identity(pid, ticks)
