"""A condition of the configuration: its grammar, and whether its signals exist and go together."""

from collections.abc import Iterable, Mapping
from math import isfinite

from memwatchd.errors import UnknownSignalError
from memwatchd.expression.dimensions import check
from memwatchd.expression.parse import Expression, ExpressionError, parse_expression
from memwatchd.expression.tree import BYTES, PAGES, PLAIN, SECONDS, Dimension, Name, Node
from memwatchd.expression.words import say
from memwatchd.rules.program import node_text
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.signal import Unit
from memwatchd.units import format_bytes

_DIMENSIONS = {
    Unit.BYTES: BYTES,
    Unit.PAGES: PAGES,
    Unit.SECONDS: SECONDS,
    Unit.COUNT: PLAIN,
    Unit.RATIO: PLAIN,
}


def read_condition(text: str) -> Expression:
    """Read a condition.

    Raises:
        ExpressionError: What was expected, what was found, and where in the text.
    """
    expression = parse_expression(text)
    check(expression.root, dimension_of)
    return expression


def dimension_of(name: Name) -> Dimension:
    """Say what a signal counts.

    Raises:
        ExpressionError: There is no such signal on any kernel.
    """
    try:
        signal = find_signal(name.text)
    except UnknownSignalError as error:
        raise ExpressionError(name.at, str(error)) from None
    return _DIMENSIONS[signal.unit]


def _is_watched(name: str) -> bool:
    """Whether a signal is of a process or cgroup, which need not be there at every moment."""
    return name.startswith(("process.", "cgroup."))


def lacking(absent: Iterable[str], *, optional: bool) -> tuple[str, ...]:
    """Say which signals that are not there keep a rule from ever firing, unless that is meant."""
    return () if optional else tuple(name for name in absent if not _is_watched(name))


def explain(expression: Expression, values: Mapping[str, float]) -> str:
    """Say a condition in words, with present values in parentheses.

    Args:
        expression: One that `read_condition` has read.
        values: By the text of a signal or of a function of it, see `memwatchd.rules.program.node_text`.
    """

    def remark(node: Node) -> str:
        value = values.get(node_text(node))
        return "" if value is None else f" ({format_value(value, check(node, dimension_of))})"

    return say(expression.root, remark)


def format_value(value: float, dimension: Dimension) -> str:
    """Write a value with its unit, for a person."""
    if not isfinite(value):
        endless = "never" if dimension == SECONDS else "no end"
        return endless if value > 0 else "not there"
    per_s = "/s" if dimension.per_s else ""
    if dimension.base == "bytes":
        return format_bytes(value) + per_s
    if dimension.base == "seconds":
        return f"{value:.3g} s"
    digits = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{digits}{' pages' if dimension.base else ''}{per_s}"
