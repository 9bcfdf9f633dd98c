"""Why memory was short where the kernel has printed no report: what the recording itself says of one moment.

That moment is the last sample of a machine that went down, and otherwise the trigger; of what a rule has
dumped, it is when the rule fired: what it did has changed memory by the time of the trigger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from memwatchd.diagnosis.verdict import Diagnosis, diagnose
from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.history import last_rows, place_of, read_history
from memwatchd.incidents.moment import moment_at, page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.recorder import RULE_FIRED
from memwatchd.oomreport.recorded import recorded_event
from memwatchd.oomreport.report import OOM_KILL, Event
from memwatchd.ring.stream import events

_FILES = ("meminfo", "vmstat", "zoneinfo", "slabinfo")
_RULE = "rule "
# Further before the moment that is meant, samples are missing: the file is damaged, or nothing was sampled.
_FAR_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read off a recording, and when that was on its monotonic clock."""

    event: Event
    at_ns: int


def diagnose_recording(incident: Incident) -> Diagnosis | None:
    """Say why, by what was recorded alone; takes about a second. None where nothing tells."""
    snapshot = read_snapshot(incident)
    if snapshot is None:
        return None
    return diagnose(snapshot.event, read_history(incident, snapshot.event, snapshot.at_ns))


def read_snapshot(incident: Incident) -> Snapshot | None:
    """Read the figures of the moment that the incident is about; None where none were recorded."""
    meant_ns = _moment_ns(incident)
    try:
        moment = moment_at(incident, meant_ns)
    except NotFoundError:
        return None
    at_ns = moment.sample.monotonic_ns
    rows = last_rows(incident, at_ns)
    host, trigger = incident.facts["host"], incident.facts["trigger"]
    event = recorded_event(
        {name: text for name in _FILES if (text := moment.text(name)) is not None},
        rows,
        page_size_of(incident),
        read_s=[(at_ns - row["read_ns"]) / 1e9 for row in rows],
        manner=trigger["kind"],
        reason=trigger["detail"],
        seconds=at_ns / 1e9,
        time=_time(trigger, at_ns),
        host=_text(host, "hostname"),
        kernel=_text(host, "kernel"),
    )
    if event is not None and meant_ns - at_ns > _FAR_NS:
        event = replace(event, complete=False, missing=(*event.missing, "samples"))
    return None if event is None else Snapshot(event, at_ns)


def report_of(incident: Incident, found: Iterable[Event]) -> Event | None:
    """The kernel's report that the incident is about, of the kills in its log; None where it has none.

    It is that of the incident's first kill; where none of them has one, the first in its window.
    """
    kills = [event for event in found if event.kind == OOM_KILL]
    for kill in incident.facts["kills"]:
        for event in kills:
            if any(victim.pid == kill["pid"] for victim in event.victims):
                return event
    return next((event for event in kills if is_in_window(incident, event)), None)


def is_in_window(incident: Incident, event: Event) -> bool:
    """Whether an event was in the incident's window; one whose time is not known was not."""
    at_ns, window = place_of(incident, event), incident.facts["window"]
    if at_ns is None or window["from_ns"] is None or window["to_ns"] is None:
        return False
    return bool(window["from_ns"] <= at_ns <= window["to_ns"])


def _moment_ns(incident: Incident) -> int:
    trigger = incident.facts["trigger"]
    if trigger["kind"] != RULE_FIRED:
        return incident.trigger_ns
    fired = [each["monotonic_ns"] for each in _firings(incident, str(trigger["detail"]))]
    return max((at_ns for at_ns in fired if at_ns <= incident.trigger_ns), default=incident.trigger_ns)


def _firings(incident: Incident, detail: str) -> Sequence[Mapping[str, Any]]:
    """When the rule fired that had this written: ``rule slab-leak: meminfo.MemAvailable 41 MiB``."""
    told = events(incident.segments(BlockType.SAMPLES))
    return [
        each
        for each in told
        if each["event"] == "rule_fire"
        and each.get("step") == 0
        and detail.startswith(f"{_RULE}{each.get('rule')}: ")
    ]


def _time(trigger: Mapping[str, Any], at_ns: int) -> str | None:
    if trigger["realtime_ns"] is None or trigger["monotonic_ns"] is None:
        return None
    try:
        moment = datetime.fromtimestamp((trigger["realtime_ns"] + at_ns - trigger["monotonic_ns"]) / 1e9, UTC)
    except (ValueError, OverflowError, OSError):  # a forged one
        return None
    return moment.isoformat(timespec="milliseconds")


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return value if isinstance(value, str) else None
