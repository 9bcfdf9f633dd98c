"""Processes taken together, for what no single one of them explains: a fork storm, a hundred small leaks.

A group is what systemd or a container runtime has put into one cgroup: the finer one of the memory cgroup and
systemd's own. Where that says nothing, all processes of one session in it are a group; see `_says_nothing`.

What processes have together is no sum: after a fork each one's VmRSS counts the pages that both share. Where
there are forks the memory cgroup's own figure is taken, if the group has one; reading it takes some tens of
microseconds::

    memory.stat, version 1: rss 221802496, swap 0          version 2: anon 221802496, and memory.swap.current

Without it, of a process that runs its parent's program only that is counted which it has more than the
parent. That is too little where the child has written to what was its parent's (of 600 children in Python
that held 64 KiB each, a fifth), and never too much by what they share. Files and shared memory are not
counted.
"""

import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from memwatchd.actions.table import Process, ProcessTable, growth_of, unit_path, units_on
from memwatchd.errors import ParseError
from memwatchd.kernel.cgroups import find_cgroup
from memwatchd.kernel.directory import Directory
from memwatchd.procfs.cgroup import parse_flat_keyed, parse_value
from memwatchd.roots import Roots
from memwatchd.units import printable

_S = 1_000_000_000
_MAX_AGE_NS = _S // 2
# Logins by ssh or at a terminal: the shell, its jobs and sshd's own process are in one scope.
_LOGIN = re.compile(r"session-.+\.scope")


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What tells a group from the others.

    Attributes:
        path: Of the cgroup; empty without cgroups.
        session: Number of the session where the group is a part of its cgroup; None where it is all of it.
    """

    path: str
    session: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """All processes of a cgroup or session as of the last pass.

    Attributes:
        memory_bytes: What they have together, without files and shared memory.
        growth_bytes_per_s: Of what they have together; None while there is no earlier pass.
    """

    key: GroupKey
    processes: tuple[Process, ...]
    memory_bytes: int
    growth_bytes_per_s: float | None

    @property
    def name(self) -> str:
        """What a person calls it: a unit, the path of a cgroup, or whose session it is."""
        if self.key.session is not None:
            leader = next((each for each in self.processes if each.pid == self.key.session), None)
            return f"session {self.key.session}" if leader is None else f"the session of {leader.name}"
        last = self.key.path.rpartition("/")[2]
        return printable(last if units_on(last) else self.key.path)


class GroupTable:
    """The groups of a machine, and how fast they grow; thread-safe.

    Args:
        roots: Where the cgroups are.
        table: The processes.
        own_pids: The daemon's own; whatever shares its cgroup is told apart by session.
    """

    def __init__(self, roots: Roots, table: ProcessTable, own_pids: Callable[[], frozenset[int]]) -> None:
        self._roots = roots
        self._table = table
        self._own_pids = own_pids
        self._lock = threading.Lock()
        self._groups: tuple[Group, ...] = ()
        self._sizes: dict[GroupKey, deque[tuple[int, int]]] = {}
        self._seen_ns: int | None = None
        self._shared: frozenset[str] = frozenset()

    def refresh(self) -> None:
        """Take in the last pass over all processes; one that is older than half a second is made anew.

        Raises:
            OSError: /proc cannot be listed.
        """
        self.groups(_MAX_AGE_NS)

    def groups(self, max_age_ns: int) -> tuple[Group, ...]:
        """Give all groups, from a pass that is no older than this.

        Raises:
            OSError: /proc cannot be listed.
        """
        processes = self._table.processes(max_age_ns)
        with self._lock:
            passed_ns = self._table.passed_ns
            if passed_ns is not None and passed_ns != self._seen_ns:
                self._take(processes, passed_ns)
            return self._groups

    def key_of(self, process: Process) -> GroupKey:
        """Say which group a process is in."""
        path = _path_of(process)
        together = not (_says_nothing(path) or path in self._shared)
        return GroupKey(path, None if together else process.session)

    def _take(self, processes: Iterable[Process], passed_ns: int) -> None:
        init_and_own = {1} | self._own_pids()
        self._shared = frozenset(_path_of(each) for each in processes if each.pid in init_and_own)
        found: dict[GroupKey, list[Process]] = defaultdict(list)
        for process in processes:
            found[self.key_of(process)].append(process)
        self._sizes = {key: self._sizes.get(key) or self._begun() for key in found}
        for key, members in found.items():
            self._sizes[key].append((passed_ns, self._memory_bytes(key, members)))
        self._groups = tuple(
            Group(key, tuple(members), self._sizes[key][-1][1], growth_of(self._sizes[key]))
            for key, members in found.items()
        )
        self._seen_ns = passed_ns

    def _memory_bytes(self, key: GroupKey, members: list[Process]) -> int:
        has_forks = len(members) > 1 and any(each.forked for each in members)
        charged_bytes = None
        if has_forks and key.session is None and members[0].cgroup == key.path:
            charged_bytes = _charged_bytes(self._roots, members[0])
        return own_bytes(members) if charged_bytes is None else charged_bytes

    def _begun(self) -> deque[tuple[int, int]]:
        """What is known of a group that is new: there was nothing of it in the pass before."""
        before = [] if self._seen_ns is None else [(self._seen_ns, 0)]
        return deque(before, maxlen=16)


def own_bytes(processes: Collection[Process]) -> int:
    """What processes have together, without files and shared memory; what they share since a fork only once.

    Of those that have lost their parent, what the smallest one of the same name has is taken for shared.
    """
    by_pid = {process.pid: process for process in processes}
    orphans: dict[str, int] = {}
    for process in processes:
        if process.forked and process.ppid not in by_pid:
            least = orphans.get(process.comm, process.private_bytes)
            orphans[process.comm] = min(least, process.private_bytes)
    total = sum(orphans.values())
    for process in processes:
        inherited = 0
        if process.forked:
            parent = by_pid.get(process.ppid)
            inherited = orphans[process.comm] if parent is None else parent.private_bytes
        total += max(0, process.private_bytes - inherited)
    return total


def _charged_bytes(roots: Roots, process: Process) -> int | None:
    """What is charged to a process's memory cgroup but for files and shared memory; None where there is none.

    Of version 1 that is without the groups below, of version 2 with them.
    """
    for controller, names in (("memory", ("rss", "swap")), ("", ("anon",))):
        cgroup = find_cgroup(roots, process.memberships, controller, "memory.stat")
        if cgroup is None:
            continue
        try:
            with cgroup.open() as directory:
                stat = parse_flat_keyed(directory.read("memory.stat"))
                swap = 0 if controller else _swapped_bytes(directory)
        except (OSError, ParseError):
            continue  # removed meanwhile
        if names[0] in stat:
            return swap + sum(stat.get(name, 0) for name in names)
    return None


def _swapped_bytes(directory: Directory) -> int:
    try:
        return parse_value(directory.read("memory.swap.current")) or 0
    except FileNotFoundError:
        return 0  # swap is not accounted for


def _path_of(process: Process) -> str:
    """The finer one of the two cgroups that say what belongs together; version 2 has but one."""
    return max(process.cgroup, unit_path(process.memberships), key=_depth)


def _depth(path: str) -> int:
    return len([name for name in path.split("/") if name])


def _says_nothing(path: str) -> bool:
    """Whether what is in a cgroup has no more in common than that: the root, a slice, a login."""
    last = path.rpartition("/")[2]
    return not last or last.endswith(".slice") or _LOGIN.fullmatch(last) is not None
