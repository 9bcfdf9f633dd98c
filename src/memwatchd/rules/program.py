"""All conditions of a configuration as one Python function, so that a tick costs as little as can be.

The function is generated: walking trees on every tick would cost several times as much. It is made of numbers
and generated names only; nothing of a stranger's text gets into it. For two rules it looks like this::

    def evaluate(now_ns):
        global s0, s1, w0
        s0 = r0()
        s1 = r1()
        w0 = f0(now_ns, s0)
        mask = 0
        if ((s0 < (0.05 * s1)) and (w0 > 20971520.0)): mask |= 1
        if (s0 < (0.01 * s1)): mask |= 2
        return mask

What it has read stays there for the questions of the same tick: which rules are near, and which have cleared.

A signal that is not there reads as NaN, and every comparison with NaN is false. So that ``not`` cannot turn
that into a truth, it is pushed down to the comparisons first, and ``!=`` is written as below-or-above.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any, Literal

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
    children,
    walk,
)
from memwatchd.rules.windows import Window, make_window
from memwatchd.signals.recording import Reader
from memwatchd.units import format_duration

_OPPOSITE: dict[Comparator, Comparator] = {
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "==": "!=",
    "!=": "==",
}
# A rule is near its threshold when it would fire with every bound a quarter easier to meet, and has cleared
# when it would not even fire with every bound a tenth easier. The bound is what stands on the right.
_NEAR_SLACK = 0.25
_CLEAR_SLACK = 0.1


def positive(node: Node) -> Node:
    """Push every ``not`` down to the comparisons, where it disappears."""
    match node:
        case Not():
            return _negated(node.of)
        case Junction():
            return Junction(node.at, node.word, tuple(positive(part) for part in node.parts))
    return node


def _negated(node: Node) -> Node:
    match node:
        case Not():
            return positive(node.of)
        case Junction():
            word: Literal["and", "or"] = "and" if node.word == "or" else "or"
            return Junction(node.at, word, tuple(_negated(part) for part in node.parts))
        case Comparison():
            return Comparison(node.at, _OPPOSITE[node.comparator], node.left, node.right)
    return node


@dataclass(slots=True)
class _Writer:
    """Writes code, and collects what it refers to.

    Attributes:
        lines: What a tick computes before it comes to the conditions.
        names: Signal names, each one's number its place.
    """

    lines: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    windows: dict[str, tuple[int, Window]] = field(default_factory=dict)

    def number(self, node: Node) -> str:
        """Write a node that is a number."""
        match node:
            case Number():
                return repr(node.value)
            case Name():
                return self._signal(node.text)
            case Call():
                return self._window(node)
            case Negative():
                return f"(-{self.number(node.of)})"
            case Arithmetic():
                left, right = self.number(node.left), self.number(node.right)
                return (
                    f"div({left}, {right})" if node.operator == "/" else f"({left} {node.operator} {right})"
                )
        raise AssertionError(node)

    def truth(self, node: Node, slack: float = 0.0) -> str:
        """Write a node that is a truth and has no ``not`` in it, every bound easier to meet by `slack`."""
        if isinstance(node, Junction):
            return "(" + f" {node.word} ".join(self.truth(part, slack) for part in node.parts) + ")"
        assert isinstance(node, Comparison)
        left, right = self.number(node.left), self.number(node.right)
        if node.comparator == "!=":
            return f"({left} < {right} or {left} > {right})"
        if slack and node.comparator != "==":
            sign = "+" if node.comparator in ("<", "<=") else "-"
            right = f"({right} {sign} {slack!r} * abs({right}))"
        return f"({left} {node.comparator} {right})"

    def unknown(self, node: Node) -> str:
        """Write whether a number that a truth compares is not known."""
        compared = [part for each in walk(node) if isinstance(each, Comparison) for part in children(each)]
        numbers = dict.fromkeys(self.number(part) for part in compared if not isinstance(part, Number))
        return "(" + " or ".join(f"{number} != {number}" for number in numbers or ("0",)) + ")"

    def window_of(self, node: Call) -> Window:
        """The window that a call has become."""
        return self.windows[self._call(node)][1]

    def _signal(self, name: str) -> str:
        if name not in self.names:
            self.names[name] = len(self.names)
            self.lines.append(f"s{self.names[name]} = r{self.names[name]}()")
        return f"s{self.names[name]}"

    def _window(self, node: Call) -> str:
        call = self._call(node)
        if call not in self.windows:
            number = len(self.windows)
            self.windows[call] = number, make_window(node.function, node.window_ns)
            arguments = ", ".join(self.number(each) for each in node.arguments)
            self.lines.append(f"w{number} = f{number}(now_ns, {arguments})")
        return f"w{self.windows[call][0]}"

    def _call(self, node: Call) -> str:
        arguments = ", ".join(self.number(each) for each in node.arguments)
        return f"{node.function}({arguments}, {node.window_ns})"


def _div(left: float, right: float) -> float:
    return left / right if right else nan


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule waits for, and what it clears by; without the latter by a margin of a tenth.

    Where it is not known whether the latter is true, because what was watched is gone, the margin counts as
    well: otherwise the rule would never be over.
    """

    when: Node
    clear: Node | None = None


class Program:
    """The conditions of all rules.

    Args:
        conditions: In the order of the rules; a rule's place is its bit in the masks.
        read: Gives the reader of a signal.
    """

    def __init__(self, conditions: Sequence[Condition], read: Callable[[str], Reader]) -> None:
        self._conditions = conditions
        self._writer = writer = _Writer()
        fires = [writer.truth(positive(each.when)) for each in conditions]
        nears = [writer.truth(positive(each.when), _NEAR_SLACK) for each in conditions]
        clears = [self._clear(each) for each in conditions]
        self._namespace: dict[str, Any] = {"div": _div, "abs": abs, "__builtins__": {}}
        for number, window in writer.windows.values():
            self._namespace[f"f{number}"] = window
        values = [line.partition(" ")[0] for line in writer.lines]
        self._namespace |= dict.fromkeys(values, nan)
        self.bind(read)
        kept = [f"global {', '.join(values)}"] if values else []
        self.evaluate: Callable[[int], int] = self._function("evaluate", [*kept, *writer.lines], fires)
        """Take in a tick, on every tick, or the windows have holes: the mask of conditions that are true."""
        self.near: Callable[[int], int] = self._function("near", [], nears)
        """The mask of conditions that would be true with easier bounds, as of the last tick."""
        self.clear: Callable[[int], int] = self._function("clear", [], clears)
        """The mask of rules whose clear condition is true, as of the last tick."""

    def bind(self, read: Callable[[str], Reader]) -> None:
        """Take the readers anew, after watched sources have come or gone."""
        for name, number in self._writer.names.items():
            self._namespace[f"r{number}"] = read(name)

    def figures(self, rule: int) -> dict[str, float]:
        """Present values of what a rule's condition is made of: signals, and functions by their text."""
        condition = self._conditions[rule]
        found = {}
        for node in walk(condition.when):
            value = self.value(node)
            if value is not None:
                found[node_text(node)] = value
        return found

    def value(self, node: Node) -> float | None:
        """Present value of a signal or of a function over time; None for other nodes."""
        match node:
            case Name():
                value: float = self._namespace[f"r{self._writer.names[node.text]}"]()
                return value
            case Call():
                return self._writer.window_of(node).last
        return None

    def absent(self, rule: int) -> list[str]:
        """Signals of a rule that are not there now."""
        condition = self._conditions[rule]
        trees = [condition.when] if condition.clear is None else [condition.when, condition.clear]
        names = dict.fromkeys(node for tree in trees for node in walk(tree) if isinstance(node, Name))
        return list(dict.fromkeys(name.text for name in names if isnan(self.value(name) or 0.0)))

    def _clear(self, condition: Condition) -> str:
        failed = f"not {self._writer.truth(positive(condition.when), _CLEAR_SLACK)}"
        if condition.clear is None:
            return failed
        cleared = self._writer.truth(positive(condition.clear))
        return f"{cleared} or {self._writer.unknown(condition.clear)} and {failed}"

    def _function(self, name: str, lines: list[str], truths: list[str]) -> Callable[[int], int]:
        body = [*lines, "mask = 0"]
        body += [f"if {truth}: mask |= {1 << place}" for place, truth in enumerate(truths)]
        source = f"def {name}(now_ns):\n" + "".join(f" {line}\n" for line in (*body, "return mask"))
        # Made of numbers and of names made here, see above; there are no builtins in it but abs.
        exec(compile(source, f"<{name}>", "exec"), self._namespace)  # noqa: S102
        function: Callable[[int], int] = self._namespace[name]
        return function


def node_text(node: Node) -> str:
    """Write a signal or a function of it as it stands in a configuration."""
    match node:
        case Number() | Name():
            return node.text
        case Call():
            arguments = ", ".join(map(node_text, node.arguments))
            return f"{node.function}({arguments}, {format_duration(node.window_ns)})"
        case Negative():
            return f"-{node_text(node.of)}"
        case Arithmetic():
            operator = "of" if node.of else node.operator
            return f"({node_text(node.left)} {operator} {node_text(node.right)})"
    raise AssertionError(node)
