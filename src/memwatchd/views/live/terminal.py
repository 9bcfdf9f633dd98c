"""The terminal: shows lines and gives keys. The only module that knows curses.

What a program leaves on a terminal when it dies is put in order by `Terminal` also when it ends by an error
or by SIGTERM, SIGHUP or SIGINT. Ctrl-Z is seen to by curses itself.
"""

import curses
import locale
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

from memwatchd.errors import MemwatchdError
from memwatchd.kernel.ending import EndedError, end
from memwatchd.views.live.lines import Line, Style, cells

_KEYS = {
    curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right",
    curses.KEY_SLEFT: "shift-left",
    curses.KEY_SRIGHT: "shift-right",
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_PPAGE: "pgup",
    curses.KEY_NPAGE: "pgdn",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_BTAB: "shift-tab",
    curses.KEY_ENTER: "enter",
    curses.KEY_BACKSPACE: "backspace",
    curses.KEY_RESIZE: "resize",
}
_CHARACTERS = {
    "\n": "enter",
    "\r": "enter",
    "\t": "tab",
    "\x1b": "esc",
    "\x7f": "backspace",
    "\b": "backspace",
    "\x03": "q",
    "\x0c": "redraw",
    " ": "space",
}
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_ESCAPE_MS = 50
# For terminals that have letters only.
_LETTERS = str.maketrans(
    {
        **dict.fromkeys("█▉▊▋▌", "#"),
        **dict.fromkeys("▍▎▏", "-"),
        **dict.fromkeys("─", "-"),
        **dict.fromkeys("│┃", "|"),
        "✕": "X",
        "▵": "^",
        "…": "~",
        "–": "-",
        "×": "x",
        "◀": "<",
        "▶": ">",
        "←": "<",
        "→": ">",
        "⇧": "^",
        "↑": "^",
        "↓": "v",
    }
)


class Terminal:
    """The screen, from `with` to its end.

    Args:
        environment: Of the process: TERM, NO_COLOR, ESCDELAY.

    Raises:
        MemwatchdError: Standard input or output is no terminal, or curses does not know it.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._screen: curses.window | None = None
        self._shown: list[Line] = []
        self._looks: dict[Style, int] = {}
        self._before: dict[int, Any] = {}
        self._letters_only = False

    def __enter__(self) -> Self:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise MemwatchdError("expected a terminal; 'status' and 'show' print to anything else")
        locale.setlocale(locale.LC_ALL, "")
        name = self._environment.get("TERM", "")
        try:
            curses.setupterm(name or "unknown", sys.stdout.fileno())
            if not curses.tigetstr("cup"):
                raise MemwatchdError(f"TERM={name}: this terminal cannot place a cursor")
        except curses.error as error:
            raise MemwatchdError(f"TERM={name}: {error}") from error
        # From here on nothing may end the program without what follows being undone.
        self._before = {number: signal.signal(number, end) for number in _SIGNALS}
        with ExitStack() as undoing:
            undoing.callback(self._restore)
            self._screen = curses.initscr()
            self._set_up(self._screen)
            undoing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in cells."""
        assert self._screen is not None
        height, width = self._screen.getmaxyx()
        return width, height

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines; only those that are others than before are drawn."""
        screen = self._screen
        assert screen is not None
        height, _ = screen.getmaxyx()
        for row, line in enumerate(lines[:height]):
            before = self._shown[row] if row < len(self._shown) else ()
            if before != line:
                self._draw(screen, row, line, before, is_last=row == height - 1)
        self._shown = list(lines)
        screen.refresh()

    def key(self, timeout_s: float) -> str:
        """Wait for a key; empty when none came."""
        screen = self._screen
        assert screen is not None
        began_s = time.monotonic()
        screen.timeout(max(0, round(timeout_s * 1000)))
        try:
            got = screen.get_wch()
        except curses.error:
            self._see_whether_gone(began_s + timeout_s)
            got = self._see_whether_resized(screen)
        if isinstance(got, int):
            name = _KEYS.get(got, "")
        else:
            name = _CHARACTERS.get(got, got if got.isprintable() else "")
        if name in ("resize", "redraw"):
            self._shown = []
            screen.clearok(True)
            screen.erase()
        return name

    # -- setting up and restoring --------------------------------------------------------------------------

    def _set_up(self, screen: "curses.window") -> None:
        curses.noecho()
        curses.cbreak()
        screen.keypad(True)
        curses.set_escdelay(_ESCAPE_MS)
        with suppress(curses.error):  # then it stays where it is
            curses.curs_set(0)
        self._letters_only = "utf" not in (locale.nl_langinfo(locale.CODESET) or "").lower()
        self._looks = _looks(colour=not self._environment.get("NO_COLOR"))

    def _restore(self) -> None:
        if self._screen is not None:
            self._screen.keypad(False)
            curses.nocbreak()
            curses.echo()
            curses.endwin()
            self._screen = None
        for number, before in self._before.items():
            signal.signal(number, before)

    # -- drawing and listening -----------------------------------------------------------------------------

    def _draw(self, screen: "curses.window", row: int, line: Line, before: Line, *, is_last: bool) -> None:
        """Draw what is not there already; panels stand side by side, of which mostly one has changed."""
        column = column_before = 0
        try:
            for place, span in enumerate(line):
                known = before[place] if place < len(before) else ("", Style.PLAIN)
                if span != known or column != column_before:
                    text = self._spelled(span[0])
                    # curses cannot fill the last cell without scrolling.
                    text = text[:-1] if is_last and place == len(line) - 1 else text
                    screen.addstr(row, column, text, self._looks[span[1]])
                column += cells(span[0])
                column_before += cells(known[0])
        except curses.error:
            return  # it has become smaller just now; the next picture fits

    def _spelled(self, text: str) -> str:
        if not self._letters_only or text.isascii():
            return text
        return text.translate(_LETTERS).encode("ascii", "replace").decode()

    def _see_whether_resized(self, screen: "curses.window") -> int | str:
        """A signal that comes just before curses begins to wait is heeded with the next key only."""
        height, width = screen.getmaxyx()
        now = os.get_terminal_size(sys.stdout.fileno())
        if (now.columns, now.lines) == (width, height) or not (now.columns and now.lines):
            return ""
        curses.resizeterm(now.lines, now.columns)
        return curses.KEY_RESIZE

    def _see_whether_gone(self, until_s: float) -> None:
        """A terminal that is gone gives nothing at once, for ever."""
        left_s = until_s - time.monotonic()
        if left_s < 0.005:
            return
        poll = select.poll()
        poll.register(sys.stdin.fileno(), select.POLLIN)
        if any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
            raise EndedError(signal.SIGHUP)


def _looks(*, colour: bool) -> dict[Style, int]:
    """How each style looks; without colours bold, dim and reverse have to do."""
    bold, dim, reverse = curses.A_BOLD, curses.A_DIM, curses.A_REVERSE
    looks = {
        Style.PLAIN: 0,
        Style.DIM: dim,
        Style.STRONG: bold,
        Style.TITLE: bold,
        Style.FOCUS: reverse,
        Style.GOOD: 0,
        Style.WARN: bold,
        Style.BAD: bold | reverse,
        Style.INFO: 0,
        Style.BAR: 0,
    }
    if not colour:
        return looks
    try:
        curses.start_color()
        curses.use_default_colors()
        if curses.has_colors():
            for place, (style, foreground) in enumerate(_COLOURS.items(), 1):
                curses.init_pair(place, foreground, -1)
                looks[style] = curses.color_pair(place) | (bold if style is Style.BAD else 0)
    except curses.error:
        return looks  # it says it has colours, and has not
    return looks


_COLOURS = {
    Style.GOOD: curses.COLOR_GREEN,
    Style.WARN: curses.COLOR_YELLOW,
    Style.BAD: curses.COLOR_RED,
    Style.INFO: curses.COLOR_CYAN,
    Style.TITLE: curses.COLOR_CYAN,
    Style.BAR: curses.COLOR_BLUE,
}
