"""The line that says how far it has come."""

import io

from memwatchd.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_quick_shows_nothing() -> None:
    """Every command would flicker."""
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    progress.begin("kern.log", 1000)
    clock.now_s += 0.9
    progress.reached(500)
    progress.clear()
    assert stream.getvalue() == ""


def test_what_takes_long_is_shown_now_and_then_and_goes_away() -> None:
    """One would think that it hangs; or the line would stay in the middle of the report."""
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    progress.begin("kern\x1b.log", 100_000_000)
    clock.now_s += 2
    progress.reached(50_000_000)
    clock.now_s += 0.1
    progress.reached(60_000_000)
    progress.clear()
    progress.clear()
    assert stream.getvalue() == "\r\x1b[Kkern\\x1b.log: 47.7 MiB read, 50%, 25 MB/s\r\x1b[K"


def test_where_nobody_knows_how_much_there_is() -> None:
    """A pipe would be shown as done from the beginning."""
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    progress.begin("standard input", None)
    clock.now_s += 2
    progress.reached(4_000_000)
    assert stream.getvalue() == "\r\x1b[Kstandard input: 3.81 MiB read, 2 MB/s"


def test_only_a_terminal_sees_it() -> None:
    """A log of a nightly job would be full of it."""
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    progress.begin("kern.log", 1000)
    clock.now_s += 5
    progress.reached(500)
    assert stream.getvalue() == ""
