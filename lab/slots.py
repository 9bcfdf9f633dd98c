"""How many guests run at a time on this host, whoever started them: a starved one measures its neighbours."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab import places

_STEP_S = 0.5


def count(cpus: int) -> int:
    """How many guests with so many processors this host can run side by side."""
    return max(1, (os.cpu_count() or 1) // max(1, cpus))


@contextmanager
def slot(cpus: int, tell: Callable[[str], None]) -> Iterator[None]:
    """Wait for a place among the guests of this host, and hold it."""
    base = places.cache()
    base.mkdir(parents=True, exist_ok=True)
    files = [(base / f".slot-{number}").open("w") for number in range(count(cpus))]
    try:
        waiting = False
        while not any(_take(file.fileno()) for file in files):
            if not waiting:
                tell("another guest is running; waiting for its end")
            waiting = True
            time.sleep(_STEP_S)
        yield
    finally:
        for file in files:
            file.close()


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
