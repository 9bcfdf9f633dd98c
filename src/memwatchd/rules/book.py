"""The rules as the engine takes them: texts of conditions, already found good, and figures."""

from dataclasses import dataclass
from functools import partial
from math import nan

from memwatchd.expression.parse import parse_expression
from memwatchd.expression.tree import Node
from memwatchd.rules.engine import Engine, Timing
from memwatchd.rules.program import Condition, Program
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.recording import Reader, Recording, Text

# Their signals cost less than finding out whether there is a new text.
_NEW_ON_EVERY_TICK = ("meminfo", "vmstat", "pressure")


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePlan:
    """One rule.

    Attributes:
        when: Text of the condition.
        clear: Text of what clears it, or None.
    """

    name: str
    when: str
    clear: str | None
    timing: Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """All rules, and what holds for all of them."""

    rules: tuple[RulePlan, ...] = ()
    hold_after_kill_ns: int = 1_000_000_000
    settle_ns: int = 200_000_000


def make_engine(book: Rulebook, recording: Recording) -> Engine:
    """Make the engine of these rules, reading from a recording."""
    conditions = [
        Condition(_root(rule.when), None if rule.clear is None else _root(rule.clear)) for rule in book.rules
    ]
    return Engine(
        Program(conditions, partial(read_signal, recording)),
        [rule.timing for rule in book.rules],
        hold_after_kill_ns=book.hold_after_kill_ns,
        settle_ns=book.settle_ns,
    )


def read_signal(recording: Recording, name: str) -> Reader:
    """Make the reader of a signal, to be asked after every reading of its source."""
    signal = find_signal(name)
    reader = signal.bind(recording)
    if signal.every > 1:
        return _read_now_and_then(signal.every, reader)
    if len(signal.sources) != 1 or signal.sources[0] in _NEW_ON_EVERY_TICK:
        return reader
    text = recording.texts.get(signal.sources[0])
    return reader if text is None else _read_when_new(text, reader)


def _read_when_new(text: Text, read: Reader) -> Reader:
    """Remember the value for as long as the text is the same: it is dear, and its source read less often."""
    buffer: bytes | bytearray | None = None
    size, value = -1, nan

    def reader() -> float:
        nonlocal buffer, size, value
        present = text.buffer
        # Two texts in a row are in different buffers; without one, the size is negative.
        if present is not buffer or text.size != size:
            buffer, size = present, text.size
            value = read()
        return value

    return reader


def _read_now_and_then(every: int, read: Reader) -> Reader:
    """Remember the value for some ticks: it is dear and moves slowly."""
    left, value = 0, nan

    def reader() -> float:
        nonlocal left, value
        if left <= 0:
            left, value = every, read()
        left -= 1
        return value

    return reader


def _root(text: str) -> Node:
    return parse_expression(text).root
