"""A real pseudo-terminal with a program on it: keys in, screen out."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pexpect
import pyte
import pytest

DEADLINE_S = 45.0
KEYS = {
    "left": "\x1bOD",
    "right": "\x1bOC",
    "shift-left": "\x1b[1;2D",
    "shift-right": "\x1b[1;2C",
    "up": "\x1bOA",
    "down": "\x1bOB",
    "home": "\x1bOH",
    "end": "\x1bOF",
    "enter": "\r",
    "esc": "\x1b",
    "tab": "\t",
    "backspace": "\x7f",
    "ctrl-c": "\x03",
    "space": " ",
}


@dataclass
class Terminal:
    """A program on a terminal of its own.

    Attributes:
        meanwhile: Is called again and again while something is waited for.
        raw: Everything the program wrote.
    """

    child: "pexpect.spawn[Any]"
    screen: pyte.Screen
    stream: pyte.ByteStream
    meanwhile: Callable[[], None] = lambda: None
    raw: bytearray = field(default_factory=bytearray)

    def press(self, *keys: str) -> None:
        """Press keys, by name or as they are."""
        for key in keys:
            self.child.send(KEYS.get(key, key))

    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(self.screen.display)

    def wait(self, *wanted: str, without: Sequence[str] = ()) -> str:
        """Wait until all of this is on the screen, and none of that; gives the screen."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            shown = self.text()
            if all(each in shown for each in wanted) and not any(each in shown for each in without):
                return shown
            if time.monotonic() > deadline_s or not self._read():
                pytest.fail(f"waited in vain for {wanted} without {tuple(without)}:\n{shown}")

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size, and tell the program."""
        self.screen.resize(height, width)
        self.child.setwinsize(height, width)

    def end(self) -> int:
        """Wait for the program's end; its exit status, negative for a signal."""
        deadline_s = time.monotonic() + DEADLINE_S
        while self._read():
            if time.monotonic() > deadline_s:
                pytest.fail(f"it does not end:\n{self.text()}")
        self.child.wait()
        return self.child.exitstatus if self.child.exitstatus is not None else -(self.child.signalstatus or 0)

    def _read(self) -> bool:
        self.meanwhile()
        try:
            got = self.child.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += got
        self.stream.feed(got)
        return True


@contextmanager
def on_terminal(
    *arguments: object,
    size: tuple[int, int] = (80, 24),
    meanwhile: Callable[[], None] = lambda: None,
    **environment: str,
) -> Iterator[Terminal]:
    """Run a command of the program on a terminal; whatever happens, it is gone afterwards.

    Args:
        arguments: Of the command line.
        size: Width and height in cells.
        meanwhile: Is called again and again while something is waited for.
        environment: Variables; the usual ones are those of an xterm that understands UTF-8.
    """
    width, height = size
    usual = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    kept = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    child: pexpect.spawn[Any] = pexpect.spawn(
        sys.executable,
        ["-m", "memwatchd", *map(str, arguments)],
        dimensions=(height, width),
        env=kept | usual | environment,
    )
    screen = pyte.Screen(width, height)
    try:
        yield Terminal(child, screen, pyte.ByteStream(screen), meanwhile)
    finally:
        child.close(force=True)
