"""Running the real daemon on this kernel, provoking real kills, and leaving nothing behind.

Test runs on one machine must not disturb each other: directories are named anew each time, and because every
daemon on the machine records every kill, live tests take turns by way of a lock in /dev/shm.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.store import all_paths
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, open_ring
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import Moment, moments

DEADLINE_S = 45.0
LIMIT_BYTES = 64 << 20
PROGRAM = [sys.executable, "-m", "memwatchd"]

# Small rings and a short aftermath: what is tested does not depend on them, and the tests are over sooner.
# The black box has tests of its own; it would hold a file open on disks that others want to make read-only.
QUICK: dict[str, Any] = {
    "black_box": {"enabled": False},
    "ring": {"size": "1MiB"},
    "incidents": {"before": "5s", "after": "1s", "merge_limit": "10s"},
}

# Takes a name and eats memory when it is told to, one line each on standard input; as fast as it can, or
# so many MiB a second.
_EATER = """
import sys, time
with open("/proc/self/comm", "wb") as comm:
    comm.write(bytes.fromhex(sys.stdin.readline()))
print("ready", flush=True)
rate = float(sys.stdin.readline() or 0)
eaten, began_s = [], time.monotonic()
while True:
    eaten.append(bytearray(b"\\1") * (1 << 20))
    if rate:
        time.sleep(max(0.0, began_s + len(eaten) / rate - time.monotonic()))
"""


def wait_for(condition: Callable[[], Any], what: str, context: Callable[[], str] = lambda: "") -> Any:
    """Wait until something is true, and return it; the deadline is there for a hang, not as a measurement."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"waited {DEADLINE_S:g} s in vain for {what}\n{context()}")
        time.sleep(0.02)
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie nobody has waited for has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def run_cli(*arguments: object, timeout_s: float = 60.0) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the program to its end."""
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)


def said_in_one_line(result: subprocess.CompletedProcess[bytes], status: int) -> str:
    """Check that a command failed as it should: this status, one line on stderr, nothing else."""
    said = result.stderr.decode()
    assert "Traceback" not in said, said
    assert (result.returncode, said.count("\n")) == (status, 1), said
    assert said.startswith("memwatchd: ")
    assert result.stdout == b""
    return said


@dataclass
class Daemon:
    """A running daemon.

    Attributes:
        program: How to start it; another interpreter for another user.
    """

    places: Places
    log_path: Path
    arguments: list[str] = field(default_factory=list)
    program: list[str] = field(default_factory=lambda: list(PROGRAM))
    user: int | None = None
    process: subprocess.Popen[bytes] | None = None

    # ---- running it

    def start(self) -> "Daemon":
        """Start it without waiting for anything."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.program, "run", *self.where, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )
        return self

    def wait_until_sampling(self, ticks: int = 20) -> "Daemon":
        """Wait until the sampler of this very run has made so many ticks."""

        def sampling() -> bool:
            state = self.state()
            return state.get("pid") == self.pid and state["sampling"]["ticks"] >= ticks and self.warm()

        self.wait_for(sampling, "the daemon to sample")
        return self

    def stop(self) -> int:
        """End it in good order; returns its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """End the service at once, without giving it any chance."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait_until_dead(self, pids: list[int]) -> None:
        """Wait until these processes, its children, have ended by themselves."""
        wait_for(lambda: all(gone(pid) for pid in pids), f"the end of {pids}", self.log)

    def clean_up(self) -> None:
        """End whatever is left of it, whoever its parent is by now."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.survivors():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def survivors(self) -> list[int]:
        """Other processes that have this daemon's ring mapped, or its directory in their arguments."""
        needle = os.fsencode(self.places.runtime_dir)
        found = []
        for pid in psutil.pids():
            if pid == os.getpid():
                continue
            with suppress(OSError):
                directory = Path(f"/proc/{pid}")
                if (
                    needle in (directory / "maps").read_bytes()
                    or needle in (directory / "cmdline").read_bytes()
                ):
                    found.append(pid)
        return found

    # ---- asking it

    @property
    def where(self) -> list[str]:
        """Arguments that say where its directories are."""
        return [
            "--runtime-dir",
            str(self.places.runtime_dir),
            "--state-dir",
            str(self.places.state_dir),
        ]

    @property
    def pid(self) -> int:
        """Pid of the service."""
        assert self.process is not None
        return self.process.pid

    def cli(self, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        """Run a command about this daemon; its directories are added."""
        return run_cli(*arguments, *self.where)

    def state(self) -> dict[str, Any]:
        """What state.json says; empty as long as there is none."""
        try:
            state: dict[str, Any] = json.loads(self.places.state.read_bytes())
        except OSError:
            return {}
        return state

    def status(self) -> dict[str, Any]:
        """What ``status --json`` says."""
        result = self.cli("status", "--json")
        assert result.returncode == 0, result.stderr.decode()
        status: dict[str, Any] = json.loads(result.stdout)
        return status

    def log(self) -> str:
        """Everything it has written so far."""
        return self.log_path.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until something is true; the daemon must not end meanwhile."""

        def checked() -> Any:
            assert self.process is not None
            found = condition()
            if not found and self.process.poll() is not None:
                pytest.fail(f"the daemon ended with {self.process.returncode} before {what}\n{self.log()}")
            return found

        return wait_for(checked, what, self.log)

    # ---- its recordings

    def ring(self) -> RingMap:
        """Its samples."""
        return open_ring(self.places.ring)

    def warm(self) -> bool:
        """Whether the sampler is past its warm-up."""
        with suppress(MemwatchdError):
            return self.ring().figures()[Slot.WARM] == 1
        return False

    def ticks(self) -> int:
        """Ticks so far, missed ones included."""
        figures = self.ring().figures()
        return figures[Slot.TICKS] + figures[Slot.MISSED]

    def wait_for_ticks(self, count: int) -> None:
        """Wait until so many more ticks were made."""
        wanted = self.ticks() + count
        self.wait_for(lambda: self.ticks() >= wanted, f"{count} more ticks")

    def last_moment(self) -> Moment | None:
        """The newest sample in the ring."""
        last: Moment | None = None
        for moment in moments(read_segments(self.ring())):
            last = moment
        return last

    def incidents(self, kind: str | None = None) -> list[Incident]:
        """All incidents, or those of a kind, in their proper place and waiting, oldest first."""
        found = []
        for path in all_paths([self.places.incidents, self.places.pending]):
            with suppress(MemwatchdError):  # moved or renamed since it was listed
                found.append(open_incident(path))
        return [each for each in found if kind in (None, each.meta["trigger"]["kind"])]

    def wait_for_incident(self, kind: str) -> Incident:
        """Wait for the one incident of a kind."""
        self.wait_for(lambda: self.incidents(kind), f"an incident of kind {kind}")
        (incident,) = self.incidents(kind)
        return incident

    def incident_of(self, pid: int, *, complete: bool = True) -> Incident | None:
        """The incident that tells of the kill of this process."""
        for incident in self.incidents():
            pids = [kill["pid"] for kill in incident.meta["kills"]]
            if pid in pids and (incident.complete or not complete):
                return incident
        return None

    def wait_for_incident_of(self, pid: int) -> Incident:
        """Wait for a kill's incident and its aftermath."""
        found: Incident = self.wait_for(lambda: self.incident_of(pid), f"the incident about pid {pid}")
        return found

    def dump(self) -> Incident:
        """Have an incident written now."""
        result = self.cli("dump")
        assert result.returncode == 0, f"{result.stderr.decode()}\n{self.log()}"
        return open_incident(Path(result.stdout.decode().strip()))


StartDaemon = Callable[..., Daemon]


@pytest.fixture(autouse=True)
def _alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run live tests one at a time on this machine, whoever else runs them."""
    if request.node.get_closest_marker("live") is None:
        yield
        return
    try:
        lock = os.open("/dev/shm/memwatchd-test.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield  # another user's lock, or no /dev/shm
        return
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
    os.close(lock)


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A runtime directory of our own, in memory."""
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm on this machine")
    path = Path(tempfile.mkdtemp(prefix="memwatchd-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_daemon(runtime_dir: Path, tmp_path: Path) -> Iterator[StartDaemon]:
    """Describe a daemon that is not started yet: its configuration, and more arguments."""
    made: list[Daemon] = []

    def make(config: dict[str, Any] | None = None, *arguments: str, exporter: bool = False) -> Daemon:
        path = tmp_path / "config.yaml"
        # What runs on this machine is nobody's to protect, unless a test says so.
        config = {"protect": {"enabled": False}, **(QUICK if config is None else config)}
        if exporter:
            config = {**config, "exporter": {"listen": f"127.0.0.1:{free_port()}"}}
        path.write_text(yaml.safe_dump(config))
        more = ["--config", str(path), *arguments, *([] if exporter else ["--no-exporter"])]
        daemon = Daemon(Places(runtime_dir, tmp_path / "state"), tmp_path / "log", more)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.clean_up()


@pytest.fixture
def start_daemon(make_daemon: StartDaemon) -> StartDaemon:
    """Start a daemon and wait until it samples."""

    def start(config: dict[str, Any] | None = None, *arguments: str, exporter: bool = False) -> Daemon:
        daemon: Daemon = make_daemon(config, *arguments, exporter=exporter)
        return daemon.start().wait_until_sampling()

    return start


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Eater:
    """A process in a cgroup of its own that waits for the word to eat until the kernel kills it."""

    process: subprocess.Popen[bytes]
    cgroup: Path
    cgroup_name: str

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.pid

    def eat(self) -> None:
        """Let it eat, and wait for its death by the kernel's hand."""
        self.begin()
        assert self.process.wait(DEADLINE_S) == -signal.SIGKILL

    def begin(self, mib_per_s: float = 0) -> None:
        """Let it eat, as fast as it can or at a rate."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"%g\n" % mib_per_s)
        self.process.stdin.flush()


MakeEater = Callable[..., Eater]


@pytest.fixture
def make_eater() -> Iterator[MakeEater]:
    """Make processes that the kernel will kill when they are told to eat."""
    if os.geteuid() != 0:
        pytest.skip("making a memory cgroup needs root")
    if not Path("/dev/kmsg").exists():
        pytest.skip("there is no /dev/kmsg here")
    root = _memory_root()
    made: list[Eater] = []

    def make(name: bytes = b"eater", limit_bytes: int = LIMIT_BYTES) -> Eater:
        cgroup = Path(tempfile.mkdtemp(prefix=f"memwatchd-test-{os.getpid()}-", dir=root))
        for file, value in _limits(cgroup, limit_bytes):
            (cgroup / file).write_text(value)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _EATER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nobody freezes what is in his own session.
            start_new_session=True,
        )
        made.append(eater := Eater(process, cgroup, f"/{cgroup.name}"))
        (cgroup / "cgroup.procs").write_text(str(process.pid))
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(name.hex().encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        return eater

    yield make
    for eater in made:
        _clean_up(eater)


def _clean_up(eater: Eater) -> None:
    eater.process.kill()
    eater.process.wait()
    for pipe in (eater.process.stdin, eater.process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    for _ in range(100):
        try:
            eater.cgroup.rmdir()
            return
        except OSError:  # what was just killed may keep it busy for a moment
            time.sleep(0.05)


def _memory_root() -> Path:
    """Where memory cgroups are made, v2 or v1; skips where there are none."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").is_file():
        try:
            (root / "cgroup.subtree_control").write_text("+memory")
        except OSError as error:
            pytest.skip(f"the memory controller cannot be enabled for child cgroups: {error.strerror}")
        return root
    if not (root / "memory" / "memory.limit_in_bytes").is_file():
        pytest.skip("no memory cgroup controller is mounted here")
    if not os.access(root / "memory", os.W_OK):
        pytest.skip("no memory cgroup can be made here")
    return root / "memory"


def _limits(cgroup: Path, limit_bytes: int) -> list[tuple[str, str]]:
    limits = [
        ("memory.max", str(limit_bytes)),
        ("memory.swap.max", "0"),
        ("memory.limit_in_bytes", str(limit_bytes)),
        ("memory.swappiness", "0"),
    ]
    return [(file, value) for file, value in limits if (cgroup / file).exists()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 12 MiB mounted where the state directory will be."""
    directory = tmp_path / "state"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "memwatchd-test", str(directory)]
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {result.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)
