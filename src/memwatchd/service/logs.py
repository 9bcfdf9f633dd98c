"""Logging: to the journal with fields where there is one, else plain lines on stderr.

A send to the journal blocks when journald is slow, so all lines go through a bounded queue to a thread of
their own. What does not fit is dropped and counted. Each line has as fields what it is about
(MEMWATCHD_EVENT, with a stable MESSAGE_ID, see `memwatchd.service.occasions`) and the facts in it::

    MEMWATCHD_RULE=zone-slab  MEMWATCHD_ACTION=kill  MEMWATCHD_VERDICT=helped  MEMWATCHD_VICTIM_PID=4711
"""

import logging
import logging.handlers
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from memwatchd.service.occasions import MESSAGE_IDS
from memwatchd.views.text import printable

_QUEUE_LINES = 1000
_CLOSE_S = 2.0
_REPEAT_NS = 1_000_000_000
_REMEMBERED = 256
_LONGEST_FIELD_BYTES = 4096
# Names of fields are capitals, digits and underscores, and no longer than this (journal-send.c).
_UNFIT = re.compile("[^A-Z0-9_]")
_LONGEST_NAME = 64
_PRIORITIES = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
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


class JournalHandler(logging.Handler):
    """Sends lines to the journal.

    Args:
        send: `systemd.journal.sendv`.
    """

    def __init__(self, send: Callable[..., object]) -> None:
        super().__init__()
        self._send = send
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one; a journal that refuses it must not end the thread that writes."""
        try:
            self._send(*journal_fields(record.getMessage(), record.levelno, getattr(record, "fields", {})))
        except OSError:
            self.lost += 1


def journal_fields(message: str, level: int, fields: Mapping[str, object]) -> list[bytes]:
    """Write an entry of the journal.

    Strangers' names in fields stay the bytes they are: the journal takes any, and says how many when asked
    for text. They cannot begin another field, because libsystemd sends lengths with whatever holds a line
    feed.

    Args:
        message: Fit to be read.
        level: One of logging's.
        fields: By name, without MEMWATCHD_; a value that is None is left out.
    """
    entry = [f"MESSAGE={message}", f"PRIORITY={_PRIORITIES[level]}", "SYSLOG_IDENTIFIER=memwatchd"]
    message_id = MESSAGE_IDS.get(str(fields.get("event")))
    entry += [f"MESSAGE_ID={message_id}"] if message_id else []
    for name, value in fields.items():
        if value is not None:
            entry.append(f"MEMWATCHD_{_UNFIT.sub('_', name.upper())}"[:_LONGEST_NAME] + f"={value}")
    return [each.encode("utf-8", "surrogateescape")[:_LONGEST_FIELD_BYTES] for each in entry]


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
        self._target = _target()
        self._writer = _Listener(lines, self._target)
        self._logger = logging.getLogger("memwatchd")
        self._logger.setLevel(_LEVELS[level])
        self._logger.propagate = False
        self._logger.handlers = [self._handler]
        self._writer.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written because the journal was too slow."""
        return self._handler.dropped + getattr(self._target, "lost", 0)

    def set_level(self, level: str) -> None:
        """Write messages of this level and above from now on."""
        self._logger.setLevel(_LEVELS[level])

    def note(self, level: str, message: str, **fields: object) -> None:
        """Write one line, but not the same twice a second; fields go to the journal as MEMWATCHD_<NAME>.

        Args:
            level: error, warning, info or debug.
            message: The line.
            fields: Facts in it; `event` is one of `MESSAGE_IDS`, and None is left out.
        """
        if self._said_just_now(level, message):
            return
        # Names of processes and what a client says are strangers' words.
        self._logger.log(_LEVELS[level], "%s", printable(message), extra={"fields": fields})

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
        from systemd.journal import sendv

        return JournalHandler(sendv)
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
