"""What must be true of a result: a place in it, a comparison, a value.

    critical.lost == []
    kernel_kills.count <= 1
    probe.longest_s < 2
    evidence.tags contains slab_leak

A place that does not exist, or is null, makes every comparison false but `== null`: what was not measured is
not as wished.
"""

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_SHAPE = re.compile(r"(?P<place>[a-z0-9_.-]+) +(?P<how>==|!=|<=|>=|<|>|contains|lacks) +(?P<value>.+)")
_HOW: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "contains": lambda found, wanted: wanted in found,
    "lacks": lambda found, wanted: wanted not in found,
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One sentence about a result."""

    text: str
    place: str
    how: str
    value: Any

    @classmethod
    def parse(cls, text: str) -> "Expectation":
        """Read a sentence.

        Raises:
            ValueError: it has another shape.
        """
        match = _SHAPE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"expected PLACE COMPARISON VALUE, as in critical.lost == [], not {text!r}")
        try:
            value = json.loads(match["value"])
        except ValueError:
            value = match["value"].strip()
        return cls(text.strip(), match["place"], match["how"], value)

    def holds(self, result: Mapping[str, Any]) -> bool:
        """Whether it is true of a result."""
        found = find(result, self.place)
        if found is None:
            return self.how == "==" and self.value is None
        try:
            return _HOW[self.how](found, self.value)
        except TypeError:
            return False


def find(result: Mapping[str, Any], place: str) -> Any:
    """The value at a dotted place; None where there is none."""
    value: Any = result
    for name in place.split("."):
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping):
            value = value.get(name)
        else:
            return None
    return value
