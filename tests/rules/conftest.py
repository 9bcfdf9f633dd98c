"""Signals that say what the test has them say."""

from collections.abc import Callable
from math import nan

from memwatchd.expression.parse import parse_expression
from memwatchd.rules.program import Condition, Program
from memwatchd.signals.recording import Reader

MS = 1_000_000
S = 1000 * MS


class Panel:
    """Present values by name; one that is not on it is not there."""

    def __init__(self, **values: float) -> None:
        self.values = dict(values)
        self.reads = 0

    def read(self, name: str) -> Reader:
        """Make the reader of one."""

        def reader() -> float:
            self.reads += 1
            return self.values.get(name, nan)

        return reader


def condition(when: str, clear: str | None = None) -> Condition:
    """Make a condition of texts."""
    return Condition(parse_expression(when).root, None if clear is None else parse_expression(clear).root)


def program(read: Callable[[str], Reader], *whens: str) -> Program:
    """Make the program of these conditions, which clear by themselves."""
    return Program([condition(when) for when in whens], read)
