"""Signals that end the program, made into an error for a while."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from memwatchd.kernel.ending import EndedError, ending_in_order


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_signal_becomes_an_error_and_is_itself_again() -> None:
    """What was begun would not be put in order, or the program could not be ended afterwards."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with pytest.raises(EndedError, match="ended by SIGTERM") as ended, ending_in_order():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert ended.value.exit_status == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_whoever_sees_to_it_himself_goes_on_doing_so() -> None:
    """A daemon that writes a file would end by an error instead of stopping in good order."""
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    with ending_in_order():
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_another_thread_leaves_signals_alone() -> None:
    """Only the main thread may change them: a file could not be written from another one."""
    done: list[bool] = []

    def work() -> None:
        with ending_in_order():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
