"""Starting what is measured, the sampler alone or the whole daemon, in directories that go away with it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.machine import cpu_time_ns
from bench.report import BenchError
from memwatchd.config.load import DROP_INS
from memwatchd.config.model import Config
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.store import SUFFIX
from memwatchd.places import Places
from memwatchd.ring.board import BoardFigures, Slot
from memwatchd.ring.file import RingMap
from memwatchd.roots import Roots
from memwatchd.sampling.plan import Plan, SourcePlan
from memwatchd.service.sampler import SamplerProcess
from memwatchd.service.start import make_plan, make_rings
from memwatchd.state import read_state

# The ring has to be in memory, as it is in production; a disk would be part of the figures.
MEMORY = Path("/dev/shm")
BUILT_IN = Config()
_START_S = 30.0
_STOP_S = 10.0


@contextmanager
def directory(parent: Path | None) -> Iterator[Path]:
    """Make a directory that is removed afterwards; `parent` None is the default place for temporary files."""
    path = Path(tempfile.mkdtemp(prefix="memwatchd-bench-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float, poll_s: float = 0.02) -> None:
    """Wait for a condition.

    Raises:
        BenchError: It has not come true in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise BenchError(f"gave up waiting for {what} after {timeout_s:g} s")
        time.sleep(poll_s)


# ---- the sampler alone


@dataclass(frozen=True, slots=True)
class Reading:
    """Where a sampler stands, between two of its ticks."""

    monotonic_ns: int
    cpu_ns: int
    board: BoardFigures

    @property
    def ticks(self) -> int:
        """Ticks so far."""
        return self.board[Slot.TICKS]


@dataclass(frozen=True, slots=True)
class Sampler:
    """A warm sampler."""

    process: SamplerProcess
    plan: Plan
    ring: RingMap

    def wait_ticks(self, ticks: int) -> None:
        """Let it tick on.

        Raises:
            BenchError: It died, or is too slow.
        """
        board = self.ring.board
        goal = board[Slot.TICKS] + ticks
        expected_s = ticks * board[Slot.PERIOD_NS] / 1e9
        wait_until(
            lambda: board[Slot.TICKS] >= goal or self._dead(), "the sampler's ticks", 3 * expected_s + 5
        )
        if self._dead():
            raise BenchError(f"the sampler ended with status {self.process.process.returncode}")

    def reading(self) -> Reading:
        """Read its figures right after it has renewed all of them, four times a second, and while it sleeps.

        CPU time, ticks and readings then belong together.

        Raises:
            BenchError: It does not renew them.
        """
        board = self.ring.board
        known_ns = board[Slot.CPU_NS]
        wait_until(lambda: board[Slot.CPU_NS] != known_ns, "the sampler's figures", 2.0, 0.0002)
        # What is left of the tick takes some microseconds.
        time.sleep(0.001)
        return Reading(time.monotonic_ns(), cpu_time_ns(self.process.process.pid), self.ring.figures())

    def _dead(self) -> bool:
        return self.process.process.poll() is not None


def default_plan(places: Places, config: Config = BUILT_IN) -> Plan:
    """A configuration's plan, but for oom_score_adj: a benchmark deserves no protection."""
    return replace(make_plan(config, places, Roots()), oom_score_adj=0)


def fixed_sources(sources: Iterable[SourcePlan], rate_hz: int) -> tuple[SourcePlan, ...]:
    """The same sources at a fixed rate, out of the governor's hands."""
    return tuple(replace(source, rate_hz=float(rate_hz)) for source in sources)


@contextmanager
def running_sampler(
    change: Callable[[Plan], Plan] = lambda plan: plan, config: Config = BUILT_IN
) -> Iterator[Sampler]:
    """Start a sampler of its own, as the service does, and wait until it samples.

    What its rules decide is heard by nobody.

    Args:
        change: Turns the configuration's plan into the wanted one.
        config: The built-in one has no rules.

    Raises:
        BenchError: It did not get that far.
    """
    with directory(MEMORY) as runtime:
        places = Places(runtime, runtime)
        plan = change(default_plan(places, config))
        ring, _, _ = make_rings(config, places, plan)
        alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        process = SamplerProcess.start(plan, alarm)
        try:
            _wait_for_sampler(process, lambda: process.warm)
            process.go()
            _wait_for_sampler(process, lambda: ring.board[Slot.WARM] == 1)
            yield Sampler(process, plan, ring)
        finally:
            process.stop(_STOP_S)
            os.close(alarm)


def _wait_for_sampler(process: SamplerProcess, condition: Callable[[], bool]) -> None:
    def come() -> bool:
        process.hear()
        return condition() or process.gone

    wait_until(come, "the sampler", _START_S)
    if process.gone:
        raise BenchError(f"the sampler ended with status {process.process.wait(_STOP_S)} before it was warm")


# ---- the whole daemon


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon."""

    process: subprocess.Popen[bytes]
    places: Places

    def state(self) -> dict[str, Any]:
        """What it says of itself; empty as long as it says nothing."""
        try:
            return read_state(self.places.state)
        except MemwatchdError:
            return {}

    def pids(self) -> dict[str, int]:
        """Its processes by role, as many as there are."""
        state = self.state()
        roles = {"service": "pid", "sampler": "sampler_pid", "exporter": "exporter_pid"}
        return {role: state[key] for role, key in roles.items() if state.get(key)}

    def incidents(self) -> set[str]:
        """Names of the incident files that have been given one: everything known by then is on disk."""
        try:
            return {path.name for path in self.places.incidents.iterdir() if path.suffix == SUFFIX}
        except FileNotFoundError:
            return set()

    def dead(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None


@contextmanager
def running_daemon(config: str, *arguments: str, drop_in: str = "") -> Iterator[Daemon]:
    """Start ``memwatchd run`` and wait until it samples.

    Args:
        config: The configuration file's text.
        arguments: Further ones of the command line.
        drop_in: What is laid over it.

    Raises:
        BenchError: It did not get that far. Its last lines are added to this and to what the caller raises.
    """
    # The state directory is where temporary files are: incidents are to be written to a real disk.
    with directory(MEMORY) as runtime, directory(None) as state:
        (runtime / "config.yaml").write_text(config)
        (runtime / DROP_INS).mkdir()
        (runtime / DROP_INS / "bench.yaml").write_text(drop_in)
        log = runtime / "log"
        command = [
            sys.executable,
            "-m",
            "memwatchd",
            "run",
            "--config",
            str(runtime / "config.yaml"),
            *arguments,
        ]
        command += ["--runtime-dir", str(runtime / "run"), "--state-dir", str(state)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        daemon = Daemon(process, Places(runtime / "run", state))
        try:
            wait_until(lambda: daemon.dead() or _samples(daemon), "the daemon to sample", _START_S, 0.1)
            if daemon.dead():
                raise BenchError(f"the daemon ended with status {process.returncode}")
            yield daemon
        except BenchError as error:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise BenchError(f"{error}; the daemon's last lines:\n{last}") from error
        finally:
            _stop(process)


def _samples(daemon: Daemon) -> bool:
    state = daemon.state()
    return bool(state) and state["sampling"]["ticks"] > 0 and "sampler" in daemon.pids()


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        # Its children ask the kernel to end them with it.
        process.kill()
        process.wait()
