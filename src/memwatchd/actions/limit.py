"""Set a limit to the memory of a cgroup or of a process, or to its open files, until the rule clears.

    high   memory.high: above it the group is slowed down and reclaimed from; version 2 only
    max    memory.max, memory.limit_in_bytes: above it the OOM killer works inside of the group
    as     RLIMIT_AS: more address space is refused to the process; it usually ends by itself then
    data   RLIMIT_DATA: the same for what is not mapped from a file
    files  RLIMIT_NOFILE: it opens no more files, sockets and pipes, which the kernel keeps in memory for it

A limit is only ever made lower, never higher, and of a process only the soft one; what it forks meanwhile
inherits that for good. Groups of version 2 are
written to with O_NONBLOCK: since Linux 6.16 the kernel then sets the limit at once and leaves the reclaim
that follows to the group itself; before, the write takes until the group has shrunk.
"""

import errno
import os
import resource
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar

from memwatchd.actions._before import before_ours
from memwatchd.actions._packs import Pack
from memwatchd.actions._rlimits import PAGE_BYTES, RLIMITS, put_back, whole
from memwatchd.actions._victims import VANISHED, Victim, missing_groups, take
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.actions.processes import choose
from memwatchd.actions.selection import Selection
from memwatchd.actions.table import Process
from memwatchd.kernel.cgroups import Cgroup, cgroup_at, find_cgroup, members
from memwatchd.kernel.processes import CAP_SYS_RESOURCE, has_capability
from memwatchd.keys import Kind, key, section_key
from memwatchd.procfs.cgroup import parse_value
from memwatchd.units import format_bytes, printable

_USAGE_FILES = {2: "memory.current", 1: "memory.usage_in_bytes"}
_FILES = {("high", 2): "memory.high", ("max", 2): "memory.max", ("max", 1): "memory.limit_in_bytes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Action):
    """Sets memory.high or memory.max of a cgroup, or a limit of the chosen process.

    Above memory.high a group is slowed down and shrunk, above memory.max the OOM killer works inside of it. A
    process that meets RLIMIT_AS or RLIMIT_DATA is refused more memory, and most end by that; one that meets
    RLIMIT_NOFILE opens no more files and sockets. What it uses of these is the room in its table of
    descriptors, of which at least half was filled at some time: 50% stops one that opens more and more.

    Limits are only ever made lower. The limit before is put back when the rule clears, the daemon stops or,
    after a crash, starts again, unless somebody else has set another one meanwhile; what the process has
    started keeps its own.

    With cgroups of version 1 there is max and no high. Before Linux 6.16 setting a group's limit takes until
    the group has shrunk.
    """

    name: ClassVar[str] = "limit"
    summary: ClassVar[str] = "Limit the memory of a cgroup or process, or its open files, for a while."
    needs: ClassVar[tuple[str, ...]] = ("a writable cgroup file system", "CAP_SYS_RESOURCE for processes")

    what: str = field(
        default="high",
        metadata=key(
            "what",
            Kind.CHOICE,
            "A cgroup's memory.high or memory.max, or a process's RLIMIT_AS, RLIMIT_DATA or RLIMIT_NOFILE.",
            example="high",
            choices=("high", "max", "as", "data", "files"),
        ),
    )
    cgroup: str | None = field(
        default=None,
        metadata=key(
            "cgroup",
            Kind.CGROUP,
            "The cgroup; without it, that of the chosen process.",
            example="/system.slice/backup.service",
            max_bytes=4095,
        ),
    )
    select: Selection = field(
        default_factory=Selection, metadata=section_key("select", Selection, "Which process.")
    )
    to_bytes: int | None = field(
        default=None,
        metadata=key(
            "to",
            Kind.SIZE,
            "The limit.",
            example="512MiB",
            minimum=1 << 20,
            maximum=1 << 50,
            one_of="value",
        ),
    )
    usage_pct: float | None = field(
        default=None,
        metadata=key(
            "of_usage",
            Kind.PERCENTAGE,
            "The limit as a share of what is used at that moment.",
            example="110%",
            minimum=1,
            maximum=1000,
            one_of="value",
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say what contradicts each other."""
        if self.cgroup is not None and self.what in RLIMITS:
            yield f"{self.what} is a limit of processes; a cgroup has high and max"
        if self.to_bytes is not None and self.what == "files":
            yield "a size is no number of files; files are limited with of_usage"
        if self.cgroup == "/":
            yield "the root cgroup has no limits"

    def missing(self, world: World) -> Iterable[str]:
        """Say which rights or files are missing."""
        yield from self.select.missing(world) if self.cgroup is None else ()
        if self.what in RLIMITS and not has_capability(CAP_SYS_RESOURCE):
            yield "prlimit: Operation not permitted (CAP_SYS_RESOURCE): other users' processes stay unlimited"
        yield from missing_groups(world) if self.what not in RLIMITS else ()
        if self.what == "high" and (world.roots.cgroupfs / "memory").is_dir():
            yield "memory.high: No such file or directory: the memory controller is version 1 here"

    def prepare(self, world: World) -> None:
        """Keep the process table fresh."""
        if self.cgroup is None:
            self.select.prepare(world)

    def aim(self, world: World) -> Intent:
        """Say what would be limited."""
        size = (
            format_bytes(self.to_bytes) if self.to_bytes is not None else f"{self.usage_pct:g} % of its use"
        )
        sentence = f"set {self.what} to {size}"
        if self.cgroup is not None:
            return Intent(sentence, (Target(printable(self.cgroup), "as configured"),))
        choice = choose(world, self.select)
        targets = choice.targets()
        if self.what not in RLIMITS:
            chosen = zip(choice.candidates, targets, strict=False)
            targets = tuple(
                Target(printable(process.cgroup), f"of {each.name}: {each.why}") for process, each in chosen
            )
        return Intent(sentence, targets, choice.spared)

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Set it."""
        if self.cgroup is not None:
            cgroup = self._find(world, self.cgroup, None)
            if isinstance(cgroup, str):
                return Outcome(Verdict.DECLINED, cgroup)
            return self._limit_group(world, occasion, cgroup)
        choice = choose(world, self.select)
        declined = choice.declined()
        if declined is not None:
            return declined
        if self.what in RLIMITS:
            with ExitStack() as held:
                victims = take(world, choice, held)
                told = [self._limit_process(world, occasion, each) for each in victims]
        elif choice.pack is not None and _shared(choice.pack):
            told = [Outcome(Verdict.DECLINED, f"{choice.pack.title}: {_shared(choice.pack)}")]
        else:
            chosen = choice.candidates[: 1 if choice.pack else self.select.max_targets]
            told = self._limit_groups(world, occasion, chosen)
        return _together(told) if told else VANISHED

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        """Put the old limit back where it is still the one that was set."""
        match change.facts:
            case {"directory": str(), "inode": int(), "file": str(), "old": str(), "new": str()}:
                return _put_back_group(change.facts)
            case {"pid": int(), "starttime_ticks": int(), "which": int(), "old": int(), "new": int()}:
                return put_back(world, change.facts)
        return Outcome(Verdict.DECLINED, "the note of a limit makes no sense")

    # ---- cgroups

    def _find(self, world: World, path: str, process: Process | None) -> Cgroup | str:
        shown = printable(path)
        for controller, version in (("memory", 1), ("", 2)):
            file = _FILES.get((self.what, version), _USAGE_FILES[version])
            found = _locate(world, path, process, controller, file)
            if found is not None and (self.what, version) not in _FILES:
                return f"{shown} is a cgroup of version 1, which has no memory.{self.what}"
            if found is not None:
                return found
        return f"{shown} is no cgroup with a memory limit"

    def _limit_groups(self, world: World, occasion: Occasion, processes: Iterable[Process]) -> list[Outcome]:
        told: list[Outcome] = []
        for path, process in {process.cgroup: process for process in processes}.items():
            cgroup = self._find(world, path, process)
            if isinstance(cgroup, str):
                told.append(Outcome(Verdict.DECLINED, cgroup))
            else:
                told.append(self._limit_group(world, occasion, cgroup))
        return told

    def _limit_group(self, world: World, occasion: Occasion, cgroup: Cgroup) -> Outcome:
        shown = printable(cgroup.path)
        if world.own_pids() & set(members(cgroup)):
            return Outcome(Verdict.DECLINED, f"{shown} is left alone: memwatchd itself is in it")
        file = _FILES[self.what, cgroup.version]
        with cgroup.open() as directory:
            old = directory.read(file).strip()
            used_bytes = parse_value(directory.read(_USAGE_FILES[cgroup.version])) or 0
            limit_bytes, before_bytes = self._limit_bytes(used_bytes), parse_value(old)
            if before_bytes is not None and before_bytes <= limit_bytes:
                detail = f"{shown} has a limit of {format_bytes(before_bytes)} already"
                return Outcome(Verdict.DECLINED, detail)
            target = {"directory": cgroup.directory, "inode": cgroup.inode, "file": file}
            before = before_ours(world, self.name, target, old.decode())
            facts = {**target, "path": cgroup.path, "old": before, "new": str(limit_bytes)}
            change = world.changes.note(self.name, occasion.rule, facts)
            try:
                directory.write(file, str(limit_bytes), os.O_NONBLOCK)
            except OSError as error:
                world.changes.forget(change)
                return Outcome(Verdict.FAILED, f"{shown}: {file}: {_refusal(error)}")
            now_bytes = parse_value(directory.read(file))
        figures: dict[str, Figure] = {
            "used_bytes": used_bytes,
            "limit_bytes": now_bytes,
            "before_bytes": before_bytes,
        }
        verdict = Verdict.HELPED if now_bytes == limit_bytes else Verdict.NO_EFFECT
        detail = f"{file} of {shown} is {format_bytes(limit_bytes)}, {format_bytes(used_bytes)} used"
        return Outcome(verdict, detail, figures)

    # ---- processes

    def _limit_process(self, world: World, occasion: Occasion, victim: Victim) -> Outcome:
        name, rlimit, identity = victim.process.name, RLIMITS[self.what], victim.handle.identity
        try:
            used = rlimit.used(victim.handle)
            soft, _ = resource.prlimit(identity.pid, rlimit.which)
            new = rlimit.rounded(self._wanted(used))
            if soft != resource.RLIM_INFINITY and soft <= new:
                return Outcome(Verdict.DECLINED, f"{name} has a limit of {rlimit.told(soft)} already")
            target = {"pid": identity.pid, "starttime_ticks": identity.starttime_ticks, "which": rlimit.which}
            before = before_ours(world, self.name, target, soft)
            facts = {**target, "name": name, "old": before, "new": new}
            change = world.changes.note(self.name, occasion.rule, facts)
            try:
                victim.handle.limit(rlimit.which, new)
            except OSError:
                world.changes.forget(change)
                raise
        except ProcessLookupError:
            return Outcome(Verdict.DECLINED, f"{name} had ended before")
        except PermissionError as error:
            return Outcome(Verdict.FAILED, f"{name}: prlimit: {error.strerror} (CAP_SYS_RESOURCE)")
        unit = "files" if self.what == "files" else "bytes"
        figures: dict[str, Figure] = {"pid": identity.pid, f"used_{unit}": used, f"limit_{unit}": new}
        detail = f"{rlimit.label} of {name} is {rlimit.told(new)}, {rlimit.told(used)} used"
        return Outcome(Verdict.HELPED, detail, figures)

    def _wanted(self, used: int) -> float:
        return self.to_bytes if self.to_bytes is not None else used * (self.usage_pct or 100) / 100

    def _limit_bytes(self, used_bytes: int) -> int:
        """The limit in whole pages, as the kernel keeps it."""
        return whole(self._wanted(used_bytes), PAGE_BYTES)


def _locate(world: World, path: str, process: Process | None, controller: str, file: str) -> Cgroup | None:
    if process is None:
        return cgroup_at(world.roots, path, controller, file)
    return find_cgroup(world.roots, process.memberships, controller, file)


def _shared(pack: Pack) -> str:
    """Why the limit of a group's cgroup would be others' too; empty when it would not."""
    if pack.alone or pack.members[0].cgroup == pack.key.path:
        return pack.alone
    return "it has no memory cgroup of its own"


def _refusal(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "the group cannot shrink to that"
    return error.strerror or str(error)


def _put_back_group(facts: Mapping[str, Any]) -> Outcome:
    path = str(facts.get("path", facts["directory"]))
    cgroup = Cgroup(path, facts["directory"], facts["inode"], 2)
    shown = f"{facts['file']} of {printable(path)}"
    try:
        with cgroup.open() as directory:
            if directory.read(facts["file"]).strip() != facts["new"].encode():
                return Outcome(Verdict.DECLINED, f"somebody else has changed {shown} since")
            directory.write(facts["file"], facts["old"], os.O_NONBLOCK)
    except FileNotFoundError:
        return Outcome(Verdict.DECLINED, f"{printable(path)} is gone")
    return Outcome(Verdict.HELPED, f"{shown} is {facts['old']} again")


def _together(told: list[Outcome]) -> Outcome:
    order = (Verdict.HELPED, Verdict.NO_EFFECT, Verdict.FAILED, Verdict.DECLINED)
    first = min(told, key=lambda each: order.index(each.verdict))
    return Outcome(first.verdict, "; ".join(each.detail for each in told), first.figures)
