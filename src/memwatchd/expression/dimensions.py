"""Checking that a condition compares like with like: bytes with bytes, seconds with seconds."""

from collections.abc import Callable

from memwatchd.expression.parse import ExpressionError
from memwatchd.expression.tree import (
    PLAIN,
    SECONDS,
    Arithmetic,
    Call,
    Comparison,
    Dimension,
    Name,
    Negative,
    Node,
    Number,
    children,
)

DimensionOf = Callable[[Name], Dimension]


def check(node: Node, dimension_of: DimensionOf) -> Dimension:
    """Check a tree from the leaves up.

    Args:
        node: Any node.
        dimension_of: What the signal of this name counts; raises ExpressionError where there is no such one.

    Returns:
        What the node's number counts; PLAIN for a truth.

    Raises:
        ExpressionError: Two things that do not go together meet.
    """
    parts = [check(child, dimension_of) for child in children(node)]
    match node:
        case Number():
            return node.dimension
        case Name():
            return dimension_of(node)
        case Negative():
            return parts[0]
        case Call():
            return _call(node, parts)
        case Arithmetic() if node.operator in "+-":
            return _same(node, node.left, parts[0], node.right, parts[1])
        case Arithmetic():
            return _product(node, parts[0], parts[1])
        case Comparison():
            _same(node, node.left, parts[0], node.right, parts[1])
    return PLAIN


def _call(node: Call, parts: list[Dimension]) -> Dimension:
    if node.function == "time_to":
        _same(node, node.arguments[0], parts[0], node.arguments[1], parts[1])
        return SECONDS
    if node.function == "rate":
        if parts[0].per_s:
            raise ExpressionError(node.at, f"expected something that is no rate yet; got {parts[0]}")
        # Seconds a second: a share of the time.
        return PLAIN if parts[0] == SECONDS else Dimension(parts[0].base, per_s=True)
    return parts[0]


def _same(node: Node, left: Node, a: Dimension, right: Node, b: Dimension) -> Dimension:
    if a == b or _zero(right):
        return a
    if _zero(left):
        return b
    raise ExpressionError(node.at, f"expected the same on both sides; got {a} on the left, {b} on the right")


def _zero(node: Node) -> bool:
    return isinstance(node, Number) and node.value == 0


def _product(node: Arithmetic, a: Dimension, b: Dimension) -> Dimension:
    if b == PLAIN:
        return a
    if node.operator == "*":
        if a == PLAIN:
            return b
        rate = b if a == SECONDS else a
        if SECONDS in (a, b) and rate.per_s:
            return Dimension(rate.base)
        raise ExpressionError(node.at, f"expected a plain number or share on one side; got {a} times {b}")
    if a == b:
        return PLAIN
    if b == SECONDS and not a.per_s:
        return Dimension(a.base, per_s=True)
    if b == Dimension(a.base, per_s=True):
        return SECONDS
    raise ExpressionError(node.at, f"expected something to divide {a} by; got {b}")
