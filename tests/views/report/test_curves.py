"""Curves with fewer points, broken curves, rates."""

from array import array
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.views.report.curves import (
    Curve,
    Kind,
    Panel,
    broken,
    extremes,
    first_value,
    rates,
    silences,
    thinned,
    value_at,
)


def panel(times_s: list[float], *curves: list[float], kind: Kind = Kind.LINES) -> Panel:
    return Panel(
        key="p",
        title="P",
        kind=kind,
        times_s=array("d", times_s),
        curves=[Curve(f"c{place}", "bytes", "", array("d", values)) for place, values in enumerate(curves)],
        samples=len(times_s),
    )


def points(shown: Panel) -> list[tuple[float, ...]]:
    return list(zip(shown.times_s, *(curve.values for curve in shown.curves), strict=True))


def test_no_spike_is_lost() -> None:
    """One sample of a thousand would not be seen, which is the one that matters."""
    values = [5.0] * 1000
    values[617], values[234] = 900.0, -3.0
    shown = thinned(panel([place / 100 for place in range(1000)], values), 0.0, 9.99, 10)
    assert len(shown.times_s) < 25
    assert {(6.17, 900.0), (2.34, -3.0)} <= set(points(shown))
    assert (shown.samples, shown.step_s) == (1000, 0.999)


def test_parts_still_add_up() -> None:
    """A stack would have a jagged edge where its lowest and highest were of different samples."""
    times_s = [place / 10 for place in range(500)]
    left = [float(place * 7919 % 101) for place in range(500)]
    shown = thinned(panel(times_s, left, [101.0 - value for value in left]), 0.0, 49.9, 20)
    assert len(shown.times_s) < 500
    assert {sum(point[1:]) for point in points(shown)} == {101.0}


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=1, max_size=60),
    st.integers(1, 9),
)
def test_whatever_is_left_is_a_sample_and_the_extremes_are_left(values: list[float], pieces: int) -> None:
    """A text that lacks the figure for a while would make it wrong all along."""
    whole = panel([float(place) for place in range(len(values))], values)
    shown = thinned(whole, 0.0, float(len(values) - 1) or 1.0, pieces)
    assert list(shown.times_s) == sorted(set(shown.times_s))
    assert all(
        value == values[int(at_s)] or (isnan(value) and isnan(values[int(at_s)]))
        for at_s, value in points(shown)
    )
    assert extremes(shown, shown.curves[0]) == extremes(whole, whole.curves[0])


def test_what_was_never_left_out_is_called_whole() -> None:
    """The page would speak of readings that are not shown."""
    assert thinned(panel([0.0, 1.0], [1.0, 2.0]), 0.0, 1.0, 100).step_s == 0.0


def test_a_silence_breaks_the_line() -> None:
    """A line across a second in which nobody looked would tell what nobody knows."""
    times_s = [0.0, 0.1, 0.2, 1.2, 1.3]
    quiet = silences(times_s)
    assert quiet == [(0.2, 1.2)]
    shown = broken(panel(times_s, [1.0, 2.0, 3.0, 4.0, 5.0]), quiet)
    assert list(shown.times_s) == [0.0, 0.1, 0.2, 0.2001, 1.2, 1.3]
    assert repr(list(shown.curves[0].values)) == "[1.0, 2.0, 3.0, nan, 4.0, 5.0]"
    assert repr(list(thinned(shown, 0.0, 1.3, 1).curves[0].values)) == "[1.0, nan, 4.0, 5.0]"


def test_a_file_that_is_read_rarely_is_no_silence() -> None:
    """A slow zoneinfo, at one reading a second would be a row of dots."""
    quiet = silences([place / 100 for place in range(500)])
    slow = panel([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    assert (quiet, broken(slow, quiet)) == ([], slow)


def test_counters_become_rates() -> None:
    """What grew would be drawn as a slope that nobody can read."""
    counted = panel([0.0, 0.05, 0.1, 0.15, 0.2, 0.3], [0.0, 5.0, 10.0, 10.0, 10.0, 40.0])
    shown = rates(counted, 0.1, ["pages/s"])
    assert [(at_s, round(value, 6)) for at_s, value in points(shown)] == [
        (0.0, 100.0),
        (0.1, 100.0),
        (0.2, 0.0),
        (0.3, 300.0),
    ]
    assert (shown.kind, shown.curves[0].unit, shown.samples) == (Kind.RATES, "pages/s", 6)


def test_no_more_than_all_of_the_time_is_lost() -> None:
    """A tick that read its files late would tell of tasks that waited for two seconds a second."""
    waited = panel([0.0, 1.0, 2.0], [0.0, 2.2, 2.5])
    assert list(rates(waited, 0.5, ["share"]).curves[0].values) == pytest.approx([1.0, 1.0, 0.3])
    assert list(rates(waited, 0.5, ["ms"]).curves[0].values) == pytest.approx([2.2, 2.2, 0.3])


def test_a_counter_that_fell_has_no_rate() -> None:
    """A recorder that was started anew would make a huge negative rate."""
    shown = rates(panel([0.0, 1.0, 2.0], [50.0, 3.0, 5.0]), 0.5, ["/s"])
    assert repr(list(shown.curves[0].values)) == "[nan, nan, 2.0]"


@pytest.mark.parametrize(
    ("at_s", "expected"), [(-1.0, None), (0.0, 1.0), (0.9, 1.0), (1.0, None), (9.0, 3.0)]
)
def test_a_value_is_that_of_the_reading_before(at_s: float, expected: float | None) -> None:
    """The cursor would show what was not known yet."""
    shown = panel([0.0, 1.0, 2.0], [1.0, nan, 3.0])
    assert value_at(shown, shown.curves[0], at_s) == expected


def test_a_rate_is_that_of_the_span_the_moment_is_in() -> None:
    """Half a span later the rate before it would be shown."""
    shown = panel([0.0, 1.0, 2.0], [7.0, 7.0, 3.0], kind=Kind.RATES)
    found = [value_at(shown, shown.curves[0], at_s) for at_s in (0.5, 1.0, 1.1, 5.0)]
    assert found == [7.0, 7.0, 3.0, 3.0]


def test_what_was_never_there_has_no_extremes() -> None:
    """A table would have infinite figures."""
    empty = panel([0.0, 1.0], [nan, inf])
    assert (extremes(empty, empty.curves[0]), first_value(empty.curves[0])) == (None, None)
