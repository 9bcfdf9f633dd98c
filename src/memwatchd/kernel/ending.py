"""Signals that would end the program at once, made into an error while there is something to put in order.

SIGINT is one by itself: Python raises KeyboardInterrupt.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from memwatchd.errors import MemwatchdError

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class EndedError(MemwatchdError):
    """A signal has ended the program, or its terminal is gone; the exit status is the shell's for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.exit_status = 128 + number


def end(number: int, _frame: FrameType | None) -> NoReturn:
    """Handle a signal by the error for it."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise EndedError(number)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Have signals raise `EndedError` meanwhile, but for those that somebody else sees to already."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        left = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
        before = {number: signal.signal(number, end) for number in left}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
