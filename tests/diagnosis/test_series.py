"""Climbs, counters and marks in numbers by time."""

import pytest

from memwatchd.diagnosis.series import Climb, Series, find_climb, low_since, rise_of


def drawn(figures: str, step_s: float = 1.0) -> Series:
    """Numbers at even distances, of which the last is the event: ``10 10 10 20 30``."""
    values = [float(each) for each in figures.split()]
    return Series([(place - len(values) + 1) * step_s for place in range(len(values))], values)


def climb(since_s: float, until_s: float, from_value: float, to_value: float, **others: object) -> Climb:
    plain = {"until_value": to_value, "rising": True} | others
    return Climb(since_s, until_s, from_value, to_value=to_value, **plain)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("10", None, id="one value"),
        pytest.param("10 10 10 10 10 10", None, id="flat"),
        pytest.param("90 80 70 60 50", None, id="it shrank"),
        pytest.param("10 10 10 10 99 10 10 10 10", None, id="a single spike"),
        pytest.param("10 10 50 90 90 50 10 10 10", None, id="it grew and shrank again"),
        pytest.param("10 10 10 10 10 10 40 70 100", climb(-3, 0, 10, 100), id="calm, then a climb"),
        pytest.param("10 20 30 40 50 60 70 80 90", climb(-8, 0, 10, 90), id="all the time"),
        pytest.param("10 11 12 13 14 15 50 85 120", climb(-3, 0, 15, 120), id="slow, then fast"),
        pytest.param("10 20 30 40 50 45 70 80 90", climb(-8, 0, 10, 90), id="a short dip on the way"),
        pytest.param("80 80 80 10 10 40 70 90 99", climb(-4, 0, 10, 99), id="it began anew"),
        pytest.param(
            "10 10 50 90 10 10 50 90 10 10 50 90", climb(-2, 0, 10, 90), id="the last tooth of a saw"
        ),
        pytest.param("10 10 10 90 10 10 10 50 90", climb(-2, 0, 10, 90), id="a spike, then a climb"),
        pytest.param(
            "10 10 50 90 90 90 90 90 90", climb(-7, -5, 10, 90, rising=False), id="it had ended long before"
        ),
        pytest.param(
            "10 10 50 90 91 92 93 94 95",
            climb(-7, -5, 10, 95, until_value=90, rising=False),
            id="it had slowed down long before",
        ),
        pytest.param("10 10 10 10 40 70 100 130 130", climb(-5, -1, 10, 130), id="it met a limit just now"),
        pytest.param("10 10 10 10 10 10 10 10 90", climb(-1, 0, 10, 90), id="a jump at the end"),
    ],
)
def test_the_last_climb(figures: str, expected: Climb | None) -> None:
    """What has lain still for days would be said to have grown, or what grew to have done so for hours."""
    assert find_climb(drawn(figures)) == expected


def test_a_climb_does_not_depend_on_how_often_was_read() -> None:
    """A cache read once a second and one read 20 times would seem to have grown at different times."""
    once = find_climb(drawn(" ".join(["10"] * 20 + [str(10 + 30 * step) for step in range(1, 11)])))
    fine = [10] * 400 + [10 + 1.5 * step for step in range(1, 201)]
    often = find_climb(drawn(" ".join(map(str, fine)), 0.05))
    assert once is not None and often is not None
    assert (once.per_s, once.since_s) == pytest.approx((often.per_s, often.since_s), abs=0.1)


def test_noise_is_no_climb() -> None:
    """Each breath of a busy machine would be listed beside what filled it."""
    assert find_climb(drawn("100 101 100 99 100 101 102"), least=5) is None


@pytest.mark.parametrize(
    ("figures", "since_s", "expected"),
    [
        pytest.param("1000 1010 1020 1050", -2, 40, id="a counter"),
        pytest.param("1000 1010 1020 1050", -9, 50, id="from before the first value"),
        pytest.param("7 7 7 7", -2, 0, id="nothing happened"),
        pytest.param("4294967290 4294967295 4 14", -9, 15, id="wrapped at 32 bits"),
        pytest.param("1000 1010 0 30", -9, 40, id="began anew"),
        pytest.param("1000", -9, None, id="one value"),
        pytest.param("", -9, None, id="nothing"),
    ],
)
def test_how_far_a_counter_rose(figures: str, since_s: float, expected: float | None) -> None:
    """A counter that began anew would give a rise of billions, or a negative one."""
    assert rise_of(drawn(figures), since_s) == expected


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        pytest.param("90 90 90 40 30 20 10", -3, id="it fell and stayed"),
        pytest.param("90 20 90 90 30 20 10", -2, id="it had been below once before"),
        pytest.param("90 40 30 20 10 60", None, id="it had come up again"),
        pytest.param("90 90 90", None, id="never"),
        pytest.param("50 40 30", -2, id="at the mark from the start"),
        pytest.param(f"90 90 {'40 ' * 12} 60 {'40 ' * 8}", -20, id="up for a moment, as kswapd works"),
        pytest.param("90 40 60 40 60 40 60 40", 0, id="up for half of the time"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_since_when_below_a_mark(figures: str, expected: float | None) -> None:
    """The time there was to do something would be that of the last breath, or of a dip an hour ago."""
    series = drawn(figures)
    assert low_since(series, Series(series.times_s, [50.0] * len(series.values))) == expected
