"""Part 11: what `memwatchd top` takes of a core beside the daemon in its default configuration.

It runs on a pseudo-terminal of its own, which is read as fast as it writes. A picture more or less costs the
same whatever the rate; what is left are the samples, each of which has to be taken out of its compression.
"""

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.machine import cpu_time_ns
from bench.processes import Daemon, running_daemon
from bench.report import Part, Target, progress
from memwatchd.config.load import SHIPPED_CONFIG
from memwatchd.views.text import columns

_AIM_PCT = 3.0
_CHANGES = "acting: {dry_run: true}\n"
# Something of the past is read at the start, and rings have to have some.
_SETTLE_S = 5.0
_SIZES = ((80, 24, 4), (200, 60, 4), (80, 24, 20))


def measure(*, quick: bool) -> Part:
    """Let it run at some sizes and rates.

    Raises:
        BenchError: The daemon did not start.
    """
    seconds = 4.0 if quick else 15.0
    progress(f"memwatchd top, {len(_SIZES)} times {_SETTLE_S + seconds:g} s")
    part = Part(f"11. memwatchd top beside the daemon, over {seconds:g} s")
    rows = []
    with running_daemon(SHIPPED_CONFIG.read_text(), drop_in=_CHANGES) as daemon:
        for width, height, rate_hz in _SIZES:
            with _top(daemon, width, height, rate_hz) as (pid, terminal):
                _drain(terminal, _SETTLE_S)
                before_ns, began_s = cpu_time_ns(pid), time.monotonic()
                _drain(terminal, seconds)
                share_pct = (cpu_time_ns(pid) - before_ns) / (time.monotonic() - began_s) / 1e7
            name = f"{width} × {height} at {rate_hz} Hz"
            rows.append([name, f"{share_pct:.2f} % of a core"])
            part.figures[f"share_pct_{width}x{height}_{rate_hz}hz"] = share_pct
            if rate_hz == 4:
                part.targets.append(Target(name, share_pct, _AIM_PCT, "%"))
    part.lines = columns(rows, frozenset({1}))
    return part


@contextmanager
def _top(daemon: Daemon, width: int, height: int, rate_hz: int) -> Iterator[tuple[int, int]]:
    """Start it on a terminal of this size; its pid, and the terminal's other end."""
    command = [sys.executable, "-m", "memwatchd", "top", "--rate", f"{rate_hz}Hz"]
    command += ["--runtime-dir", str(daemon.places.runtime_dir)]
    pid, terminal = pty.fork()
    if pid == 0:
        termios.tcsetwinsize(0, (height, width))
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, command)
    try:
        yield pid, terminal
    finally:
        os.kill(pid, signal.SIGTERM)
        _drain(terminal, 0.5)
        os.waitpid(pid, 0)
        os.close(terminal)


def _drain(terminal: int, seconds: float) -> None:
    """Take what it writes, as a terminal does."""
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        if select.select([terminal], [], [], left_s)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                return  # it has ended
