"""JSON lines: what it is, then samples, events and the kernel's messages by time, one object a line.

    {"type": "incident", "name": …, "host": {…}, "trigger": {…}, "kills": […], "signals": {NAME: {…}}}
    {"type": "sample", "time_s": -0.005012, "time": "…Z", "signals": {"meminfo.MemFree": 104857600, …}}
    {"type": "event", "time_s": -0.001, "time": "…Z", "event": "rule_fire", "text": "rule x fired", …}
    {"type": "message", "time_s": 0.0001, "time": "…Z", "text": "Out of memory: Killed process …"}

A signal that is not there is left out; null is a limit that there is none of.
"""

import json
from collections.abc import Iterator
from heapq import merge
from math import isnan
from typing import Any, BinaryIO

from memwatchd.export.options import MAIN, Options
from memwatchd.export.rows import by_row, plain
from memwatchd.export.telling import event_text, kernel_messages
from memwatchd.incidents.recorded import Recorded
from memwatchd.signals.table import Table

# When it was, its rank among things of one moment, and what it says.
_Timed = tuple[int, int, dict[str, Any]]


def write(recorded: Recorded, out: BinaryIO, options: Options) -> None:
    """Write all lines.

    Raises:
        NotFoundError: See `Options.table`.
    """
    table = options.table(recorded, patterns=MAIN)
    _put(out, _heading(recorded, table))
    streams = (_events(recorded), _messages(recorded), _samples(table))
    for at_ns, _, entry in merge(*streams, key=lambda timed: timed[:2]):
        kind = entry.pop("type")
        times = {"time_s": recorded.seconds(at_ns), "time": recorded.wall_clock(at_ns) or None}
        _put(out, {"type": kind, **times, **entry})


def _put(out: BinaryIO, entry: dict[str, Any]) -> None:
    # Names may hold bytes that are no text; in ASCII they stay what they were.
    out.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")


def _heading(recorded: Recorded, table: Table) -> dict[str, Any]:
    return {
        "type": "incident",
        "name": recorded.name,
        "id": recorded.incident_id or None,
        "boot_id": recorded.boot_id,
        "trigger": {
            "kind": recorded.kind,
            "detail": recorded.detail,
            "monotonic_ns": recorded.zero_ns,
            "time": recorded.wall_clock(recorded.zero_ns) or None,
        },
        "host": recorded.host,
        "kills": [{"time_s": recorded.seconds(kill["monotonic_ns"]), **kill} for kill in recorded.kills],
        "signals": {
            name: {
                "unit": str(column.signal.unit),
                "counter": column.signal.counter,
                "meaning": column.signal.meaning,
            }
            for name, column in table.columns.items()
        },
    }


def _samples(table: Table) -> Iterator[_Timed]:
    names, values = list(table.columns), dict[str, float | int | None]()
    for at_ns, changes in by_row(table):
        for number, value in changes:
            if isnan(value):
                values.pop(names[number], None)
            else:
                values[names[number]] = plain(value)
        yield at_ns, 2, {"type": "sample", "signals": values}


def _events(recorded: Recorded) -> Iterator[_Timed]:
    for event in recorded.events():
        facts = {key: value for key, value in event.items() if key not in ("type", "time_s", "time")}
        yield event["monotonic_ns"], 0, {"type": "event", **facts, "text": event_text(event)}


def _messages(recorded: Recorded) -> Iterator[_Timed]:
    found = []
    for at_ns, record, text in kernel_messages(recorded):
        entry = {
            "type": "message",
            "facility": record.facility,
            "level": record.level,
            "timestamp_usec": record.timestamp_usec,
            "text": text.decode("utf-8", "backslashreplace"),
        }
        found.append((at_ns, 1, entry))
    return iter(sorted(found, key=lambda timed: timed[0]))
