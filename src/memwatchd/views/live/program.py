"""The program: asks the source for frames, has them drawn, and does what keys say."""

import time
from collections.abc import Callable
from typing import Protocol

from memwatchd.errors import NotFoundError
from memwatchd.views.live.control import press
from memwatchd.views.live.frame import Frame
from memwatchd.views.live.lines import Line
from memwatchd.views.live.screen import body_rows, compose
from memwatchd.views.live.source import Source
from memwatchd.views.live.ui import Ui

# While something is read beforehand keys are looked for so often, and the picture is renewed now and then.
_WORK_S = 0.03
_WORKING_FRAME_S = 0.25
_IDLE_S = 3600.0
# So often the terminal can see for itself whether it has another size, or is gone.
_LISTEN_S = 1.0


class Display(Protocol):
    """See `memwatchd.views.live.terminal.Terminal`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""

    def show(self, lines: list[Line]) -> None:
        """Show these lines."""

    def key(self, timeout_s: float) -> str:
        """Wait for a key; empty when none came."""


class Program:
    """Runs until somebody quits.

    Args:
        source: What is watched.
        is_tape: It can be gone to and fro in.
        rate_hz: How often a second the picture is renewed while time passes.
        freeze: Puts a live source aside; None: it is none.
    """

    def __init__(
        self,
        display: Display,
        source: Source,
        *,
        is_tape: bool,
        rate_hz: float,
        freeze: Callable[[], Source] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ui = Ui(is_tape=is_tape)
        self._display, self._source, self._live = display, source, source
        self._freeze, self._clock = freeze, clock
        self._period_s = 1 / rate_hz
        self._frame: Frame | None = None
        self._due_s = self._played_s = 0.0
        self._working = True

    def run(self) -> None:
        """Show frames and take keys until it is to end."""
        self._due_s = self._clock()
        while not self.ui.quits:
            if self._working:
                self._work()
            if self._clock() >= self._due_s:
                self._picture()
            wait_s = 0.0 if self._working else max(0.0, self._due_s - self._clock())
            key = self._display.key(min(wait_s, _LISTEN_S))
            if key:
                self._press(key)
                self._due_s = self._clock()

    def _work(self) -> None:
        """Have something read beforehand; what is shown is renewed now and then, and at the end."""
        self._working = self._source.work(_WORK_S)
        now_s = self._clock()
        self._due_s = min(self._due_s, now_s + _WORKING_FRAME_S) if self._working else now_s

    def _picture(self) -> None:
        now_s, ui = self._clock(), self.ui
        if ui.playing and ui.is_tape:
            elapsed_s, self._played_s = now_s - self._played_s, now_s
            if not self._source.play(elapsed_s * ui.speed_signed):
                ui.playing, ui.message = False, "this is the end of the recording"
        self._frame = self._source.frame(ui.span_s)
        self._display.show(compose(self._frame, ui, *self._display.size))
        passes = ui.playing or not ui.is_tape
        self._due_s = max(self._due_s + self._period_s, now_s) if passes else now_s + _IDLE_S

    def _press(self, key: str) -> None:
        ui, was_playing = self.ui, self.ui.playing
        if key == "space" and ui.prompt is not None:
            key = " "
        if key == "space":
            self._space()
        elif self._frame is not None and key not in ("resize", "redraw"):
            width, height = self._display.size
            page = body_rows(self._frame, ui, width, height)
            press(key, ui, self._source, self._frame, page)
        if ui.playing and not was_playing:
            self._played_s = self._clock()

    def _space(self) -> None:
        """Freeze and go on; in a recording, play and pause."""
        ui = self.ui
        if self._freeze is None:
            ui.playing, ui.message = not ui.playing, ""
        elif ui.frozen:
            self._source, ui.frozen, ui.is_tape, ui.playing, ui.message = self._live, False, False, False, ""
        else:
            try:
                self._source = self._freeze()
            except NotFoundError as error:
                ui.message = str(error)
                return
            ui.frozen = ui.is_tape = self._working = True
            ui.message = ""
