"""The process table actions choose from: who has how much memory, read while there is time.

Read from ``stat``, ``status``, ``oom_score``, ``oom_score_adj`` and ``cgroup``, and from ``io`` where that is
asked for, none of which waits for the process's own mmap lock as ``cmdline``, ``environ`` and ``smaps`` do;
and once for each program the link ``exe``. Passing over all processes takes tens of milliseconds on a busy
machine, so the pass is made about once a second while a rule is armed, and at the moment of acting only the
few best candidates are read again.
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from memwatchd.errors import ParseError
from memwatchd.kernel.directory import Directory
from memwatchd.kernel.processes import Identity, open_process, read_stat
from memwatchd.procfs.cgroup import CgroupMembership, parse_cgroup_memberships
from memwatchd.procfs.process import ProcessStat, ProcessStatus, parse_status
from memwatchd.roots import Roots
from memwatchd.units import printable

_MS = 1_000_000
_S = 1000 * _MS
# Growth is told over this long, and not over less than the second.
_GROWTH_NS = 6 * _S
_SHORTEST_GROWTH_NS = 400 * _MS
# How many passes a pid is believed to be a kernel thread's still.
_BELIEVED_PASSES = 60

# include/linux/sched.h
_PF_EXITING, _PF_FORKNOEXEC = 0x4, 0x40
_PENDING = re.compile(rb"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)", re.MULTILINE)
_SIGKILL_BIT = 1 << 8
_WRITTEN = re.compile(rb"^wchar: (\d+)\n.*^write_bytes: (\d+)\n", re.MULTILINE | re.DOTALL)
_UNIT = re.compile(r".+\.(?:service|scope|slice|socket|mount|swap)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as of `read_ns`.

    Attributes:
        threads: Including the leader, even if that is a zombie.
        uid: The real one; `user` is its name in /etc/passwd.
        rss_bytes: Resident; of a leader that is a zombie, what its living threads have.
        private_bytes: Resident and swapped out, but for files and shared memory; before Linux 4.5 with them.
        forked: It runs its parent's program, and shares with it what neither has written to since.
        oom_score: What the OOM killer goes by; comparable within one kernel only.
        memberships: Its cgroups.
        exe: Path of its program without `` (deleted)``; None where it may not be read.
        dying: It has been killed, or is past the point of no return by itself.
        fd_size: Descriptors its table has room for, the power of two above the most it ever had.
        growth_bytes_per_s: Of `memory_bytes` over the last seconds; None for one not seen for long enough.
        writes_bytes_per_s: What it writes, but for what goes to disks; None where that is not read or known.
    """

    identity: Identity
    comm: str
    state: str
    ppid: int
    session: int
    threads: int
    uid: int
    user: str | None
    rss_bytes: int
    swap_bytes: int
    private_bytes: int
    forked: bool
    oom_score: int
    oom_score_adj: int
    memberships: tuple[CgroupMembership, ...]
    exe: str | None
    dying: bool
    fd_size: int
    growth_bytes_per_s: float | None
    writes_bytes_per_s: float | None = None
    read_ns: int

    @property
    def pid(self) -> int:
        """Its number."""
        return self.identity.pid

    @property
    def memory_bytes(self) -> int:
        """Resident and swapped out."""
        return self.rss_bytes + self.swap_bytes

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{printable(self.comm)} (pid {self.pid})"

    @property
    def cgroup(self) -> str:
        """Path of the cgroup its memory is charged to."""
        return memory_cgroup(self.memberships)

    @property
    def units(self) -> tuple[str, ...]:
        """The systemd units it is in, outermost first."""
        return units_on(unit_path(self.memberships))


def memory_cgroup(memberships: tuple[CgroupMembership, ...]) -> str:
    """Path of the memory cgroup, version 1 or 2; empty without cgroups."""
    return _path_of(memberships, "memory")


def unit_path(memberships: tuple[CgroupMembership, ...]) -> str:
    """Path of the cgroup that systemd made, where there is one; otherwise of the memory cgroup."""
    named = next((each.path for each in memberships if each.controllers == ("name=systemd",)), None)
    return named if named is not None else memory_cgroup(memberships)


def units_on(path: str) -> tuple[str, ...]:
    """The names of systemd units on a cgroup's path, outermost first."""
    return tuple(name for name in path.split("/") if _UNIT.fullmatch(name))


def _path_of(memberships: tuple[CgroupMembership, ...], controller: str) -> str:
    v1 = next((each.path for each in memberships if controller in each.controllers), None)
    return v1 if v1 is not None else next((each.path for each in memberships if not each.controllers), "")


@lru_cache(maxsize=1024)
def parsed_memberships(raw: bytes) -> tuple[CgroupMembership, ...]:
    """Parse /proc/PID/cgroup, remembering what many processes share; raises ParseError."""
    return parse_cgroup_memberships(raw)


@dataclass(slots=True)
class _Known:
    """What is remembered of a process from pass to pass."""

    comm: str
    exe: str | None
    sizes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=16))
    writes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=16))
    dying_since_ns: int | None = None


class ProcessTable:
    """All processes that could be a target; thread-safe.

    Args:
        roots: Where /proc is.
        now_ns: The monotonic clock.
        accounts: The file that gives users their names.
    """

    def __init__(self, roots: Roots, now_ns: Callable[[], int], accounts: Path = Path("/etc/passwd")) -> None:
        self._roots = roots
        self._now_ns = now_ns
        self._accounts = accounts
        # One pass at a time; and what is remembered of a process is touched by one thread at a time.
        self._passing, self._lock = threading.Lock(), threading.Lock()
        self._processes: tuple[Process, ...] = ()
        self._read_ns: int | None = None
        self._known: dict[Identity, _Known] = {}
        self._kernel_threads: set[int] = set()
        self._passes = 0
        self._users: dict[int, str] = {}
        self._users_mtime_ns = 0
        self._wants_writes = False

    def want_writes(self) -> None:
        """From now on read what processes write, too."""
        self._wants_writes = True

    def refresh(self, max_age_ns: int = 500 * _MS) -> None:
        """Read all processes anew, unless the last pass is younger than this.

        Raises:
            OSError: /proc itself cannot be listed.
        """
        self.processes(max_age_ns)

    def processes(self, max_age_ns: int) -> tuple[Process, ...]:
        """Give all processes but kernel threads, from a pass that is no older than this.

        Raises:
            OSError: /proc itself cannot be listed.
        """
        # Whoever is content with what there is does not wait for a pass that is under way.
        if not self._is_fresh(max_age_ns):
            with self._passing:
                if not self._is_fresh(max_age_ns):
                    self._pass()
        return self._processes

    @property
    def passed_ns(self) -> int | None:
        """When the last pass ended; None before the first."""
        return self._read_ns

    def newcomers(self, seen: Collection[int]) -> list[Process]:
        """Read those whose pids are not among these: at most a few, so it is no pass.

        Raises:
            OSError: /proc cannot be listed.
        """
        found = (self.read(pid) for pid in set(list_pids(self._roots)) - self._kernel_threads - set(seen))
        return [process for process in found if process is not None]

    def _is_fresh(self, max_age_ns: int) -> bool:
        return self._read_ns is not None and self._now_ns() - self._read_ns <= max_age_ns

    def read(self, pid: int) -> Process | None:
        """Read one process, whether or not it was in the last pass; None when there is none to be hit."""
        with self._lock:
            return self._try(pid)

    def again(self, process: Process) -> Process | None:
        """Read one process once more; None when it is gone or its pid another's."""
        with self._lock:
            try:
                with open_process(self._roots, process.identity) as directory:
                    return self._read(process.pid, directory)
            except (OSError, ParseError, ValueError):
                return None

    def dying_for_ns(self, process: Process) -> int:
        """How long a process has been seen dying."""
        known = self._known.get(process.identity)
        since_ns = known.dying_since_ns if known is not None else None
        return 0 if since_ns is None else self._now_ns() - since_ns

    def _pass(self) -> None:
        self._read_users()
        self._passes += 1
        if self._passes % _BELIEVED_PASSES == 0:
            self._kernel_threads.clear()
        there = list_pids(self._roots)
        self._kernel_threads.intersection_update(there)
        found = [self.read(pid) for pid in there if pid not in self._kernel_threads]
        self._processes = tuple(process for process in found if process is not None)
        self._read_ns = self._now_ns()
        alive = {process.identity for process in self._processes}
        with self._lock:
            self._known = {identity: known for identity, known in self._known.items() if identity in alive}

    def _try(self, pid: int) -> Process | None:
        try:
            with Directory.open(f"{self._roots.procfs}/{pid}") as directory:
                return self._read(pid, directory)
        except (OSError, ParseError, ValueError):
            return None  # it ended while it was read

    def _read(self, pid: int, directory: Directory) -> Process | None:
        stat = read_stat(directory)
        if stat.is_kernel_thread:
            self._kernel_threads.add(pid)
            return None
        raw = directory.read("status")
        status = parse_status(raw)
        if stat.state == "Z" and stat.num_threads > 1:
            status = _of_living_thread(directory, pid) or status
        identity = Identity(pid, stat.starttime_ticks)
        known = self._remember(identity, stat.comm, directory)
        now_ns = self._now_ns()
        rss_bytes, swap_bytes = status.vm_rss_bytes or 0, status.vm_swap_bytes or 0
        known.sizes.append((now_ns, rss_bytes + swap_bytes))
        dying = _is_dying(stat, raw)
        known.dying_since_ns = (known.dying_since_ns or now_ns) if dying else None
        if self._wants_writes:
            _note_writes(directory, now_ns, known.writes)
        return Process(
            identity=identity,
            comm=stat.comm,
            state=stat.state,
            ppid=stat.ppid,
            session=stat.session,
            threads=stat.num_threads,
            uid=status.uid,
            user=self._users.get(status.uid),
            rss_bytes=rss_bytes,
            swap_bytes=swap_bytes,
            private_bytes=(rss_bytes if status.rss_anon_bytes is None else status.rss_anon_bytes)
            + swap_bytes,
            forked=bool(stat.flags & _PF_FORKNOEXEC),
            oom_score=int(directory.read("oom_score")),
            oom_score_adj=int(directory.read("oom_score_adj")),
            memberships=parsed_memberships(directory.read("cgroup")),
            exe=known.exe,
            dying=dying,
            fd_size=status.fd_size or 0,
            growth_bytes_per_s=growth_of(known.sizes),
            writes_bytes_per_s=growth_of(known.writes) if known.writes else None,
            read_ns=now_ns,
        )

    def _remember(self, identity: Identity, comm: str, directory: Directory) -> _Known:
        """What is known of a process; the link is read anew when the name says that there was an exec."""
        known = self._known.get(identity)
        if known is None or known.comm != comm or known.exe is None:
            before = known
            known = self._known[identity] = _Known(comm, read_exe(directory))
            if before is not None:
                known.sizes, known.dying_since_ns = before.sizes, before.dying_since_ns
                known.writes = before.writes
        return known

    def _read_users(self) -> None:
        """Read the names of users, when there are new ones; no other source, for those may not answer."""
        with suppress(OSError):
            mtime_ns = self._accounts.stat().st_mtime_ns
            if mtime_ns != self._users_mtime_ns:
                self._users = _parse_accounts(self._accounts.read_bytes())
                self._users_mtime_ns = mtime_ns


def list_pids(roots: Roots) -> list[int]:
    """All processes there are now.

    Raises:
        OSError: /proc cannot be listed.
    """
    with Directory.open(roots.procfs) as directory:
        return [int(name) for name in directory.names() if name.isascii() and name.isdigit()]


def read_exe(directory: Directory) -> str | None:
    """Path of a process's program; None where it may not be read, or there is none any more."""
    try:
        return directory.link("exe").removesuffix(" (deleted)")
    except OSError:
        return None


def _note_writes(directory: Directory, now_ns: int, writes: deque[tuple[int, int]]) -> None:
    """Note what a process has written so far, but for what dirtied pages of a disk.

    It stays out where the kernel does not account for it, or may not tell us.
    """
    try:
        found = _WRITTEN.search(directory.read("io"))
    except (FileNotFoundError, PermissionError):
        return
    if found is not None:
        writes.append((now_ns, int(found[1]) - int(found[2])))


def has_live_thread(state: str, threads: int) -> bool:
    """Whether a process is more than a zombie."""
    return state not in "ZXx" or threads > 1


def _of_living_thread(directory: Directory, pid: int) -> ProcessStatus | None:
    """The status of a thread that lives on after its leader: that one shows no memory any more."""
    with suppress(OSError, ParseError), Directory.open("task", directory) as tasks:
        for name in tasks.below():
            if name != str(pid):
                return parse_status(tasks.read(f"{name}/status"))
    return None


def _is_dying(stat: ProcessStat, status: bytes) -> bool:
    if not has_live_thread(stat.state, stat.num_threads):
        return True
    if stat.flags & _PF_EXITING and stat.num_threads <= 1:
        return True
    return any(int(mask, 16) & _SIGKILL_BIT for mask in _PENDING.findall(status))


def growth_of(sizes: deque[tuple[int, int]]) -> float | None:
    """How fast something grows, by moments in ns and bytes then; None while that is not known.

    Moments that are too old are dropped, unless there would be nothing left to compare with: while all is
    well passes are far apart.
    """
    last_ns, last_bytes = sizes[-1]
    while sizes[0][0] < last_ns - _GROWTH_NS and sizes[1][0] <= last_ns - _SHORTEST_GROWTH_NS:
        sizes.popleft()
    first_ns, first_bytes = sizes[0]
    if last_ns - first_ns < _SHORTEST_GROWTH_NS:
        return None
    return (last_bytes - first_bytes) * _S / (last_ns - first_ns)


def _parse_accounts(text: bytes) -> dict[int, str]:
    fields = (line.split(b":") for line in text.splitlines())
    return {
        int(field[2]): field[0].decode("utf-8", "surrogateescape")
        for field in fields
        if len(field) > 2 and field[2].isdigit()
    }
