"""Lines for the administrator, and what happens when nobody takes them."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from memwatchd.service.logs import Log

QUEUE_LINES = 1000


class SlowTerminal:
    """A stderr that takes nothing until it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.stuck = threading.Event()
        self.caught_up = threading.Event()
        self.written = ""

    def write(self, text: str) -> int:
        self.stuck.set()
        assert self.let.wait(30)
        self.written += text
        if f"line {QUEUE_LINES - 1}\n" in text:
            self.caught_up.set()
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def fileno(self) -> int:
        raise OSError("no descriptor")


@pytest.fixture
def terminal() -> Iterator[SlowTerminal]:
    slow = SlowTerminal()
    yield slow
    slow.let.set()


MakeLog = Callable[[str], Log]


@pytest.fixture
def make_log(terminal: SlowTerminal) -> MakeLog:
    """Open a log that writes to the terminal."""

    def make(level: str) -> Log:
        # Here and not in the fixture, because pytest puts its own stderr in place between the two.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", terminal)
            return Log(level)

    return make


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Leave no handler behind for other tests."""
    yield
    logging.getLogger("memwatchd").handlers = []


def test_lines_in_order_with_their_level(terminal: SlowTerminal, make_log: MakeLog) -> None:
    """The administrator would not see what went wrong first."""
    terminal.let.set()
    log = make_log("info")
    log.note("error", "one")
    log.note("debug", "not said")
    log.note("warning", "two %s", incident="/x")
    log.note("info", "three")
    log.close()
    assert terminal.written == "memwatchd: ERROR: one\nmemwatchd: WARNING: two %s\nmemwatchd: INFO: three\n"
    assert log.dropped == 0


@pytest.mark.parametrize(("level", "lines"), [("error", 1), ("warning", 2), ("info", 3), ("debug", 4)])
def test_the_level_is_the_configured_one(
    terminal: SlowTerminal, make_log: MakeLog, level: str, lines: int
) -> None:
    """The journal would fill up, or stay empty."""
    terminal.let.set()
    log = make_log(level)
    for each in ("error", "warning", "info", "debug"):
        log.note(each, "x")
    log.close()
    assert terminal.written.count("\n") == lines


def test_names_of_strangers_make_no_lines(terminal: SlowTerminal, make_log: MakeLog) -> None:
    """A process could write into the journal in the daemon's name."""
    terminal.let.set()
    log = make_log("info")
    log.note("warning", "x\nmemwatchd: ERROR: forged\x1b[2J\udcff was killed")
    log.close()
    assert terminal.written.count("\n") == 1
    assert "\x1b" not in terminal.written


def test_a_journal_that_takes_nothing_holds_up_nobody(terminal: SlowTerminal, make_log: MakeLog) -> None:
    """The service would wait for journald, which waits for memory, which waits for the service."""
    log = make_log("info")
    log.note("info", "stuck")
    assert terminal.stuck.wait(30)
    for number in range(QUEUE_LINES + 500):
        log.note("info", f"line {number}")
    assert log.dropped == 500
    terminal.let.set()
    assert terminal.caught_up.wait(30)
    log.close()
    assert terminal.written.count("\n") == 1 + QUEUE_LINES
    assert f"line {QUEUE_LINES - 1}\n" in terminal.written


def test_the_end_of_the_service_does_not_fail_for_a_full_queue(
    terminal: SlowTerminal, make_log: MakeLog
) -> None:
    """The daemon would end with a traceback, and what is closed after the log would stay open."""
    log = make_log("info")
    log.note("info", "stuck")
    assert terminal.stuck.wait(30)
    for number in range(QUEUE_LINES + 1):
        log.note("info", f"line {number}")
    threading.Timer(0.2, terminal.let.set).start()
    log.close()


def test_the_same_line_is_not_written_twice_a_second(
    terminal: SlowTerminal, make_log: MakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that is declined in every round would fill the journal of a week."""
    now_ns = 5 * 10**9
    monkeypatch.setattr("memwatchd.service.logs.time.monotonic_ns", lambda: now_ns)
    terminal.let.set()
    log = make_log("info")
    for at_ns, message in ((0, "a"), (1, "b"), (999_999_999, "a"), (10**9, "a"), (1_500_000_000, "b")):
        now_ns = 5 * 10**9 + at_ns
        log.note("warning", message)
    log.close()
    assert [line.rpartition(" ")[2] for line in terminal.written.splitlines()] == ["a", "b", "a", "b"]
    assert log.repeated == 1
