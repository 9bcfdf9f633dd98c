"""Something that is done again and again during the run, in a thread of its own."""

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_KEPT = 20


class Trouble(Exception):  # noqa: N818 - it is what happened, not a mistake of this program
    """Something happened that must not; the message says what."""


@dataclass(slots=True)
class Activity:
    """One kind of thing that is done.

    Attributes:
        period_s: From the beginning of one to the beginning of the next, if that takes no longer.
        act: Does it once; raises Trouble.
        done: How often it went well.
        troubles: What went wrong, the latest ones.
    """

    name: str
    period_s: float
    act: Callable[[], None]
    done: int = 0
    failed: int = 0
    troubles: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _thread: threading.Thread | None = None

    def start(self, stopping: threading.Event) -> None:
        """Do it until told to stop."""
        self._thread = threading.Thread(target=self._run, args=(stopping,), name=self.name, daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False when it has not ended by then."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def trouble(self, what: str) -> None:
        """Note what went wrong."""
        self.failed += 1
        self.troubles.append(what)

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            began_s = time.monotonic()
            try:
                self.act()
            except (Trouble, OSError, subprocess.SubprocessError) as error:
                if stopping.is_set():
                    return  # the daemon may be on its way out by now
                self.trouble(str(error) or type(error).__name__)
            else:
                self.done += 1
            stopping.wait(max(0.0, began_s + self.period_s - time.monotonic()))
