"""The threads that act: one for each kind of action, started beforehand.

A kernel call may not return for seconds, or ever (writing drop_caches). It then holds up its own kind and no
other, and a second one of the kind is not begun.
"""

import queue
import threading
from collections.abc import Callable

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

    def stop(self, timeout_s: float) -> None:
        """Let it end what it has, if that does not take longer than this."""
        self.give_up_waiting()
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def give_up_waiting(self) -> None:
        """Forget what has not been begun."""
        try:
            while True:
                self._waiting.get_nowait()
        except queue.Empty:
            return

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            self._busy.set()
            work()
            self._busy.clear()
