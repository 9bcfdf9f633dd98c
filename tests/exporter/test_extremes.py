"""Sliding windows: nothing between two scrapes is lost, for anybody."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.exporter.extremes import COARSE_NS, WINDOWS, Bins, Track

S = 1_000_000_000


@given(
    st.lists(st.tuples(st.integers(1, 20 * S), st.floats(-1e12, 1e12)), min_size=1, max_size=60),
    st.sampled_from(sorted(WINDOWS)),
    st.integers(0, 400 * S),
)
def test_a_window_has_all_it_must_and_nothing_older(
    steps: list[tuple[int, float]], window: str, later_ns: int
) -> None:
    """A dip would be lost between two scrapes, or be told of long after it is over."""
    track, points, now_ns = Track(), list[tuple[int, float]](), 1000 * S
    for step_ns, value in steps:
        now_ns += step_ns
        points.append((now_ns, value))
        track.add(now_ns, value)
    now_ns += later_ns
    length_ns = WINDOWS[window]
    must = [value for at_ns, value in points if now_ns - at_ns < length_ns]
    may = [value for at_ns, value in points if now_ns - at_ns <= length_ns + COARSE_NS]
    found = track.extremes(now_ns, window)
    if found is None:
        assert not must
        return
    assert found[0] in may
    assert found[1] in may
    assert all(found[0] <= value <= found[1] for value in must)


@pytest.mark.parametrize("intervals_s", [(15, 15), (60, 7), (59, 60), (1, 60)])
def test_two_servers_see_every_extreme(intervals_s: tuple[int, int]) -> None:
    """The one that comes first would take the dip away from the other."""
    dips = {100.0: -1.0, 161.3: -2.0, 222.9: -3.0, 223.0: -4.0, 290.1: -5.0}
    track = Track()
    seen: tuple[set[float], set[float]] = (set(), set())
    for tenth in range(4000):
        now_ns = (1000 + tenth) * S // 10
        track.add(now_ns, dips.get(tenth / 10, 0.0))
        for interval_s, found in zip(intervals_s, seen, strict=True):
            if tenth % (interval_s * 10) == 3:
                extremes = track.extremes(now_ns + 1, "1m")
                assert extremes is not None
                found.add(extremes[0])
        if tenth / 10 in dips:
            track.add(now_ns + 1, dips[tenth / 10])
    # A deeper dip in the same window hides a shallower one; the deepest of each window is what is promised.
    for found in seen:
        assert -5.0 in found
        assert -4.0 in found
        assert min(found) == -5.0


def test_a_gap_is_empty() -> None:
    """An old figure would stand in the picture of a minute in which nothing was sampled."""
    bins = Bins(S, 4)
    bins.add(10 * S, 1.0)
    bins.add(10 * S + 1, 3.0)
    bins.add(10 * S + 2, 2.0)
    bins.add(12 * S, 5.0)
    found = bins.newest(13 * S, 4)
    assert [None if isnan(low) else (low, high) for low, high in found] == [
        (1.0, 3.0),
        None,
        (5.0, 5.0),
        None,
    ]
    bins.add(40 * S, 7.0)
    assert [None if isnan(low) else low for low, _ in bins.newest(40 * S, 4)] == [None, None, None, 7.0]
    bins.add(39 * S, -1.0)
    assert [None if isnan(low) else low for low, _ in bins.newest(40 * S, 4)] == [None, None, None, 7.0]


def test_nothing_known_is_nothing_told() -> None:
    """An absent figure would be exported as 0, or as one of long ago."""
    track = Track()
    assert track.extremes(10 * S, "5m") is None
    track.add(10 * S, float("nan"))
    assert track.extremes(10 * S, "5m") is None
    track.add(11 * S, 1.0)
    assert track.extremes(400 * S, "5m") is None
