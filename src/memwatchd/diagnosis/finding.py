"""What a diagnosis says: a finding, or why it is not one, each with the lines that prove it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memwatchd.oomreport.report import Quote

if TYPE_CHECKING:
    from memwatchd.diagnosis.case import Case


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, as sentences with commands.

    Attributes:
        now: While the machine is still short of memory.
        change: So that it does not come back.
        check: How to see that it worked.
    """

    now: tuple[str, ...] = ()
    change: tuple[str, ...] = ()
    check: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """All of it, one after the other, each with what it is for."""
        return (
            *(f"Now: {each}" for each in self.now),
            *(f"Change: {each}" for each in self.change),
            *(f"Check: {each}" for each in self.check),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnosis that holds.

    Attributes:
        tag: Its name, the module's: "slab_leak".
        confidence: From 0 to 1, that what the summary says is so. A report that is cut, or figures that had
            to be estimated, lower it.
        weight: From 0 to 1, how much of what happened it explains; the heaviest is the verdict.

            - 1: the report itself says so (its constraint names the limit), or nothing else can explain it;
            - 0.85 to 0.99: the request could not have been served though memory was free: zone, order, type;
            - otherwise the share of the memory concerned that this took: 0.88 when 88 % are unaccounted;
            - 0: a circumstance, never the verdict: swap untouched, a poor choice of victim, a cascade.
        summary: One sentence with the figures that matter, in plain words.
        evidence: The lines it follows from, most telling first.
        advice: What to do about it.
        figures: The numbers of the summary by name, with their units in the names, for machines.
    """

    tag: str
    confidence: float
    weight: float
    summary: str
    evidence: tuple[Quote, ...] = ()
    advice: Advice = field(default_factory=Advice)
    figures: dict[str, float | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dismissal:
    """Why one diagnosis does not hold, said because a reader would think of it.

    Attributes:
        reason: One sentence with the figures: "Swap was not full: 3045 MiB of 3256 MiB were free."
    """

    tag: str
    reason: str
    evidence: tuple[Quote, ...] = ()


Examination = Callable[["Case"], "Finding | Dismissal | None"]
"""What every finding's module has as `examine`: None when the report cannot tell, or has no such question."""
