"""A condition in plain English, for the person who wants to know what a rule waits for."""

from collections.abc import Callable

from memwatchd.expression.tree import (
    Arithmetic,
    Call,
    Comparison,
    Junction,
    Name,
    Negative,
    Node,
    Not,
    Number,
)
from memwatchd.units import format_duration

_COMPARED = {
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "==": "is",
    "!=": "is not",
}
_OPERATED = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
_WINDOWED = {"avg": "the average", "min": "the lowest", "max": "the highest"}

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
            return f"minus {say(node.of, remark)}"
        case Arithmetic():
            word = "of" if node.of else _OPERATED[node.operator]
            return f"{_grouped(node.left, remark)} {word} {_grouped(node.right, remark)}"
        case Comparison():
            return f"{say(node.left, remark)} {_COMPARED[node.comparator]} {say(node.right, remark)}"
        case Not():
            return f"it is not so that {say(node.of, remark)}"
        case Junction():
            return f" {node.word} ".join(_part(part, remark) for part in node.parts)


def _part(node: Node, remark: Remark) -> str:
    text = say(node, remark)
    return f"({text})" if isinstance(node, Junction) else text


def _grouped(node: Node, remark: Remark) -> str:
    text = say(node, remark)
    return f"({text})" if isinstance(node, Arithmetic) and not node.of else text


def _call(node: Call, remark: Remark) -> str:
    window = format_duration(node.window_ns)
    first = _grouped(node.arguments[0], remark)
    match node.function:
        case "rate":
            return f"the growth of {first} a second, over {window},"
        case "delta":
            return f"the growth of {first} within {window}"
        case "time_to":
            bound = _grouped(node.arguments[1], remark)
            return f"the time until {first} reaches {bound} at its trend"
    return f"{_WINDOWED[node.function]} {first} within {window}"
