"""Stop a process, or its cgroup, for a breath or until the rule clears.

A cgroup that freezes does so without its processes noticing; SIGSTOP is seen by their parents, which breaks
the job control of shells, sudo and tmux. So the cgroup is preferred where the process has one that may be
frozen as a whole; version 2 can since Linux 5.2, version 1 where there is a freezer hierarchy.
"""

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._packs import Pack
from memwatchd.actions._standstill import (
    FrozenGroup,
    Standstill,
    StoppedProcess,
    StoppedProcesses,
    standstill_of,
)
from memwatchd.actions._victims import VANISHED, Victim, missing_groups, pack_group, take, whole_group
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.actions.processes import Choice, choose
from memwatchd.actions.selection import Selection
from memwatchd.actions.table import Process
from memwatchd.kernel.cgroups import Cgroup
from memwatchd.kernel.processes import CAP_KILL, has_capability, wait_for_ends
from memwatchd.keys import Kind, key, section_key
from memwatchd.units import format_duration

_S = 1_000_000_000
# How often those forked meanwhile are looked for.
_ROUNDS = 3
_PLACES = (("", "cgroup.freeze"), ("freezer", "freezer.state"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze(Action):
    """Lets the cgroup of the chosen process stand still, or where that is not possible the process alone.

    A cgroup is frozen with cgroup.freeze (version 2, Linux 5.2) or freezer.state (version 1), never when it
    is the root or holds the daemon, init, or something to be spared. A process alone gets SIGSTOP, which its
    parent notices: shells, sudo and tmux may act on that. Of a chosen group the cgroup is frozen where it
    holds nobody else, whatever `how` says, and otherwise all of it are stopped.

    After `for` it goes on again; with `hold` when the rule clears or the daemon stops. After a crash the next
    start lets it go on. Processes of the daemon's own session, and what is being debugged, are left alone.
    """

    name: ClassVar[str] = "freeze"
    summary: ClassVar[str] = "Let a process or its cgroup stand still, for a while or until the rule clears."
    needs: ClassVar[tuple[str, ...]] = ("pidfd_open (Linux 5.3)", "CAP_KILL", "a writable cgroup file system")

    select: Selection = field(
        default_factory=Selection, metadata=section_key("select", Selection, "Which process.")
    )
    how: str = field(
        default="auto",
        metadata=key(
            "how",
            Kind.CHOICE,
            "Freeze its cgroup, stop it alone with SIGSTOP, or (auto) the cgroup where that is possible.",
            example="auto",
            choices=("auto", "cgroup", "process"),
        ),
    )
    duration_ns: int = field(
        default=2 * _S,
        metadata=key(
            "for",
            Kind.DURATION,
            "How long it stands still; without meaning when it is held.",
            example="2s",
            minimum=10_000_000,
            maximum=600 * _S,
        ),
    )
    hold: bool = field(
        default=False,
        metadata=key("hold", Kind.BOOLEAN, "Keep it frozen until the rule clears.", example="false"),
    )

    def problems(self) -> Iterable[str]:
        """Say what contradicts each other."""
        if not self.hold and self.duration_ns >= self.deadline_ns:
            yield (
                f"for {format_duration(self.duration_ns)} is not over by the deadline "
                f"{format_duration(self.deadline_ns)}"
            )

    def missing(self, world: World) -> Iterable[str]:
        """Say which rights are missing."""
        yield from self.select.missing(world)
        if not has_capability(CAP_KILL):
            yield "SIGSTOP: Operation not permitted (CAP_KILL): other users' processes cannot be stopped"
        groups = self.how != "process" or self.select.each != "process"
        yield from missing_groups(world) if groups else ()

    def prepare(self, world: World) -> None:
        """Keep the process table fresh."""
        self.select.prepare(world)

    def aim(self, world: World) -> Intent:
        """Say what would be frozen."""
        choice = choose(world, self.select, _spares_session)
        until = "until the rule clears" if self.hold else f"for {format_duration(self.duration_ns)}"
        if choice.pack is not None:
            return Intent(f"freeze {until}", choice.targets(), choice.spared)
        targets: list[Target] = []
        for process, target in zip(choice.candidates, choice.targets(), strict=False):
            group = self._group(world, process)
            name = FrozenGroup(group).name if isinstance(group, Cgroup) else target.name
            why = f"{process.name}: {target.why}" if isinstance(group, Cgroup) else target.why
            targets.append(Target(name, why))
        return Intent(f"freeze {until}", tuple(targets), choice.spared)

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Freeze, and unless it is to be held wait and thaw."""
        choice = choose(world, self.select, _spares_session)
        declined = choice.declined()
        if declined is not None:
            return declined
        with ExitStack() as held:
            victims = [] if choice.pack is not None else take(world, choice, held)
            if not victims and choice.pack is None:
                return VANISHED
            changes: list[Change] = []
            try:
                if choice.pack is not None:
                    told = self._freeze_pack(world, occasion, choice.pack, changes)
                else:
                    told = [self._freeze(world, occasion, victim, changes) for victim in victims]
                outcome = _worst(told, choice)
                if changes and not self.hold:
                    _wait(world, victims, min(world.now_ns() + self.duration_ns, occasion.until_ns))
            finally:
                if not self.hold:
                    thawed = _thaw_all(world, changes)
            return outcome if self.hold else _and_thawed(outcome, thawed)

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        """Thaw what one change has frozen, if it is still the same process or cgroup."""
        still = standstill_of(change.facts)
        if still is None:
            return Outcome(Verdict.DECLINED, "the note of what was frozen makes no sense")
        try:
            ended = still.end(world)
        except (FileNotFoundError, ProcessLookupError):
            return Outcome(Verdict.DECLINED, f"{still.name} is gone")
        if not ended:
            return Outcome(Verdict.DECLINED, f"{still.name} was thawed by somebody else")
        return Outcome(Verdict.HELPED, f"{still.name} goes on")

    def _freeze(self, world: World, occasion: Occasion, victim: Victim, changes: list[Change]) -> Outcome:
        group = self._group(world, victim.process)
        if self.how == "cgroup" and not isinstance(group, Cgroup):
            return Outcome(Verdict.DECLINED, f"{victim.process.name} is left alone, for {group}")
        still: Standstill = (
            FrozenGroup(group)
            if isinstance(group, Cgroup)
            else StoppedProcess(victim.process.identity, victim.process.name)
        )
        return self._stand(world, occasion, still, changes, victim.process.pid)

    def _freeze_pack(
        self, world: World, occasion: Occasion, pack: Pack, changes: list[Change]
    ) -> list[Outcome]:
        cgroup = pack_group(world, pack, _PLACES)
        if isinstance(cgroup, Cgroup):
            return [self._stand(world, occasion, FrozenGroup(cgroup), changes, pack.members[0].pid)]
        told: list[Outcome] = []
        found, seen = list(pack.members), set[int]()
        # Who stands cannot fork: the second round finds those forked during the first, the third nobody.
        for _ in range(_ROUNDS):
            if not found or world.now_ns() >= occasion.until_ns:
                break
            title = f"{pack.name} ({len(found)} processes)"
            still = StoppedProcesses(tuple(each.identity for each in found), title)
            told.append(self._stand(world, occasion, still, changes, found[0].pid))
            seen.update(process.pid for process in found)
            found = pack.newcomers(world, seen)
        return told

    def _stand(
        self, world: World, occasion: Occasion, still: Standstill, changes: list[Change], pid: int
    ) -> Outcome:
        try:
            if still.stands(world):
                ours = any(standstill_of(each.facts) == still for each in world.changes.pending())
                whose = "and is held by a rule" if ours else "by somebody else's will"
                return Outcome(Verdict.DECLINED, f"{still.name} stands still already, {whose}")
            # Noted first: whoever dies in between leaves a note too many, and nothing frozen for ever.
            changes.append(world.changes.note(self.name, occasion.rule, still.facts()))
            began_ns = world.now_ns()
            still.begin(world)
            done = still.wait(world, occasion.until_ns)
        except (FileNotFoundError, ProcessLookupError):
            return Outcome(Verdict.DECLINED, f"{still.name} is gone")
        took_ms = round((world.now_ns() - began_ns) / 1e6, 1)
        figures: dict[str, Figure] = {"pid": pid, "frozen": still.name, "freezing_ms": took_ms}
        if not done:
            return Outcome(Verdict.TIMED_OUT, f"{still.name} does not come to a standstill", figures)
        return Outcome(Verdict.HELPED, f"{still.name} stands still", figures)

    def _group(self, world: World, process: Process) -> Cgroup | str:
        if self.how == "process":
            return "only processes are wanted"
        return whole_group(world, process, _PLACES, self.select, _spares_session)


def thaw(world: World, change: Change) -> Outcome:
    """Thaw what one change has frozen, unless that has been done meanwhile, and strike it off."""
    if change not in world.changes.pending():
        return Outcome(Verdict.DECLINED, "it was thawed meanwhile")
    outcome = Freeze.undo(world, change)
    world.changes.forget(change)
    return outcome


def _thaw_all(world: World, changes: list[Change]) -> list[Outcome]:
    """Thaw all of them, also when one of them cannot be; raises the last refusal in the end."""
    thawed: list[Outcome] = []
    refusal: OSError | None = None
    for change in changes:
        try:
            thawed.append(thaw(world, change))
        except OSError as error:
            refusal = error
    if refusal is not None:
        raise refusal
    return thawed


def _wait(world: World, victims: list[Victim], until_ns: int) -> None:
    """Let time pass; less where single processes are held, and all of them end."""
    if victims:
        wait_for_ends([victim.handle for victim in victims], until_ns)
    else:
        time.sleep(max(0, until_ns - world.now_ns()) / 1e9)


def _spares_session(process: Process) -> str | None:
    """Never stop what shares our terminal, or is being debugged."""
    if process.session == os.getsid(0):
        return "is in memwatchd's own session"
    return "is being debugged" if process.state == "t" else None


def _worst(told: list[Outcome], choice: Choice) -> Outcome:
    """One outcome of several: helped when any was."""
    order = (Verdict.HELPED, Verdict.TIMED_OUT, Verdict.DECLINED)
    first = min(told, key=lambda each: order.index(each.verdict))
    detail = "; ".join(each.detail for each in told)
    figures: dict[str, Figure] = {**first.figures, "why": choice.reason}
    return Outcome(first.verdict, detail, figures)


def _and_thawed(outcome: Outcome, thawed: list[Outcome]) -> Outcome:
    if not thawed:
        return outcome
    detail = f"{outcome.detail}; then {'; '.join(each.detail for each in thawed)}"
    return Outcome(outcome.verdict, detail, outcome.figures)
