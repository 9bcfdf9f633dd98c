"""Functions over time, against the whole series they have seen."""

import gc
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.expression.conftest import untimed
from tests.rules.conftest import MS, S

from memwatchd.rules.windows import Window, make_window

TICK_NS = 5 * MS
# A window's result may reach back for a step, of which it has ten or more, further or less than the window.
SLACK = 0.1
FUNCTIONS = ("rate", "delta", "avg", "min", "max", "time_to")
Ask = Callable[..., float]


@dataclass
class Series:
    """A window and all the values it has been given.

    Attributes:
        seen: (time, value) since the value was last not there.
    """

    function: str
    window_ns: int
    now_ns: int = 1000 * S
    seen: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.window = make_window(self.function, self.window_ns)

    def give(self, value: float, after_ns: int = TICK_NS) -> float:
        """Give it the next value, so long after the one before."""
        self.now_ns += after_ns
        ask: Ask = self.window
        if isnan(value):
            self.seen.clear()
        else:
            self.seen.append((self.now_ns, value))
        result = ask(self.now_ns, value, 0.0) if self.function == "time_to" else ask(self.now_ns, value)
        assert result == self.window.last or (isnan(result) and isnan(self.window.last))
        return result

    def since(self, age_ns: float) -> list[float]:
        """All values of at most this age."""
        return [value for at_ns, value in self.seen if self.now_ns - at_ns <= age_ns]

    def check(self, result: float, longest_gap_ns: int) -> None:
        """Hold a result against the series."""
        slack_ns = SLACK * self.window_ns + longest_gap_ns
        reach_ns = self.window_ns + slack_ns
        within, beyond = self.since(self.window_ns - slack_ns), self.since(reach_ns)
        if isnan(result):
            # It may be unknown only while less than half of the window has been seen.
            recent = [at_ns for at_ns, _ in self.seen if self.now_ns - at_ns <= self.window_ns - slack_ns]
            assert not recent or self.now_ns - recent[0] <= self.window_ns / 2 + slack_ns
            return
        match self.function:
            case "min":
                assert min(beyond) <= result <= min(within, default=inf)
            case "max":
                assert max(within, default=-inf) <= result <= max(beyond)
            case "avg":
                assert min(beyond) - 1e-6 <= result <= max(beyond) + 1e-6
            case "delta":
                newest = self.seen[-1][1]
                assert any(result == newest - value for value in self._starts(slack_ns))
            case "rate":
                self._check_rate(result, slack_ns)

    def _starts(self, slack_ns: float) -> list[float]:
        return [value for at_ns, value in self.seen if self._may_begin(at_ns, slack_ns)]

    def _check_rate(self, result: float, slack_ns: float) -> None:
        newest = self.seen[-1][1]
        rates = [
            (newest - value) * 1e9 / (self.now_ns - at_ns)
            for at_ns, value in self.seen
            if self._may_begin(at_ns, slack_ns)
        ]
        assert any(result == pytest.approx(rate) for rate in rates)

    def _may_begin(self, at_ns: int, slack_ns: float) -> bool:
        return self.window_ns / 2 <= self.now_ns - at_ns <= self.window_ns + slack_ns


_VALUES = st.floats(-1e9, 1e9) | st.sampled_from([nan, 0.0, 1.0])
_GAPS_NS = st.sampled_from([MS, TICK_NS, TICK_NS, TICK_NS, 11 * MS, 50 * MS, 400 * MS, 3 * S])


@untimed
@given(
    st.sampled_from(FUNCTIONS),
    st.sampled_from([20 * MS, 100 * MS, S]),
    st.lists(st.tuples(_VALUES, _GAPS_NS, st.integers(1, 60)), min_size=1, max_size=12),
)
def test_a_window_says_what_the_series_says(
    function: str, window_ns: int, pieces: list[tuple[float, int, int]]
) -> None:
    """A rate would be of another time than it says, or go on over a gap in the recording."""
    series, longest_gap_ns = Series(function, window_ns), 0
    for value, gap_ns, count in pieces:
        for number in range(count):
            longest_gap_ns = max(longest_gap_ns, min(gap_ns, window_ns))
            series.check(series.give(value + number % 7, gap_ns), longest_gap_ns)


@pytest.mark.parametrize("window_ns", [20 * MS, 50 * MS, 500 * MS, S, 60 * S])
@pytest.mark.parametrize("tick_ns", [MS, TICK_NS, 10 * MS])
def test_a_steady_growth_is_told_exactly(window_ns: int, tick_ns: int) -> None:
    """Thresholds would not mean what they say at other rates or over other times."""
    rate, delta = Series("rate", window_ns), Series("delta", window_ns)
    for number in range(3 * window_ns // tick_ns):
        value = number * tick_ns / 1e9 * 1000.0
        found = rate.give(value, tick_ns), delta.give(value, tick_ns)
    assert found[0] == pytest.approx(1000.0)
    slack = SLACK + tick_ns / window_ns
    assert found[1] == pytest.approx(window_ns / 1e9 * 1000.0, rel=slack)


@pytest.mark.parametrize("tick_ns", [100 * MS, 250 * MS, 500 * MS])
def test_slow_ticks_do_not_make_the_window_longer(tick_ns: int) -> None:
    """At 10 Hz the growth within a second would be that of one and a half."""
    series = Series("delta", S)
    for number in range(40):
        found = series.give(float(number * tick_ns), tick_ns)
    assert found == S


def test_the_average_is_that_of_all_values_and_not_of_some() -> None:
    """One odd reading in a minute would be a sixteenth of the average."""
    series = Series("avg", S)
    for number in range(1000):
        found = series.give(1000.0 if number == 900 else 0.0)
    assert found == pytest.approx(1000.0 / 200, rel=0.1)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_is_known_of_the_first_half(function: str) -> None:
    """A rule would fire on the first two ticks after a start."""
    series = Series(function, S)
    found = [series.give(1000.0 - number) for number in range(150)]
    unknown = [isnan(each) for each in found]
    first_known = unknown.index(False)
    assert not any(unknown[first_known:])
    assert 0.5 * S <= first_known * TICK_NS <= (0.5 + SLACK) * S + TICK_NS


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("gap", ["not there", "pause"])
def test_after_a_gap_it_begins_anew(function: str, gap: str) -> None:
    """The difference between before a suspend and after it would be taken for a rate."""
    series = Series(function, S)
    for number in range(400):
        series.give(1000.0 - number)
    if gap == "pause":
        series.now_ns += 2 * S
    else:
        assert isnan(series.give(nan))
    found = [series.give(1e6 - number) for number in range(150)]
    unknown = [isnan(each) for each in found]
    assert all(unknown[:100])
    assert not any(unknown[125:])
    assert (
        found[-1]
        == {
            "rate": pytest.approx(-200.0),
            "delta": -149.0,
            "avg": pytest.approx(1e6 - 74.5, abs=10),
            "min": 1e6 - 149,
            "max": 1e6,
            "time_to": pytest.approx((1e6 - 149) / 200),
        }[function]
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_pause_shorter_than_the_window_is_no_gap(function: str) -> None:
    """A tick that comes late, as they do when memory is short, would blind the rules."""
    series = Series(function, S)
    for number in range(400):
        series.give(1000.0 - number)
    assert not isnan(series.give(500.0, 700 * MS))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_does_not_grow(function: str) -> None:
    """The sampler would run out of locked memory after a week."""
    series, rng = Series(function, S), random.Random(1)
    ask: Ask = series.window
    bound = (0.0,) if function == "time_to" else ()
    names = [name for kind in type(series.window).__mro__ for name in getattr(kind, "__slots__", ())]

    def run(ticks: int) -> None:
        for _ in range(ticks):
            series.now_ns += TICK_NS
            ask(series.now_ns, nan if rng.random() < 0.001 else rng.random(), *bound)

    def sizes() -> list[int]:
        kept = [getattr(series.window, name) for name in names]
        return [len(each) if isinstance(each, list) else 0 for each in kept]

    run(1000)
    before, objects = sizes(), len(gc.get_objects())
    run(100_000)
    assert sizes() == before
    assert len(gc.get_objects()) - objects < 10
    assert sys.getsizeof(series.window) == sys.getsizeof(make_window(function, S))
    assert isinstance(series.window, Window)


# ---- time_to


def fall(series: Series, *, begin: float, per_s: float, ticks: int) -> float:
    """Have it fall steadily; the last result."""
    for number in range(ticks):
        found = series.give(begin - per_s * number * TICK_NS / 1e9)
    return found


def test_the_time_to_a_bound_at_a_steady_trend() -> None:
    """A rule that is to act ten seconds before memory is gone would act earlier or later."""
    # After 399 ticks of 5 ms at 100 a second.
    assert fall(Series("time_to", S), begin=1000.0, per_s=100.0, ticks=400) == pytest.approx(8.005)
    assert fall(Series("time_to", S), begin=-1000.0, per_s=-100.0, ticks=400) == pytest.approx(8.005)


def test_it_never_meets_what_it_does_not_move_towards() -> None:
    """A rule would act on memory that is being freed."""
    assert fall(Series("time_to", S), begin=1000.0, per_s=0.0, ticks=400) == inf
    assert fall(Series("time_to", S), begin=1000.0, per_s=-100.0, ticks=400) == inf


def test_what_is_there_or_has_just_passed_takes_no_time() -> None:
    """A rule would let go in the moment it was made for."""
    assert Series("time_to", S).give(0.0) == 0.0
    series = Series("time_to", S)
    fall(series, begin=100.0, per_s=100.0, ticks=201)
    # Beyond the bound for as long as the window remembers the other side.
    found = [series.give(-0.5 * number) for number in range(1, 400)]
    assert set(found[:175]) == {0.0}
    assert set(found[225:]) == {inf}


@pytest.mark.parametrize("at", range(300, 400, 9))
@pytest.mark.parametrize("by", [1e12, -999.0, -400.0])
def test_one_jump_is_no_trend(at: int, by: float) -> None:
    """One large allocation, freed at once, would look like the end of memory."""
    series = Series("time_to", S)
    for number in range(400):
        value = 1000.0 - number * 0.01 + (by if number == at else 0)
        found = series.give(value)
        if number > at:
            assert found == pytest.approx(value / 2, rel=0.01)


def test_a_step_is_no_trend_for_longer_than_it_takes() -> None:
    """After one large allocation that stays, memory would seem to go on falling."""
    series = Series("time_to", S)
    found = [series.give(1000.0 if number < 400 else 400.0) for number in range(800)]
    assert min(found[200:]) > 0.3
    assert set(found[650:]) == {inf}


def test_a_bound_may_move() -> None:
    """A bound such as 5 % of what a group may have would be taken as it was at the start."""
    window: Ask = make_window("time_to", S)
    for number in range(400):
        found = window((1000 + number) * TICK_NS, 1000.0, 2.5 * number)
    # The bound has risen to 997.5, at 500 a second.
    assert found == pytest.approx(0.005)
