"""How far the reading of something long is: one line on a terminal's stderr, gone when it is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from memwatchd.units import format_bytes, printable

# What takes less is done before anybody wonders.
_QUIET_S = 1.0
_PERIOD_S = 0.2
_CLEAR = "\r\x1b[K"


@dataclass(slots=True)
class Progress:
    """A line that is written over and over, and only if `stream` is a terminal."""

    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    _name: str = ""
    _total: int | None = None
    _began_s: float = 0.0
    _due_s: float = 0.0
    _shown: bool = field(default=False)

    def begin(self, name: str, total_bytes: int | None) -> None:
        """Start on something new; `total_bytes` is None where nobody knows."""
        self._name, self._total = printable(name), total_bytes
        self._began_s = self.clock()
        self._due_s = self._began_s + _QUIET_S

    def reached(self, done_bytes: int) -> None:
        """So much of it has been read."""
        now_s = self.clock()
        if now_s < self._due_s or not self.stream.isatty():
            return
        self._due_s, self._shown = now_s + _PERIOD_S, True
        share = f", {min(1.0, done_bytes / self._total):.0%}" if self._total else ""
        rate = done_bytes / (now_s - self._began_s) / 1e6
        line = f"{self._name}: {format_bytes(done_bytes)} read{share}, {rate:.0f} MB/s"
        self.stream.write(f"{_CLEAR}{line}")
        self.stream.flush()

    def share(self, done: float) -> None:
        """So much of it is done, of 1."""
        now_s = self.clock()
        if now_s < self._due_s or not self.stream.isatty():
            return
        self._due_s, self._shown = now_s + _PERIOD_S, True
        self.stream.write(f"{_CLEAR}{self._name}: {done:.0%}")
        self.stream.flush()

    def clear(self) -> None:
        """Make room for what is to be printed."""
        if self._shown:
            self.stream.write(_CLEAR)
            self.stream.flush()
            self._shown = False
