"""Rules and what holds for all of them, as they stand in the configuration."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from memwatchd.actions.base import Action
from memwatchd.expression.parse import Expression
from memwatchd.keys import Kind, key

_MS = 1_000_000
_S = 1000 * _MS
_MIN = 60 * _S
_HOUR = 60 * _MIN
_DAY = 24 * _HOUR

Severity = Literal["warn", "act"]
OnFailure = Literal["next", "stop"]


def duration(name: str, doc: str, example: str, *, minimum: int = 0, maximum: int = _HOUR) -> dict[str, Any]:
    """Make the metadata of a duration, bounds in nanoseconds."""
    return key(name, Kind.DURATION, doc, example=example, minimum=minimum, maximum=maximum)


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a rule's chain.

    Attributes:
        action: With its parameters.
        after_ns: Only if the condition still holds so long after the step before; None follows at once.
    """

    action: Action
    after_ns: int | None = None


AFTER = duration("after", "Only if the condition still holds so long after the step before.", "500ms")["key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When what is done."""

    name: str
    why: str = field(
        default="",
        metadata=key(
            "why",
            Kind.TEXT,
            "Why there is this rule, in a sentence.",
            example="lowmem fills up while HighMem is free",
            max_bytes=1000,
        ),
    )
    when: Expression = field(
        metadata=key(
            "when",
            Kind.EXPRESSION,
            "The condition, on signals.",
            example="meminfo.MemAvailable < 5% of meminfo.MemTotal",
            required=True,
        )
    )
    for_ns: int = field(
        default=0,
        metadata=duration("for", "How long the condition must hold before the rule fires.", "200ms"),
    )
    clear: Expression | None = field(
        default=None,
        metadata=key(
            "clear",
            Kind.EXPRESSION,
            "When the rule is over again; by itself, when the condition fails by a tenth.",
            example="meminfo.MemAvailable > 10% of meminfo.MemTotal",
        ),
    )
    cooldown_ns: int = field(
        default=10 * _S,
        metadata=duration(
            "cooldown", "How long after its last action it begins anew.", "10s", maximum=7 * _DAY
        ),
    )
    max_per_hour: int = field(
        default=60,
        metadata=key(
            "max_per_hour",
            Kind.INTEGER,
            "How often it may fire within an hour.",
            example="60",
            minimum=1,
            maximum=3600,
        ),
    )
    severity: Severity = field(
        default="act",
        metadata=key(
            "severity",
            Kind.CHOICE,
            "warn tells and records; act changes something, and so waits after a kill by the kernel.",
            example="act",
            choices=get_args(Severity),
        ),
    )
    actions: tuple[Step, ...] = field(
        default=(),
        metadata=key("actions", Kind.STEPS, "What is done, one after the other.", maximum=32),
    )
    on_failure: OnFailure = field(
        default="next",
        metadata=key(
            "on_failure",
            Kind.CHOICE,
            "When an action fails: try the next one at once, or stop until the rule has cleared.",
            example="next",
            choices=get_args(OnFailure),
        ),
    )
    dry_run: bool = field(
        default=False,
        metadata=key("dry_run", Kind.BOOLEAN, "Say what would be done, and do nothing.", example="true"),
    )
    optional: bool = field(
        default=False,
        metadata=key(
            "optional",
            Kind.BOOLEAN,
            "The rule may rest where the kernel does not have its signals.",
            example="true",
        ),
    )
    enabled: bool = field(
        default=True,
        metadata=key("enabled", Kind.BOOLEAN, "false switches the rule off.", example="false"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """What holds for all rules."""

    dry_run: bool = field(
        default=False,
        metadata=key(
            "dry_run", Kind.BOOLEAN, "No rule does anything; all say what they would.", example="true"
        ),
    )
    hold_after_kill_ns: int = field(
        default=_S,
        metadata=duration(
            "hold_after_kill",
            "After the kernel has killed something, rules wait and see what that frees.",
            "1s",
            maximum=_MIN,
        ),
    )
    settle_ns: int = field(
        default=200 * _MS,
        metadata=duration(
            "settle",
            "Time between the actions of two rules, so that the second sees what the first has done.",
            "200ms",
            maximum=_MIN,
        ),
    )
    back_off_ns: int = field(
        default=_MIN,
        metadata=duration(
            "back_off",
            "An action without effect is not done again for so long, at first for a sixteenth of it.",
            "1min",
            maximum=_DAY,
        ),
    )
