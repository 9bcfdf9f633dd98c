"""What cannot be found out about a step is said, and ends nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from tests.actions.machine import fake_machine

from memwatchd.actions.base import Action, Intent, Occasion, Outcome, World
from memwatchd.config.conditions import read_condition
from memwatchd.config.rules import Rule, Step
from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Timing
from memwatchd.sampling.glance import Glance
from memwatchd.sampling.plan import SourcePlan
from memwatchd.views.check import check_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden(Action):
    """An action whose target cannot be seen."""

    name: ClassVar[str] = "hidden"
    summary: ClassVar[str] = "See nothing."

    error: OSError

    def missing(self, world: World) -> Iterable[str]:
        return ("a right",)

    def aim(self, world: World) -> Intent:
        raise self.error

    def act(self, world: World, occasion: Occasion) -> Outcome:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/proc/1/exe"), "/proc/1/exe: Permission denied"),
        # As those who talk to systemd raise it.
        (TimeoutError("systemd did not answer in time"), "hidden: systemd did not answer in time"),
    ],
)
def test_why_nobody_knows_whom_it_would_hit(tmp_path: Path, error: OSError, said: str) -> None:
    """An administrator would read ``None`` where the reason belongs."""
    machine = fake_machine(tmp_path)
    condition = "meminfo.MemFree < 1GiB"
    rule = Rule(name="r", when=read_condition(condition), actions=(Step(Hidden(error=error)),))
    book = Rulebook(rules=(RulePlan(name="r", when=condition, clear=None, timing=Timing()),))
    with Glance([SourcePlan("meminfo", str(machine.root / "proc/meminfo"))]) as glance:
        (check,) = check_rules((rule,), book, glance, machine.world)
    (step,) = check.steps
    assert (step.problem, step.missing, step.intent) == (said, ("a right",), None)
    assert check.holds
