"""A made-up machine for actions on processes, and real children on the real one.

Made-up pids are beyond the kernel's largest, so that nothing can ever reach a real process.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from memwatchd.actions.base import Occasion, World
from memwatchd.actions.changes import Changes
from memwatchd.kernel.processes import Identity
from memwatchd.roots import Roots

S = 1_000_000_000
MIB = 1 << 20
PF_EXITING, PF_KTHREAD = 0x4, 0x00200000
# The largest pid_max is 4194304.
FAR = 5_000_000
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/unified")
FREEZER = Path("/sys/fs/cgroup/freezer")


@dataclass
class Silent:
    """Outlets that keep what they are told."""

    lines: list[str] = field(default_factory=list)

    def note(self, level: str, message: str, **_fields: object) -> None:
        self.lines.append(f"{level}: {message}")

    def dump(self, detail: str) -> None:
        self.lines.append(detail)

    def run_hook(self, _program: str, _environment: Mapping[str, str], _budget_ns: int) -> int | None:
        return None


class Scene:
    """A /proc and a cgroup tree of files, and a clock that stands still."""

    def __init__(self, directory: Path) -> None:
        self.now_ns = 100 * S
        self.proc = directory / "proc"
        self.cgroups = directory / "cgroup"
        for path in (self.proc, self.cgroups):
            path.mkdir()
        (self.proc / "self").symlink_to(str(os.getpid()))
        self.own: set[int] = {os.getpid()}
        self.world = World(
            roots=Roots(procfs=self.proc, cgroupfs=self.cgroups),
            changes=Changes(directory / "changes"),
            outlets=Silent(),
            own_pids=lambda: frozenset(self.own),
            now_ns=lambda: self.now_ns,
        )

    def process(
        self,
        pid: int,
        comm: bytes = b"java",
        *,
        state: str = "S",
        ppid: int = 1,
        session: int | None = None,
        flags: int = 0x400000,
        threads: int = 1,
        start_ticks: int = 1000,
        uid: int = 33,
        rss_mib: int | None = 10,
        swap_mib: int = 0,
        oom_score: int = 600,
        adj: int = 0,
        cgroup: bytes = b"0::/system.slice/app.service\n",
        exe: str | None = None,
        pending: int = 0,
        fd_size: int = 64,
        wrote_mib: tuple[int, int] = (0, 0),
    ) -> None:
        """Add a process, or change one; it wrote so much at all, and so much of it to disks."""
        home = self.proc / str(pid)
        home.mkdir(exist_ok=True)
        (home / "stat").write_bytes(
            b"%d (%s) %s %d %d %d 0 -1 %d 9 0 1 0 30 12 0 0 20 0 %d 0 %d 5000000 512 18446744 1 1 0 0 0\n"
            % (
                pid,
                comm,
                state.encode(),
                ppid,
                pid,
                pid if session is None else session,
                flags,
                threads,
                start_ticks,
            )
        )
        (home / "status").write_bytes(
            status(pid, comm, state, ppid, uid, rss_mib, swap_mib, threads, pending, fd_size)
        )
        (home / "oom_score").write_bytes(b"%d\n" % oom_score)
        (home / "oom_score_adj").write_bytes(b"%d\n" % adj)
        (home / "cgroup").write_bytes(cgroup)
        (home / "io").write_bytes(
            b"rchar: 5\nwchar: %d\nsyscr: 9\nsyscw: 9\nread_bytes: 0\nwrite_bytes: %d\n"
            b"cancelled_write_bytes: 0\n" % tuple(mib * MIB for mib in wrote_mib)
        )
        if exe is not None:
            (home / "exe").unlink(missing_ok=True)
            (home / "exe").symlink_to(exe)

    def thread(self, pid: int, tid: int, rss_mib: int) -> None:
        """Add a thread of a process."""
        home = self.proc / str(pid) / "task" / str(tid)
        home.mkdir(parents=True)
        (home / "status").write_bytes(status(tid, b"worker", "S", 1, 33, rss_mib, 0, 2, 0))

    def end(self, pid: int) -> None:
        """Remove a process."""
        for path in sorted((self.proc / str(pid)).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        (self.proc / str(pid)).rmdir()

    def adj(self, pid: int) -> int:
        """What a process's oom_score_adj is."""
        return int((self.proc / str(pid) / "oom_score_adj").read_text())

    def group(self, path: str, *pids: int, **files: str) -> Path:
        """Make a cgroup of version 2; two underscores in a name of a file stand for a dot."""
        directory = self.cgroups / path.strip("/")
        directory.mkdir(parents=True)
        (directory / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        for name, text in files.items():
            (directory / name.replace("__", ".")).write_text(text)
        return directory


def status(
    pid: int,
    comm: bytes,
    state: str,
    ppid: int,
    uid: int,
    rss_mib: int | None,
    swap_mib: int,
    threads: int,
    pending: int,
    fd_size: int = 64,
) -> bytes:
    """A /proc/PID/status."""
    name = comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    sizes = b"" if rss_mib is None else b"VmRSS:\t%d kB\nVmSwap:\t%d kB\n" % (rss_mib << 10, swap_mib << 10)
    return (
        b"Name:\t%s\nState:\t%s (any)\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\nUid:\t%d\t%d\t%d\t%d\nFDSize:\t%d\n%s"
        b"Threads:\t%d\nSigPnd:\t%016x\nShdPnd:\t%016x\n"
        % (name, state.encode(), pid, pid, ppid, uid, uid, uid, uid, fd_size, sizes, threads, 0, pending)
    )


def real_world(directory: Path) -> World:
    """This machine, with changes noted in a directory."""
    return World(
        roots=Roots(),
        changes=Changes(directory / "changes"),
        outlets=Silent(),
        own_pids=lambda: frozenset({os.getpid()}),
        now_ns=time.monotonic_ns,
    )


def occasion(world: World, seconds: float = 20, rule: str = "test") -> Occasion:
    """A reason to act, and so much time for it."""
    return Occasion(rule, "because", world.now_ns() + int(seconds * S))


_PRELUDE = """
import ctypes, os, signal, sys, threading, time
with open("/proc/self/comm", "w") as comm:
    comm.write(sys.argv[1])
def ready():
    print("ready", flush=True)
"""
OBEDIENT = _PRELUDE + "ready()\nsys.stdin.read()\n"
STUBBORN = _PRELUDE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nready()\nsys.stdin.read()\n"
# The leader ends and leaves a thread behind; ctypes lets go of the GIL before it does.
LEADERLESS = (
    _PRELUDE
    + """
held = bytearray(b"x") * (24 << 20)
threading.Thread(target=sys.stdin.read).start()
number = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
ready()
ctypes.CDLL(None).syscall(number, 0)
"""
)
# Has a child of the same name as soon as it is told to, says its pid, and ends with it.
FORKING = (
    _PRELUDE
    + """
ready()
sys.stdin.readline()
pid = os.fork()
if pid:
    print(pid, flush=True)
sys.stdin.read()
"""
)


@dataclass
class Child:
    """A real process of ours.

    Attributes:
        comm: A name no other process has.
    """

    process: subprocess.Popen[bytes]
    comm: str

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def identity(self) -> Identity:
        raw = Path(f"/proc/{self.pid}/stat").read_bytes()
        return Identity(self.pid, int(raw.rpartition(b")")[2].split()[19]))

    def state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()

    def adj(self) -> int:
        return int(Path(f"/proc/{self.pid}/oom_score_adj").read_text())

    def tell(self) -> int:
        """Send it a line, and read the number it answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def join(self, group: Path) -> "Child":
        """Move it into a cgroup."""
        (group / "cgroup.procs").write_text(str(self.pid))
        return self


Start = Callable[..., Child]


@contextmanager
def children() -> Iterator[Start]:
    """Start children in sessions of their own; at the end none is left."""
    started: list[Child] = []

    def start(script: str = OBEDIENT, comm: str | None = None) -> Child:
        name = comm if comm is not None else f"mwd-{secrets.token_hex(4)}"
        process = subprocess.Popen(
            [sys.executable, "-c", script, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(Child(process, name))
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return started[-1]

    try:
        yield start
    finally:
        for child in started:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.process.kill()
            child.process.wait()
            for pipe in (child.process.stdin, child.process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()


@contextmanager
def real_group(hierarchy: Path) -> Iterator[Path]:
    """A cgroup of ours; whatever is still in it at the end is killed."""
    group = hierarchy / f"memwatchd-test-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made in {hierarchy}: {error.strerror}")
    try:
        yield group
    finally:
        deadline_s = time.monotonic() + 20
        while True:
            try:
                group.rmdir()
                break
            except OSError:
                if time.monotonic() > deadline_s:
                    raise
            for pid in map(int, (group / "cgroup.procs").read_text().split()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if (group / "freezer.state").exists():
                (group / "freezer.state").write_text("THAWED")
            if (group / "cgroup.freeze").exists():
                (group / "cgroup.freeze").write_text("0")
            with suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.01)
