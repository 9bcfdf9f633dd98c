"""When the machine is in danger: timelines of what a tick says, and when that arms the recorder.

A timeline is drawn with one character per tenth of a second:

    stall       digit: tenths of the time in which some task waited for memory; X: all of it
    available   MemAvailable, as a letter per level: a is 100 MiB, b 200 MiB …, z 2.6 GiB; - is not there
    armed       what comes out: ! armed, . calm
"""

import pytest

from memwatchd.sampling.danger import HOLD_NS, Danger

STEP_NS = 100_000_000
START_NS = 1000 * STEP_NS


def stalls(timeline: str) -> list[int]:
    """PSI's total at the end of each step."""
    total, totals = 12_345, []
    for char in timeline:
        total += 100_000 if char == "X" else int(char) * 10_000
        totals.append(total)
    return totals


def run(*, stall: str = "", available: str = "", short: str = "") -> str:
    """Judge step after step; what is not given is not there."""
    danger, totals, drawn = Danger(), stalls(stall), ""
    for step in range(max(len(stall), len(available), len(short))):
        now_ns = START_NS + step * STEP_NS
        level = available[step] if available else "-"
        danger.judge(
            now_ns,
            stall_usec=totals[step] if stall else None,
            available_kib=None if level == "-" else (ord(level) - ord("a") + 1) * 102_400,
            zone_short=bool(short) and short[step] == "!",
        )
        drawn += "!" if danger.armed(now_ns) else "."
    return drawn


@pytest.mark.parametrize(
    ("stall", "armed"),
    [
        ("00000000000000", ".............."),
        ("00000X00000000", ".....!!!!!!!!!"),
        ("00000100000000", ".....!!!!!!!!!"),
        ("XXXXXXXXXXXXXX", "..!!!!!!!!!!!!"),  # what came before the first reading is not known
    ],
)
def test_stalls_arm(stall: str, armed: str) -> None:
    """A machine whose tasks wait for memory would be sampled at the calm rate."""
    assert run(stall=stall) == armed


def test_a_stall_below_two_percent_does_not_arm() -> None:
    """Every busy machine would be armed all the time."""
    danger = Danger()
    for step in range(100):
        danger.judge(START_NS + step * STEP_NS, stall_usec=1500 * step, available_kib=None, zone_short=False)
    assert not danger.armed(START_NS + 100 * STEP_NS)
    assert danger.reason == ""


@pytest.mark.parametrize(
    ("available", "armed"),
    [
        ("zzzzzzzzzzzzzzzz", "................"),
        ("abcdefghijklmnop", "................"),  # it rises
        ("zzzzzyxwvutsrqpo", "......!!!!!!!!!!"),  # 1 GiB/s with 2.4 GiB left
        ("zzzzzyyyyyyyyyyy", "................"),  # one step down, and that is that
        ("cccccbbbbbbbbbbb", ".....!!!!!!!!!!!"),  # the same step is much when there is little
    ],
)
def test_a_fall_that_reaches_zero_within_ten_seconds_arms(available: str, armed: str) -> None:
    """The seconds before a kill would be recorded as sparsely as the calm."""
    assert run(available=available) == armed


def test_a_slow_fall_does_not_arm() -> None:
    """A page cache filling up would arm the recorder for hours."""
    danger = Danger()
    for step in range(200):
        available_kib = (
            2_000_000 - 10_000 * step
        )  # 100 MB/s: zero in 20 s and more, until there is little left
        if available_kib < 1_200_000:
            break
        danger.judge(
            START_NS + step * STEP_NS, stall_usec=None, available_kib=available_kib, zone_short=False
        )
    assert danger.armed_until_ns == 0


def test_a_short_zone_arms_at_once() -> None:
    """The 32-bit server whose Normal zone filled up with free HighMem beside it would not be noticed."""
    assert run(short="...!....") == "...!!!!!"


def test_it_stays_armed_for_five_seconds_after_the_last_danger() -> None:
    """A machine in and out of trouble would be recorded in pieces."""
    timeline = "!" + "." * 29 + "!" + "." * 60
    assert run(short=timeline) == "!" * 30 + "!" * 50 + "." * 11
    assert HOLD_NS == 50 * STEP_NS


@pytest.mark.parametrize("short", ["........", "...!...."])
def test_without_psi_and_without_mem_available(short: str) -> None:
    """Kernels before 3.14 and without PSI would crash the loop, or never be armed."""
    assert run(short=short, stall="", available="") == short.replace("!....", "!!!!!")


def test_the_reason_has_figures() -> None:
    """The event would say that there was danger and not which."""
    danger = Danger()
    for step in range(8):
        danger.judge(
            START_NS + step * STEP_NS, stall_usec=50_000 * step, available_kib=None, zone_short=False
        )
    assert danger.reason == "tasks stalled for memory 50% of the time"
    for step in range(8, 30):
        danger.judge(
            START_NS + step * STEP_NS,
            stall_usec=None,
            available_kib=1_024_000 - 10_240 * (step - 8),
            zone_short=False,
        )
    assert danger.reason == "MemAvailable reaches zero in 7.9 s"
