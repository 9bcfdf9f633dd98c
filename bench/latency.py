"""Part 4: from a real kill to the first version of its incident on disk.

The clock starts with the time stamp that the kernel gave to its message "Killed process", and stops when the
incident is there under its final name; by then it has been synchronised to the disk.
"""

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.cgroup import eater, limited_cgroup
from bench.kernellog import KernelLog, kernel_log
from bench.processes import Daemon, running_daemon
from bench.report import BenchError, Part, Target, progress
from memwatchd.incidents.reader import open_incident
from memwatchd.views.text import columns, format_bytes

# Incidents are to end soon, so that every kill begins one of its own. What is kept of the time before, most
# of the first version, stays at the default of 30 s.
_CONFIG = "incidents: {after: 500ms, merge_limit: 500ms}\nprotect: {enabled: false}\n"
_LIMIT_S = 1.0
_POLL_S = 0.001
_APART_S = 2.0
_GIVE_UP_S = 30.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One kill, in seconds after the kernel's message.

    Attributes:
        buried_s: The victim was gone and its parent knew.
        written_s: The incident had its name.
        incident_bytes: Size of the file once complete.
    """

    buried_s: float
    written_s: float
    incident_bytes: int


def measure(*, quick: bool) -> Part:
    """Provoke the kills.

    Raises:
        BenchError: The daemon did not start, or wrote nothing.
    """
    kills, history_s = (2, 3.0) if quick else (5, 30.0)
    part = Part(f"4. From the kernel's message of a kill to the incident on disk, {kills} kills")
    with ExitStack() as stack:
        try:
            log = stack.enter_context(kernel_log())
            cgroup = stack.enter_context(limited_cgroup())
        except OSError as error:
            part.skipped = f"needs root and a memory cgroup: {error}"
            return part
        daemon = stack.enter_context(running_daemon(_CONFIG, "--no-exporter"))
        progress(f"filling the ring for {history_s:g} s, then {kills} kills")
        time.sleep(history_s)
        timings = [_kill(daemon, cgroup, log) for _ in range(kills)]
    written_s = [timing.written_s for timing in timings]
    part.lines = _table(timings)
    part.figures = {
        "kills": [asdict(timing) for timing in timings],
        "median_s": median(written_s),
        "max_s": max(written_s),
    }
    part.targets = [
        Target("median", median(written_s), _LIMIT_S, "s"),
        Target("longest", max(written_s), _LIMIT_S, "s"),
    ]
    return part


def _kill(daemon: Daemon, cgroup: Path, log: KernelLog) -> Timing:
    """Have one process killed and wait for the incident to be written, and completed."""
    known = daemon.incidents()
    log.announce("memwatchd bench: the kill that follows is deliberate")
    with eater(cgroup) as victim:
        buried_ns, written_ns, name = _watch(daemon, victim, known)
    killed_ns = log.kill_ns(victim.pid)
    time.sleep(_APART_S)
    path = daemon.places.incidents / name
    detail = open_incident(path).meta["trigger"]["detail"]
    if f"(pid {victim.pid})" not in detail:
        raise BenchError(f"somebody else's kill came first: {detail}")
    return Timing((buried_ns - killed_ns) / 1e9, (written_ns - killed_ns) / 1e9, path.stat().st_size)


def _watch(daemon: Daemon, victim: subprocess.Popen[bytes], known: set[str]) -> tuple[int, int, str]:
    """Wait until the victim is gone and a new incident is there; when that was, and the incident's name.

    Raises:
        BenchError: There is none.
    """
    deadline_s = time.monotonic() + _GIVE_UP_S
    buried_ns = written_ns = 0
    new = set[str]()
    while not (buried_ns and written_ns):
        if not written_ns:
            new = daemon.incidents() - known
            written_ns = time.monotonic_ns() if new else 0
        if not buried_ns and victim.poll() is not None:
            buried_ns = time.monotonic_ns()
        if daemon.dead() or time.monotonic() > deadline_s:
            raise BenchError("the kill did not happen, or no incident was written about it")
        time.sleep(_POLL_S)
    return buried_ns, written_ns, new.pop()


def _table(timings: Sequence[Timing]) -> list[str]:
    rows = [["", "victim gone", "incident on disk", "its size"]]
    for number, timing in enumerate(timings, 1):
        rows.append(
            [
                f"kill {number}",
                f"{timing.buried_s * 1000:.0f} ms",
                f"{timing.written_s * 1000:.0f} ms",
                format_bytes(timing.incident_bytes),
            ]
        )
    return columns(rows, right=frozenset({1, 2, 3}))
