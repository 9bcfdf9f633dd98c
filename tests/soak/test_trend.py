"""Whether something grows: leaks are found, peaks and settling are not taken for one."""

import random

import pytest
from soak.trend import FEWEST_POINTS, floor_rise, growth, thinned


def noisy(per_step: float, count: int = 200, scatter: float = 1.0) -> list[tuple[float, float]]:
    """A line with noise on it."""
    source = random.Random(1)
    return [(float(at), 100.0 + per_step * at + source.gauss(0, scatter)) for at in range(count)]


@pytest.mark.parametrize("per_step", [0.0, 0.01, 0.1, -0.1])
def test_the_growth_of_a_noisy_line(per_step: float) -> None:
    """A leak would be taken for noise, or noise for a leak."""
    found = growth(noisy(per_step))
    assert found == pytest.approx(199 * per_step, abs=0.5)


def test_peaks_and_a_wild_end_do_not_decide() -> None:
    """One reading in the middle of a reload would end a run of a day as failed."""
    points = noisy(0.0)
    for place in (*range(50, 60), *range(190, 200)):
        points[place] = (points[place][0], 10_000.0)
    assert growth(points) == pytest.approx(0.0, abs=1.0)


def test_a_day_of_readings_is_thinned_and_says_the_same() -> None:
    """After a day the verdict would take hours of comparing all with all."""
    points = noisy(0.001, count=20_000, scatter=0.1)
    assert len(thinned(points)) <= 120
    assert growth(points) == pytest.approx(20.0, abs=0.5)


def test_too_few_points_say_nothing() -> None:
    """The first minute would be judged by chance."""
    assert growth(noisy(1.0, count=FEWEST_POINTS - 1)) is None
    assert floor_rise([]) is None


@pytest.mark.parametrize(
    ("values", "rise"),
    [
        ([6, 7, 9, 6, 8, 6, 9, 6, 7], 0),  # connections that come and go
        ([6, 7, 9, 7, 8, 9, 9, 7, 8], 1),  # one that stays
        ([9, 9, 9, 8, 7, 6, 6, 6, 6], -3),
    ],
)
def test_the_floor_of_what_comes_and_goes(values: list[int], rise: int) -> None:
    """A leaked descriptor would hide among those that are in use."""
    assert floor_rise([(float(at), float(value)) for at, value in enumerate(values)]) == rise
