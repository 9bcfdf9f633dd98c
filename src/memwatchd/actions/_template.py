"""Texts of the configuration with ``{rule}``, ``{reason}`` and ``{meminfo.MemAvailable}`` in them."""

import re
from collections.abc import Iterator

from memwatchd.actions.base import Occasion
from memwatchd.errors import UnknownSignalError
from memwatchd.expression.parse import ExpressionError, parse_number
from memwatchd.expression.tree import Name, walk
from memwatchd.rules.program import node_text
from memwatchd.signals.catalogue import find_signal

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_WORDS = ("rule", "reason")
_UNKNOWN = "?"


def template_problems(text: str) -> Iterator[str]:
    """Say what in a text is no placeholder that could ever be filled."""
    for name in _PLACEHOLDER.findall(text):
        if name not in _WORDS:
            problem = _signal_problem(name)
            if problem:
                yield f"expected {{rule}}, {{reason}} or a signal in braces; got {{{name}}}: {problem}"
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        yield "expected every brace to belong to a placeholder such as {rule}"


def fill(text: str, occasion: Occasion) -> str:
    """Put in what is known now; a signal that is not in the rule's condition becomes a question mark."""
    words = {"rule": occasion.rule, "reason": occasion.reason}

    def known(found: re.Match[str]) -> str:
        name = found[1]
        if name in words:
            return words[name]
        value = occasion.figures.get(_figure_name(name))
        return _UNKNOWN if value is None else f"{value:.10g}"

    return _PLACEHOLDER.sub(known, text)


def _figure_name(name: str) -> str:
    """Write a signal, or a function of one, as it is called among the figures."""
    try:
        return node_text(parse_number(name))
    except ExpressionError:
        return name


def _signal_problem(name: str) -> str | None:
    try:
        names = [node for node in walk(parse_number(name)) if isinstance(node, Name)]
        for node in names:
            find_signal(node.text)
    except (ExpressionError, UnknownSignalError) as error:
        return str(error)
    return None if names else "no signal"
