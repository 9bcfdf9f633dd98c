"""Putting together what acts: the world the actions see, and what is handed to the sampler of the rules."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from memwatchd.actions.base import Action, World
from memwatchd.actions.changes import Changes
from memwatchd.config.conditions import lacking
from memwatchd.config.model import Config
from memwatchd.config.rules import Rule
from memwatchd.errors import MemwatchdError, NotRunningError
from memwatchd.incidents.recorder import Note
from memwatchd.places import Places
from memwatchd.roots import Roots
from memwatchd.rules.book import Rulebook, RulePlan, make_engine
from memwatchd.rules.engine import Stage, Timing
from memwatchd.sampling.glance import Glance


class ServiceOutlets:
    """What actions may ask of the service.

    Args:
        note: The journal.
        dump: Has an incident written.
        run_hook: The hook helper.
    """

    def __init__(
        self,
        note: Note,
        dump: Callable[[str], None],
        run_hook: Callable[[str, Mapping[str, str], int], int | None],
    ) -> None:
        self._note = note
        self._dump = dump
        self._run_hook = run_hook

    def note(self, level: str, message: str, **fields: object) -> None:
        """Write a line into the journal."""
        self._note(level, message, **fields)

    def dump(self, detail: str) -> None:
        """Have an incident written."""
        self._dump(detail)

    def run_hook(self, program: str, environment: Mapping[str, str], budget_ns: int) -> int | None:
        """Have the helper process run a program."""
        return self._run_hook(program, environment, budget_ns)


def make_world(
    roots: Roots, places: Places, outlets: ServiceOutlets, own_pids: Callable[[], frozenset[int]]
) -> World:
    """Make what actions work on."""
    return World(
        roots=roots,
        changes=Changes(places.changes),
        outlets=outlets,
        own_pids=own_pids,
        now_ns=time.monotonic_ns,
    )


def silent_world(roots: Roots, places: Places, own_pids: frozenset[int]) -> World:
    """Make a world to look at and not to act in: what is said in it is heard by nobody."""

    def refuse(*_words: object, **_fields: object) -> None:
        raise NotRunningError("nothing is done outside of the daemon")

    return make_world(roots, places, ServiceOutlets(refuse, refuse, refuse), lambda: own_pids)


def active_rules(config: Config) -> tuple[Rule, ...]:
    """The rules that are switched on."""
    return tuple(rule for rule in config.rules if rule.enabled)


def make_rulebook(config: Config) -> Rulebook:
    """Put together what the sampler has to know of the rules."""
    return Rulebook(
        rules=tuple(_rule_plan(rule) for rule in active_rules(config)),
        hold_after_kill_ns=config.acting.hold_after_kill_ns,
        settle_ns=config.acting.settle_ns,
    )


def absent_signals(config: Config, glance: Glance) -> list[str]:
    """Say of each rule that can never fire here what it lacks, unless it says that this is meant."""
    rules = active_rules(config)
    program = make_engine(make_rulebook(config), glance.recording).program
    return [
        f"rule {rule.name} cannot fire here: {', '.join(names)} not on this machine"
        for place, rule in enumerate(rules)
        if (names := lacking(program.absent(place), optional=rule.optional))
    ]


def missing_rights(rules: Iterable[Rule], world: World) -> list[str]:
    """Say which rights and kernel features the actions of these rules lack, here and in this sandbox."""
    actions = {step.action: rule.name for rule in rules for step in rule.actions}
    return [
        f"rule {rule}: {action.name}: {missing}"
        for action, rule in actions.items()
        for missing in _missing(action, world)
    ]


def _missing(action: Action, world: World) -> Iterator[str]:
    try:
        yield from action.missing(world)
    except (OSError, MemwatchdError) as error:
        yield f"what is missing cannot be found out: {error}"


def _rule_plan(rule: Rule) -> RulePlan:
    stages = tuple(
        Stage(after_ns=step.after_ns, deadline_ns=step.action.deadline_ns) for step in rule.actions
    )
    timing = Timing(
        for_ns=rule.for_ns,
        cooldown_ns=rule.cooldown_ns,
        max_per_hour=rule.max_per_hour,
        acts=rule.severity == "act",
        go_on_after_failure=rule.on_failure == "next",
        stages=stages,
    )
    clear = None if rule.clear is None else rule.clear.text
    return RulePlan(name=rule.name, when=rule.when.text, clear=clear, timing=timing)
