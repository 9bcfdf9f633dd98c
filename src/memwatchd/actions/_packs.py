"""Choosing among groups: what may be hit of each, how much that has, and whether all of its cgroup may go."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from memwatchd.actions._memory import read_meminfo
from memwatchd.actions.base import World
from memwatchd.actions.groups import Group, GroupKey, own_bytes
from memwatchd.actions.selection import Selection, Spare, untouchable
from memwatchd.actions.table import Process

# Of a group that holds more than these, the largest ones are hit.
MOST_MEMBERS = 4096


@dataclass(frozen=True, slots=True)
class Pack:
    """Those of a group that may be hit.

    Attributes:
        members: At least one, largest first.
        memory_bytes: Of the members together, what they share counted once; `swap_bytes` is part of it.
        oom_points_bytes: What the kernel would make of it if it were one process: its memory, and for each
            point of oom_score_adj a thousandth of the machine's.
        alone: Why its cgroup is not hit as a whole; empty when it may be.
    """

    key: GroupKey
    name: str
    members: tuple[Process, ...]
    memory_bytes: int
    swap_bytes: int
    growth_bytes_per_s: float | None
    oom_points_bytes: float
    alone: str
    selection: Selection
    spare: Spare

    @property
    def title(self) -> str:
        """What a person calls it, with the number of those that are hit."""
        count = len(self.members)
        return f"{self.name} ({count} process{'es' if count > 1 else ''})"

    @property
    def size(self) -> float:
        """What groups are compared by, as `Selection.size` is for processes."""
        sizes: dict[str, float] = {
            "oom_score": self.oom_points_bytes,
            "swap": self.swap_bytes,
            "growth": self.growth_bytes_per_s or 0,
            "open_files": sum(member.fd_size for member in self.members),
            "writes": sum(member.writes_bytes_per_s or 0 for member in self.members),
        }
        return sizes.get(self.selection.by, self.memory_bytes)

    def outweighs(self, process: Process, total_bytes: int) -> bool:
        """Whether it has more than twice as much as a process, by what is compared.

        Args:
            process: The one that would be hit otherwise.
            total_bytes: The machine's memory.
        """
        by = self.selection.by
        if by == "growth" and self.growth_bytes_per_s is None:
            return self.memory_bytes > 2 * process.memory_bytes
        if by == "oom_score":
            points = process.memory_bytes + process.oom_score_adj * total_bytes / 1000
            return self.oom_points_bytes > 2 * points
        return self.size > 2 * self.selection.size(process)

    @property
    def preferred(self) -> bool:
        """Whether it comes before all others."""
        return any(map(self.selection.prefers, self.members))

    @property
    def rank(self) -> tuple[bool, float, int]:
        """The highest one comes first."""
        return self.preferred, self.size, self.memory_bytes

    @property
    def main(self) -> Process | None:
        """The member that has, or grows by, half of it or more; None when no single one explains the group.

        One whose growth is not known yet goes by what it has.
        """
        return next((each for each in self.members if self._explained_by(each)), None)

    def _explained_by(self, process: Process) -> bool:
        growth, own = self.growth_bytes_per_s, process.growth_bytes_per_s
        if self.selection.by == "growth" and growth is not None and own is not None:
            return 2 * own >= growth
        if self.selection.by == "swap":
            return 2 * process.swap_bytes >= self.swap_bytes
        return 2 * process.private_bytes >= self.memory_bytes

    def spares(self) -> str | None:
        """Why it is left alone; None when it is not."""
        return self.selection.spares_size(self.memory_bytes, self.growth_bytes_per_s)

    def newcomers(self, world: World, seen: Collection[int]) -> list[Process]:
        """Find those that have come into the group since, and may be hit as well.

        Args:
            world: Where the table is.
            seen: Pids of those that are known already.

        Raises:
            OSError: /proc cannot be listed.
        """
        own = world.own_pids()
        return [
            process
            for process in world.table.newcomers(seen)
            if world.groups.key_of(process) == self.key
            and self.selection.matches(process)
            and _why_not(process, own, self.selection, self.spare) is None
        ]


@dataclass(frozen=True, slots=True)
class Packs:
    """All groups of which something may be hit.

    Attributes:
        total_bytes: The machine's memory; 0 where it was not needed.
        dying: Name, pid of one of them, and bytes of the dying members of the group in which most is dying.
    """

    packs: tuple[Pack, ...]
    total_bytes: int
    dying: tuple[str, int, int] | None


def find_packs(world: World, selection: Selection, spare: Spare, max_age_ns: int, patience_ns: int) -> Packs:
    """Look at all groups.

    Args:
        world: Where the table is.
        selection: What is meant; sizes are not looked at.
        spare: As for `memwatchd.actions.processes.choose`.
        max_age_ns: How old the table may be.
        patience_ns: Who is dying for longer is not counted.

    Raises:
        OSError: /proc cannot be listed, or has no meminfo.
        ParseError: meminfo is malformed.
    """
    own = world.own_pids()
    scored = selection.by == "oom_score" and selection.each != "process"
    total_bytes = (read_meminfo(world.roots).mem_total_bytes or 0) if scored else 0
    packs: list[Pack] = []
    dying: list[tuple[int, str, int]] = []
    for group in world.groups.groups(max_age_ns):
        pack = _pack(group, own, selection, spare, total_bytes)
        packs += [] if pack is None else [pack]
        ends = [each for each in group.processes if each.dying and selection.matches(each)]
        ends = [each for each in ends if world.table.dying_for_ns(each) < patience_ns]
        if ends:
            dying.append((_share_bytes(group, ends), group.name, ends[0].pid))
    most = max(dying, default=None)
    return Packs(tuple(packs), total_bytes, None if most is None else (most[1], most[2], most[0]))


def protected(process: Process) -> str | None:
    """Why a process is not hit together with others; None when it may be."""
    if process.oom_score_adj < 0:
        return f"is protected by an oom_score_adj of {process.oom_score_adj}"
    return None


def best_of(packs: Iterable[Pack]) -> Pack | None:
    """The group that comes first, of those large enough."""
    return max((pack for pack in packs if pack.spares() is None), key=lambda pack: pack.rank, default=None)


def _pack(
    group: Group, own: frozenset[int], selection: Selection, spare: Spare, total_bytes: int
) -> Pack | None:
    fair: list[Process] = []
    others: list[tuple[Process, str]] = []
    for process in group.processes:
        why = _why_not(process, own, selection, spare)
        if why is None and not selection.matches(process):
            why = "is not among those meant"
        why = why or _large_and_calm(process, selection)
        if why is None:
            fair.append(process)
        elif not process.dying:
            others.append((process, why))
    if not fair:
        return None
    fair.sort(key=lambda each: (each.memory_bytes, each.identity.starttime_ticks), reverse=True)
    growth = group.growth_bytes_per_s
    if growth is not None:
        growth -= sum(max(0, each.growth_bytes_per_s or 0) for each, _ in others)
    alone = f"there is {others[0][0].name} in it, which {others[0][1]}" if others else ""
    if group.key.session is not None:
        alone = "it is only a part of its cgroup"
    memory_bytes = _share_bytes(group, fair)
    mean_adj = sum(each.oom_score_adj for each in fair) / len(fair)
    return Pack(
        key=group.key,
        name=group.name,
        members=tuple(fair[:MOST_MEMBERS]),
        memory_bytes=memory_bytes,
        swap_bytes=sum(each.swap_bytes for each in fair),
        growth_bytes_per_s=growth,
        oom_points_bytes=memory_bytes + mean_adj * total_bytes / 1000,
        alone=alone,
        selection=selection,
        spare=spare,
    )


def _large_and_calm(process: Process, selection: Selection) -> str | None:
    """Why one that is large enough to be hit alone is not hit for others' growth; None where it may be."""
    growth, least_bytes = process.growth_bytes_per_s, selection.min_size_bytes
    if selection.by != "growth" or process.forked or growth is None or growth > 0:
        return None
    return "does not grow" if 0 < least_bytes <= process.memory_bytes else None


def _share_bytes(group: Group, some: list[Process]) -> int:
    """What some of a group have together; of what cannot be told apart the others keep what they share."""
    chosen = {process.pid for process in some}
    others = [process for process in group.processes if process.pid not in chosen]
    return max(own_bytes(some), group.memory_bytes - sum(each.private_bytes for each in others))


def _why_not(process: Process, own: frozenset[int], selection: Selection, spare: Spare) -> str | None:
    return untouchable(process, own) or protected(process) or selection.spares_name(process) or spare(process)
