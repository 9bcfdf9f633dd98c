"""What may stand under ``select``: which processes are meant, and which of them comes first."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from memwatchd.actions.base import World
from memwatchd.actions.table import Process
from memwatchd.kernel.processes import CAP_SYS_PTRACE, has_capability, same_numbers
from memwatchd.keys import Kind, key
from memwatchd.units import format_bytes

_COMM_BYTES = 15
_WILD = re.compile(r"[*?[]")

UNTOUCHABLE_ADJ = -1000
_UNITS_BY = {
    "oom_score": "",
    "rss": "bytes",
    "swap": "bytes",
    "memory": "bytes",
    "growth": "bytes/s",
    "open_files": "",
    "writes": "bytes/s",
}
# Who has never had so many open keeps too little of the kernel's memory in use to be blamed: 4 MiB or so.
_MANY_FILES = 4096
# Who writes less fills nothing: log lines, answers to clients.
_MUCH_WRITTEN_BYTES_PER_S = 1 << 20

Spare = Callable[[Process], str | None]


def _globs(name: str, doc: str, example: str) -> dict[str, object]:
    return dict(key(name, Kind.WORDS, doc, example=example, maximum=256))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which processes or groups of them, and which of them first.

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
    each: str = field(
        default="process",
        metadata=key(
            "each",
            Kind.CHOICE,
            "What is compared and hit: a process; a group, which is all processes of a cgroup, or of a "
            "session where the cgroup is the root, a slice or a login; or either: the group where it has "
            "more than twice as much as any process, and none of its own has half of it.",
            example="process",
            choices=("process", "group", "either"),
        ),
    )
    by: str = field(
        default="oom_score",
        metadata=key(
            "by",
            Kind.CHOICE,
            "Which one comes first: the one the kernel's OOM killer would take, the one with the most "
            "resident memory, swap, or both, the one that grows fastest, or, of those that ever had some "
            "thousands, the one with room for the most open files and sockets, which keep the kernel's own "
            "memory in use; or, by writes, of those that write a MiB a second or more elsewhere than to "
            "disks, the one that writes most: into a tmpfs it would be. Of groups what is shared with a "
            "parent is not counted, nor are files; by oom_score, open_files and writes the sum counts.",
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
            "Leave alone what has less than this, resident and swapped out; of a group, all of it together.",
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
            "How many processes are hit at once at most; of groups it is always one.",
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
            "open_files": process.fd_size,
            "writes": process.writes_bytes_per_s or 0,
        }
        return sizes[self.by]

    def spares(self, process: Process) -> str | None:
        """Why a process is left alone although it would have its turn; None when it is not."""
        if self.by == "open_files" and process.fd_size <= _MANY_FILES:
            return f"has never had {_MANY_FILES} files open"
        if self.by == "writes" and (process.writes_bytes_per_s or 0) < _MUCH_WRITTEN_BYTES_PER_S:
            return "writes little, or to disks"
        return self.spares_name(process) or self.spares_size(process.memory_bytes, process.growth_bytes_per_s)

    def spares_name(self, process: Process) -> str | None:
        """Why a process is left alone whatever it has; None when it is not."""
        if any(matches_any(glob, process) for glob in self.never):
            return "is on the list of those never hit"
        return None

    def spares_size(self, memory_bytes: int, growth_bytes_per_s: float | None) -> str | None:
        """Why a process or group that has so much is left alone; None when it is not."""
        if memory_bytes < self.min_size_bytes:
            return f"has less than {format_bytes(self.min_size_bytes)}"
        if self.by == "growth" and growth_bytes_per_s is not None and growth_bytes_per_s <= 0:
            return "does not grow"
        return None

    def prefers(self, process: Process) -> bool:
        """Whether a process comes before all others."""
        return any(matches_any(glob, process) for glob in self.prefer)

    def prepare(self, world: World) -> None:
        """Keep what is chosen from fresh, while there is time.

        Raises:
            OSError: /proc cannot be listed.
        """
        if self.by == "writes":
            world.table.want_writes()
        world.table.refresh()
        if self.each != "process":
            world.groups.refresh()

    def missing(self, world: World) -> Iterable[str]:
        """Say what choosing needs and does not have."""
        if not same_numbers(world.roots):
            yield f"{world.roots.procfs}: belongs to another pid namespace: no process can be hit"
        if (self.exe or self.prefer or self.never) and not has_capability(CAP_SYS_PTRACE):
            yield "/proc/PID/exe: Permission denied (CAP_SYS_PTRACE): other users' programs match no path"
        if self.by == "writes" and not has_capability(CAP_SYS_PTRACE):
            yield "/proc/PID/io: Permission denied (CAP_SYS_PTRACE): what others write is not known"


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
