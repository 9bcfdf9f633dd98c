"""The rules in the loop: what they decide is handed on, and what is asked of them besides."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import MS, S, meminfo

from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Stage, Timing
from memwatchd.sampling.ruling import Ruling
from memwatchd.signals.replay import HeldText

START_NS = 1000 * S
MIB = 1 << 20


class Desk:
    """Rules over texts that are changed by hand, and what came of it."""

    def __init__(self, *rules: RulePlan, tell: Callable[[bytes], None] | None = None) -> None:
        self.texts = {"meminfo": HeldText()}
        self.told: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.now_ns = START_NS
        book = Rulebook(rules=rules, settle_ns=0)
        self.ruling = Ruling(book, self.texts, {}, 4096, tell or self._hear)

    def tick(self, available_mib: float | None, after_ns: int = 50 * MS) -> str:
        """Go on; the name of a rule that is near."""
        self.now_ns += after_ns
        text = None if available_mib is None else meminfo(MemAvailable=int(available_mib * 1024))
        self.texts["meminfo"].hold(text)
        self.ruling.tick(self.now_ns, self._happen)
        return self.ruling.near(self.now_ns)

    def done(self, rule: str, step: int) -> None:
        """Say that a step has ended."""
        self.ruling.done([{"rule": rule, "step": step, "failed": False}], self.now_ns)

    def _hear(self, message: bytes) -> None:
        self.told.append(json.loads(message))

    def _happen(self, name: str, now_ns: int, **facts: object) -> None:
        self.events.append({"event": name, "monotonic_ns": now_ns, **facts})


def rule(name: str, when: str, **timing: Any) -> RulePlan:
    figures = {"stages": (Stage(),), "cooldown_ns": 60 * S, **timing}
    return RulePlan(name=name, when=when, clear=None, timing=Timing(**figures))


LOW = rule("low", "meminfo.MemAvailable < 100MiB")


def test_each_decision_is_an_event_and_a_message() -> None:
    """What is done and what the incident says was decided would differ."""
    desk = Desk(LOW, rule("fall", "delta(meminfo.MemAvailable, 100ms) < -1MiB", acts=False))
    desk.ruling.kernel_killed(START_NS)
    desk.tick(500)
    desk.tick(90)
    desk.tick(80)
    desk.tick(70, 2 * S)
    desk.done("low", 0)
    desk.tick(500)
    low, fall = {"rule": "low", "step": 0}, {"rule": "fall", "step": 0}
    delta = "delta(meminfo.MemAvailable, 100ms)"
    held = {"reason": "the kernel has just killed something"}
    expected = [
        ("held", 100 * MS, {**low, **held}),
        ("fire", 100 * MS, {**fall, "figures": {delta: -410.0 * MIB, "meminfo.MemAvailable": 90.0 * MIB}}),
        ("fire", 2150 * MS, {**low, "figures": {"meminfo.MemAvailable": 70.0 * MIB}}),
        ("clear", 2200 * MS, low),
    ]
    told = [each for each in desk.told if (each["happening"], each["rule"]) != ("clear", "fall")]
    assert told == [
        {"happening": happening, "monotonic_ns": START_NS + at_ns, **facts}
        for happening, at_ns, facts in expected
    ]
    assert desk.events == [
        {"event": f"rule_{each.pop('happening')}", **each} for each in map(dict, desk.told)
    ]


def test_figures_that_are_no_numbers_are_told_as_none() -> None:
    """The message could not be read: JSON knows neither infinity nor NaN."""
    condition = "meminfo.MemAvailable < 100MiB or time_to(meminfo.MemAvailable, 0) < meminfo.X / 1MiB * 1s"
    desk = Desk(rule("odd", condition))
    desk.tick(90)
    assert desk.told[0]["figures"] == {
        "meminfo.MemAvailable": 90.0 * MIB,
        "time_to(meminfo.MemAvailable, 0, 1s)": None,
        "meminfo.X": None,
    }


def test_a_service_that_takes_no_messages_costs_a_step_and_no_more() -> None:
    """A rule would wait for ever for the end of a step nobody has begun."""
    desk = Desk(
        rule("low", "meminfo.MemAvailable < 100MiB", stages=(Stage(deadline_ns=S), Stage())),
        tell=lambda _message: None,
    )
    for _ in range(80):
        desk.tick(90)
    assert [(each["event"], each["step"]) for each in desk.events] == [("rule_fire", 0), ("rule_fire", 1)]


@pytest.mark.parametrize("message", [{"rule": "gone", "step": 0}, {"rule": "low", "step": 3}])
def test_the_end_of_a_step_it_does_not_know_of_changes_nothing(message: dict[str, Any]) -> None:
    """A sampler with new rules would die of the end of an action of the old ones."""
    desk = Desk(LOW)
    desk.tick(90)
    desk.ruling.done([{**message, "failed": False}], desk.now_ns)
    desk.tick(500)
    desk.tick(500)
    assert [each["happening"] for each in desk.told] == ["fire"]
    desk.done("low", 0)
    desk.tick(500)
    assert [each["happening"] for each in desk.told] == ["fire", "clear"]


def test_without_rules_nothing_is_near_and_nothing_to_rehearse() -> None:
    """A configuration without rules would not start."""
    desk = Desk()
    assert desk.tick(1) == ""
    desk.ruling.rehearse(desk.now_ns, desk._happen)
    assert (desk.told, desk.events) == ([], [])


def test_a_rehearsal_goes_the_way_of_a_decision() -> None:
    """The first decision would fault in the middle of a shortage."""
    desk = Desk(LOW)
    desk.ruling.rehearse(desk.now_ns, desk._happen)
    assert [each["happening"] for each in desk.told] == ["fire"]
    assert [each["event"] for each in desk.events] == ["rule_fire"]


def test_new_texts_are_read_after_a_change_of_sources() -> None:
    """A rule would go on reading the file that is gone."""
    desk = Desk(LOW)
    desk.tick(500)
    desk.texts = {"meminfo": HeldText()}
    desk.ruling.rebind(desk.texts, {})
    desk.tick(90)
    desk.ruling.rebind({}, {})
    desk.done("low", 0)
    desk.tick(80)
    assert [each["happening"] for each in desk.told] == ["fire", "clear"]


# ---- near


def test_a_rule_is_near_before_it_fires_while_it_waits_and_until_it_clears() -> None:
    """The recorder would be at its calm rates when it matters."""
    desk = Desk(rule("low", "meminfo.MemAvailable < 100MiB", for_ns=100 * MS))
    found = [desk.tick(mib) for mib in (500, 120, 90, 90, 90)]
    assert found == ["", "low", "low", "low", "low"]
    desk.done("low", 0)
    assert [desk.tick(mib) for mib in (500, 500, 500, 500)] == ["low", "low", "", ""]


def test_the_first_of_several_is_named() -> None:
    """The reason for being armed would change from tick to tick."""
    desk = Desk(rule("half", "meminfo.MemAvailable < 200MiB"), LOW)
    assert [desk.tick(mib) for mib in (500, 220, 110)] == ["", "half", "half"]


def test_it_is_looked_for_twenty_times_a_second() -> None:
    """A tick would cost more than it has to."""
    desk = Desk(LOW)
    assert [desk.tick(110, 10 * MS) for _ in range(11)] == ["low", *[""] * 4] * 2 + ["low"]


def test_a_rule_that_is_always_near_arms_for_a_minute() -> None:
    """A threshold chosen badly would cost the budget of a shortage for ever."""
    desk = Desk(rule("always", "meminfo.MemAvailable < 1GiB", acts=False, stages=()), LOW)
    found = [desk.tick(500, S) for _ in range(120)]
    assert found == ["always"] * 60 + [""] * 60
    # That another one comes near, fires, or is done anew is news.
    assert [desk.tick(110, S) for _ in range(70)] == ["low"] * 60 + [""] * 10
    assert [desk.tick(90, S) for _ in range(2)] == ["low"] * 2


def test_a_rule_that_goes_on_acting_arms_as_long_as_it_does() -> None:
    """In a shortage of ten minutes, the last nine would be recorded at the calm rates."""
    desk = Desk(rule("low", "meminfo.MemAvailable < 100MiB", cooldown_ns=10 * S))
    for _ in range(300):
        assert desk.tick(50, S) == "low"
        desk.done("low", 0)
