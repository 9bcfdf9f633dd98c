"""Choosing: which processes, or which group of them, an action hits.

What is never chosen, whatever the file says: init, kernel threads, the daemon itself, an oom_score_adj of
-1000, and what is dead or dying already.
"""

from dataclasses import dataclass

from memwatchd.actions._packs import Pack, Packs, best_of, find_packs
from memwatchd.actions.base import Outcome, Target, Verdict, World
from memwatchd.actions.selection import Selection, Spare, untouchable
from memwatchd.actions.table import Process
from memwatchd.units import format_bytes

_S = 1_000_000_000
# The table may be this old at the moment of acting; the candidates are read again in any case.
_MAX_AGE_NS = 3 * _S
_MORE_CANDIDATES = 4
_MOST_SPARED = 5
# A process that is dying for longer than this gives nothing back any more, or not because of the kill.
_PATIENCE_NS = 10 * _S


@dataclass(frozen=True, slots=True)
class Dying:
    """A process or group that is dying, or has just vanished, and had at least half as much as the best.

    Attributes:
        pid: Of the process, or of one in the group.
    """

    name: str
    pid: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what was not.

    Attributes:
        candidates: Best first, read a moment ago; more than are wanted, for some may vanish yet. With `pack`
            its members, all of whom are wanted.
        pack: The group that was chosen; None where it is single processes.
        nobody: Why there are no candidates; empty when there are.
    """

    selection: Selection
    candidates: tuple[Process, ...]
    pack: Pack | None
    spared: tuple[Target, ...]
    under_way: Dying | None
    nobody: str

    def targets(self) -> tuple[Target, ...]:
        """Those that would be hit, each with the reason."""
        if self.pack is not None:
            return (Target(self.pack.title, self.reason),)
        first = self.candidates[: self.selection.max_targets]
        return tuple(Target(process.name, self.why(process)) for process in first)

    @property
    def reason(self) -> str:
        """Why the first one was chosen, or the group, with figures; there has to be one."""
        return self.why(self.candidates[0]) if self.pack is None else _why_pack(self.pack)

    def why(self, process: Process) -> str:
        """Say why a process was chosen, with its figures."""
        by, size = self.selection.by, self.selection.size(process)
        preferred = "preferred, " if self.selection.prefers(process) else ""
        if by == "oom_score":
            return f"{preferred}oom_score {size:.0f}; rss {format_bytes(process.rss_bytes)}" + _swap(process)
        if by == "growth" and process.growth_bytes_per_s is None:
            return f"{preferred}growth is not known yet; rss and swap {format_bytes(process.memory_bytes)}"
        if by == "open_files":
            return f"{preferred}room for {size:.0f} open files; oom_score {process.oom_score}"
        label = {"memory": "rss and swap", "growth": "grows by"}.get(by, by)
        rate = "/s" if by in ("growth", "writes") else ""
        return f"{preferred}{label} {format_bytes(size)}{rate}; oom_score {process.oom_score}"

    def declined(self) -> Outcome | None:
        """The outcome where nobody was found; None where somebody was."""
        return None if self.candidates else Outcome(Verdict.DECLINED, self.nobody)

    def already_dying(self) -> Outcome | None:
        """The outcome for whoever kills: somebody large is dying already, and its memory is to be awaited."""
        if self.under_way is None:
            return None
        size = format_bytes(self.under_way.memory_bytes)
        detail = f"{self.under_way.name} is dying already and gives {size} back"
        return Outcome(Verdict.DECLINED, detail, {"dying_pid": self.under_way.pid})


def choose(world: World, selection: Selection, spare: Spare = lambda _process: None) -> Choice:
    """Choose processes, or a group of them.

    The table is only read anew when it is more than three seconds old; the few best processes are read again.

    Args:
        world: Where the table is.
        selection: What is meant.
        spare: Says why the action itself leaves a process alone; None when it does not.

    Raises:
        OSError: /proc cannot be listed.
    """
    own = world.own_pids()
    processes = [each for each in world.table.processes(_MAX_AGE_NS) if selection.matches(each)]
    fair: list[Process] = []
    spared: list[tuple[Process, str]] = []
    dying = [each for each in processes if each.dying and world.table.dying_for_ns(each) < _PATIENCE_NS]
    for process in processes:
        why = untouchable(process, own) or selection.spares(process) or spare(process)
        if why is None:
            fair.append(process)
        elif not process.dying:
            spared.append((process, why))
    best, vanished = _again(world, _ranked(selection, fair), selection, own)
    looks_at_groups = selection.each != "process" or not best
    packs = (
        find_packs(world, selection, spare, _MAX_AGE_NS, _PATIENCE_NS)
        if looks_at_groups
        else Packs((), 0, None)
    )
    pack, best = _settle(selection, packs, best)
    told = [] if selection.each == "group" else spared
    return Choice(
        selection,
        tuple(best) if pack is None else pack.members,
        pack,
        _worth_telling(selection, told, _least(selection, pack, best)),
        _under_way(selection, [*dying, *vanished], packs, _held_bytes(pack, best)),
        "" if best or pack else _nobody(selection, len(processes), spared, packs),
    )


def _settle(selection: Selection, packs: Packs, best: list[Process]) -> tuple[Pack | None, list[Process]]:
    """Decide between the best group and the best processes: returns it, or them."""
    pack = best_of(packs.packs)
    if selection.each == "process":
        return None, best
    if selection.each == "group" or pack is None:
        return pack, [] if selection.each == "group" else best
    if not best:
        return (pack, []) if len(pack.members) > 1 else (None, [])
    if selection.prefers(best[0]) and not pack.preferred:
        return None, best
    if not pack.outweighs(best[0], packs.total_bytes):
        return None, best
    main = pack.main
    if main is None or selection.spares(main) is not None:
        return pack, []
    # It comes first though it may not have been seen for long enough to be known for its growth.
    return None, [main, *(each for each in best if each.identity != main.identity)]


def _least(selection: Selection, pack: Pack | None, best: list[Process]) -> float:
    """How much the one has that is hit, by what is compared."""
    if pack is not None:
        return pack.size
    return selection.size(best[0]) if best else 0


def _held_bytes(pack: Pack | None, best: list[Process]) -> int:
    if pack is not None:
        return pack.memory_bytes
    return best[0].memory_bytes if best else 0


def _ranked(selection: Selection, processes: list[Process]) -> list[Process]:
    def rank(process: Process) -> tuple[bool, float, int, int]:
        # A stranger's pid decides nothing but between equals, and then the younger one goes.
        return (
            selection.prefers(process),
            selection.size(process),
            process.memory_bytes,
            process.identity.starttime_ticks,
        )

    return sorted(processes, key=rank, reverse=True)


def _again(
    world: World, ranked: list[Process], selection: Selection, own: frozenset[int]
) -> tuple[list[Process], list[Process]]:
    """Read the best ones again; returns them in their present order, and those that are gone."""
    alive: list[Process] = []
    gone: list[Process] = []
    wanted = selection.max_targets + _MORE_CANDIDATES
    for process in ranked:
        if len(alive) == wanted:
            break
        now = world.table.again(process)
        if now is None or now.dying:
            gone.append(process)
        elif not untouchable(now, own) and not selection.spares(now) and selection.matches(now):
            alive.append(now)
    return _ranked(selection, alive), gone


def _under_way(selection: Selection, dying: list[Process], packs: Packs, held_bytes: int) -> Dying | None:
    """The largest one that is dying, when that has at least half as much as what would be hit."""
    found = [Dying(each.name, each.pid, each.memory_bytes) for each in dying]
    if selection.each != "process" and packs.dying is not None:
        found.append(Dying(*packs.dying))
    largest = max(found, key=lambda each: each.memory_bytes, default=None)
    if largest is None or largest.memory_bytes == 0:
        return None
    return largest if largest.memory_bytes >= max(held_bytes / 2, selection.min_size_bytes) else None


def _worth_telling(
    selection: Selection, spared: list[tuple[Process, str]], least: float
) -> tuple[Target, ...]:
    """Those that were spared although they are larger than what is hit."""
    larger = [(process, why) for process, why in spared if selection.size(process) >= least]
    larger.sort(key=lambda each: selection.size(each[0]), reverse=True)
    return tuple(Target(process.name, why) for process, why in larger[:_MOST_SPARED])


def _nobody(selection: Selection, matching: int, spared: list[tuple[Process, str]], packs: Packs) -> str:
    if not matching:
        kinds = ("comm", "exe", "cgroup", "unit", "uid")
        given = (
            f"{kind} {' or '.join(getattr(selection, kind))}" for kind in kinds if getattr(selection, kind)
        )
        return f"no process matches {' and '.join(given) or 'at all'}"
    if selection.each == "group":
        return _no_group(selection, packs)
    # Init and the like are spared everywhere: of interest only where they would have had their turn.
    fit = [each for each in spared if _fits(selection, each[0])]
    if fit:
        process, why = max(fit, key=lambda each: selection.size(each[0]))
        return f"all {matching} processes that match are spared; the largest, {process.name}, {why}"
    if not spared:
        return f"all {matching} processes that match are dead or dying"
    return _too_small(selection, spared) + _together(selection, packs)


def _fits(selection: Selection, process: Process) -> bool:
    return selection.spares_size(process.memory_bytes, process.growth_bytes_per_s) is None


def _too_small(selection: Selection, spared: list[tuple[Process, str]]) -> str:
    least = format_bytes(selection.min_size_bytes)
    who = "no process and no group" if selection.each == "either" else "no process"
    if all(process.memory_bytes < selection.min_size_bytes for process, _ in spared):
        return f"{who} has {least} or more"
    return f"{who} of {least} or more grows" if selection.min_size_bytes else f"{who} grows"


def _together(selection: Selection, packs: Packs) -> str:
    """What a group would have that was not asked for."""
    best = best_of(packs.packs)
    if selection.each == "either" or best is None or len(best.members) == 1:
        return ""
    if selection.by == "growth" and best.growth_bytes_per_s is not None:
        return f"; together those of {best.name} grow by {format_bytes(best.growth_bytes_per_s)}/s"
    return f"; together those of {best.name} have {format_bytes(best.memory_bytes)}"


def _no_group(selection: Selection, packs: Packs) -> str:
    largest = max(packs.packs, key=lambda pack: pack.rank, default=None)
    if largest is None:
        return "all processes that match are spared, dead or dying"
    return f"the first group, {largest.title}, {largest.spares()}"


def _why_pack(pack: Pack) -> str:
    preferred = "preferred, " if pack.preferred else ""
    together = f"together {format_bytes(pack.memory_bytes)}"
    if pack.selection.by == "swap":
        return f"{preferred}{together}, {format_bytes(pack.swap_bytes)} of it swapped out"
    if pack.selection.by != "growth":
        return f"{preferred}{together}"
    if pack.growth_bytes_per_s is None:
        return f"{preferred}growth is not known yet; {together}"
    return f"{preferred}grows by {format_bytes(pack.growth_bytes_per_s)}/s; {together}"


def _swap(process: Process) -> str:
    return f", swap {format_bytes(process.swap_bytes)}" if process.swap_bytes else ""
