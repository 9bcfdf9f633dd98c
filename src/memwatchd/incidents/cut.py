"""A smaller incident of one: what was recorded between two moments, in a file that all commands read.

Meta data, configuration and the kernel's backlog stay as they were; what happened is what happened, though
some of it may lie outside now. Times still count from the trigger. Of the service's ring there is also what
the first moment needs from before: the process table, and small files as they were last read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.rewrite import Contents, record_ns, sampled_between, write_incident
from memwatchd.ring.format import Kind
from memwatchd.ring.packing import pack_segment
from memwatchd.ring.reader import Segment
from memwatchd.ring.stream import stored_files

# On a machine with very many processes a pass takes several seconds.
_PROCESSES_NS = 5_000_000_000


def cut_incident(incident: Incident, out: Path, from_ns: int, to_ns: int) -> None:
    """Write what lies between two moments of the monotonic clock, both included.

    Raises:
        NotFoundError: There are no samples between them.
        OSError: It cannot be read or written.
        MemwatchdError: A segment would become too large.
    """
    if next(_samples(incident, from_ns, to_ns), None) is None:
        raise NotFoundError(f"{incident.path}: no samples between these moments")
    write_incident(
        out,
        Contents(
            header=incident.header,
            meta=_meta(incident, from_ns, to_ns),
            streams={
                BlockType.EVENTS: _events(incident, from_ns, to_ns),
                BlockType.SAMPLES: _samples(incident, from_ns, to_ns),
            },
            texts=incident.texts(),
            complete=incident.complete,
        ),
    )


def _meta(incident: Incident, from_ns: int, to_ns: int) -> dict[str, Any]:
    window = incident.facts["window"]
    first, last = window["from_ns"], window["to_ns"]
    return {
        **incident.meta,
        "window": {
            "from_ns": from_ns if first is None else max(first, from_ns),
            "to_ns": to_ns if last is None else min(last, to_ns),
        },
        "cut": {"from_ns": from_ns, "to_ns": to_ns},
    }


def _samples(incident: Incident, from_ns: int, to_ns: int) -> Iterator[Segment]:
    for segment in incident.segments(BlockType.SAMPLES, from_ns):
        kept = sampled_between(segment, from_ns, to_ns)
        if kept is not None:
            yield kept


def _events(incident: Incident, from_ns: int, to_ns: int) -> Iterator[Segment]:
    newest: dict[str, int] = {}
    for stored in stored_files(incident.segments(BlockType.EVENTS)):
        if stored.monotonic_ns <= from_ns:
            newest[stored.name] = stored.monotonic_ns
    files_ns = frozenset(newest.values())
    for segment in incident.segments(BlockType.EVENTS):
        records = list(segment.records())
        kept = []
        for record in records:
            at_ns = record_ns(record.kind, record.payload)
            since_ns = from_ns - _PROCESSES_NS if record.kind == Kind.PROCESSES else from_ns
            context = record.kind == Kind.FILE and at_ns in files_ns
            if at_ns is None or context or since_ns <= at_ns <= to_ns:
                kept.append((record.kind, record.payload))
        if len(kept) == len(records):
            yield segment
        elif kept:
            yield pack_segment(segment.header, kept)
