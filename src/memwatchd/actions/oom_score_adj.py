"""Change whom the OOM killer would take: /proc/PID/oom_score_adj, from -1000 (never) to 1000 (first).

Children inherit the value when they are forked. So when it is put back, it is put back as well in those
descendants that were born since and still have the value that was set. A descendant whose parents have all
ended is not recognised any more unless it is still in the session or process group.

Raising needs to be the process's user, or CAP_DAC_OVERRIDE; lowering below the lowest value that somebody
with CAP_SYS_RESOURCE has set needs that capability (fs/proc/base.c, __set_oom_adj).
"""

import os
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from typing import Any, ClassVar

from memwatchd.actions._packs import Pack
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.actions.processes import Choice, choose
from memwatchd.actions.selection import Selection
from memwatchd.actions.table import Process, list_pids
from memwatchd.errors import ParseError
from memwatchd.kernel.directory import Directory
from memwatchd.kernel.processes import (
    CAP_DAC_OVERRIDE,
    CAP_SYS_RESOURCE,
    Identity,
    has_capability,
    open_process,
    read_stat,
)
from memwatchd.keys import Kind, key, section_key
from memwatchd.procfs.process import ProcessStat
from memwatchd.roots import Roots

FILE = "oom_score_adj"
_LOWEST, _HIGHEST = -999, 1000
# How often those forked meanwhile are looked for.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One changed value, as it is noted.

    Attributes:
        name: What a person calls the process.
        old: Value before.
        new: Value set.
        since_ticks: When it was set, in the ticks of start times; whoever is older has not inherited it.
    """

    identity: Identity
    name: str
    old: int
    new: int
    since_ticks: int

    def facts(self) -> dict[str, Any]:
        """What is noted of it."""
        return {
            "pid": self.identity.pid,
            "starttime_ticks": self.identity.starttime_ticks,
            "name": self.name,
            "old": self.old,
            "new": self.new,
            "since_ticks": self.since_ticks,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Adjustment | None":
        """Give back what was noted; None when the note makes no sense."""
        match facts:
            case {
                "pid": int(pid),
                "starttime_ticks": int(ticks),
                "name": str(name),
                "old": int(old),
                "new": int(new),
                "since_ticks": int(since_ticks),
            }:
                return cls(Identity(pid, ticks), name, old, new, since_ticks)
        return None

    @classmethod
    def all_of(cls, facts: Mapping[str, Any]) -> "tuple[Adjustment, ...]":
        """Give back what was noted of one process or a group; nothing when the note makes no sense."""
        match facts:
            case {"group": str(name), "since_ticks": int(since), "members": list(members)}:
                rows = [each for each in members if _is_row(each)]
                return tuple(
                    cls(Identity(pid, ticks), name, old, new, since) for pid, ticks, old, new in rows
                )
        one = cls.of(facts)
        return () if one is None else (one,)


@dataclass(frozen=True, slots=True, kw_only=True)
class OomScoreAdj(Action):
    """Changes oom_score_adj of the chosen process, by which the OOM killer picks its victim.

    Of a chosen group all get it, and so do those that are forked meanwhile.

    When the rule clears, the daemon stops or, after a crash, starts again, the value before is put back,
    unless somebody else has set another one meanwhile; also in the children that have inherited it.
    """

    name: ClassVar[str] = "oom_score_adj"
    summary: ClassVar[str] = "Have the OOM killer take a process earlier, or later, until the rule clears."
    needs: ClassVar[tuple[str, ...]] = ("CAP_DAC_OVERRIDE for other users'", "CAP_SYS_RESOURCE to lower it")

    select: Selection = field(
        default_factory=lambda: Selection(by="growth"),
        metadata=section_key("select", Selection, "Which process; without this section the fastest grower."),
    )
    raise_by: int | None = field(
        default=None,
        metadata=key(
            "raise_by",
            Kind.INTEGER,
            "Add this much: the OOM killer takes it earlier.",
            example="500",
            minimum=1,
            maximum=2000,
            one_of="value",
        ),
    )
    lower_by: int | None = field(
        default=None,
        metadata=key(
            "lower_by",
            Kind.INTEGER,
            "Take this much away: the OOM killer takes it later.",
            example="300",
            minimum=1,
            maximum=2000,
            one_of="value",
        ),
    )
    to: int | None = field(
        default=None,
        metadata=key(
            "to",
            Kind.INTEGER,
            "Set exactly this.",
            example="1000",
            minimum=_LOWEST,
            maximum=_HIGHEST,
            one_of="value",
            why="-1000 would make a process that leaks memory unkillable",
        ),
    )

    def missing(self, world: World) -> Iterable[str]:
        """Say which rights are missing."""
        yield from self.select.missing(world)
        yield from missing_rights(lowers=self.raise_by is None)

    def prepare(self, world: World) -> None:
        """Keep the process table fresh."""
        self.select.prepare(world)

    def aim(self, world: World) -> Intent:
        """Say whose value would become what."""
        choice = choose(world, self.select)
        if choice.pack is not None:
            members = choice.pack.members
            lowest, highest = min(map(self._value, members)), max(map(self._value, members))
            what = f"to {lowest}" if lowest == highest else f"to between {lowest} and {highest}"
            (target,) = choice.targets()
            return Intent(
                "change oom_score_adj", (Target(target.name, f"{what}: {target.why}"),), choice.spared
            )
        targets = tuple(
            Target(target.name, f"from {process.oom_score_adj} to {self._value(process)}: {target.why}")
            for process, target in zip(choice.candidates, choice.targets(), strict=False)
        )
        return Intent("change oom_score_adj", targets, choice.spared)

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Change it."""
        choice = choose(world, self.select)
        declined = choice.declined()
        if declined is not None:
            return declined
        if choice.pack is not None:
            return self._change_group(world, occasion, choice, choice.pack)
        told: list[str] = []
        changed = 0
        for process in choice.candidates:
            if changed == self.select.max_targets:
                break
            new = self._value(process)
            if new == process.oom_score_adj:
                told.append(f"{process.name} has {new} already")
            elif adjust(world, occasion.rule, process.identity, process.name, new) is not None:
                told.append(f"{process.name} has {new} instead of {process.oom_score_adj}")
                changed += 1
        figures: dict[str, Figure] = {"changed": changed, "why": choice.reason}
        verdict = Verdict.HELPED if changed else Verdict.DECLINED
        return Outcome(verdict, "; ".join(told) or "whatever was chosen had ended before", figures)

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        """Put the old value back where it is still the one that was set, in the heirs too."""
        done = Adjustment.all_of(change.facts)
        if not done:
            return Outcome(Verdict.DECLINED, "the note of a changed oom_score_adj makes no sense")
        heirs = put_back_heirs(world.roots, *done)
        if "group" in change.facts:
            back = sum(_put_back(world.roots, each).endswith("again") for each in done)
            own = f"{back} processes of {done[0].name} have their former oom_score_adj again"
        else:
            own = _put_back(world.roots, done[0])
            back = own.endswith("again")
        detail = own + (f"; so have {heirs} descendants" if heirs else "")
        return Outcome(Verdict.HELPED if back or heirs else Verdict.DECLINED, detail, {"heirs": heirs})

    def _change_group(self, world: World, occasion: Occasion, choice: Choice, pack: Pack) -> Outcome:
        """Change all, then those that were forked before their parent's turn; others have inherited it."""
        began_ticks = now_ticks()
        found, seen, given = list(pack.members), set[int](), set[int]()
        changed = 0
        for _ in range(_ROUNDS):
            wanted = {each: self._value(each) for each in found if not _is_heir(each, given, began_ticks)}
            wanted = {each: new for each, new in wanted.items() if new != each.oom_score_adj}
            changed += _adjust_all(world, occasion, pack.name, wanted)
            given.update(wanted.values())
            seen.update(each.pid for each in found)
            found = pack.newcomers(world, seen)
            if not found or world.now_ns() >= occasion.until_ns:
                break
        figures: dict[str, Figure] = {"changed": changed, "group": pack.name, "why": choice.reason}
        if not changed:
            return Outcome(Verdict.DECLINED, f"{pack.title} has it already, or has ended", figures)
        values = f"{min(given)}" if len(given) == 1 else f"between {min(given)} and {max(given)}"
        detail = f"{changed} processes of {pack.name} have an oom_score_adj of {values}"
        return Outcome(Verdict.HELPED, detail, figures)

    def _value(self, process: Process) -> int:
        if self.to is not None:
            return self.to
        value = process.oom_score_adj + (self.raise_by or 0) - (self.lower_by or 0)
        return max(_LOWEST, min(_HIGHEST, value))


def _is_row(noted: object) -> bool:
    return isinstance(noted, list) and len(noted) == 4 and all(isinstance(each, int) for each in noted)


def missing_rights(*, lowers: bool) -> Iterable[str]:
    """Say which rights to change others' values are missing."""
    if not has_capability(CAP_DAC_OVERRIDE):
        yield "/proc/PID/oom_score_adj: Permission denied (CAP_DAC_OVERRIDE): other users' stay as they are"
    if lowers and not has_capability(CAP_SYS_RESOURCE):
        yield (
            "/proc/PID/oom_score_adj: Permission denied (CAP_SYS_RESOURCE): "
            "none can be lowered below the value it began with"
        )


def adjust(world: World, rule: str, identity: Identity, name: str, new: int) -> Change | None:
    """Note a change and make it; None when the process is gone.

    Raises:
        OSError: The change cannot be noted, or the kernel refuses it; then it is not noted either.
    """
    try:
        with open_process(world.roots, identity) as directory:
            present = int(directory.read(FILE))
            old = _in_force(world).get((identity, present), present)
            done = Adjustment(identity, name, old, new, now_ticks())
            change = world.changes.note(OomScoreAdj.name, rule, done.facts())
            try:
                directory.write(FILE, str(new))
            except OSError:
                world.changes.forget(change)
                raise
            return change
    except (FileNotFoundError, ProcessLookupError):
        return None


def _is_heir(process: Process, given: Collection[int], began_ticks: int) -> bool:
    """Whether a process was born since, with a value that was given to its parent."""
    return process.identity.starttime_ticks >= began_ticks and process.oom_score_adj in given


def _adjust_all(world: World, occasion: Occasion, name: str, wanted: Mapping[Process, int]) -> int:
    """Note the changes of many processes as one, and make them until the deadline; returns how many.

    Raises:
        OSError: The changes cannot be noted, or the kernel refuses one; the note stays for those before.
    """
    if not wanted:
        return 0
    ours = _in_force(world)
    members = [
        [*astuple(each.identity), ours.get((each.identity, each.oom_score_adj), each.oom_score_adj), new]
        for each, new in wanted.items()
    ]
    facts = {"group": name, "since_ticks": now_ticks(), "members": members}
    world.changes.note(OomScoreAdj.name, occasion.rule, facts)
    changed = 0
    for process, new in wanted.items():
        if world.now_ns() >= occasion.until_ns:
            break
        with (
            suppress(FileNotFoundError, ProcessLookupError),
            open_process(world.roots, process.identity) as directory,
        ):
            directory.write(FILE, str(new))
            changed += 1
    return changed


def _in_force(world: World) -> dict[tuple[Identity, int], int]:
    """Which value was before ours, by process and the value that we gave it."""
    found: dict[tuple[Identity, int], int] = {}
    for change in reversed(world.changes.pending()):
        if change.action == OomScoreAdj.name:
            for each in Adjustment.all_of(change.facts):
                found.setdefault((each.identity, each.new), each.old)
    return found


def put_back_heirs(roots: Roots, *done: Adjustment) -> int:
    """Put the old value back in the descendants that were born since and still have the new one; how many."""
    count = 0
    for identity, each in _heirs(roots, done):
        with suppress(FileNotFoundError, ProcessLookupError), open_process(roots, identity) as directory:
            if int(directory.read(FILE)) == each.new:
                directory.write(FILE, str(each.old))
                count += 1
    return count


def now_ticks() -> int:
    """The present moment in the unit of start times, rounded down."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK") // 1_000_000_000


def _put_back(roots: Roots, done: Adjustment) -> str:
    try:
        with open_process(roots, done.identity) as directory:
            present = int(directory.read(FILE))
            if present == done.old:  # a later change of ours was put back before, and knew this value, too
                return f"{done.name} has {done.old} again"
            if present != done.new:
                return f"somebody else has changed {done.name} since"
            directory.write(FILE, str(done.old))
            return f"{done.name} has {done.old} again"
    except (FileNotFoundError, ProcessLookupError):
        return f"{done.name} is gone"


def _heirs(roots: Roots, done: Iterable[Adjustment]) -> list[tuple[Identity, Adjustment]]:
    """Descendants born after processes were changed, each with the change of its forebear."""
    stats = {stat.pid: stat for stat in _stats(roots)}
    # Where the number is another's by now, its children may be, too.
    family = {each.identity.pid: each for each in done if not _is_anothers(stats, each.identity)}
    members = set(family)
    for stat in stats.values():
        leader = next((pid for pid in (stat.session, stat.pgrp) if pid in members), None)
        if leader is not None and stat.pid not in members:
            family[stat.pid] = family[leader]
    grown = True
    while grown:
        children = {
            stat.pid: family[stat.ppid]
            for stat in stats.values()
            if stat.ppid in family and stat.pid not in family
        }
        family |= children
        grown = bool(children)
    born = ((stats[pid], each) for pid, each in family.items() if pid not in members and pid in stats)
    return [
        (Identity(stat.pid, stat.starttime_ticks), each)
        for stat, each in born
        if stat.starttime_ticks >= each.since_ticks
    ]


def _is_anothers(stats: Mapping[int, ProcessStat], identity: Identity) -> bool:
    stat = stats.get(identity.pid)
    return stat is not None and stat.starttime_ticks != identity.starttime_ticks


def _stats(roots: Roots) -> Iterable[ProcessStat]:
    for pid in list_pids(roots):
        with suppress(OSError, ParseError), Directory.open(f"{roots.procfs}/{pid}") as directory:
            yield read_stat(directory)
