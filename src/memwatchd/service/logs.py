"""Logging: to the journal with fields where there is one, else plain lines on stderr.

A send to the journal blocks when journald is slow, so all lines go through a bounded queue to a thread of
their own. What does not fit is dropped and counted.
"""

import logging
import logging.handlers
import os
import queue
import sys
import threading
import time
from contextlib import suppress

from memwatchd.views.text import printable

_QUEUE_LINES = 1000
_CLOSE_S = 2.0
_REPEAT_NS = 1_000_000_000
_REMEMBERED = 256
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}


class _BoundedHandler(logging.handlers.QueueHandler):
    """Hands lines to the writing thread and counts those that found no room."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Listener(logging.handlers.QueueListener):
    """Writes the lines; ends even when the queue is full at that moment."""

    def enqueue_sentinel(self) -> None:
        with suppress(queue.Full):
            self.queue.put(None, timeout=_CLOSE_S)  # type: ignore[attr-defined]


class Log:
    """The service's log.

    Args:
        level: error, warning, info or debug.

    Attributes:
        repeated: Lines that were not written because they had been within the last second.
    """

    def __init__(self, level: str) -> None:
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_LINES)
        self._said: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self.repeated = 0
        self._handler = _BoundedHandler(lines)
        self._writer = _Listener(lines, _target())
        self._logger = logging.getLogger("memwatchd")
        self._logger.setLevel(_LEVELS[level])
        self._logger.propagate = False
        self._logger.handlers = [self._handler]
        self._writer.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written because the journal was too slow."""
        return self._handler.dropped

    def set_level(self, level: str) -> None:
        """Write messages of this level and above from now on."""
        self._logger.setLevel(_LEVELS[level])

    def note(self, level: str, message: str, **fields: object) -> None:
        """Write one line, but not the same twice a second; fields go to the journal as MEMWATCHD_<NAME>."""
        if self._said_just_now(level, message):
            return
        extra = {f"MEMWATCHD_{name.upper()}": str(value) for name, value in fields.items()}
        # Names of processes and what a client says are strangers' words.
        self._logger.log(_LEVELS[level], "%s", printable(message), extra=extra)

    def _said_just_now(self, level: str, message: str) -> bool:
        now_ns = time.monotonic_ns()
        with self._lock:
            last_ns = self._said.get((level, message))
            if last_ns is not None and now_ns - last_ns < _REPEAT_NS:
                self.repeated += 1
                return True
            if len(self._said) >= _REMEMBERED:
                self._said = {key: at_ns for key, at_ns in self._said.items() if now_ns - at_ns < _REPEAT_NS}
            self._said[level, message] = now_ns
        return False

    def close(self) -> None:
        """Write what is waiting."""
        self._writer.stop()


def _target() -> logging.Handler:
    if _stderr_is_journal():
        # Four megabytes of library, only where there is a journal.
        from systemd.journal import JournalHandler

        return JournalHandler(SYSLOG_IDENTIFIER="memwatchd")  # type: ignore[no-any-return]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("memwatchd: %(levelname)s: %(message)s"))
    return handler


def _stderr_is_journal() -> bool:
    """Whether systemd connected stderr to the journal: JOURNAL_STREAM holds its device and inode."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
