"""Conditions on the signals there are."""

from math import inf, nan

import pytest

from memwatchd.config.conditions import explain, format_value, read_condition
from memwatchd.expression.parse import ExpressionError, parse_expression
from memwatchd.expression.tree import BYTES, PAGES, PLAIN, SECONDS, Dimension


@pytest.mark.parametrize(
    "text",
    [
        "zone.worst.margin < 5% of meminfo.MemTotal and rate(slab.dentry.bytes, 1s) > 20MiB/s",
        "time_to(meminfo.MemAvailable, 0) < 10s or not (swap.free > 64MiB)",
        "rate(pressure.some, 1s) > 10%",
        "pressure.some.avg10 > 10%",
        "swap.used_share > 90%",
        "delta(vmstat.oom_kill, 1min) > 3",
        'cgroup."/a ""b"".service".usage > 1GiB',
        "meminfo.Active(anon) > 1GiB",
        "recorder.lag > 50ms",
    ],
)
def test_what_the_documentation_shows_can_be_written(text: str) -> None:
    """Somebody would copy a condition and be told that it is wrong."""
    assert read_condition(text) == parse_expression(text)


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("5% > memnfo.MemFree", 5, "'memnfo.MemFree': no such signal; did you mean meminfo?"),
        (
            "meminfo.MemFree < 5%",
            16,
            "expected the same on both sides; got bytes on the left, a plain number",
        ),
        (
            "rate(pressure.some, 1s) > 1s",
            24,
            "expected the same on both sides; got a plain number or share on the",
        ),
        ("meminfo.MemFree <", 17, "expected a signal, a number or '('; got the end"),
    ],
)
def test_what_is_wrong_and_where(text: str, at: int, message: str) -> None:
    """Somebody would look for a mistake in a condition of three lines without a hint."""
    with pytest.raises(ExpressionError) as caught:
        read_condition(text)
    assert (caught.value.at, str(caught.value)[: len(message)]) == (at, message)


def test_a_condition_with_its_present_figures() -> None:
    """The journal would say that a rule fired, and not how things stood."""
    condition = read_condition(
        "meminfo.MemFree < 5% of meminfo.MemTotal and rate(pressure.some, 1s) > 10%"
        " and not time_to(swap.free, 0) > 10s"
    )
    values = {
        "meminfo.MemFree": 40.0 * 2**20,
        "meminfo.MemTotal": 2.0**30,
        "rate(pressure.some, 1s)": 0.25,
        "time_to(swap.free, 0, 1s)": inf,
        "swap.free": nan,
    }
    assert explain(condition, values) == (
        "meminfo.MemFree (40 MiB) is below 5% of meminfo.MemTotal (1 GiB) and"
        " the growth per second of pressure.some over 1s (0.25) is above 10% and"
        " the time until swap.free (not there) reaches 0 at its trend over 1s (never) is not above 10s"
    )


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (1536.0, BYTES, "1.5 KiB"),
        (1536.0, Dimension("bytes", per_s=True), "1.5 KiB/s"),
        (-1536.0, BYTES, "-1.5 KiB"),
        (0.25, SECONDS, "0.25 s"),
        (12345.0, PAGES, "12345 pages"),
        (0.25, PLAIN, "0.25"),
        (7.0, Dimension("", per_s=True), "7/s"),
        (inf, SECONDS, "never"),
        (inf, BYTES, "no end"),
        (nan, BYTES, "not there"),
    ],
)
def test_a_value_with_its_unit(value: float, dimension: Dimension, text: str) -> None:
    """A figure could be read as bytes or pages."""
    assert format_value(value, dimension) == text
