"""What passes and what does not, on readings that are made up."""

from dataclasses import replace

import pytest
from soak.figures import Footprint, Reading, Ticks
from soak.judge import Check, judge, none

MIB = 1 << 20
COUNT = 60


def reading(number: int, **changes: object) -> Reading:
    """One of a row, five seconds apart, of a daemon that is as it should be."""
    footprint = Footprint(
        pid=7,
        rss_bytes=30 * MIB,
        pss_bytes=20 * MIB,
        own_bytes=18 * MIB,
        descriptors=16,
        threads=15,
        cpu_ns=0,
    )
    good = Reading(
        at_s=5.0 * number,
        monotonic_ns=5_000_000_000 * number,
        processes=dict.fromkeys(("service", "sampler", "exporter"), footprint),
        sampler=Ticks(done=1000 * number, missed=0, worst_lag_ns=0),
        sleeper=Ticks(done=1000 * number, missed=0, worst_lag_ns=4_000_000),
        sampler_pid=7,
        faults=(0, 0),
        period_ns=5_000_000,
        oversize=0,
        stolen_ns=0,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def failing(readings: list[Reading], gap_ns: int = 10_000_000) -> list[str]:
    """Names of the checks that did not pass."""
    return [check.name.partition(" (")[0] for check in judge(readings, gap_ns) if check.passed is False]


def with_footprint(number: int, **changes: int) -> Reading:
    """A reading of which the service's footprint is another one."""
    plain = reading(number)
    service = replace(plain.processes["service"], **changes)
    return replace(plain, processes={**plain.processes, "service": service})


def test_a_daemon_as_it_should_be_passes() -> None:
    """Nobody could ever pass."""
    readings = [reading(number) for number in range(COUNT)]
    assert failing(readings) == []
    assert all(check.passed for check in judge(readings, 10_000_000))


def test_nothing_is_said_too_early() -> None:
    """The first minutes would be told as passed."""
    assert judge([], 0) == []
    verdicts = {check.verdict for check in judge([reading(number) for number in range(5)], 0)}
    assert verdicts == {"too early", "passed"}


def test_a_leak_of_memory() -> None:
    """A daemon that grows by megabytes would pass."""
    slow = [with_footprint(number, rss_bytes=30 * MIB + number * 4096) for number in range(COUNT)]
    assert failing(slow) == []
    fast = [with_footprint(number, rss_bytes=30 * MIB + number * 32768) for number in range(COUNT)]
    assert failing(fast) == ["service: growth of RSS"]


@pytest.mark.parametrize("what", ["descriptors", "threads"])
def test_a_leak_of_descriptors_or_threads(what: str) -> None:
    """A daemon that runs out of them after a month would pass."""
    readings = [with_footprint(number, **{what: 16 + number // 30}) for number in range(COUNT)]
    assert failing(readings) == [f"service: floor of {what}"]


def test_page_faults_of_any_sampler() -> None:
    """Only the last sampler would be looked at, and the one before may have waited for memory."""
    readings = [reading(number, sampler_pid=7 + number // 20) for number in range(COUNT)]
    readings[5] = replace(readings[5], faults=(1, 0))
    readings[6:20] = [replace(each, faults=(2, 0)) for each in readings[6:20]]
    (check,) = [check for check in judge(readings, 0) if check.name == "page faults of 3 samplers"]
    assert (check.found, check.passed) == ("2 minor, 0 major", False)


@pytest.mark.parametrize(
    ("missed", "sleeper_missed", "passed"),
    [(59, 0, True), (61, 0, False), (500, 250, True), (700, 250, False)],
)
def test_missed_ticks_are_compared_with_those_of_a_sleeper(
    missed: int, sleeper_missed: int, passed: bool
) -> None:
    """A busy machine would fail the daemon, or the daemon hide behind it."""
    readings = [reading(number) for number in range(COUNT)]
    done = readings[-1].sampler.done
    readings[-1] = replace(
        readings[-1], sampler=Ticks(done, missed, 0), sleeper=Ticks(done, sleeper_missed, 0)
    )
    assert ("missed ticks" not in failing(readings)) == passed


def test_a_gap_longer_than_the_machine_accounts_for() -> None:
    """A reload that leaves the machine unwatched for a second would pass."""
    readings = [reading(number) for number in range(COUNT)]
    assert failing(readings, 57_000_000) == []
    assert failing(readings, 59_000_000) == ["longest gap"]


def test_what_must_not_happen() -> None:
    """It would be counted, and not said what it was."""
    assert none("deaths", 0, "nobody") == Check("deaths", "0", "0", passed=True)
    assert none("deaths", 2, "of both") == Check("deaths", "2: of both", "0", passed=False)
