"""The threads that act: one for each kind of action, started beforehand.

A kernel call may not return for seconds, or ever (writing drop_caches). It then holds up its own kind and no
other, and a second one of the kind is not begun.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from memwatchd.service.background import start_thread

_WAITING = 64

Work = Callable[[], None]


class Worker:
    """Does what it is given, one piece after the other."""

    def __init__(self, name: str) -> None:
        self._waiting: queue.Queue[Work | None] = queue.Queue(_WAITING)
        self._busy = threading.Event()
        self._thread = start_thread(self._run, f"act-{name}"[:15])

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    @property
    def idle(self) -> bool:
        """Whether it would begin at once."""
        return self._waiting.empty() and not self._busy.is_set()

    def give(self, work: Work) -> bool:
        """Have something done; False when too much is waiting already."""
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            return False
        return True

    def dismiss(self) -> None:
        """Have it end after what it does now; what has not been begun is forgotten."""
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        self.finish()

    def finish(self) -> None:
        """Have it end after all that is waiting."""
        with suppress(queue.Full):  # of what does not get done: it will not end in time anyway
            self._waiting.put_nowait(None)

    def join(self, until_s: float) -> None:
        """Wait for its end, until a moment of `time.monotonic` at most."""
        self._thread.join(max(0.0, until_s - time.monotonic()))

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            self._busy.set()
            work()
            self._busy.clear()
