"""Doing something to the real daemon, or to what it reads, and comparing what follows with docs/faults.md.

A fault that needs a machine of its own is done in a mount namespace of the daemon's own, with rights taken
from it alone, or to a /proc made of files: nothing outside notices.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from tests.conftest import FIXTURES
from tests.service.conftest import (
    Daemon,
    _alone,
    make_daemon,
    make_eater,
    runtime_dir,
    start_daemon,
)

from memwatchd.sampling.plan import SOURCE_PATHS

__all__ = ["_alone", "make_daemon", "make_eater", "runtime_dir", "start_daemon"]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
_MACHINE = FIXTURES / "debian12-6.18" / "proc"


# ---- what the document says


@dataclass(frozen=True)
class Row:
    """One fault of docs/faults.md.

    Attributes:
        said: Sentences of `status` and the log, as patterns: "…" stands for anything.
        tests: Names of the tests that show it, those of other directories with their file.
    """

    fault: str
    happens: str
    said: tuple[re.Pattern[str], ...]
    tests: tuple[str, ...]


def document_rows() -> list[Row]:
    """The table of docs/faults.md."""
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return [
        Row(fault, happens, tuple(map(_pattern, _quoted(said))), tuple(_quoted(tests)))
        for fault, happens, said, tests in cells
        if fault != "fault"
    ]


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in sentence.split("…")))


@dataclass(frozen=True)
class Told:
    """What the document says of the fault that a test does."""

    row: Row

    def check(self, daemon: Daemon) -> None:
        """Wait until `status` says it, and see that the log does, and the next incident."""
        for pattern in self.row.said:
            daemon.wait_for(partial(self._found, pattern, daemon), pattern.pattern)
            lines = daemon.log().splitlines()
            assert any(pattern.search(line) and "degraded: " in line for line in lines), pattern.pattern
        degraded = daemon.dump().meta["degraded"]
        assert all(any(map(pattern.fullmatch, degraded)) for pattern in self.row.said), degraded

    @staticmethod
    def _found(pattern: re.Pattern[str], daemon: Daemon) -> bool:
        return any(map(pattern.fullmatch, daemon.state().get("degraded", [])))


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Told:
    """The row of docs/faults.md that names this test."""
    name = request.node.originalname
    (row,) = [row for row in document_rows() if name in row.tests]
    return Told(row)


# ---- other conditions for a daemon


def private_mounts(*commands: str) -> list[str]:
    """What a daemon is started with so that these mounts are there for it alone, or skips."""
    begin = ["unshare", "--mount", "--propagation", "private"]
    script = " && ".join([*commands, 'exec "$@"'])
    probe = _probe([*begin, "sh", "-c", script, "sh", "true"])
    if probe is not None:
        pytest.skip(f"no mounts of its own for a process here: {probe}")
    return [*begin, "sh", "-c", script, "sh"]


def without_rights(*names: str, limits: tuple[str, ...]) -> list[str]:
    """What a daemon is started with so that it lacks these capabilities, and has these limits instead."""
    drop = ",".join(f"-{name}" for name in names)
    prefix = ["prlimit", *limits, "setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"]
    probe = _probe([*prefix, "true"])
    if probe is not None:
        pytest.skip(f"rights cannot be taken from a process here: {probe}")
    return prefix


def _probe(command: list[str]) -> str | None:
    """Why a command does not work here; None when it does."""
    if os.geteuid() != 0:
        return "it needs root"
    if shutil.which(command[0]) is None:
        return f"there is no {command[0]}"
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if result.returncode == 0 else result.stderr.strip() or f"status {result.returncode}"


# ---- a /proc made of files


@dataclass
class FakeProc:
    """A /proc of a Debian machine, whose files a test may change."""

    root: Path
    originals: dict[str, bytes] = field(default_factory=dict)

    def path(self, source: str) -> Path:
        """Where a source is read."""
        return self.root / SOURCE_PATHS[source]

    def write(self, source: str, text: bytes) -> None:
        """Replace a source's text in the same file, for the sampler keeps it open."""
        descriptor = os.open(self.path(source), os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text, 0)
        finally:
            os.close(descriptor)

    def restore(self, source: str) -> None:
        """Give a source its own text back."""
        self.write(source, self.originals[source])

    @property
    def arguments(self) -> tuple[str, str]:
        """Arguments that lead a daemon there."""
        return ("--path.procfs", str(self.root))


@pytest.fixture
def fake_proc(tmp_path: Path) -> FakeProc:
    """A /proc of files with all sources and no process."""
    proc = FakeProc(tmp_path / "proc")
    for name in ("sys/kernel/random/boot_id", "loadavg", "uptime", "swaps", "cmdline"):
        (proc.root / name).parent.mkdir(parents=True, exist_ok=True)
        (proc.root / name).write_bytes((Path("/proc") / name).read_bytes())
    for source, name in SOURCE_PATHS.items():
        proc.path(source).parent.mkdir(exist_ok=True)
        proc.originals[source] = (_MACHINE / name).read_bytes()
        proc.restore(source)
    return proc


# ---- what must be as it was


@dataclass(frozen=True)
class Belongings:
    """What the daemon's processes hold."""

    descriptors: dict[str, int]
    threads: dict[str, int]
    children: int


def belongings(daemon: Daemon) -> Belongings:
    """Count what the service and the sampler hold now."""
    state = daemon.state()
    pids = {role: state[role] for role in ("pid", "sampler_pid")}
    return Belongings(
        {role: len(os.listdir(f"/proc/{pid}/fd")) for role, pid in pids.items()},
        {role: len(os.listdir(f"/proc/{pid}/task")) for role, pid in pids.items()},
        len(Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()),
    )


@contextmanager
def nothing_leaks(daemon: Daemon) -> Iterator[None]:
    """See that it holds afterwards what it held before, samples on, and ends in good order."""
    before, sampler = belongings(daemon), daemon.state()["sampler_pid"]
    yield
    daemon.wait_for_ticks(100)
    assert daemon.state()["sampler_pid"] == sampler
    daemon.wait_for(lambda: belongings(daemon) == before, f"it to hold no more than {before}")
    ends_well(daemon)


def ends_well(daemon: Daemon) -> None:
    """End it, and see that nobody is left and nothing was thrown."""
    assert daemon.stop() == 0
    assert daemon.survivors() == []
    assert "Traceback" not in daemon.log()
