"""What a configuration would do on this machine now: each rule in plain English, its truth, its targets."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from memwatchd.actions.base import Action, Intent, World
from memwatchd.config.conditions import explain, lacking
from memwatchd.config.rules import Acting, Rule
from memwatchd.errors import MemwatchdError
from memwatchd.expression.tree import Call, walk
from memwatchd.expression.words import say
from memwatchd.rules.book import Rulebook, make_engine
from memwatchd.sampling.glance import Glance
from memwatchd.units import format_duration

_LOOK_S = 0.02
# Functions over longer times than this stay unknown: a command should not take minutes.
_LONGEST_LOOK_S = 3.0


@dataclass(slots=True)
class StepCheck:
    """A step, and what it would hit now.

    Attributes:
        intent: None when that could not be found out; `problem` then says why.
        missing: Rights and kernel features it would need.
    """

    action: Action
    after_ns: int | None
    intent: Intent | None = None
    problem: str = ""
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class RuleCheck:
    """A rule on this machine, now.

    Attributes:
        sentence: What it waits for and does, in plain English.
        holds: Whether the condition is true; None when that takes longer to tell than was looked.
        present: The condition with present figures.
        absent: Signals that are not on this machine.
    """

    rule: Rule
    sentence: str
    holds: bool | None
    present: str
    absent: tuple[str, ...]
    steps: list[StepCheck] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """It can never fire here, and does not say that this is meant."""
        return bool(lacking(self.absent, optional=self.rule.optional))


def check_rules(rules: tuple[Rule, ...], book: Rulebook, glance: Glance, world: World) -> list[RuleCheck]:
    """Look at the machine for a moment, and say of each rule what it would do.

    Args:
        rules: Those that are switched on.
        book: The same ones, as the engine takes them.
        glance: Open sources.
        world: For `Action.aim` and `Action.missing`, which change nothing.
    """
    engine = make_engine(book, glance.recording)
    true = _watch(engine.program.evaluate, glance, _look_s(rules))
    found = []
    for place, rule in enumerate(rules):
        absent = tuple(engine.program.absent(place))
        values = engine.program.figures(place)
        unknown = any(value != value for value in values.values())
        holds = bool(true >> place & 1)
        check = RuleCheck(
            rule,
            sentence(rule),
            None if unknown and not holds else holds,
            explain(rule.when, values),
            absent,
        )
        check.steps = [_check_step(step.action, step.after_ns, world) for step in rule.actions]
        found.append(check)
    return found


def sentence(rule: Rule) -> str:
    """Say in plain English when a rule fires, what it does then, and when it may do so again."""
    held = f" for {format_duration(rule.for_ns)}" if rule.for_ns else ""
    clear = f"when {say(rule.clear.root)}" if rule.clear else "when the condition fails by a tenth"
    parts = [f"When {say(rule.when.root)}{held}: {_chain(rule)}."]
    parts.append(f"It is over {clear}.")
    if rule.actions:
        again = f"{format_duration(rule.cooldown_ns)} after its last action"
        parts.append(f"It may begin anew {again}, at most {rule.max_per_hour} times an hour.")
    return " ".join(parts)


def render(checks: list[RuleCheck], acting: Acting) -> Iterator[str]:
    """Write the checks as lines of text."""
    for check in checks:
        rule = check.rule
        dry = ", dry run" if rule.dry_run or acting.dry_run else ""
        yield f"{rule.name}  ({rule.severity}{dry})"
        if rule.why:
            yield f"  why      {rule.why}"
        yield f"  rule     {check.sentence}"
        yield f"  now      {_now(check)}"
        for step in check.steps:
            yield from _render_step(step)
        yield ""


def to_json(check: RuleCheck) -> dict[str, Any]:
    """One rule's check as plain values, described in docs/json.md."""
    return {
        "name": check.rule.name,
        "sentence": check.sentence,
        "holds": check.holds,
        "present": check.present,
        "absent": list(check.absent),
        "refused": check.refused,
        "actions": [
            {
                "action": step.action.name,
                "would": step.intent.sentence if step.intent else None,
                "targets": [{"name": each.name, "why": each.why} for each in _targets(step)],
                "problem": step.problem or None,
                "missing": list(step.missing),
            }
            for step in check.steps
        ],
    }


def _look_s(rules: tuple[Rule, ...]) -> float:
    trees = [rule.when.root for rule in rules] + [rule.clear.root for rule in rules if rule.clear]
    windows = [node.window_ns / 1e9 for tree in trees for node in walk(tree) if isinstance(node, Call)]
    return min(_LONGEST_LOOK_S, 0.75 * max(windows, default=0.0))


def _watch(evaluate: Any, glance: Glance, look_s: float) -> int:
    until_s = time.monotonic() + look_s
    mask: int = evaluate(time.monotonic_ns())
    while time.monotonic() < until_s:
        time.sleep(_LOOK_S)
        glance.look()
        mask = evaluate(time.monotonic_ns())
    return mask


def _check_step(action: Action, after_ns: int | None, world: World) -> StepCheck:
    check = StepCheck(action, after_ns)
    try:
        check.missing = tuple(action.missing(world))
        action.prepare(world)
        check.intent = action.aim(world)
    except OSError as error:
        check.problem = f"{error.filename or action.name}: {error.strerror or error}"
    except MemwatchdError as error:
        check.problem = str(error)
    return check


def _chain(rule: Rule) -> str:
    if not rule.actions:
        return "say so in the journal"
    words = []
    for step in rule.actions:
        after = "" if step.after_ns is None else f"if it still holds {format_duration(step.after_ns)} later, "
        words.append(after + step.action.name)
    return "; then ".join(words)


def _now(check: RuleCheck) -> str:
    if check.absent:
        rest = "the rule is refused; optional: true lets it rest" if check.refused else "the rule rests"
        return f"not here now: {', '.join(check.absent)}; {rest}"
    truth = {True: "true", False: "not true", None: "not known yet"}[check.holds]
    return f"{truth}: {check.present}"


def _render_step(step: StepCheck) -> Iterator[str]:
    after = "" if step.after_ns is None else f"after {format_duration(step.after_ns)} "
    would = f"would {step.intent.sentence}" if step.intent else step.problem
    yield f"  action   {after}{step.action.name}: {would}"
    for target in _targets(step):
        yield f"           → {target.name}: {target.why}"
    for target in step.intent.spared if step.intent else ():
        yield f"           spared {target.name}: {target.why}"
    for missing in step.missing:
        yield f"           missing: {missing}"


def _targets(step: StepCheck) -> tuple[Any, ...]:
    return step.intent.targets if step.intent else ()
