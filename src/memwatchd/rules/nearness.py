"""How near a condition is to being true: 0 far away, 1 true.

A comparison is as near as its left side has come to the bound on its right: with ``MemAvailable < 5% of
MemTotal`` that is bound / value, with ``rate(…) > 20MiB`` it is value / bound. Of conditions joined by
``and`` the furthest counts, of those joined by ``or`` the nearest. So 0.8 is about what the engine calls
near: true, were every bound a quarter easier (see `memwatchd.rules.program`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isnan, nan

from memwatchd.expression.tree import Arithmetic, Call, Comparison, Junction, Name, Negative, Node, Number
from memwatchd.rules.program import positive

# Gives the present value of a signal or of a function over time; NaN for none.
Value = Callable[[Name | Call], float]


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near a condition is.

    Attributes:
        share: From 0 to 1; NaN where what it asks for is not there.
        by: The comparison that decides: the furthest of those needed.
        present, bound: Its two sides now.
    """

    share: float
    by: Comparison
    present: float
    bound: float


def nearness_of(condition: Node, value: Value) -> Nearness:
    """Say how near a condition is.

    Args:
        condition: A truth.
        value: Reads what it is made of.
    """
    return _near(positive(condition), value)


def _near(node: Node, value: Value) -> Nearness:
    if isinstance(node, Junction):
        parts = [_near(part, value) for part in node.parts]
        if node.word == "or":
            return max(parts, key=lambda part: -1.0 if isnan(part.share) else part.share)
        # What is not there keeps all of them from being true.
        return min(parts, key=lambda part: -1.0 if isnan(part.share) else part.share)
    assert isinstance(node, Comparison)
    present, bound = _number(node.left, value), _number(node.right, value)
    return Nearness(_share(node.comparator, present, bound), node, present, bound)


def _share(comparator: str, present: float, bound: float) -> float:
    if isnan(present) or isnan(bound):
        return nan
    holds = {
        "<": present < bound,
        "<=": present <= bound,
        ">": present > bound,
        ">=": present >= bound,
        "==": present == bound,
        "!=": present != bound,
    }[comparator]
    if holds:
        return 1.0
    low, high = (bound, present) if comparator in ("<", "<=") else (present, bound)
    if comparator in ("==", "!=") or low < 0 or high <= 0 or high == inf:
        return 0.0
    # On the bound, and yet not beyond it.
    return min(low / high, 0.999)


def _number(node: Node, value: Value) -> float:
    match node:
        case Number():
            return node.value
        case Name() | Call():
            return value(node)
        case Negative():
            return -_number(node.of, value)
        case Arithmetic():
            return _combine(node.operator, _number(node.left, value), _number(node.right, value))
    raise AssertionError(node)


def _combine(operator: str, left: float, right: float) -> float:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return left / right if right else nan
