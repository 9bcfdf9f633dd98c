"""Asking the kernel for what a watchdog needs: priority, locked memory, a low oom_score_adj.

Each request may be refused. It then returns one sentence that says what is missing and what follows from it,
for the list of degraded functions; it never raises.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memwatchd.kernel import libc

# Address, rights, offset, device, inode of a file: what may be run, or read but not at a file's beginning.
_TEXT = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) r-(?:xp \S+|-p (?!0+ )\S+) \S+ [1-9]")


def become_realtime(priority: int, *, with_threads: bool = False) -> str | None:
    """Run the calling thread under SCHED_FIFO.

    Args:
        priority: 1 to 99.
        with_threads: Threads started afterwards inherit it, but so do children, which have to
            `become_ordinary`: the kernel resets both at a fork, or neither.
    """
    policy = os.SCHED_FIFO if with_threads else os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError as error:
        late = "actions may begin late" if with_threads else "samples may come late"
        return f"SCHED_FIFO: {error.strerror} (CAP_SYS_NICE): {late} when the CPUs are busy"
    return None


def become_ordinary() -> None:
    """Run the calling thread by its nice value, as most do; always allowed."""
    # A sandbox may forbid the call even to those who change nothing by it.
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def as_ordinary(wanted: bool) -> Iterator[None]:
    """Run the calling thread by its nice value for a while, if that is wanted."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    if wanted:
        become_ordinary()
    try:
        yield
    finally:
        if wanted and policy != os.SCHED_OTHER:
            os.sched_setscheduler(0, policy, parameters)


def become_nice(nice: int) -> str | None:
    """Run at this nice value, for processes that must not be real-time."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError as error:
        return f"nice {nice}: {error.strerror} (CAP_SYS_NICE): incidents may be written late"
    return None


def lock_memory() -> str | None:
    """Lock every page this process has and will touch."""
    try:
        libc.mlockall()
    except OSError as error:
        return f"mlockall: {error.strerror} (CAP_IPC_LOCK or RLIMIT_MEMLOCK): may be swapped out"
    return None


def lock_code() -> None:
    """Read in and lock all program text and its constants, so that even a path never taken needs no disk.

    Of what may only be read in a library the beginning is left out: its symbols, which nobody needs any more.

    Source: /proc/self/maps; cheap, because the text is shared by all of the service's processes.
    """
    for line in Path("/proc/self/maps").read_bytes().splitlines():
        found = _TEXT.match(line)
        if found:
            start, end = int(found[1], 16), int(found[2], 16)
            # A refusal is mlockall's too, and said there.
            with suppress(OSError):
                libc.mlock_range(start, end - start)


def set_oom_score_adj(value: int) -> str | None:
    """Tell the OOM killer how much this process is worth; lowering needs CAP_SYS_RESOURCE."""
    try:
        Path("/proc/self/oom_score_adj").write_text(str(value))
    except OSError as error:
        return f"oom_score_adj {value}: {error.strerror} (CAP_SYS_RESOURCE): the OOM killer may take it"
    return None
