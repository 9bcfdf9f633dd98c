"""What was before, to say how fast something grows."""

import pytest

from memwatchd.views.live.past import CacheMark, Mark, Past, growth_per_s

S = 1_000_000_000


def mark(at_s: float) -> Mark:
    return Mark(round(at_s * S), {}, {}, {}, {})


@pytest.mark.parametrize(
    ("at_s", "span_s", "found_s"), [(10, 2, 8), (10, 2.5, 7), (10, 60, 0), (0.1, 1, None), (3.5, 3, 0)]
)
def test_the_mark_lies_as_far_back_as_is_wanted(at_s: float, span_s: float, found_s: float | None) -> None:
    """Growth over ten seconds would be told of a moment, or of the whole recording."""
    past = Past()
    for second in range(12):
        past.note(mark(second))
    found = past.mark(round(at_s * S), round(span_s * S))
    assert (None if found is None else found.at_ns / S) == found_s


def test_old_marks_are_forgotten() -> None:
    """A view that is left open for a week would eat up memory itself."""
    past = Past(kept_ns=10 * S)
    for second in range(1000):
        past.note(mark(second))
        past.note_caches(CacheMark(second * S, {}))
    assert len(past.marks) < 25
    assert len(past.caches) < 25
    assert past.marks[0].at_ns < 989 * S


@pytest.mark.parametrize(
    ("before", "now", "elapsed_ns", "growth"),
    [
        (1.0, 3.0, 2 * S, 1.0),
        (3.0, 1.0, S // 2, -4.0),
        (None, 1.0, S, None),
        (1.0, None, S, None),
        (1.0, 2.0, 0, None),
        (float("nan"), 2.0, S, None),
    ],
)
def test_what_is_not_known_does_not_grow(
    before: float | None, now: float | None, elapsed_ns: int, growth: float | None
) -> None:
    """A cache that has just come would look like the fastest leak."""
    assert growth_per_s(before, now, elapsed_ns) == growth
