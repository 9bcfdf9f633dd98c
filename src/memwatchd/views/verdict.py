"""The verdict on an incident in one sentence; ``memwatchd explain`` says it at length."""

from typing import Any

from memwatchd.diagnosis.verdict import diagnose
from memwatchd.incidents.history import place_of
from memwatchd.incidents.kernel_log import kernel_log
from memwatchd.incidents.reader import Incident
from memwatchd.oomreport.reader import read_events
from memwatchd.oomreport.report import OOM_KILL, Event

# What a finding may look back at.
_EARLIER = 8


def verdict_of(incident: Incident) -> dict[str, Any] | None:
    """Say why it happened, by the kernel's report alone: no sample is read.

    Returns:
        ``tag``, ``confidence`` and ``summary``; None where the incident has no report of a kill.
    """
    log = kernel_log(incident)
    found = [event for event in read_events([log]) if event.kind == OOM_KILL] if log else []
    event = event_of(incident, found)
    if event is None:
        return None
    place = found.index(event)
    findings = diagnose(event, earlier=found[max(0, place - _EARLIER) : place]).findings
    if not findings:
        return None
    verdict = findings[0]
    return {"tag": verdict.tag, "confidence": verdict.confidence, "summary": verdict.summary}


def event_of(incident: Incident, found: list[Event]) -> Event | None:
    """The report of the incident's first kill; where none of them has one, the first in its window."""
    pids = [kill["pid"] for kill in incident.facts["kills"]]
    for pid in pids:
        for event in found:
            if any(victim.pid == pid for victim in event.victims):
                return event
    return next((event for event in found if _is_in_window(incident, event)), None)


def _is_in_window(incident: Incident, event: Event) -> bool:
    at_ns, window = place_of(incident, event), incident.facts["window"]
    if at_ns is None or window["from_ns"] is None or window["to_ns"] is None:
        return False
    return bool(window["from_ns"] <= at_ns <= window["to_ns"])
