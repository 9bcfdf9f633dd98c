"""The rules that come with the program, against the course of a few signals."""

from collections.abc import Callable

import pytest
from tests.rules.conftest import MS, Panel

from memwatchd.config.load import SHIPPED_CONFIG, parse_config
from memwatchd.rules.program import Condition, Program

TOTAL = 1000.0
MIB = 1 << 20
TICK_MS = 5


def course(
    rule: str,
    available: Callable[[float], float],
    seconds: float,
    total: float = TOTAL,
    swap: tuple[float, float] = (0, 0),
) -> list[tuple[float, str]]:
    """When a rule fires and clears while MemAvailable is this function of the seconds."""
    rules = parse_config(SHIPPED_CONFIG.read_text(), SHIPPED_CONFIG.name).rules
    found = next(each for each in rules if each.name == rule)
    panel = Panel(**{"meminfo.MemTotal": total, "swap.total": swap[0], "swap.free": swap[1]})
    clear = None if found.clear is None else found.clear.root
    made = Program([Condition(found.when.root, clear)], panel.read)
    told: list[tuple[float, str]] = []
    active, since_ms = False, None
    for at_ms in range(0, int(seconds * 1000), TICK_MS):
        panel.values["meminfo.MemAvailable"] = available(at_ms / 1000)
        fires = made.evaluate(at_ms * MS)
        turns = made.clear(at_ms * MS) if active else fires
        since_ms = None if not turns else at_ms if since_ms is None else since_ms
        if since_ms is not None and at_ms - since_ms >= found.for_ns // MS:
            active, since_ms = not active, None
            told.append((at_ms / 1000, "fires" if active else "clears"))
    return told


def fires_at(rule: str, seconds: int, **signals: Callable[[float], float]) -> float | None:
    """When a rule fires first while these signals, a point in a name written as two underscores, run."""
    rules = parse_config(SHIPPED_CONFIG.read_text(), SHIPPED_CONFIG.name).rules
    found = next(each for each in rules if each.name == rule)
    panel = Panel(**{"meminfo.MemTotal": TOTAL})
    made = Program([Condition(found.when.root, None)], panel.read)
    since_ms = None
    for at_ms in range(0, seconds * 1000, TICK_MS):
        for name, value in signals.items():
            panel.values[name.replace("__", ".")] = value(at_ms / 1000)
        since_ms = (since_ms or at_ms) if made.evaluate(at_ms * MS) else None
        if since_ms is not None and at_ms - since_ms >= found.for_ns // MS:
            return at_ms / 1000
    return None


def thrash(stalled: float, pages_per_s: float, available: float) -> float | None:
    """When swap-thrash fires in a minute of this: share of the time, pages read back, share that is left."""
    return fires_at(
        "swap-thrash",
        60,
        pressure__full=lambda at_s: at_s * stalled,
        vmstat__pswpin=lambda at_s: at_s * pages_per_s,
        meminfo__MemAvailable=lambda _at_s: available * TOTAL,
    )


def test_a_machine_that_only_swaps_is_broken_off() -> None:
    """It would go on until swap is full: eighty seconds, or hours with a large swap on a disk."""
    at_s = thrash(stalled=0.5, pages_per_s=1000, available=0.03)
    assert at_s is not None
    assert at_s < 15


@pytest.mark.parametrize(
    ("stalled", "pages_per_s", "available"),
    [(0.3, 5000, 0.03), (0.9, 100, 0.03), (0.9, 5000, 0.12)],
    ids=["busy", "waits for something else", "has memory"],
)
def test_a_machine_that_swaps_and_works_is_left_alone(
    stalled: float, pages_per_s: float, available: float
) -> None:
    """Whoever uses his swap would lose a program for it."""
    assert thrash(stalled, pages_per_s, available) is None


def eaten(total: float, rate: float, rest: float = 0.0) -> Callable[[float], float]:
    """Five sixths of the machine, from the third second on eaten at a rate until so much is left."""
    return lambda at_s: max(rest, total * 5 / 6 - rate * max(0.0, at_s - 3))


@pytest.mark.parametrize("rest", [0.15, 0.20])
@pytest.mark.parametrize(
    ("total_mib", "rate_mib"), [(512, 20), (512, 100), (4096, 40), (4096, 1000), (65536, 2000)]
)
def test_little_time_left_and_a_database(total_mib: int, rate_mib: int, rest: float) -> None:
    """A database that fills its buffers would be put first in the kernel's line."""
    ends_s = 3 + total_mib / rate_mib
    assert course("little-time-left", eaten(total_mib, rate_mib, rest * total_mib), ends_s, total_mib) == []


@pytest.mark.parametrize(
    ("total_mib", "rate_mib", "left_ms"),
    [
        (512, 50, 1000),
        (512, 100, 300),
        (512, 200, 300),
        (512, 500, 300),
        (4096, 100, 4000),
        (4096, 500, 800),
        (4096, 1000, 300),
        (65536, 500, 9000),
    ],
)
def test_little_time_left_and_a_hog(total_mib: int, rate_mib: int, left_ms: int) -> None:
    """The rule would act when the kernel has chosen already; 20 ms are for acting."""
    zero_s = 3 + total_mib * 5 / 6 / rate_mib
    told = course("little-time-left", eaten(total_mib, rate_mib), zero_s, total_mib)
    assert [what for _, what in told] == ["fires"]
    assert zero_s - told[0][0] - 0.020 >= left_ms / 1000


def test_little_time_left_is_over_when_nothing_more_is_eaten() -> None:
    """A database that stays at a tenth would stay first in the kernel's line for good."""
    told = course("little-time-left", eaten(TOTAL, 50, 100), 40)
    assert [what for _, what in told] == ["fires", "clears"]
    (_, _), (cleared_s, _) = told
    assert 26 < cleared_s < 29


def test_little_time_left_holds_while_the_machine_stands_still() -> None:
    """The hog would be let off before the kernel has chosen."""
    told = course("little-time-left", eaten(TOTAL, 50, 15), 60)
    assert [what for _, what in told] == ["fires"]


@pytest.mark.parametrize(
    ("total_mib", "rate_mib", "left_ms"), [(512, 5, 4800), (512, 50, 400), (512, 290, 50), (65536, 500, 900)]
)
def test_no_time_left_and_a_hog(total_mib: int, rate_mib: int, left_ms: int) -> None:
    """The machine would stand still until the kernel has looked at every page; 20 ms are for acting."""
    total, rate = total_mib * MIB, rate_mib * MIB
    zero_s = 3 + total * 5 / 6 / rate
    told = course("no-time-left", eaten(total, rate), zero_s, total)
    assert [what for _, what in told] == ["fires"]
    assert zero_s - told[0][0] - 0.020 >= left_ms / 1000


@pytest.mark.parametrize(("rest", "free"), [(0.06, 0), (0.02, 0.5)], ids=["some is left", "swap is left"])
def test_no_time_left_where_there_is_room(rest: float, free: float) -> None:
    """A program would be killed that the kernel had let live."""
    total = 4096 * MIB
    assert (
        course("no-time-left", eaten(total, 100 * MIB, rest * total), 60, total, (total, free * total)) == []
    )
