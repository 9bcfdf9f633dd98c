"""From one event to its diagnosis: every finding is asked, the heaviest of those that hold is the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memwatchd.diagnosis import recorded, unknown
from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.catalogue import EXAMINATIONS
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import History
from memwatchd.oomreport.report import RECORDED, Event

# How many events of the same log a finding may look back at.
EARLIER = 8
# What a missing part costs of the confidence in everything that is said: the line that would contradict it
# may be lost.
DOUBTS = {
    "head": 0.95,
    "zones": 0.9,
    "memory_info": 0.9,
    "cut lines": 0.9,
    "totals": 0.95,
    "kill": 0.98,
    "samples": 0.7,
}
# Whoever has less than this of the memory that was short is not the cause, though nobody else is known.
LEAST_WEIGHT = 0.15
# A report that is not complete for a reason that is not named.
DOUBT = 0.95


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why it happened, as far as the event and the recording tell.

    Attributes:
        case: The event, with what was derived from it.
        findings: The verdict first, then the others by weight, circumstances last; never empty.
        dismissals: Why not the other causes that one would think of.
    """

    case: Case
    findings: tuple[Finding, ...]
    dismissals: tuple[Dismissal, ...]

    @property
    def verdict(self) -> Finding:
        """The cause."""
        return self.findings[0]


def diagnose(event: Event, history: History | None = None, earlier: Sequence[Event] = ()) -> Diagnosis:
    """Say why.

    Args:
        event: What the kernel, or another killer, said.
        history: What was recorded of the time before; None without a recording.
        earlier: Events before this one in the same log, newest last.
    """
    case = Case(event, history, tuple(earlier))
    findings: list[Finding] = []
    dismissals: list[Dismissal] = []
    for examine in EXAMINATIONS:
        result = examine(case)
        if isinstance(result, Finding):
            findings.append(result)
        elif result is not None:
            dismissals.append(result)
    findings.sort(key=_rank)
    if not any(each.weight >= LEAST_WEIGHT for each in findings):
        findings.insert(0, _without_cause(case))
    if event.kind == RECORDED:
        findings[0] = recorded.introduce(case, findings[0])
    doubt = _doubt(event)
    findings = [replace(each, confidence=round(each.confidence * doubt, 2)) for each in findings]
    return Diagnosis(case, tuple(findings), tuple(dismissals))


def _without_cause(case: Case) -> Finding:
    is_recorded = case.event.kind == RECORDED
    return recorded.without_cause(case) if is_recorded else unknown.last_resort(case)


def diagnose_among(found: Sequence[Event], event: Event, history: History | None = None) -> Diagnosis:
    """Say why of one of the events of a log, with those before it.

    Args:
        found: All events of the log, oldest first.
        event: One of them.
        history: As for `diagnose`.
    """
    place = found.index(event)
    return diagnose(event, history, found[max(0, place - EARLIER) : place])


def _rank(finding: Finding) -> tuple[bool, float]:
    """What the report itself names comes first, then what explains most, as far as that is sure."""
    return finding.weight < 1, -finding.weight * finding.confidence


def _doubt(event: Event) -> float:
    """What the gaps of a report cost."""
    if event.complete:
        return 1.0
    doubt = 1.0
    for missing in event.missing:
        doubt *= DOUBTS.get(missing, DOUBT)
    return doubt if event.missing else DOUBT
