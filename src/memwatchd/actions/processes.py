"""Which processes an action hits: what may stand under ``select``, and the choice made by it.

What is never chosen, whatever the file says: init, kernel threads, the daemon itself, an oom_score_adj of
-1000, and what is dead or dying already.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from memwatchd.actions.base import Outcome, Target, Verdict, World
from memwatchd.actions.table import Process
from memwatchd.kernel.processes import CAP_SYS_PTRACE, has_capability, same_numbers
from memwatchd.keys import Kind, key
from memwatchd.units import format_bytes

_S = 1_000_000_000
# The table may be this old at the moment of acting; the candidates are read again in any case.
_MAX_AGE_NS = 3 * _S
_MORE_CANDIDATES = 4
_MOST_SPARED = 5
# A process that is dying for longer than this gives nothing back any more, or not because of the kill.
_PATIENCE_NS = 10 * _S
_COMM_BYTES = 15
_WILD = re.compile(r"[*?[]")

UNTOUCHABLE_ADJ = -1000
_UNITS_BY = {"oom_score": "", "rss": "bytes", "swap": "bytes", "memory": "bytes", "growth": "bytes/s"}


def _globs(name: str, doc: str, example: str) -> dict[str, object]:
    return dict(key(name, Kind.WORDS, doc, example=example, maximum=256))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which processes, and which of them first.

    Of several kinds of names given, a process must match each; of several names of one kind, any.
    """

    comm: tuple[str, ...] = field(
        default=(),
        metadata=_globs("comm", "Names as in /proc/PID/comm; * and ? stand for anything.", "java"),
    )
    exe: tuple[str, ...] = field(
        default=(), metadata=_globs("exe", "Paths of programs; * and ? stand for anything.", "/opt/*/bin/*")
    )
    cgroup: tuple[str, ...] = field(
        default=(),
        metadata=_globs(
            "cgroup", "Memory cgroups, those below them included.", "/system.slice/docker-*.scope"
        ),
    )
    unit: tuple[str, ...] = field(
        default=(), metadata=_globs("unit", "systemd units, slices included.", "mariadb.service")
    )
    uid: tuple[str, ...] = field(
        default=(), metadata=_globs("uid", "Users, by name as in /etc/passwd or by number.", "www-data")
    )
    by: str = field(
        default="oom_score",
        metadata=key(
            "by",
            Kind.CHOICE,
            "Which one comes first: the one the kernel's OOM killer would take, the one with the most "
            "resident memory, swap, or both, or the one that grows fastest.",
            example="oom_score",
            choices=tuple(_UNITS_BY),
        ),
    )
    prefer: tuple[str, ...] = field(
        default=(),
        metadata=_globs("prefer", "Comm, exe, unit or cgroup of those that come before all others.", "rsync"),
    )
    never: tuple[str, ...] = field(
        default=(),
        metadata=_globs("never", "Comm, exe, unit or cgroup of those that are left alone.", "postgres"),
    )
    min_size_bytes: int = field(
        default=0,
        metadata=key(
            "min_size",
            Kind.SIZE,
            "Leave alone what has less than this, resident and swapped out.",
            example="100MiB",
            minimum=0,
            maximum=1 << 50,
        ),
    )
    max_targets: int = field(
        default=1,
        metadata=key(
            "max_targets",
            Kind.INTEGER,
            "How many processes are hit at once at most.",
            example="1",
            minimum=1,
            maximum=100,
        ),
    )

    def matches(self, process: Process) -> bool:
        """Whether a process is one of those that are meant."""
        if self.comm and not any(matches_comm(glob, process.comm) for glob in self.comm):
            return False
        if self.exe and not any(matches_exe(glob, process.exe) for glob in self.exe):
            return False
        if self.cgroup and not any(matches_cgroup(glob, process.cgroup) for glob in self.cgroup):
            return False
        if self.unit and not any(matches_unit(glob, process.units) for glob in self.unit):
            return False
        return not self.uid or any(_matches_user(glob, process) for glob in self.uid)

    def size(self, process: Process) -> float:
        """What processes are compared by."""
        sizes: dict[str, float] = {
            "oom_score": process.oom_score,
            "rss": process.rss_bytes,
            "swap": process.swap_bytes,
            "memory": process.memory_bytes,
            "growth": process.growth_bytes_per_s or 0,
        }
        return sizes[self.by]

    def spares(self, process: Process) -> str | None:
        """Why a process is left alone although it would have its turn; None when it is not."""
        if any(matches_any(glob, process) for glob in self.never):
            return "is on the list of those never hit"
        if process.memory_bytes < self.min_size_bytes:
            return f"has less than {format_bytes(self.min_size_bytes)}"
        if self.by == "growth" and process.growth_bytes_per_s is not None and process.growth_bytes_per_s <= 0:
            return "does not grow"
        return None

    def missing(self, world: World) -> Iterable[str]:
        """Say what choosing needs and does not have."""
        if not same_numbers(world.roots):
            yield f"{world.roots.procfs}: belongs to another pid namespace: no process can be hit"
        if (self.exe or self.prefer or self.never) and not has_capability(CAP_SYS_PTRACE):
            yield "/proc/PID/exe: Permission denied (CAP_SYS_PTRACE): other users' programs match no path"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what was not.

    Attributes:
        candidates: Best first, read a moment ago; more than are wanted, for some may vanish yet.
        under_way: One that is dying, or has just vanished, and had at least half as much as the best.
        nobody: Why there are no candidates; empty when there are.
    """

    selection: Selection
    candidates: tuple[Process, ...]
    spared: tuple[Target, ...]
    under_way: Process | None
    nobody: str

    def targets(self) -> tuple[Target, ...]:
        """Those that would be hit, each with the reason."""
        first = self.candidates[: self.selection.max_targets]
        return tuple(Target(process.name, self.why(process)) for process in first)

    def why(self, process: Process) -> str:
        """Say why a process was chosen, with its figures."""
        by, size = self.selection.by, self.selection.size(process)
        preferred = "preferred, " if _is_preferred(self.selection, process) else ""
        if by == "oom_score":
            return f"{preferred}oom_score {size:.0f}; rss {format_bytes(process.rss_bytes)}" + _swap(process)
        if by == "growth" and process.growth_bytes_per_s is None:
            return f"{preferred}growth is not known yet; rss and swap {format_bytes(process.memory_bytes)}"
        label = {"memory": "rss and swap", "growth": "grows by"}.get(by, by)
        rate = "/s" if by == "growth" else ""
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


Spare = Callable[[Process], str | None]


def choose(world: World, selection: Selection, spare: Spare = lambda _process: None) -> Choice:
    """Choose processes.

    The table is only read anew when it is more than three seconds old; the few best are read again.

    Args:
        world: Where the table is.
        selection: What is meant.
        spare: Says why the action itself leaves a process alone; None when it does not.

    Raises:
        OSError: /proc cannot be listed.
    """
    processes = [each for each in world.table.processes(_MAX_AGE_NS) if selection.matches(each)]
    own = world.own_pids()
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
    return Choice(
        selection,
        tuple(best),
        _worth_telling(selection, spared, best),
        _under_way(selection, [*dying, *vanished], best),
        "" if best else _nobody(selection, len(processes), spared),
    )


def untouchable(process: Process, own: frozenset[int]) -> str | None:
    """Why a process is never a target, whatever is asked for; None when it may be."""
    if process.pid == 1:
        return "is init"
    if process.pid in own:
        return "is memwatchd itself"
    if process.oom_score_adj <= UNTOUCHABLE_ADJ:
        return "has an oom_score_adj of -1000"
    if process.dying:
        return "is dying already"
    return None


def matches_any(glob: str, process: Process) -> bool:
    """Whether a pattern is for a process's comm, exe, unit or cgroup."""
    return (
        matches_comm(glob, process.comm)
        or matches_exe(glob, process.exe)
        or matches_unit(glob, process.units)
        or matches_cgroup(glob, process.cgroup)
    )


def matches_comm(glob: str, comm: str) -> bool:
    """Match a name; the kernel keeps 15 bytes of one, so a longer pattern is cut for a full one."""
    if fnmatchcase(comm, glob):
        return True
    if _WILD.search(glob) or len(comm.encode("utf-8", "surrogateescape")) < _COMM_BYTES:
        return False
    return glob.encode()[:_COMM_BYTES] == comm.encode("utf-8", "surrogateescape")


def matches_exe(glob: str, exe: str | None) -> bool:
    """Match the path of a program."""
    return exe is not None and fnmatchcase(exe, glob)


def matches_unit(glob: str, units: Iterable[str]) -> bool:
    """Match any of the units a process is in."""
    return any(fnmatchcase(unit, glob) for unit in units)


def matches_cgroup(glob: str, path: str) -> bool:
    """Match a cgroup or one above it, but for the root: everything is below that."""
    names = path.strip("/").split("/")
    paths = {"/" + "/".join(names[:count]) for count in range(1, len(names) + 1)}
    return path != "" and any(fnmatchcase(each, glob) for each in paths)


def _matches_user(glob: str, process: Process) -> bool:
    return glob == str(process.uid) or (process.user is not None and fnmatchcase(process.user, glob))


def _is_preferred(selection: Selection, process: Process) -> bool:
    return any(matches_any(glob, process) for glob in selection.prefer)


def _ranked(selection: Selection, processes: list[Process]) -> list[Process]:
    def rank(process: Process) -> tuple[bool, float, int, int]:
        preferred = _is_preferred(selection, process)
        # A stranger's pid decides nothing but between equals, and then the younger one goes.
        return preferred, selection.size(process), process.memory_bytes, process.identity.starttime_ticks

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


def _under_way(selection: Selection, dying: list[Process], best: list[Process]) -> Process | None:
    largest = max(dying, key=lambda process: process.memory_bytes, default=None)
    if largest is None or largest.memory_bytes == 0:
        return None
    enough = best[0].memory_bytes / 2 if best else 0
    return largest if largest.memory_bytes >= max(enough, selection.min_size_bytes) else None


def _worth_telling(
    selection: Selection, spared: list[tuple[Process, str]], best: list[Process]
) -> tuple[Target, ...]:
    """Those that were spared although they are larger than what is hit."""
    least = selection.size(best[0]) if best else 0
    larger = [(process, why) for process, why in spared if selection.size(process) >= least]
    larger.sort(key=lambda each: selection.size(each[0]), reverse=True)
    return tuple(Target(process.name, why) for process, why in larger[:_MOST_SPARED])


def _nobody(selection: Selection, matching: int, spared: list[tuple[Process, str]]) -> str:
    if not matching:
        kinds = ("comm", "exe", "cgroup", "unit", "uid")
        given = (
            f"{kind} {' or '.join(getattr(selection, kind))}" for kind in kinds if getattr(selection, kind)
        )
        return f"no process matches {' and '.join(given) or 'at all'}"
    if spared:
        process, why = max(spared, key=lambda each: selection.size(each[0]))
        return f"all {matching} processes that match are spared; the largest, {process.name}, {why}"
    return f"all {matching} processes that match are dead or dying"


def _swap(process: Process) -> str:
    return f", swap {format_bytes(process.swap_bytes)}" if process.swap_bytes else ""
