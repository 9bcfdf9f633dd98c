"""Taking hold of what was chosen: processes by their pidfd, and the cgroups that may be hit as a whole."""

import os
import signal
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from memwatchd.actions._packs import Pack, protected
from memwatchd.actions.base import Outcome, Verdict, World
from memwatchd.actions.processes import Choice
from memwatchd.actions.selection import Selection, Spare, matches_any, untouchable
from memwatchd.actions.table import Process
from memwatchd.kernel.cgroups import Cgroup, find_cgroup, members, read_only
from memwatchd.kernel.processes import Handle
from memwatchd.units import printable

# A hold takes two descriptors, of which a daemon has a thousand.
_MOST_HELD = 100

VANISHED = Outcome(Verdict.DECLINED, "whatever was chosen had ended before it could be hit")


@dataclass(frozen=True, slots=True)
class Victim:
    """A process as it was chosen, and the hold on it."""

    process: Process
    handle: Handle


def take(world: World, choice: Choice, held: ExitStack) -> list[Victim]:
    """Take hold of as many candidates as are wanted, passing over those that have ended meanwhile.

    Of a group these are the hundred largest.

    Args:
        world: Where /proc is.
        choice: What was chosen.
        held: Lets go of them.

    Raises:
        OSError: A process may not be looked at, or /proc is another pid namespace's.
    """
    victims: list[Victim] = []
    wanted = choice.selection.max_targets if choice.pack is None else _MOST_HELD
    for process in choice.candidates:
        if len(victims) == wanted:
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


def pack_group(world: World, pack: Pack, places: Iterable[tuple[str, str]]) -> Cgroup | str:
    """Find the cgroup of a chosen group that may be hit as a whole, or say why there is none.

    Args:
        world: Where the cgroups are.
        pack: The group.
        places: As for `whole_group`.

    Raises:
        OSError: The cgroup is gone, or not for us.
    """
    if pack.alone:
        return pack.alone
    found = whole_group(
        world, pack.members[0], places, pack.selection, lambda each: protected(each) or pack.spare(each)
    )
    if isinstance(found, Cgroup) and found.path != pack.key.path:
        return "it has no cgroup of its own there"
    return found


def send_to_all(world: World, processes: Iterable[Process], number: int, until_ns: int) -> int:
    """Send a signal to many processes, one after the other, holding each only for that; returns to how many.

    Args:
        world: Where /proc is.
        processes: Who gets it; those that have ended are passed over.
        number: The signal.
        until_ns: Nobody gets it after this moment.

    Raises:
        OSError: A process may not be sent signals, or /proc is another pid namespace's.
    """
    reached = 0
    for process in processes:
        if world.now_ns() >= until_ns:
            break
        with suppress(ProcessLookupError), Handle.open(world.roots, process.identity) as handle:
            handle.send(number)
            reached += 1
            if number not in (signal.SIGKILL, signal.SIGSTOP) and handle.state() == "T":
                handle.send(signal.SIGCONT)  # one that is stopped would never look at it
    return reached
