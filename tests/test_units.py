"""Values with units."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.units import (
    DURATION_PATTERN,
    PERCENTAGE_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_percentage,
    format_rate,
    format_size,
    parse_duration,
    parse_percentage,
    parse_rate,
    parse_size,
    quoted,
)

PARSERS = [parse_size, parse_duration, parse_rate, parse_percentage]
PATTERNS = {
    parse_size: SIZE_PATTERN,
    parse_duration: DURATION_PATTERN,
    parse_rate: RATE_PATTERN,
    parse_percentage: PERCENTAGE_PATTERN,
}

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("4096", 4096),
        ("100B", 100),
        ("16MiB", 16 << 20),
        ("16 MiB", 16 << 20),
        ("512M", 512 << 20),
        ("512MB", 512 << 20),
        ("8kB", 8 << 10),
        ("8K", 8 << 10),
        ("1.5GiB", 3 << 29),
        ("2T", 2 << 40),
        ("0.3K", 307),
        (" 1K ", 1024),
    ],
)
def test_size(text: str, size_bytes: int) -> None:
    """A ring or a limit would be of another size than the file says."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("0", 0),
        ("30", 30 * SECOND_NS),
        ("1.5", 3 * SECOND_NS // 2),
        ("250ms", 250_000_000),
        ("30s", 30 * SECOND_NS),
        ("5min", 300 * SECOND_NS),
        ("5m", 300 * SECOND_NS),
        ("1h30m", 5400 * SECOND_NS),
        ("1h 30min", 5400 * SECOND_NS),
        ("1.5h", 5400 * SECOND_NS),
        ("90d", 90 * 86400 * SECOND_NS),
        ("2w", 14 * 86400 * SECOND_NS),
        ("1s1ms1us1ns", 1_001_001_001),
    ],
)
def test_duration(text: str, duration_ns: int) -> None:
    """A period or a limit would be of another length than the file says."""
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    ("text", "rate_hz"), [("200Hz", 200.0), ("200", 200.0), ("0.5Hz", 0.5), ("20 Hz", 20.0)]
)
def test_rate(text: str, rate_hz: float) -> None:
    """Sampling would run at another rate than the file says."""
    assert parse_rate(text) == rate_hz


@pytest.mark.parametrize(("text", "value_pct"), [("5%", 5.0), ("0.5%", 0.5), ("100 %", 100.0)])
def test_percentage(text: str, value_pct: float) -> None:
    """A budget would be another share of a core than the file says."""
    assert parse_percentage(text) == value_pct


HOSTILE = [
    "",
    " ",
    "-1",
    "+1",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "infinity",
    "010",
    "00",
    "0x10",
    "0o10",
    "1_000",
    "1e3",
    "1.",
    ".5",
    "1,5",
    "5:30",
    "on",
    "5 apples",
    "5%%",
    "1\n",
    "\t1",
    "١٢",  # Arabic digits, which int() takes
    "²",
    "1\x00",
    "9" * 100_000,
    "1" + "0" * 40 + "X",
]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value(parse: object, text: str) -> None:
    """A slip of the pen, or a trap of YAML 1.1, would become a value nobody meant."""
    assert callable(parse)
    with pytest.raises(ValueError, match=r"^expected .*; got ") as caught:
        parse(text)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_size, "5s"),
        (parse_size, "5MiBs"),
        (parse_size, "5BB"),
        (parse_size, "5m"),  # milli- or mega-
        (parse_size, "5Mb"),  # bits
        (parse_size, "99999999T"),
        (parse_duration, "5Hz"),
        (parse_duration, "1h30"),
        (parse_duration, "30min1h"),
        (parse_duration, "1h1h"),
        (parse_duration, "5M"),  # months, in systemd
        (parse_duration, "300000d"),
        (parse_rate, "5%"),
        (parse_rate, "5kHz"),
        (parse_percentage, "5"),
        (parse_percentage, "0.05"),
    ],
)
def test_wrong_or_ambiguous_unit(parse: object, text: str) -> None:
    """A value with a unit that does not fit, or could mean two things, would be guessed at."""
    assert callable(parse)
    with pytest.raises(ValueError, match=r"^expected "):
        parse(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1025, "1025B"), (3 << 29, "1536MiB"), (1 << 40, "1TiB")],
)
def test_format_size(size_bytes: int, text: str) -> None:
    """A size in a message or a stored configuration would be hard to read."""
    assert format_size(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (250_000_000, "250ms"),
        (120 * SECOND_NS, "2min"),
        (5400 * SECOND_NS, "1h30min"),
        (90 * 86400 * SECOND_NS, "90d"),
        (1_500_000_000, "1s500ms"),
    ],
)
def test_format_duration(duration_ns: int, text: str) -> None:
    """A duration in a message or a stored configuration would be hard to read."""
    assert format_duration(duration_ns) == text


@pytest.mark.parametrize(
    ("rate_hz", "text"), [(200.0, "200Hz"), (200, "200Hz"), (0.5, "0.5Hz"), (1e-05, "0.00001Hz")]
)
def test_format_rate(rate_hz: float, text: str) -> None:
    """A rate would be written with an exponent, which cannot be read back."""
    assert format_rate(rate_hz) == text


@given(st.integers(0, (1 << 63) - 1))
def test_sizes_and_durations_come_back(value: int) -> None:
    """A configuration stored in an incident would differ from the one that ran."""
    assert parse_size(format_size(value)) == value
    assert parse_duration(format_duration(value)) == value


@given(st.floats(1e-9, 1e12))
def test_rates_and_percentages_come_back(value: float) -> None:
    """A configuration stored in an incident would differ from the one that ran."""
    assert parse_rate(format_rate(value)) == value
    assert parse_percentage(format_percentage(value)) == value


@given(st.text(max_size=80) | st.from_regex(rf"(?:{DURATION_PATTERN})[KkMGTiBHz% ]*", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Some text would end the start with another exception, give a negative value, or escape the pattern."""
    for parse in PARSERS:
        try:
            value = parse(text)
        except ValueError as error:
            assert str(error).startswith("expected ")
        else:
            assert value >= 0
            assert math.isfinite(value)
            assert re.fullmatch(PATTERNS[parse], text.strip(" "))


def test_quoted_is_short_and_of_one_line() -> None:
    """A message would be as long as a hostile value, or break the line."""
    assert quoted("a" * 1000) == repr("a" * 39 + "…")
    assert quoted("a\nb\x1b") == r"'a\nb\x1b'"
