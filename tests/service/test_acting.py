"""What the rules lack here: signals, rights and kernel features, said before they are needed."""

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.actions.machine import Machine, fake_machine

from memwatchd.actions.base import Action, Intent, Occasion, Outcome, World
from memwatchd.actions.dump import Dump
from memwatchd.config.conditions import read_condition
from memwatchd.config.model import Config
from memwatchd.config.rules import Acting, Rule, Step
from memwatchd.errors import MemwatchdError, ParseError
from memwatchd.places import Places
from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Stage, Timing
from memwatchd.sampling.glance import Glance
from memwatchd.sampling.plan import SourcePlan
from memwatchd.service.acting import absent_signals, active_rules, make_rulebook, missing_rights, silent_world


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking(Action):
    """An action that lacks what its parameters say."""

    name: ClassVar[str] = "lacking"
    summary: ClassVar[str] = "Lack something."

    what: tuple[str, ...] = ()
    error: Exception | None = None

    def missing(self, world: World) -> Iterable[str]:
        yield from self.what
        if self.error is not None:
            raise self.error

    def aim(self, world: World) -> Intent:
        raise NotImplementedError

    def act(self, world: World, occasion: Occasion) -> Outcome:
        raise NotImplementedError


def rule(name: str, *actions: Action, when: str = "meminfo.MemFree < 1GiB", **more: Any) -> Rule:
    return Rule(name=name, when=read_condition(when), actions=tuple(map(Step, actions)), **more)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return fake_machine(tmp_path)


@pytest.fixture
def glance(machine: Machine) -> Glance:
    return Glance([SourcePlan("meminfo", str(machine.root / "proc/meminfo"))])


# ---- rights


def test_what_the_actions_lack_is_said_with_the_rule(machine: Machine) -> None:
    """The first refusal of the kernel would come when it matters."""
    rules = [rule("a", Lacking(what=("CAP_KILL", "a file")), Dump()), rule("b"), rule("c", Dump())]
    assert missing_rights(rules, machine.world) == ["rule a: lacking: CAP_KILL", "rule a: lacking: a file"]


def test_what_two_rules_lack_is_said_once(machine: Machine) -> None:
    """The list would be as long as the configuration."""
    rules = [rule("a", Lacking(what=("x",))), rule("b", Lacking(what=("x",)))]
    assert len(missing_rights(rules, machine.world)) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/sys/x"),
            "[Errno 13] Permission denied: '/sys/x'",
        ),
        (TimeoutError("systemd did not answer in time"), "systemd did not answer in time"),
        (ParseError("/proc/x", "y", "z", "a number"), "/proc/x: z: expected a number, got 'y'"),
    ],
)
def test_what_cannot_be_found_out_is_said_as_well(machine: Machine, error: Exception, said: str) -> None:
    """A daemon would not start, or die of a reload, because of a rule that may never fire."""
    rules = [rule("a", Lacking(what=("x",), error=error)), rule("b", Lacking(what=("y",)))]
    assert missing_rights(rules, machine.world) == [
        "rule a: lacking: x",
        f"rule a: lacking: what is missing cannot be found out: {said}",
        "rule b: lacking: y",
    ]


def test_a_world_to_look_at_says_and_does_nothing(machine: Machine, tmp_path: Path) -> None:
    """``check`` would write into the journal, or have a dump written."""
    places = Places(tmp_path / "run", tmp_path / "state")
    world = silent_world(machine.roots, places, frozenset({7}))
    assert (world.own_pids(), world.changes.pending()) == (frozenset({7}), [])
    calls: list[Callable[[], object]] = [
        lambda: world.outlets.note("info", "x", rule="r"),
        lambda: world.outlets.dump("x"),
        lambda: world.outlets.run_hook("/bin/true", {}, 1),
    ]
    for call in calls:
        with pytest.raises(MemwatchdError):
            call()
    assert not places.runtime_dir.exists()


# ---- signals


def test_rules_that_can_never_fire_here(glance: Glance) -> None:
    """A rule for another kernel would rest for years without anybody knowing."""
    rules = (
        rule("here"),
        rule("elsewhere", when="zone.HighMem.free < 1MiB and meminfo.MemFree < meminfo.Nothing"),
        rule("meant", when="zone.HighMem.free < 1MiB", optional=True),
        rule("watched", when='cgroup."/a".usage > 1MiB'),
        rule("off", when="zone.HighMem.free < 1MiB", enabled=False),
        rule("over", clear=read_condition("swap.free > 1MiB")),
    )
    with glance:
        assert absent_signals(Config(rules=rules), glance) == [
            "rule elsewhere cannot fire here: zone.HighMem.free, meminfo.Nothing not on this machine",
            "rule over cannot fire here: swap.free not on this machine",
        ]


# ---- the sampler's half


def test_the_sampler_gets_what_it_needs_and_no_more() -> None:
    """A rule that is switched off would fire, or one that only warns be held back after a kill."""
    steps = (Step(Dump()), Step(Dump(deadline_ns=7), 5))
    config = Config(
        rules=(
            Rule(
                name="a",
                when=read_condition("meminfo.MemFree < 1MiB"),
                clear=read_condition("meminfo.MemFree > 1GiB"),
                for_ns=1,
                cooldown_ns=2,
                max_per_hour=3,
                severity="warn",
                on_failure="stop",
                actions=steps,
            ),
            rule("off", enabled=False),
        ),
        acting=Acting(hold_after_kill_ns=8, settle_ns=9),
    )
    assert [each.name for each in active_rules(config)] == ["a"]
    stages = (Stage(after_ns=None, deadline_ns=Dump().deadline_ns), Stage(after_ns=5, deadline_ns=7))
    timing = Timing(
        for_ns=1, cooldown_ns=2, max_per_hour=3, acts=False, go_on_after_failure=False, stages=stages
    )
    plan = RulePlan(name="a", when="meminfo.MemFree < 1MiB", clear="meminfo.MemFree > 1GiB", timing=timing)
    assert make_rulebook(config) == Rulebook(rules=(plan,), hold_after_kill_ns=8, settle_ns=9)
