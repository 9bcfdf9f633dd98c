"""Kill a process, or everything in its cgroup: a signal, a time of grace, SIGKILL."""

import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._packs import Pack
from memwatchd.actions._victims import (
    VANISHED,
    Victim,
    missing_groups,
    pack_group,
    send_to_all,
    take,
    whole_group,
)
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.processes import Choice, choose
from memwatchd.actions.selection import Selection, untouchable
from memwatchd.actions.table import Process, has_live_thread
from memwatchd.kernel.cgroups import Cgroup, kill_all, members
from memwatchd.kernel.processes import (
    CAP_KILL,
    Handle,
    has_capability,
    open_process,
    read_stat,
    wait_for_ends,
)
from memwatchd.keys import Kind, key, section_key
from memwatchd.units import format_bytes, format_duration, printable

_S = 1_000_000_000
_MS = 1_000_000
# Between two looks at a group that is being killed: forks in flight appear within a scheduler's tick or two.
_ROUND_NS = 20 * _MS
_PAUSE_S = 0.005
_FIRST_SIGNALS = ("TERM", "INT", "HUP", "QUIT", "KILL")
# Version 2's group first where both are mounted: it is killed at once, forks included.
_PLACES = (("", "cgroup.kill"), ("memory", "cgroup.procs"), ("", "cgroup.procs"))
_STATES = {
    "D": "D: it waits for a disk or a driver",
    "T": "T: it is stopped",
    "t": "t: it is being debugged",
    "Z": "Z: its leader is dead, other threads are not",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(Action):
    """Ends the chosen process: a signal, a time of grace, SIGKILL.

    With `whole_cgroup` everything in its cgroup and below goes with it, by cgroup.kill where there is
    version 2 (Linux 5.14), otherwise one by one until none is left. That is not done to the root, nor to a
    group that holds something to be spared, the daemon or init; then the process dies alone.

    A chosen group dies in the same way, by its cgroup where that holds nobody else, otherwise one by one,
    until none is left or the deadline has come; who is forked meanwhile is found and killed as well.

    It helped when all of them are dead. While something large is dying already, for up to ten seconds, nobody
    else is killed.
    """

    name: ClassVar[str] = "kill"
    summary: ClassVar[str] = "End a process or its whole cgroup: a signal, a time of grace, then SIGKILL."
    needs: ClassVar[tuple[str, ...]] = ("pidfd_open (Linux 5.3)", "CAP_KILL")

    select: Selection = field(
        default_factory=Selection, metadata=section_key("select", Selection, "Which process.")
    )
    signal: str = field(
        default="TERM",
        metadata=key("signal", Kind.CHOICE, "What is sent first.", example="TERM", choices=_FIRST_SIGNALS),
    )
    grace_ns: int = field(
        default=3 * _S,
        metadata=key(
            "grace",
            Kind.DURATION,
            "How long it may take to end by itself before it gets SIGKILL.",
            example="3s",
            minimum=0,
            maximum=600 * _S,
        ),
    )
    whole_cgroup: bool = field(
        default=False,
        metadata=key(
            "whole_cgroup",
            Kind.BOOLEAN,
            "Kill everything in the cgroup of the chosen process, and below it; without meaning for groups.",
            example="false",
        ),
    )
    mrelease: bool = field(
        default=True,
        metadata=key(
            "mrelease",
            Kind.BOOLEAN,
            "After SIGKILL take its memory at once, even while it cannot run: process_mrelease, Linux 5.15.",
            example="true",
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say what contradicts each other."""
        if self.signal != "KILL" and self.grace_ns >= self.deadline_ns:
            yield (
                f"grace {format_duration(self.grace_ns)} leaves nothing of the deadline "
                f"{format_duration(self.deadline_ns)} for SIGKILL"
            )

    def missing(self, world: World) -> Iterable[str]:
        """Say which rights are missing."""
        yield from self.select.missing(world)
        yield from missing_signals()
        yield from missing_groups(world) if self.whole_cgroup or self.select.each != "process" else ()

    def prepare(self, world: World) -> None:
        """Keep the process table fresh."""
        self.select.prepare(world)

    def aim(self, world: World) -> Intent:
        """Say who would be killed."""
        choice = choose(world, self.select)
        first = "SIGKILL" if self.signal == "KILL" else f"SIG{self.signal}, after {self._grace} SIGKILL"
        if choice.pack is not None:
            return Intent(f"send {first} to all of a group", choice.targets(), choice.spared)
        if not self.whole_cgroup or not choice.candidates:
            return Intent(f"send {first}", choice.targets(), choice.spared)
        targets = list[Target]()
        for process, target in zip(choice.candidates, choice.targets(), strict=False):
            group = whole_group(world, process, _PLACES, self.select)
            name = group.path if isinstance(group, Cgroup) else f"only {target.name}, because {group}"
            targets.append(Target(printable(name), f"of {target.name}: {target.why}"))
        return Intent(f"send {first} to all of a cgroup", tuple(targets), choice.spared)

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Kill, and wait for the death."""
        choice = choose(world, self.select)
        stay = choice.already_dying() or choice.declined()
        if stay is not None:
            return stay
        if choice.pack is not None:
            return self._kill_group(world, occasion, choice, choice.pack)
        with ExitStack() as held:
            victims = take(world, choice, held)
            if not victims:
                return VANISHED
            groups = self._groups(world, victims)
            hunt = _Hunt(world, victims, [each for each in groups if isinstance(each, Cgroup)])
            try:
                self._hunt(hunt, occasion.until_ns)
            except PermissionError as error:
                names = ", ".join(each.process.name for each in victims)
                return Outcome(Verdict.FAILED, f"{names}: {error.strerror} (CAP_KILL)")
            return self._tell(hunt, choice, groups)

    def _kill_group(self, world: World, occasion: Occasion, choice: Choice, pack: Pack) -> Outcome:
        cgroup = pack_group(world, pack, _PLACES)
        hunt = _Hunt(world, [], [cgroup] if isinstance(cgroup, Cgroup) else [])
        if not isinstance(cgroup, Cgroup):
            hunt.pack = _Members(world, pack)
        try:
            self._hunt(hunt, occasion.until_ns)
        except PermissionError as error:
            return Outcome(Verdict.FAILED, f"{pack.title}: {error.strerror} (CAP_KILL)")
        figures: dict[str, Figure] = {
            "group": pack.name,
            "processes": len(pack.members),
            "signal": hunt.signal,
            "death_ms": round((world.now_ns() - hunt.began_ns) / _MS, 1),
            "freed_bytes": pack.memory_bytes - pack.swap_bytes,
            "freed_swap_bytes": pack.swap_bytes,
            "why": choice.reason,
        }
        how = "by its cgroup" if isinstance(cgroup, Cgroup) else f"one by one, because {cgroup}"
        if not hunt.over():
            return Outcome(Verdict.TIMED_OUT, f"{hunt.who_is_left()}; {how}", figures)
        size = format_bytes(pack.memory_bytes)
        told = f"{pack.title} is dead by {hunt.signal} after {figures['death_ms']} ms; held {size}; {how}"
        return Outcome(Verdict.HELPED, told, figures)

    @property
    def _grace(self) -> str:
        return format_duration(self.grace_ns)

    def _groups(self, world: World, victims: list[Victim]) -> list[Cgroup | str]:
        if not self.whole_cgroup:
            return []
        found = [whole_group(world, each.process, _PLACES, self.select) for each in victims]
        return list(dict.fromkeys(found))

    def _hunt(self, hunt: "_Hunt", until_ns: int) -> None:
        if self.signal != "KILL":
            hunt.send(getattr(signal, f"SIG{self.signal}"), until_ns)
            if hunt.wait(min(hunt.world.now_ns() + self.grace_ns, until_ns)):
                return
        hunt.kill(self.mrelease, until_ns)

    def _tell(self, hunt: "_Hunt", choice: Choice, groups: list[Cgroup | str]) -> Outcome:
        processes = [each.process for each in hunt.victims]
        names = ", ".join(process.name for process in processes)
        figures = {
            "pid": processes[0].pid,
            "killed": len(hunt.victims) - len(hunt.alive()),
            "signal": hunt.signal,
            "death_ms": round((hunt.world.now_ns() - hunt.began_ns) / _MS, 1),
            "freed_bytes": sum(each.process.rss_bytes for each in hunt.dead()),
            "freed_swap_bytes": sum(each.process.swap_bytes for each in hunt.dead()),
            "why": choice.why(processes[0]),
            **hunt.figures,
        }
        why_alone = [each for each in groups if isinstance(each, str)]
        alone = f"; no more than that, because {why_alone[0]}" if why_alone else ""
        if not hunt.over():
            return Outcome(Verdict.TIMED_OUT, hunt.who_is_left() + alone, figures)
        paths = [printable(group.path) for group in hunt.groups]
        whole = f" with all of {', '.join(paths)}" if paths else ""
        size = format_bytes(sum(process.memory_bytes for process in processes))
        verb = "are" if len(processes) > 1 else "is"
        detail = f"{names}{whole} {verb} dead by {hunt.signal} after {figures['death_ms']} ms; held {size}"
        return Outcome(Verdict.HELPED, detail + alone, figures)


def missing_signals() -> Iterable[str]:
    """Say which right to send signals is missing."""
    if not has_capability(CAP_KILL):
        yield "pidfd_send_signal: Operation not permitted (CAP_KILL): other users' processes cannot be hit"


class _Members:
    """The members of a group that has no cgroup of its own, and those that come while it is hunted."""

    def __init__(self, world: World, pack: Pack) -> None:
        self._world = world
        self._pack = pack
        self._alive: list[Process] = list(pack.members)
        self._seen = {process.pid for process in pack.members}

    def left(self) -> list[Process]:
        """Those that live. There is an end to it: whoever has a SIGKILL pending cannot fork."""
        new = self._pack.newcomers(self._world, self._seen)
        self._seen.update(process.pid for process in new)
        self._alive = [process for process in (*self._alive, *new) if _lives(self._world, process)]
        return self._alive


def _lives(world: World, process: Process) -> bool:
    try:
        with open_process(world.roots, process.identity) as directory:
            stat = read_stat(directory)
    except ProcessLookupError:
        return False
    return has_live_thread(stat.state, stat.num_threads)


class _Hunt:
    """Signals to some processes and groups, and waiting for the end of them."""

    def __init__(self, world: World, victims: list[Victim], groups: list[Cgroup]) -> None:
        self.world = world
        self.victims = victims
        self.groups = groups
        self.pack: _Members | None = None
        self.began_ns = world.now_ns()
        self.signal = ""
        self.figures: dict[str, Figure] = {}

    def send(self, number: signal.Signals, until_ns: int) -> None:
        """Send a signal to everybody; of a group to nobody after a moment of the monotonic clock."""
        self.signal = number.name
        if self.pack is not None:
            send_to_all(self.world, self.pack.left(), number, until_ns)
        for victim in self.victims:
            _send(victim.handle, number)
        # Nobody gets the first signal twice: to many a program a second one means haste.
        for pid in set(self._left_in_groups()) - {victim.process.pid for victim in self.victims}:
            self._send_to_member(pid, number)

    def kill(self, mrelease: bool, until_ns: int) -> None:
        """Send SIGKILL to everybody, again while groups still fork, and wait."""
        self.signal = signal.SIGKILL.name
        for group in self.groups:
            with suppress(FileNotFoundError):  # version 1, or older than 5.14: one by one
                kill_all(group)
        self.send(signal.SIGKILL, until_ns)
        if mrelease and self.victims:
            said = {victim.handle.release_memory() for victim in self.victims}
            self.figures["mrelease"] = ", ".join(sorted(said))
        several = bool(self.groups) or self.pack is not None
        while not self.wait(min(until_ns, self.world.now_ns() + (_ROUND_NS if several else until_ns))):
            if self.world.now_ns() >= until_ns:
                return
            self.send(signal.SIGKILL, until_ns)

    def wait(self, until_ns: int) -> bool:
        """Wait until all have ended; False when the time is over before."""
        wait_for_ends([victim.handle for victim in self.victims], until_ns)
        while not self.over():
            left = self._left()
            if self.world.now_ns() >= until_ns or not left:
                return self.over()
            self._wait_for_member(left[0], min(until_ns, self.world.now_ns() + _ROUND_NS))
        return True

    def over(self) -> bool:
        """Whether nothing is left."""
        return not self.alive() and not self._left()

    def alive(self) -> list[Victim]:
        """The victims that live."""
        return [victim for victim in self.victims if victim.handle.alive]

    def dead(self) -> list[Victim]:
        """The victims that do not."""
        return [victim for victim in self.victims if not victim.handle.alive]

    def who_is_left(self) -> str:
        """Say who did not die."""
        alive = self.alive()
        if alive:
            state = alive[0].handle.state()
            return f"{alive[0].process.name} did not die of {self.signal}; state {_STATES.get(state, state)}"
        return f"{len(self._left())} processes of the group did not die of {self.signal}"

    def _left(self) -> list[int]:
        members = [] if self.pack is None else [process.pid for process in self.pack.left()]
        return members + self._left_in_groups()

    def _left_in_groups(self) -> list[int]:
        left: list[int] = []
        for group in self.groups:
            with suppress(FileNotFoundError):  # removed, so it is empty
                left += members(group)
        return left

    def _send_to_member(self, pid: int, number: signal.Signals) -> None:
        process = self.world.table.read(pid)
        if process is not None and untouchable(process, self.world.own_pids()) is None:
            with suppress(ProcessLookupError), Handle.open(self.world.roots, process.identity) as handle:
                _send(handle, number)

    def _wait_for_member(self, pid: int, until_ns: int) -> None:
        process = self.world.table.read(pid)
        if process is None:
            time.sleep(_PAUSE_S)  # ended, or hidden from us: there is nothing to wait for
            return
        with suppress(ProcessLookupError), Handle.open(self.world.roots, process.identity) as handle:
            handle.wait(until_ns)


def _send(handle: Handle, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        handle.send(number)
        if number != signal.SIGKILL and handle.state() == "T":
            handle.send(signal.SIGCONT)  # one that is stopped would never look at it
