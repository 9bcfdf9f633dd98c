"""Moments as they are typed in."""

from dataclasses import replace

import pytest
from tests.conftest import ZERO_NS, S

from memwatchd.errors import NotFoundError
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.recorded import from_incident
from memwatchd.views.live.typed import moment_of

MS = 1_000_000


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("text", "from_zero_ns"),
    [
        ("0", 0),
        ("-0.5s", -S // 2),
        (" +200ms ", 200 * MS),
        ("-1min", -60 * S),
        ("22:13:20", -123 * MS),
        ("22:13:19.5", -623 * MS),
        ("22:13", -20_123 * MS),
        ("2023-11-14T22:13:21Z", 877 * MS),
        ("2023-11-14 23:13:21+01:00", 877 * MS),
    ],
)
def test_a_moment_is_found(incident: Incident, text: str, from_zero_ns: int) -> None:
    """One would land elsewhere than where one asked to go."""
    assert moment_of(text, from_incident(incident)) - ZERO_NS == from_zero_ns


@pytest.mark.parametrize("text", ["", "soon", "25:99", "1h", "9" * 50, "2023-13-01"])
def test_what_is_none_says_what_was_expected(incident: Incident, text: str) -> None:
    """A typing error would end the view."""
    with pytest.raises(NotFoundError, match=r"expected seconds such as -0\.5s"):
        moment_of(text, from_incident(incident))


def test_without_a_wall_clock_there_are_only_seconds(incident: Incident) -> None:
    """A time of day would be taken for some other time."""
    recorded = replace(from_incident(incident), zero_realtime_ns=None)
    assert moment_of("-1s", recorded) == ZERO_NS - S
    with pytest.raises(NotFoundError, match="nobody knows the time of day"):
        moment_of("22:13:20", recorded)
