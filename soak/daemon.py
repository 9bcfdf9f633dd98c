"""Starting the real daemon in directories of its own, and ending it with nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from bench.processes import Daemon, wait_until

from memwatchd.places import Places

PROGRAM = (sys.executable, "-m", "memwatchd")
_START_S = 60.0
_STOP_S = 20.0
_COMMAND_S = 120.0


@dataclass(frozen=True, slots=True)
class Site:
    """A running daemon and where it is.

    Attributes:
        config: Its configuration file.
        log: What it writes.
    """

    daemon: Daemon
    config: Path
    log: Path

    @property
    def places(self) -> Places:
        """Its directories."""
        return self.daemon.places

    def command(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command about it to its end, out of the reach of Ctrl-C.

        Raises:
            subprocess.TimeoutExpired: It hangs.
        """
        where = ("--runtime-dir", str(self.places.runtime_dir), "--state-dir", str(self.places.state_dir))
        return subprocess.run(
            [*PROGRAM, *arguments, *where],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_S,
            check=False,
            start_new_session=True,
        )


@contextmanager
def running(config: Path, places: Places, log: Path) -> Iterator[Site]:
    """Start ``memwatchd run`` and wait until it samples.

    It has a session of its own, so that Ctrl-C reaches this program alone, which then ends it in good order.

    Raises:
        BenchError: It did not get that far.
    """
    command = [*PROGRAM, "run", "--config", str(config)]
    command += ["--runtime-dir", str(places.runtime_dir), "--state-dir", str(places.state_dir)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    daemon = Daemon(process, places)
    try:
        wait_until(lambda: daemon.dead() or len(daemon.pids()) == 3, "the daemon to start", _START_S, 0.1)
        yield Site(daemon, config, log)
    finally:
        stop(daemon)


def stop(daemon: Daemon) -> int:
    """End it in good order, or otherwise; returns its exit status."""
    process = daemon.process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        for pid in (*daemon.pids().values(), *survivors(daemon.places)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        return process.wait()


def survivors(places: Places) -> list[int]:
    """Processes that still have the ring mapped, or its directory among their arguments."""
    needle = os.fsencode(places.runtime_dir)
    found = []
    for pid in psutil.pids():
        with suppress(OSError):
            directory = Path(f"/proc/{pid}")
            texts = ((directory / name).read_bytes() for name in ("cmdline", "maps"))
            if pid != os.getpid() and any(needle in text for text in texts):
                found.append(pid)
    return found


def free_port() -> int:
    """A port nobody listens on; somebody else could take it before the exporter does, but hardly will."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
