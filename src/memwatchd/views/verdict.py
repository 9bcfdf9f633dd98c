"""The verdict on an incident in one sentence; ``memwatchd explain`` says it at length."""

from typing import Any

from memwatchd.diagnosis.verdict import Diagnosis, diagnose_among
from memwatchd.incidents.kernel_log import kernel_log
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.snapshot import diagnose_recording, report_of
from memwatchd.oomreport.reader import read_events
from memwatchd.oomreport.report import OOM_KILL


def verdict_of(incident: Incident) -> dict[str, Any] | None:
    """Say why it happened, by the kernel's report alone; by the samples where there is no report.

    Returns:
        ``tag``, ``confidence`` and ``summary``; None where neither tells.
    """
    diagnosis = _diagnosis_of(incident)
    if diagnosis is None:
        return None
    verdict = diagnosis.verdict
    return {"tag": verdict.tag, "confidence": verdict.confidence, "summary": verdict.summary}


def _diagnosis_of(incident: Incident) -> Diagnosis | None:
    log = kernel_log(incident)
    found = [event for event in read_events([log]) if event.kind == OOM_KILL] if log else []
    event = report_of(incident, found)
    if event is None:
        return diagnose_recording(incident)
    return diagnose_among(found, event)
