"""The board: figures that readers may take at any time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.ring.board import (
    HISTOGRAM_BUCKETS,
    LAG_AT,
    MAX_SOURCES,
    READ_AT,
    SLOTS,
    Histogram,
    Slot,
    bucket_bound_ns,
    bucket_of,
    source_slot,
)


@given(value_ns=st.integers(0, 2**40))
def test_a_bucket_bounds_its_values_within_a_fifth(value_ns: int) -> None:
    """A quantile would be far from the truth."""
    bucket = bucket_of(value_ns)
    assert value_ns <= bucket_bound_ns(bucket)
    assert bucket_bound_ns(bucket) <= max(1.26 * value_ns, 1280)


@given(value_ns=st.integers(0, 2**63))
def test_no_value_falls_outside_of_the_histogram(value_ns: int) -> None:
    """A long stall would be counted in somebody else's slot."""
    assert 0 <= bucket_of(value_ns) < HISTOGRAM_BUCKETS


def test_quantiles_of_a_histogram() -> None:
    """Status would show wrong medians."""
    counts = [0] * HISTOGRAM_BUCKETS
    counts[bucket_of(10_000)] = 98
    counts[bucket_of(5_000_000)] = 2
    histogram = Histogram(tuple(counts))
    assert histogram.quantile_ns(0.5) == bucket_bound_ns(bucket_of(10_000))
    assert histogram.quantile_ns(0.99) == bucket_bound_ns(bucket_of(5_000_000))
    assert Histogram((0,) * HISTOGRAM_BUCKETS).quantile_ns(0.5) is None


def test_the_parts_of_the_board_do_not_overlap() -> None:
    """A counter would be overwritten by another."""
    assert max(Slot) < LAG_AT
    assert LAG_AT + HISTOGRAM_BUCKETS <= READ_AT
    assert source_slot(0) >= READ_AT + HISTOGRAM_BUCKETS
    assert source_slot(MAX_SOURCES - 1) + 4 <= SLOTS


@pytest.mark.parametrize("source", [-1, MAX_SOURCES])
def test_a_source_outside_of_the_board_is_refused(source: int) -> None:
    """It would write into memory that is not its own."""
    with pytest.raises(ValueError, match="not in 0"):
        source_slot(source)
