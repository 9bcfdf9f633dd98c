"""All a report says of an incident, gathered once: the verdict, the course, the kernel's words."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from memwatchd.diagnosis.verdict import Diagnosis, diagnose_among
from memwatchd.incidents.history import place_of, read_history
from memwatchd.incidents.kernel_log import kernel_log
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.recorder import KERNEL_KILL, RULE_FIRED
from memwatchd.incidents.snapshot import diagnose_recording, is_in_window, report_of
from memwatchd.oomreport.reader import read_events
from memwatchd.oomreport.report import OOM_KILL, RECORDED, Event
from memwatchd.procfs.kmsg import unescape
from memwatchd.units import printable
from memwatchd.views.explain.words import process
from memwatchd.views.report.markers import Marker, find_markers
from memwatchd.views.report.processes import Processes, processes_at_kill, victim_verdict
from memwatchd.views.report.reading import Course, read_course
from memwatchd.views.summary import summarise

_CONFIG = "config.yaml"
_OTHERS = 20
# Lines of the kernel's log around a report.
_AROUND = 20
_MOST_LINES = 4000
_LINE_CHARS = 2000
_RECORD = re.compile(rb"\d+,\d+,(\d{1,18}),[^;]*;(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the kernel's log.

    Attributes:
        number: As in the lines findings quote.
        seconds: By the kernel's clock; None for a line that belongs to the one before.
        text: Made printable; a message of several lines has them all.
        skipped: So many lines before it are left out.
    """

    number: int
    seconds: float | None
    text: str
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """What a report is written from.

    Attributes:
        name: Of the incident's file.
        headline: The verdict in one sentence; without a kernel's report, what the incident is.
        summary: See `memwatchd.views.summary.summarise`.
        diagnosis: Of the kill the incident is about; None where the kernel's log has no report of it.
        others: Of further kills, by the kernel's report alone.
        victim: Whether it was the right one, and why, see `processes.victim_verdict`.
        course: None where there is no sample.
        config: By which it was recorded, as text; empty where it is not kept.
    """

    name: str
    headline: str
    summary: dict[str, Any]
    diagnosis: Diagnosis | None
    others: tuple[Diagnosis, ...]
    victim: tuple[str, str]
    processes: Processes
    course: Course | None
    markers: tuple[Marker, ...]
    log: tuple[LogLine, ...]
    config: str
    zero_realtime_ns: int | None

    @property
    def is_recorded(self) -> bool:
        """Whether findings quote what was recorded, and not lines of the kernel's log."""
        return self.diagnosis is not None and self.diagnosis.case.event.kind == RECORDED

    @property
    def is_reported(self) -> bool:
        """Whether the kernel's report of a kill is there."""
        return self.diagnosis is not None and not self.is_recorded

    @property
    def is_of_a_kill(self) -> bool:
        """Whether the kernel killed somebody, be it that nothing says whom."""
        facts = self.summary
        return self.is_reported or bool(facts["kills"]) or facts["trigger"]["kind"] == KERNEL_KILL


def tell(incident: Incident, progress: Callable[[float], None] = lambda _share: None) -> Story:
    """Gather all there is; about three seconds of processor time for 35 s at 200 Hz.

    Args:
        incident: An open one.
        progress: Is told the share that has been read.
    """
    summary = summarise(incident, with_verdict=False)
    log = kernel_log(incident)
    diagnosis, others = _diagnoses(incident, log)
    course = read_course(incident, progress)
    processes = processes_at_kill(incident, diagnosis)
    told = (each.case.event for each in (diagnosis, *others) if each is not None)
    shown = [event for event in told if event.kind != RECORDED]  # whose lines are not the log's
    return Story(
        name=incident.path.name,
        headline=_headline(incident, diagnosis, summary),
        summary=summary,
        diagnosis=diagnosis,
        others=others,
        victim=victim_verdict(diagnosis, processes),
        processes=processes,
        course=course,
        markers=tuple(find_markers(summary, course.panels if course else ())),
        log=tuple(_lines(log, shown)),
        config=incident.texts().get(_CONFIG, b"").decode("utf-8", "surrogateescape"),
        zero_realtime_ns=incident.facts["trigger"]["realtime_ns"],
    )


def _diagnoses(incident: Incident, log: bytes) -> tuple[Diagnosis | None, tuple[Diagnosis, ...]]:
    """Explain the kill of the incident with its recording, and others in its window without."""
    found = [event for event in read_events([log]) if event.kind == OOM_KILL] if log else []
    chosen = report_of(incident, found)
    if chosen is None:
        return diagnose_recording(incident), ()
    others = (event for event in found if event is not chosen and is_in_window(incident, event))
    diagnosis = diagnose_among(found, chosen, read_history(incident, chosen))
    return diagnosis, tuple(diagnose_among(found, event) for event in islice(others, _OTHERS))


def _headline(incident: Incident, diagnosis: Diagnosis | None, summary: dict[str, Any]) -> str:
    """The verdict on the kill; what else the incident is about comes before it."""
    trigger = summary["trigger"]
    if diagnosis is not None and (trigger["kind"] == KERNEL_KILL or diagnosis.case.event.kind == RECORDED):
        return diagnosis.verdict.summary  # of a recording it says what it was kept for, too
    sentence, condition = _occasion(trigger)
    if diagnosis is None:
        return f"{sentence} {condition}".strip()
    at_ns = place_of(incident, diagnosis.case.event)
    when = "After that" if at_ns is not None and at_ns > incident.trigger_ns else "Before that"
    victims = diagnosis.case.event.victims
    whom = process(victims[0].comm, victims[0].pid) if victims else "somebody"
    return f"{sentence} {when} the kernel killed {whom}: {diagnosis.verdict.summary}"


def _occasion(trigger: dict[str, Any]) -> tuple[str, str]:
    """What the incident was kept for, and the condition of a rule, which may be long."""
    detail = trigger["detail"] or trigger["kind"] or "an incident of an unknown kind"
    rule, colon, condition = detail.partition(": ")
    if trigger["kind"] == RULE_FIRED and colon:
        return f"{_capital(rule)} fired.", f"Why: {condition}."
    return f"{_capital(detail.removesuffix('.'))}.", ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lines(log: bytes, events: Sequence[Event]) -> Iterator[LogLine]:
    """Give the reports verbatim, with some lines around; of a log without a report its last lines."""
    lines = log.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    spans = [(event.first_line - _AROUND, event.last_line + _AROUND) for event in events]
    spans = spans or [(len(lines) - 2 * _AROUND, len(lines))]
    skipped = count = 0
    for number, raw in enumerate(lines, 1):
        if count >= _MOST_LINES or not any(first <= number <= last for first, last in spans):
            skipped += 1
            continue
        record = _RECORD.match(raw)
        seconds = int(record[1]) / 1e6 if record else None
        text = (unescape(record[2]) if record else raw).decode("utf-8", "surrogateescape")
        shown = "\n".join(map(printable, text[:_LINE_CHARS].split("\n")))
        yield LogLine(number, seconds, shown, skipped)
        skipped, count = 0, count + 1
