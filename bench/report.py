"""What a part of the benchmark found, as text and as JSON."""

import sys
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the most it should be."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def verdict(self) -> str:
        """Whether the figure is within its limit, in the words of the report."""
        return "reached" if self.value <= self.limit else "NOT reached"

    def line(self) -> str:
        """One line of the report."""
        limit = f"target ≤ {self.limit:g} {self.unit}"
        return f"  {self.name}: {self.value:.4g} {self.unit}, {limit}: {self.verdict}"


@dataclass(slots=True)
class Part:
    """One part of the report.

    Attributes:
        lines: Its tables and remarks.
        figures: The same in numbers, units in the names; goes into the JSON.
        skipped: Why nothing was measured; empty when something was.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    skipped: str = ""

    def text(self) -> str:
        """The part as it is printed."""
        if self.skipped:
            return f"{self.title}\n  skipped: {self.skipped}\n"
        lines = [
            self.title,
            *(f"  {line}" for line in self.lines),
            *(target.line() for target in self.targets),
        ]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """The part as it is stored."""
        targets = [
            {**asdict(target), "value": finite(target.value), "verdict": target.verdict}
            for target in self.targets
        ]
        return {"title": self.title, "skipped": self.skipped, "figures": self.figures, "targets": targets}


def finite(value: float) -> float | None:
    """A figure as JSON can hold it: None for one without end."""
    return value if isfinite(value) else None


class BenchError(Exception):
    """Something that was to be measured did not come about; the message says what."""


def progress(message: str) -> None:
    """Tell whoever is waiting what is being done; apart from the report, which may be redirected."""
    print(f"… {message}", file=sys.stderr, flush=True)
