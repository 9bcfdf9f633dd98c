"""The rules that come with the program, against the course of a few signals."""

from collections.abc import Callable

from tests.rules.conftest import MS, Panel

from memwatchd.config.load import SHIPPED_CONFIG, parse_config
from memwatchd.rules.program import Condition, Program

TOTAL = 1000.0
TICK_MS = 100


def course(rule: str, available: Callable[[float], float], seconds: int) -> list[tuple[float, str]]:
    """When a rule fires and clears while MemAvailable, in thousandths, is this function of the seconds."""
    rules = parse_config(SHIPPED_CONFIG.read_text(), SHIPPED_CONFIG.name).rules
    found = next(each for each in rules if each.name == rule)
    panel = Panel(**{"meminfo.MemTotal": TOTAL})
    clear = None if found.clear is None else found.clear.root
    made = Program([Condition(found.when.root, clear)], panel.read)
    told: list[tuple[float, str]] = []
    active = False
    for tick in range(seconds * 1000 // TICK_MS):
        at_s = tick * TICK_MS / 1000
        panel.values["meminfo.MemAvailable"] = available(at_s)
        fires = made.evaluate(tick * TICK_MS * MS)
        if made.clear(tick * TICK_MS * MS) if active else fires:
            active = not active
            told.append((at_s, "fires" if active else "clears"))
    return told


def test_little_time_left_and_a_database() -> None:
    """A database that has filled its buffers would stay first in the kernel's line for good."""
    told = course("little-time-left", lambda at_s: max(120.0, 700.0 - 25.0 * at_s), 60)
    assert [what for _, what in told] == ["fires", "clears"]
    (fired_s, _), (cleared_s, _) = told
    assert 18 < fired_s < 23.2
    assert 32 < cleared_s < 34


def test_little_time_left_and_a_hog() -> None:
    """The hog would be let off while the machine stands still, before the kernel has chosen."""
    told = course("little-time-left", lambda at_s: max(15.0, 700.0 - 40.0 * at_s), 120)
    assert [what for _, what in told] == ["fires"]
