"""What must hold between keys; what a key needs by itself stands in its table entry."""

from collections.abc import Iterator
from dataclasses import dataclass

from memwatchd.actions.base import Action
from memwatchd.actions.sysrq import Sysrq
from memwatchd.actions.thaw import Thaw
from memwatchd.config.model import MIN_BOX_SEGMENTS, MIN_SEGMENTS, Config
from memwatchd.config.rules import Rule
from memwatchd.units import format_duration, format_rate, format_size, quoted


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two keys that do not go together.

    Attributes:
        key: Dotted path of the key the message is about.
        other: Dotted path of the key it conflicts with.
        expected: What the first should have been.
        got: What it is.
    """

    key: str
    other: str
    expected: str
    got: str


def conflicts(config: Config) -> Iterator[Conflict]:
    """Find the keys that contradict each other."""
    yield from _source_rates(config)
    yield from _ring(config)
    yield from _black_box(config)
    yield from _merge_limit(config)
    yield from _rules(config)


def _source_rates(config: Config) -> Iterator[Conflict]:
    most_hz = config.sampling.rate_hz
    for name, rate in config.sampling.sources.by_name().items():
        if rate.rate_hz is not None and rate.rate_hz > most_hz:
            yield Conflict(
                f"sampling.sources.{name}",
                "sampling.rate",
                f"at most sampling.rate, which is {format_rate(most_hz)}",
                format_rate(rate.rate_hz),
            )


def _ring(config: Config) -> Iterator[Conflict]:
    least_bytes = MIN_SEGMENTS * config.ring.segment_bytes
    if config.ring.size_bytes < least_bytes:
        yield Conflict(
            "ring.size",
            "ring.segment",
            f"room for {MIN_SEGMENTS} segments of {format_size(config.ring.segment_bytes)}, "
            f"that is {format_size(least_bytes)}",
            format_size(config.ring.size_bytes),
        )


def _black_box(config: Config) -> Iterator[Conflict]:
    # Round and round: a segment whose beginning has been overwritten cannot be read.
    least_bytes = MIN_BOX_SEGMENTS * config.ring.segment_bytes
    if config.black_box.size_bytes < least_bytes:
        yield Conflict(
            "black_box.size",
            "ring.segment",
            f"room for {MIN_BOX_SEGMENTS} segments of {format_size(config.ring.segment_bytes)}, "
            f"that is {format_size(least_bytes)}",
            format_size(config.black_box.size_bytes),
        )


def _merge_limit(config: Config) -> Iterator[Conflict]:
    incidents = config.incidents
    if incidents.merge_limit_ns < incidents.after_ns:
        yield Conflict(
            "incidents.merge_limit",
            "incidents.after",
            f"at least incidents.after, which is {format_duration(incidents.after_ns)}",
            format_duration(incidents.merge_limit_ns),
        )


def _rules(config: Config) -> Iterator[Conflict]:
    for rule in config.rules:
        path = f"rules.{rule.name}"
        if rule.clear == rule.when:
            yield Conflict(f"{path}.clear", f"{path}.when", "another condition than when", "the same")
        for place, step in enumerate(rule.actions):
            yield from _step(config, rule, step.action, f"{path}.actions[{place}].{step.action.name}")


def _step(config: Config, rule: Rule, action: Action, path: str) -> Iterator[Conflict]:
    if rule.severity == "warn" and _changes_something(action):
        yield Conflict(
            f"rules.{rule.name}.severity", path, f"act, as {action.name} changes something", "warn"
        )
    if isinstance(action, Thaw) and action.rule is not None:
        known = [each.name for each in config.rules]
        if action.rule not in known:
            yield Conflict(f"{path}.rule", f"rules.{action.rule}", "the name of a rule", quoted(action.rule))


def _changes_something(action: Action) -> bool:
    # Of sysrq's commands, those that need no i_know only tell.
    return action.i_know if isinstance(action, Sysrq) else action.single
