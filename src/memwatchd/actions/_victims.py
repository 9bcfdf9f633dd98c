"""Taking hold of what was chosen: processes by their pidfd, and the cgroups that may be hit as a whole."""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from memwatchd.actions.base import Outcome, Verdict, World
from memwatchd.actions.processes import Choice, Selection, Spare, matches_any, untouchable
from memwatchd.actions.table import Process
from memwatchd.kernel.cgroups import Cgroup, find_cgroup, members, read_only
from memwatchd.kernel.processes import Handle
from memwatchd.units import printable

VANISHED = Outcome(Verdict.DECLINED, "whatever was chosen had ended before it could be hit")


@dataclass(frozen=True, slots=True)
class Victim:
    """A process as it was chosen, and the hold on it."""

    process: Process
    handle: Handle


def take(world: World, choice: Choice, held: ExitStack) -> list[Victim]:
    """Take hold of as many candidates as are wanted, passing over those that have ended meanwhile.

    Args:
        world: Where /proc is.
        choice: What was chosen.
        held: Lets go of them.

    Raises:
        OSError: A process may not be looked at, or /proc is another pid namespace's.
    """
    victims: list[Victim] = []
    for process in choice.candidates:
        if len(victims) == choice.selection.max_targets:
            break
        try:
            handle = held.enter_context(Handle.open(world.roots, process.identity))
        except ProcessLookupError:
            continue
        victims.append(Victim(process, handle))
    return victims


def missing_groups(world: World) -> Iterable[str]:
    """Say whether cgroups may be written to."""
    for mount in read_only(world.roots):
        yield f"{mount}: Read-only file system (ProtectControlGroups=no): its cgroups cannot be changed"


def whole_group(
    world: World,
    process: Process,
    places: Iterable[tuple[str, str]],
    selection: Selection,
    spare: Spare = lambda _process: None,
) -> Cgroup | str:
    """Find the cgroup of a process that may be hit as a whole, or say why there is none.

    Nothing in it may be spared: not by the rules that hold for every action, not by the selection's list of
    those never hit, not by the action itself. So the daemon's own group and those above it never qualify.

    Args:
        world: Where the cgroups are.
        process: The one that was chosen.
        places: Version 1's controller, or nothing for version 2, and the file that has to be there; in the
            order of preference.
        selection: What was asked for.
        spare: As for `memwatchd.actions.processes.choose`.

    Raises:
        OSError: The group is gone, or not for us.
    """
    found = (find_cgroup(world.roots, process.memberships, controller, file) for controller, file in places)
    cgroup = next((each for each in found if each is not None), None)
    if cgroup is None:
        return "it has no cgroup of its own"
    own = world.own_pids() | {os.getpid()}
    for pid in members(cgroup):
        other = world.table.read(pid) if pid else None
        if pid in own:
            why: str | None = "is memwatchd itself"
        elif pid == 0:
            why = "is outside of this pid namespace"
        elif other is None or other.dying:
            continue  # it has ended, or is about to
        elif any(matches_any(glob, other) for glob in selection.never):
            why = "is on the list of those never hit"
        else:
            why = untouchable(other, own) or spare(other)
        if why is not None:
            name = other.name if other is not None else f"pid {pid}"
            return f"in its cgroup {printable(cgroup.path)} there is {name}, which {why}"
    return cgroup
