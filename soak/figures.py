"""What is measured every few seconds: of each process of the daemon, of its sampler, and of the machine.

Sources: /proc/PID/smaps_rollup, /proc/PID/fd and /proc/PID/task; the board of the ring; the board of the
plain sleeper beside it.
"""

import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.machine import cpu_time_ns, stolen_ns
from bench.processes import Daemon

from memwatchd.errors import MemwatchdError
from memwatchd.ring.board import Slot
from memwatchd.ring.file import open_ring

SLEEPER_BOARD = struct.Struct("=QQQ")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one process takes.

    Attributes:
        own_bytes: Its PSS without pages of files: how many others share those, strangers decide.
    """

    pid: int
    rss_bytes: int
    pss_bytes: int
    own_bytes: int
    descriptors: int
    threads: int
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class Ticks:
    """How a loop of equal steps has done: the sampler's, or the plain sleeper's beside it."""

    done: int = 0
    missed: int = 0
    worst_lag_ns: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """All figures of one moment.

    Attributes:
        at_s: Since the beginning of the run.
        processes: By role; one that has just been replaced is left out.
        sampler_pid: The sampler that `faults` are of.
        faults: Minor and major page faults of that sampler since its warm-up; none before it is over.
        stolen_ns: For how long the machine's host has had its processors do something else.
    """

    at_s: float
    monotonic_ns: int
    processes: Mapping[str, Footprint]
    sampler: Ticks
    sleeper: Ticks
    sampler_pid: int
    faults: tuple[int, int]
    period_ns: int
    oversize: int
    stolen_ns: int


def read_all(daemon: Daemon, sleeper: Path, began_s: float) -> Reading | None:
    """Read everything; None when the daemon is not there to be read."""
    try:
        board = open_ring(daemon.places.ring).figures()
    except MemwatchdError:
        return None
    processes = {role: read_footprint(pid) for role, pid in daemon.pids().items()}
    done, missed, lag_ns = SLEEPER_BOARD.unpack(sleeper.read_bytes()[: SLEEPER_BOARD.size])
    return Reading(
        at_s=time.monotonic() - began_s,
        monotonic_ns=time.monotonic_ns(),
        processes={role: found for role, found in processes.items() if found is not None},
        sampler=Ticks(board[Slot.TICKS], board[Slot.MISSED], board[Slot.LAG_MAX_NS]),
        sleeper=Ticks(done, missed, lag_ns),
        sampler_pid=board[Slot.PID],
        faults=(board[Slot.MINOR_FAULTS], board[Slot.MAJOR_FAULTS]) if board[Slot.WARM] else (0, 0),
        period_ns=board[Slot.PERIOD_NS],
        oversize=board[Slot.OVERSIZE],
        stolen_ns=stolen_ns(),
    )


def read_footprint(pid: int) -> Footprint | None:
    """Read what a process takes; None when it has ended."""
    directory = Path(f"/proc/{pid}")
    try:
        rollup = dict(_fields((directory / "smaps_rollup").read_text()))
        return Footprint(
            pid=pid,
            rss_bytes=rollup["Rss"],
            pss_bytes=rollup["Pss"],
            own_bytes=rollup.get("Pss_Anon", rollup["Pss"]) + rollup.get("Pss_Shmem", 0),  # since 5.3
            descriptors=len(list((directory / "fd").iterdir())),
            threads=len(list((directory / "task").iterdir())),
            cpu_ns=cpu_time_ns(pid),
        )
    except (FileNotFoundError, ProcessLookupError):
        return None


def _fields(text: str) -> list[tuple[str, int]]:
    lines = [line.split() for line in text.splitlines() if line.endswith(" kB")]
    return [(words[0].rstrip(":"), int(words[1]) << 10) for words in lines]
