"""How near each rule is, by the program the sampler runs, over the samples that are looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import isfinite

from memwatchd.config.conditions import dimension_of
from memwatchd.config.rules import Rule
from memwatchd.expression.dimensions import check
from memwatchd.expression.tree import Call, Comparison, Dimension, Name
from memwatchd.rules.book import read_signal
from memwatchd.rules.nearness import Nearness, nearness_of
from memwatchd.rules.program import Condition, Program, node_text
from memwatchd.signals.recording import Recording
from memwatchd.views.live.frame import RuleState


@dataclass(frozen=True, slots=True)
class RuleNow:
    """A rule at one moment.

    Attributes:
        since_ns: Since when its condition is true; None when it is not.
    """

    near: Nearness
    since_ns: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is told of a rule: it has fired and is not over, and how often it fired; None is not known."""

    active: bool | None = None
    fired: int | None = None


class RuleWatch:
    """Follows the conditions of rules through samples.

    Args:
        rules: Those that are switched on.
        recording: Where their signals are read from.
        dry_run: Whether all of them only say what they would do.
    """

    def __init__(self, rules: Sequence[Rule], recording: Recording, *, dry_run: bool) -> None:
        self.rules = tuple(rules)
        self._dry_run = dry_run
        self._read = partial(read_signal, recording)
        self._program = Program([Condition(rule.when.root) for rule in rules], self._read)
        self._since_ns: list[int | None] = [None] * len(self.rules)

    def bind(self) -> None:
        """Take the readers anew, after watched sources have come or gone."""
        self._program.bind(self._read)

    def take(self, now_ns: int) -> None:
        """Take the present sample in; to be done often, or functions over time have holes."""
        mask = self._program.evaluate(now_ns)
        for place, since_ns in enumerate(self._since_ns):
            if not mask >> place & 1:
                self._since_ns[place] = None
            elif since_ns is None:
                self._since_ns[place] = now_ns

    def look(self) -> tuple[RuleNow, ...]:
        """Say how near each rule is, by the sample that was taken last."""
        return tuple(
            RuleNow(nearness_of(rule.when.root, self._value), since_ns)
            for rule, since_ns in zip(self.rules, self._since_ns, strict=True)
        )

    def describe(self, place: int, now: RuleNow, at_ns: int, standing: Standing) -> RuleState:
        """Put together what is shown of a rule."""
        rule, near = self.rules[place], now.near
        what, dimension = _words(near.by)
        return RuleState(
            name=rule.name,
            severity=rule.severity,
            dry_run=rule.dry_run or self._dry_run,
            share=near.share if isfinite(near.share) else None,
            what=what,
            comparator=near.by.comparator,
            present=None if near.present != near.present else near.present,
            bound=None if near.bound != near.bound else near.bound,
            dimension=dimension,
            holds_s=None if now.since_ns is None else max(0, at_ns - now.since_ns) / 1e9,
            for_s=rule.for_ns / 1e9,
            active=standing.active,
            fired=standing.fired,
        )

    def _value(self, node: Name | Call) -> float:
        value = self._program.value(node)
        assert value is not None
        return value


@lru_cache(maxsize=256)
def _words(comparison: Comparison) -> tuple[str, Dimension]:
    """What a comparison is about, and of which dimension."""
    return node_text(comparison.left), check(comparison.left, dimension_of)
