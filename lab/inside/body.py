"""What keeps the lab's own processes going while the machine dies around them."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

_MCL_CURRENT, _MCL_FUTURE = 1, 2
_PR_SET_NAME = 15

_libc = ctypes.CDLL(None, use_errno=True)


def lock_memory() -> None:
    """Keep this process in memory: what measures a stall must not wait for its own pages."""
    if _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0:
        raise OSError(ctypes.get_errno(), "mlockall")


def go_first(priority: int) -> None:
    """Run before everything that is not real-time."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


def set_name(name: str) -> None:
    """Give this process the name that /proc and the kernel's reports show; 15 bytes of it."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def set_oom_score_adj(value: int) -> None:
    """Set how readily the kernel takes this process."""
    Path("/proc/self/oom_score_adj").write_text(str(value))


def read_text(path: str | Path) -> str | None:
    """A small file's text; None where it is not there or cannot be read."""
    with suppress(OSError):
        return Path(path).read_text(errors="replace")
    return None
