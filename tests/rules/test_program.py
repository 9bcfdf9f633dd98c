"""All conditions as one function, against an evaluator that walks the tree."""

import operator
from collections.abc import Callable, Mapping
from math import inf, isnan, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.expression.conftest import DEEPEST, NAMES, comparisons, numbers, truths, untimed
from tests.rules.conftest import MS, Panel, S, condition, program

from memwatchd.expression.parse import parse_expression, parse_number
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
    walk,
)
from memwatchd.rules.program import Condition, Program, node_text
from memwatchd.rules.windows import Growth, Summary, TimeTo, make_window

_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Walker:
    """Evaluates a tree in the plainest way, tick by tick; None is neither true nor false."""

    def __init__(self, root: Node) -> None:
        self._root = root
        calls = [node for node in walk(root) if isinstance(node, Call)]
        self._windows: dict[int, Growth | Summary | TimeTo] = {
            id(node): make_window(node.function, node.window_ns) for node in calls
        }

    def tick(self, now_ns: int, values: Mapping[str, float]) -> bool | None:
        """Take in a tick."""
        seen: dict[int, float] = {}
        for node in reversed(list(walk(self._root))):
            if not isinstance(node, Comparison | Not | Junction):
                seen[id(node)] = self._number(node, now_ns, values, seen)
        return self._truth(self._root, seen)

    def _number(
        self, node: Node, now_ns: int, values: Mapping[str, float], seen: Mapping[int, float]
    ) -> float:
        match node:
            case Number():
                return node.value
            case Name():
                return values.get(node.text, nan)
            case Negative():
                return -seen[id(node.of)]
            case Call():
                arguments = [seen[id(each)] for each in node.arguments]
                window: Callable[..., float] = self._windows[id(node)]
                return window(now_ns, *arguments)
            case Arithmetic():
                left, right = seen[id(node.left)], seen[id(node.right)]
                match node.operator:
                    case "+":
                        return left + right
                    case "-":
                        return left - right
                    case "*":
                        return left * right
                    case "/":
                        return left / right if right else nan
        raise AssertionError(node)

    def _truth(self, node: Node, seen: Mapping[int, float]) -> bool | None:
        match node:
            case Comparison():
                left, right = seen[id(node.left)], seen[id(node.right)]
                return None if isnan(left) or isnan(right) else _COMPARED[node.comparator](left, right)
            case Not():
                inner = self._truth(node.of, seen)
                return None if inner is None else not inner
            case Junction():
                parts = [self._truth(part, seen) for part in node.parts]
                decisive = node.word == "or"
                if decisive in parts:
                    return decisive
                return None if None in parts else not decisive
        raise AssertionError(node)


_VALUES = st.sampled_from([0.0, 1.0, -1.0, 0.05, 0.5, 20.0, 512.0 * 2**20, 1e300, inf, -inf, nan])
_TICKS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, _VALUES)), min_size=1, max_size=6)


@untimed
@given(st.lists(truths, min_size=1, max_size=3), _TICKS)
def test_the_function_says_what_the_tree_says(trees: list[Node], ticks: list[dict[str, float]]) -> None:
    """A rule would act on a condition that is not true, or not act on one that is."""
    panel = Panel()
    made = Program([Condition(tree) for tree in trees], panel.read)
    walkers = [Walker(tree) for tree in trees]
    for number, values in enumerate(ticks):
        panel.values = values
        now_ns = S + number * 300 * MS
        expected = [walker.tick(now_ns, values) is True for walker in walkers]
        mask = made.evaluate(now_ns)
        assert [bool(mask >> place & 1) for place in range(len(trees))] == expected


def holds(text: str, **values: float) -> bool:
    return bool(program(Panel(**values).read, text).evaluate(S))


@pytest.mark.parametrize("comparator", list(_COMPARED))
@pytest.mark.parametrize(
    "shape", ["x {} 5", "not x {} 5", "not not x {} 5", "5 {} x", "x + 1 {} x", "not (x {} 5 and y > 0)"]
)
def test_what_is_not_there_makes_nothing_true(shape: str, comparator: str) -> None:
    """A rule would act because a file could not be read."""
    assert not holds(shape.format(comparator), y=1.0)


def test_what_is_not_there_does_not_decide_where_the_rest_does() -> None:
    """A rule with one signal this kernel lacks would be dead."""
    assert holds("x > 5 or y > 5", y=6.0)
    assert holds("not (x > 5 and y > 5)", y=4.0)
    assert not holds("x > 5 and y > 5", y=6.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x / 0 > 1", False),
        ("not x / 0 > 1", False),
        ("x / 0 != 1", False),
        ("0 / 0 == 0", False),
        ("x / y < 1", True),
        ("y > x", True),
        ("not y < x", True),
        ("y - y == 0", False),
        ("x != 1", True),
        ("not x != 1", False),
    ],
)
def test_division_by_zero_and_infinity(text: str, expected: bool) -> None:
    """The sampler would end on a machine without swap, or a rule act on a number that is none."""
    assert holds(text, x=5.0, y=inf) is expected


@pytest.mark.parametrize("text", DEEPEST)
def test_the_deepest_trees_there_can_be(text: str) -> None:
    """A condition that the parser takes would end the sampler."""
    made = program(Panel(x=1.0).read, text)
    for number in range(3):
        made.evaluate(S + number * S)
        made.near(S)
        made.clear(S)
    assert isinstance(made.figures(0), dict)


def test_two_hundred_large_conditions() -> None:
    """A long configuration would not start."""
    texts = ["+".join(["x"] * 140) + f" < {place} and y{place} > 1" for place in range(200)]
    assert program(Panel(x=-1.0, y77=2.0).read, *texts).evaluate(S) == 1 << 77


# ---- near and clear


@pytest.mark.parametrize(
    ("when", "fires", "near", "clears"),
    [
        # The three thresholds of x: below (or above) which it fires and is near, and past which it clears.
        ("x < 100", 99, 124, 111),
        ("x <= 100", 100, 125, 111),
        ("x > 100", 101, 76, 89),
        ("x >= 100", 100, 75, 89),
        ("not x >= 100", 99, 124, 111),
        ("x < -100", -101, -76, -89),
        ("x > 0", 1, 1, 0),
        ("10% of y < x", 101, 101, 89),
    ],
)
def test_near_is_a_quarter_easier_and_clear_a_tenth_past(
    when: str, fires: float, near: float, clears: float
) -> None:
    """The recorder would be armed too late, or a rule flap around its threshold."""
    panel = Panel(y=1000.0)
    made = program(panel.read, when)

    def masks(x: float) -> tuple[int, int, int]:
        panel.values["x"] = x
        return made.evaluate(S), made.near(S), made.clear(S)

    assert masks(fires) == (1, 1, 0)
    assert masks(near)[1] == 1
    assert (masks(clears)[0], masks(clears)[2]) == (0, 1)


def test_what_is_not_there_has_cleared() -> None:
    """A rule on a group that is gone would stay active for ever."""
    panel = Panel(x=6.0)
    made = Program([condition("x > 5"), condition("x > 5", "x < 3")], panel.read)
    assert (made.evaluate(S), made.clear(S)) == (3, 0)
    panel.values = {"x": 4.0}
    assert (made.evaluate(S), made.clear(S)) == (0, 1)
    panel.values = {"x": 2.0}
    assert (made.evaluate(S), made.clear(S)) == (0, 3)
    panel.values = {}
    assert (made.evaluate(S), made.clear(S)) == (0, 3)


def test_an_unknown_end_does_not_clear_what_still_holds() -> None:
    """A rule would be over in the middle of the storm, because one of its files cannot be read."""
    panel = Panel(x=6.0)
    made = Program([condition("x > 5", "y < 3 and 5 > 3")], panel.read)
    assert (made.evaluate(S), made.clear(S)) == (1, 0)
    panel.values = {"x": 4.9}
    assert (made.evaluate(S), made.clear(S)) == (0, 0)
    panel.values = {"x": 4.0}
    assert (made.evaluate(S), made.clear(S)) == (0, 1)


@untimed
@given(comparisons, st.dictionaries(st.sampled_from(NAMES), st.floats(0.5, 1e6)))
@example(parse_expression("x < 0").root, {"x": -1.0})
def test_what_fires_is_near_and_has_not_cleared(tree: Node, values: dict[str, float]) -> None:
    """A rule would clear in the tick in which it fires."""
    made = Program([Condition(tree)], Panel(**values).read)
    if made.evaluate(S):
        assert (made.near(S), made.clear(S)) == (1, 0)


# ---- what it reads, and what it tells


def test_a_signal_is_read_once_a_tick_whoever_asks() -> None:
    """Fifty rules on MemAvailable would cost fifty readings, and near and clear as many again."""
    panel = Panel(x=1.0, y=1.0)
    made = program(panel.read, "x < 5", "x < 4 and y > 2", "rate(x, 1s) > 3 or rate(x, 1s) < 2")
    made.evaluate(S)
    made.near(S)
    made.clear(S)
    assert panel.reads == 2


def test_before_the_first_tick_nothing_is_near() -> None:
    """The sampler would end when it is asked too early."""
    made = program(Panel(x=1.0).read, "x < 5")
    assert (made.near(S), made.clear(S)) == (0, 1)


def test_new_readers_are_used_from_the_next_tick_on() -> None:
    """A group that has come back would be read through the descriptor of the one that is gone."""
    made = program(Panel(x=1.0).read, "x > 5")
    assert made.evaluate(S) == 0
    made.bind(Panel(x=6.0).read)
    assert made.evaluate(2 * S) == 1


def test_the_figures_of_a_decision() -> None:
    """The journal would say that a rule fired, and not by which figures."""
    panel = Panel(x=100.0, y=8.0)
    made = program(panel.read, "not 5% of x > y and rate(x + y, 500ms) > -1 and max(z, 1min30s) < 5", "x > y")
    made.evaluate(S)
    panel.values["x"] = 200.0
    made.evaluate(S + 400 * MS)
    assert made.figures(1) == {"x": 200.0, "y": 8.0}
    figures = made.figures(0)
    assert isnan(figures.pop("z"))
    assert isnan(figures.pop("max(z, 1min30s)"))
    assert figures == {"x": 200.0, "y": 8.0, "rate((x + y), 500ms)": 250.0}


def test_what_is_absent_is_named_once() -> None:
    """Nobody would hear that a rule can never fire on this kernel."""
    made = Program([condition("x > y or x > 2 * z", "w > x and y > 5")], Panel(y=5.0).read)
    assert made.absent(0) == ["x", "z", "w"]


@untimed
@given(numbers)
def test_a_figure_is_called_as_it_is_written(tree: Node) -> None:
    """A placeholder in a message would not find its figure."""
    text = node_text(tree)
    assert node_text(parse_number(text)) == text
