"""Conditions in plain English."""

import pytest
from hypothesis import given
from tests.expression.conftest import DEEPEST, numbers, truths, untimed

from memwatchd.expression.parse import parse_expression, parse_number
from memwatchd.expression.tree import Call, Name, Node
from memwatchd.expression.words import say


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5MiB", "5MiB"),
        ("swap.free", "swap.free"),
        ("-x", "minus x"),
        ("-(a + b)", "minus (a plus b)"),
        ("a + b - c + d", "a plus b minus c plus d"),
        ("a - (b - c)", "a minus (b minus c)"),
        ("a * b / c", "a times b divided by c"),
        ("a + b * c", "a plus (b times c)"),
        ("(a + b) * c", "(a plus b) times c"),
        ("5% of a", "5% of a"),
        ("5% of (a + b)", "5% of (a plus b)"),
        ("5% of a + b", "5% of a plus b"),
        ("rate(x, 1s)", "the growth per second of x over 1s"),
        ("delta(x, 500ms)", "the growth of x over 500ms"),
        ("avg(x, 1min30s)", "the average of x over 1min30s"),
        ("min(x, 10s)", "the lowest value of x over 10s"),
        ("max(a + b, 10s)", "the highest value of (a plus b) over 10s"),
        ("time_to(x, 0)", "the time until x reaches 0 at its trend over 1s"),
        ("time_to(a - b, 5% of c, 3s)", "the time until (a minus b) reaches 5% of c at its trend over 3s"),
    ],
)
def test_numbers(text: str, said: str) -> None:
    """Nobody could check a rule by reading it aloud."""
    assert say(parse_number(text)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x < 5%", "x is below 5%"),
        ("x <= 5%", "x is at most 5%"),
        ("x > 5%", "x is above 5%"),
        ("x >= 5%", "x is at least 5%"),
        ("x == 5", "x is equal to 5"),
        ("x != 5", "x is not equal to 5"),
        ("not x < 5%", "x is not below 5%"),
        ("not x >= 5%", "x is not at least 5%"),
        ("not x == 5", "x is not equal to 5"),
        ("not x != 5", "x is equal to 5"),
        ("not not x < 5", "x is below 5"),
        ("not (a < 1 and b < 1)", "it is not so that (a is below 1 and b is below 1)"),
        ("not a < 1 and b < 1", "a is not below 1 and b is below 1"),
        ("a < 1 and (b < 1 or c < 1)", "a is below 1 and (b is below 1 or c is below 1)"),
        ("a < 1 and not not (b < 1 or c < 1)", "a is below 1 and (b is below 1 or c is below 1)"),
        ("a < 1 and b < 1 and c < 1", "a is below 1 and b is below 1 and c is below 1"),
        (
            "zone.worst.margin < 5% of meminfo.MemTotal and rate(slab.dentry.bytes, 1s) > 20MiB/s",
            "zone.worst.margin is below 5% of meminfo.MemTotal and"
            " the growth per second of slab.dentry.bytes over 1s is above 20MiB/s",
        ),
        (
            "time_to(meminfo.MemAvailable, 0) < 10s or not (swap.free > 64MiB)",
            "the time until meminfo.MemAvailable reaches 0 at its trend over 1s is below 10s or"
            " swap.free is not above 64MiB",
        ),
    ],
)
def test_conditions(text: str, said: str) -> None:
    """What a rule waits for would read like something else than it is."""
    assert say(parse_expression(text).root) == said


def test_present_values_stand_behind_what_they_belong_to() -> None:
    """A figure would be taken for another signal's."""

    def remark(node: Node) -> str:
        return " (twelve)" if isinstance(node, Name) else " (three)" if isinstance(node, Call) else ""

    condition = parse_expression("not 5% of x > rate(a + b, 1s)").root
    assert say(condition, remark) == (
        "5% of x (twelve) is not above the growth per second of (a (twelve) plus b (twelve)) over 1s (three)"
    )


@untimed
@given(truths | numbers)
def test_any_tree_can_be_said_on_one_line(tree: Node) -> None:
    """A rule could not be explained, or not be told from what stands next to it."""
    said = say(tree)
    assert said
    assert "\n" not in said
    assert said.count("(") == said.count(")")


@pytest.mark.parametrize("text", DEEPEST)
def test_the_deepest_trees_there_can_be(text: str) -> None:
    """A condition that the parser takes would end the daemon."""
    assert "x" in say(parse_expression(text).root)
