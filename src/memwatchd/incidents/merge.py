"""One incident of several of the same boot: what they have in common is in it once.

Moment zero is the trigger of the first. Segments are numbered anew, since a daemon that was started again
began again with 1, and samples that two incidents have are taken from the one that has more of that segment.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.kernel_log import BACKLOG
from memwatchd.incidents.moment import page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.rewrite import Contents, record_ns, sampled_between, write_incident
from memwatchd.ring.format import Kind
from memwatchd.ring.packing import pack_segment
from memwatchd.ring.reader import Segment
from memwatchd.ring.stream import events

_END_OF_TIME_NS = (1 << 63) - 1


def merge_incidents(incidents: Sequence[Incident], out: Path) -> None:
    """Write one incident of several.

    Raises:
        MemwatchdError: They do not belong together; says which two and why.
        OSError: One cannot be read, or the new one not be written.
    """
    in_order = sorted(incidents, key=lambda each: each.trigger_ns)
    first = in_order[0]
    for other in in_order[1:]:
        _refuse(first, other)
    write_incident(
        out,
        Contents(
            header=IncidentHeader(_id(in_order), first.header.boot_id, first.header.realtime_ns),
            meta=_meta(in_order),
            streams={
                BlockType.EVENTS: _renumbered(_events(in_order)),
                BlockType.SAMPLES: _renumbered(_samples(in_order)),
            },
            texts=_texts(in_order),
            complete=all(each.complete for each in in_order),
        ),
    )


def _refuse(one: Incident, other: Incident) -> None:
    """Say why two incidents cannot be one, if so.

    Raises:
        MemwatchdError: They cannot.
    """
    names = f"{one.path.name} and {other.path.name}"
    if one.header.boot_id != other.header.boot_id:
        hosts = [each.facts["host"].get("hostname") for each in (one, other)]
        of = "two boots: the clocks of one" if hosts[0] == hosts[1] else "two machines: the clocks of one"
        raise MemwatchdError(f"{names} are of {of} say nothing of the other")
    if page_size_of(one) != page_size_of(other):
        raise MemwatchdError(f"{names} have pages of different sizes: they are not of one machine")


def _id(incidents: Iterable[Incident]) -> bytes:
    """The same incidents make the same one, in whatever order they are named."""
    joined = b"".join(sorted({each.header.incident_id for each in incidents}))
    return hashlib.sha256(joined).digest()[:16]


# -- segments ----------------------------------------------------------------------------------------------


# When it begins, who wrote it, and which of theirs it is.
_Key = tuple[int, int, int]


def _key(segment: Segment) -> _Key:
    header = segment.header
    return header.monotonic_ns, header.writer_pid, header.sequence


def _versions(incidents: Sequence[Incident], kind: BlockType) -> Iterator[list[Segment]]:
    """Yield the segments of all incidents by when they begin, all versions of one together."""
    places: dict[_Key, list[Incident]] = {}
    for incident in incidents:
        for segment in incident.segments(kind):
            places.setdefault(_key(segment), []).append(incident)
    for key, holders in sorted(places.items(), key=lambda item: item[0]):
        found = (each for holder in holders for each in holder.segments(kind, key[0]) if _key(each) == key)
        yield list(found)


def _samples(incidents: Sequence[Incident]) -> Iterator[Segment]:
    reached_ns = -1
    for versions in _versions(incidents, BlockType.SAMPLES):
        longest = max(versions, key=lambda each: len(each.data))
        kept = sampled_between(longest, reached_ns + 1, _END_OF_TIME_NS)
        if kept is not None:
            yield kept
            reached_ns = max(reached_ns, *_sample_times(kept))


def _sample_times(segment: Segment) -> Iterator[int]:
    yield -1
    for record in segment.records():
        at_ns = record_ns(record.kind, record.payload) if record.kind == Kind.SAMPLE else None
        if at_ns is not None:
            yield at_ns


def _events(incidents: Sequence[Incident]) -> Iterator[Segment]:
    """Each record once: of one segment a cut has these records, and another cut has others."""
    for versions in _versions(incidents, BlockType.EVENTS):
        found: dict[tuple[int, bytes], None] = {}
        for segment in versions:
            found.update(dict.fromkeys((record.kind, bytes(record.payload)) for record in segment.records()))
        records = sorted(found, key=lambda each: record_ns(each[0], memoryview(each[1])) or 0)
        yield pack_segment(versions[0].header, records)


def _renumbered(segments: Iterable[Segment]) -> Iterator[Segment]:
    for sequence, segment in zip(count(1), segments, strict=False):
        records = [(record.kind, record.payload) for record in segment.records()]
        yield pack_segment(replace(segment.header, sequence=sequence), records)


# -- what is said of them ----------------------------------------------------------------------------------


def _meta(incidents: Sequence[Incident]) -> dict[str, Any]:
    first, newest = incidents[0], incidents[-1]
    facts = [each.facts for each in incidents]
    kills = {(kill["monotonic_ns"], kill["pid"]): kill for each in facts for kill in each["kills"]}
    begins = [each["window"]["from_ns"] for each in facts]
    ends = [each["window"]["to_ns"] for each in facts]
    return {
        **first.meta,
        "id": _id(incidents).hex(),
        "complete": all(each.complete for each in incidents),
        "window": {
            "from_ns": None if None in begins else min(begins),
            "to_ns": None if None in ends else max(ends),
        },
        "kills": [kill for _, kill in sorted(kills.items(), key=lambda item: item[0][0])],
        "counters": _counters(incidents),
        "disagreements": _union(each["disagreements"] for each in facts),
        "degraded": _union(each["degraded"] for each in facts),
        "sampling": newest.facts["sampling"],
        "merged": [each.header.incident_id.hex() for each in incidents],
    }


def _union(lists: Iterable[list[str]]) -> list[str]:
    return list(dict.fromkeys(sentence for each in lists for sentence in each))


def _counters(incidents: Sequence[Incident]) -> dict[str, int]:
    """How far each counter rose in any of the windows; a rise that two incidents tell of is one."""
    rises: dict[tuple[int, str], int] = {}
    for incident in incidents:
        window = incident.facts["window"]
        from_ns, to_ns = window["from_ns"] or 0, window["to_ns"] or _END_OF_TIME_NS
        for event in events(incident.segments(BlockType.SAMPLES)):
            rise, at_ns = event.get("rise"), event["monotonic_ns"]
            if event["event"] == "oom_kill" and isinstance(rise, int) and from_ns <= at_ns <= to_ns:
                rises[at_ns, str(event.get("source"))] = rise
    total: dict[str, int] = {}
    for (_, source), rise in rises.items():
        total[source] = total.get(source, 0) + rise
    # A cut knows of rises that it does not hold.
    for source, rise in ((name, rise) for each in incidents for name, rise in each.facts["counters"].items()):
        total[source] = max(rise, total.get(source, 0))
    return total


def _texts(incidents: Sequence[Incident]) -> dict[str, bytes]:
    """All texts; one that another incident has otherwise gets that incident's name behind its own."""
    found: dict[str, bytes] = {}
    for incident in incidents:
        for name, text in incident.texts().items():
            if name == BACKLOG and name in found:
                found[name] += text  # records are told apart by their numbers
            elif found.setdefault(name, text) != text:
                found[f"{name} of {incident.path.name}"] = text
    return found
