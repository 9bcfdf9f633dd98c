"""What was recorded around a moment."""

import pytest

from memwatchd.incidents.recorded import iso


@pytest.mark.parametrize(
    ("realtime_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        ((1 << 63) - 1, "2262-04-11T23:47:16.854775Z"),
        (1 << 80, ""),
        (-(1 << 66), ""),
    ],
)
def test_times_of_day_to_the_microsecond(realtime_ns: int, text: str) -> None:
    """Two samples of one millisecond would seem to be of one moment, or a forged time end in a traceback."""
    assert iso(realtime_ns) == text
