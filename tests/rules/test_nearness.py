"""How near a condition is to being true."""

from math import inf, isnan, nan

import pytest

from memwatchd.expression.parse import parse_expression
from memwatchd.expression.tree import Call, Name
from memwatchd.rules.nearness import Nearness, nearness_of
from memwatchd.rules.program import node_text

FREE, TOTAL, DIRTY = "meminfo.MemFree", "meminfo.MemTotal", "meminfo.Dirty"


def near(condition: str, **values: float) -> Nearness:
    """How near it is, with values of free, total and dirty memory."""
    named = {"meminfo.MemFree": "free", "meminfo.MemTotal": "total", "meminfo.Dirty": "dirty"}

    def value(node: Name | Call) -> float:
        if isinstance(node, Call):
            return values["call"]
        return values.get(named[node.text], nan)

    return nearness_of(parse_expression(condition).root, value)


@pytest.mark.parametrize(
    ("condition", "values", "share"),
    [
        (f"{FREE} < 100", {"free": 400}, 0.25),
        (f"{FREE} < 100", {"free": 100}, 0.999),
        (f"{FREE} < 100", {"free": 99}, 1.0),
        (f"{FREE} > 100", {"free": 80}, 0.8),
        (f"{FREE} > 100", {"free": 101}, 1.0),
        (f"{FREE} > 0", {"free": 0}, 0.0),
        (f"{FREE} < 0", {"free": 5}, 0.0),
        (f"{FREE} < 5% of {TOTAL}", {"free": 100, "total": 1000}, 0.5),
        (f"{FREE} == 7", {"free": 6.9}, 0.0),
        (f"{FREE} == 7", {"free": 7}, 1.0),
        (f"time_to({FREE}, 0, 1s) < 10s", {"call": 40}, 0.25),
        (f"time_to({FREE}, 0, 1s) < 10s", {"call": inf}, 0.0),
        (f"not {FREE} > 100", {"free": 400}, 0.25),
    ],
)
def test_a_comparison_is_as_near_as_it_has_come(
    condition: str, values: dict[str, float], share: float
) -> None:
    """A rule about to fire would look far away, or the other way round."""
    assert near(condition, **values).share == pytest.approx(share)


def test_of_all_that_must_hold_the_furthest_counts() -> None:
    """A rule that waits for two things would look near when one of them is."""
    found = near(f"{FREE} < 100 and {DIRTY} > 10", free=50, dirty=2)
    assert found.share == pytest.approx(0.2)
    assert node_text(found.by.left) == DIRTY
    assert (found.present, found.bound) == (2, 10)


def test_of_what_suffices_the_nearest_counts() -> None:
    """A rule would look far from firing though one of its reasons is near."""
    found = near(f"{FREE} < 100 or {DIRTY} > 10", free=1000, dirty=9)
    assert found.share == pytest.approx(0.9)
    assert node_text(found.by.left) == DIRTY


def test_what_is_not_there_is_no_distance() -> None:
    """A rule that cannot fire would look as if it might."""
    assert isnan(near(f"{FREE} < 100").share)
    assert isnan(near(f"{FREE} < 100 and {DIRTY} > 10", dirty=11).share)
    assert near(f"{FREE} < 100 or {DIRTY} > 10", dirty=11).share == 1.0
