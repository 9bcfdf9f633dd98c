"""A condition in plain English, for the person who wants to know what a rule waits for."""

from collections.abc import Callable

from memwatchd.expression.tree import (
    Arithmetic,
    Call,
    Comparator,
    Comparison,
    Junction,
    Name,
    Negative,
    Node,
    Not,
    Number,
)
from memwatchd.units import format_duration

_COMPARED: dict[Comparator, str] = {
    "<": "below",
    "<=": "at most",
    ">": "above",
    ">=": "at least",
    "==": "equal to",
    "!=": "not equal to",
}
_OPERATED = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
_OVER_TIME = {
    "rate": "the growth per second of",
    "delta": "the growth of",
    "avg": "the average of",
    "min": "the lowest value of",
    "max": "the highest value of",
}

# Writes a signal's present value after its name, or nothing.
Remark = Callable[[Node], str]


def say(node: Node, remark: Remark = lambda _node: "") -> str:
    """Say a condition or a number.

    Args:
        node: What to say.
        remark: What to add behind a signal or a function of it, for instance `` (12 MiB)``.
    """
    match node:
        case Number():
            return node.text
        case Name():
            return node.text + remark(node)
        case Call():
            return _call(node, remark) + remark(node)
        case Negative():
            return f"minus {_grouped(node.of, remark)}"
        case Arithmetic():
            return _arithmetic(node, remark)
        case Comparison():
            return f"{say(node.left, remark)} is {_COMPARED[node.comparator]} {say(node.right, remark)}"
        case Not():
            return _opposite(node.of, remark)
        case Junction():
            return f" {node.word} ".join(_part(part, remark) for part in node.parts)


def _opposite(node: Node, remark: Remark) -> str:
    match node:
        case Not():
            return say(node.of, remark)
        case Comparison():
            compared = f"not {_COMPARED[node.comparator]}".removeprefix("not not ")
            return f"{say(node.left, remark)} is {compared} {say(node.right, remark)}"
    return f"it is not so that {_part(node, remark)}"


def _part(node: Node, remark: Remark) -> str:
    text = say(node, remark)
    # A junction stays one behind two that cancel each other out.
    while isinstance(node, Not) and isinstance(node.of, Not):
        node = node.of.of
    return f"({text})" if isinstance(node, Junction) else text


def _arithmetic(node: Arithmetic, remark: Remark) -> str:
    if node.of:
        return f"{say(node.left, remark)} of {_grouped(node.right, remark)}"
    # A row of the same kind goes on from left to right, when spoken too.
    row = isinstance(node.left, Arithmetic) and (node.left.operator in "+-") == (node.operator in "+-")
    left = say(node.left, remark) if row else _grouped(node.left, remark)
    return f"{left} {_OPERATED[node.operator]} {_grouped(node.right, remark)}"


def _grouped(node: Node, remark: Remark) -> str:
    text = say(node, remark)
    return f"({text})" if isinstance(node, Arithmetic) and not node.of else text


def _call(node: Call, remark: Remark) -> str:
    window = format_duration(node.window_ns)
    first = _grouped(node.arguments[0], remark)
    if node.function == "time_to":
        bound = _grouped(node.arguments[1], remark)
        return f"the time until {first} reaches {bound} at its trend over {window}"
    return f"{_OVER_TIME[node.function]} {first} over {window}"
