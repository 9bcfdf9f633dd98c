"""What the recorder noticed, one line each: events of the loop, decisions of rules, what came of actions."""

import sys
from collections.abc import Mapping
from typing import Any

from memwatchd.config.conditions import dimension_of, format_value
from memwatchd.expression.dimensions import check
from memwatchd.expression.parse import ExpressionError, parse_number

# JSON has no largest number.
_LARGEST = sys.float_info.max


def event_line(event: Mapping[str, Any]) -> str:
    """Say an event in words; nothing for one that another event says better.

    Args:
        event: With "event" and its facts, which may be anything in a damaged file.
    """
    name, rule = event["event"], event.get("rule")
    match name:
        case "rule_fire" if not event.get("step"):
            return f"rule {rule} fired: {_figures(event.get('figures'))}"
        case "rule_fire":
            return f"rule {rule} goes on: {_figures(event.get('figures'))}"
        case "rule_held":
            return f"rule {rule} is held back: {event.get('reason')}"
        case "rule_clear":
            return f"rule {rule} is over"
        case "action" | "put_back":
            what = f"{event.get('action')}{' put back' if name == 'put_back' else ''}"
            late = ", after its deadline" if event.get("late") else ""
            return f"rule {rule}: {what}: {event.get('verdict')}{late}: {event.get('detail')}"
        case "pace" if event.get("stride") == 1:
            return "a tick in every period of the rate again"
        case "pace":
            return f"one tick every {event.get('stride')} periods of the rate, for want of processor time"
        case "armed" if event.get("reason"):
            return f"armed: {event.get('reason')}"
        case "action_begun":
            return ""  # said again by the event that follows
    facts = {key: value for key, value in event.items() if key not in ("at_s", "event") and value != ""}
    words = ", ".join(f"{key} {value}" for key, value in facts.items())
    return f"{name}{': ' if words else ''}{words}"


def _figures(figures: Any) -> str:
    if not isinstance(figures, dict):
        return ""
    return ", ".join(f"{name} {_figure(name, value)}" for name, value in figures.items())


def _figure(name: str, value: Any) -> str:
    if not isinstance(value, int | float) or abs(value) > _LARGEST:
        return "not there"
    try:
        return format_value(value, check(parse_number(name), dimension_of))
    except ExpressionError:
        return f"{value:g}"  # of another version, which knew other signals
