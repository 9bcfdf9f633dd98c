"""What a run that did not end in good order leaves to the next: its rings, and messages nobody read."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from memwatchd.errors import FormatError, NotFoundError, ParseError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorder import MACHINE_DIED, RECORDER_DIED, Segments, Trigger, Whole
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.oomreport.kills import KillParser
from memwatchd.places import Places
from memwatchd.procfs.kmsg import parse_kmsg
from memwatchd.ring.file import RingMap, open_ring
from memwatchd.ring.format import SegmentHeader, State
from memwatchd.ring.reader import read_segments, segment_headers
from memwatchd.ring.stream import events, messages, moments, newest
from memwatchd.ring.writer import Clocks
from memwatchd.roots import Roots
from memwatchd.service.facts import host_facts, program_facts, sampling_facts
from memwatchd.service.ledger import Ledger

_BACKLOG_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Remains:
    """Rings of a run that did not end in good order; mapped, so they outlive being replaced."""

    samples: RingMap
    events: RingMap | None
    last_ns: int


def find_remains(places: Places) -> Remains | None:
    """Look for the rings of a previous run that did not end in good order, and put them aside.

    Aside they stay until `forget_remains`: a start that dies before has not lost them.
    """
    if _unsaved(places.ring):
        for path in (places.ring, places.events):
            if path.exists():
                path.rename(_aside(path))
    samples = _open(_aside(places.ring))
    if samples is None:
        return None
    headers = segment_headers(samples)
    if not headers:
        return None
    return Remains(samples, _open(_aside(places.events)), _last_ns(samples, headers[-1]))


def _last_ns(samples: RingMap, newest: SegmentHeader) -> int:
    """When the last sample was taken; the board would know it, too, but has no CRC."""
    segments = read_segments(samples, since_sequence=newest.sequence)
    return max([newest.monotonic_ns, *(moment.sample.monotonic_ns for moment in moments(segments))])


def _source_names(samples: RingMap) -> dict[int, str]:
    """Sources by id, as the last run's catalogue has them."""
    moment = newest(samples)
    return {} if moment is None else {number: str(entry["name"]) for number, entry in moment.sources.items()}


def forget_remains(places: Places) -> None:
    """Remove the rings that were put aside; they are saved."""
    for path in (places.ring, places.events):
        _aside(path).unlink(missing_ok=True)


def _unsaved(path: Path) -> bool:
    ring = _open(path)
    return ring is not None and ring.state != State.CLOSED and bool(segment_headers(ring))


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")


def describe_remains(remains: Remains, roots: Roots, boot_id: bytes, before_ns: int) -> Whole:
    """Put together an incident about the end of the previous run.

    Args:
        remains: What it left.
        roots: Where the kernel's file systems are.
        boot_id: Of the present boot.
        before_ns: How much of the past goes into an incident.
    """
    same_boot = remains.samples.header.boot_id == boot_id
    newest = segment_headers(remains.samples)[-1]
    ahead_ns = remains.last_ns - newest.monotonic_ns
    moment = Clocks(remains.last_ns, newest.boottime_ns + ahead_ns, newest.realtime_ns + ahead_ns)
    kind, what = RECORDER_DIED, "the recorder was killed"
    if not same_boot:
        # A runtime directory that is not in memory outlives the machine.
        kind, what = MACHINE_DIED, "the machine went down"
    trigger = Trigger(kind, f"{what}; these are its last samples", moment)
    from_ns = remains.last_ns - before_ns
    rings = {BlockType.EVENTS: remains.events, BlockType.SAMPLES: remains.samples}
    segments: Segments = {
        kind: partial(read_segments, ring, from_ns=from_ns)
        for kind, ring in rings.items()
        if ring is not None
    }
    backlog, facts = (
        _backlog(roots, from_ns) if same_boot else (b"", recorded_kills(segments, from_ns, remains.last_ns))
    )
    facts |= {
        "program": program_facts(),
        "host": host_facts(roots),
        "sampling": sampling_facts(remains.samples.figures(), _source_names(remains.samples)),
        "window": {"from_ns": from_ns, "to_ns": remains.last_ns},
    }
    texts = {"kmsg-backlog": backlog} if backlog else {}
    return Whole(trigger, remains.samples.header.boot_id, segments, facts, texts)


def recorded_kills(segments: Segments, from_ns: int, to_ns: int) -> dict[str, Any]:
    """Kills and counters of a span, out of what was recorded of a machine that is down."""
    parser, ledger = KillParser(), Ledger(messages_read=True)
    for message in messages(segments.get(BlockType.EVENTS, tuple)()):
        try:
            kill = parser.feed_record(parse_kmsg(message.raw))
        except ParseError:
            continue  # the log itself is kept as it is
        if kill is not None:
            ledger.told(message.monotonic_ns, kill)
    for event in events(segments.get(BlockType.SAMPLES, tuple)()):
        if event["event"] == "oom_kill" and isinstance(event.get("rise"), int):
            ledger.counted(event["monotonic_ns"], str(event.get("source")), event["rise"])
    return ledger.between(from_ns, to_ns)


def _backlog(roots: Roots, from_ns: int) -> tuple[bytes, dict[str, Any]]:
    """Kernel messages since `from_ns`, verbatim, and the kills among them: nobody was there to read them."""
    try:
        reader = KmsgReader.open(roots.kmsg, backlog=True)
    except OSError:
        return b"", Ledger(messages_read=False).between(0, 0)
    parser, ledger, raws = KillParser(), Ledger(messages_read=True), []
    for raw, record in reader.read(_BACKLOG_RECORDS):
        if record is None or record.timestamp_usec * 1000 < from_ns:
            continue
        raws.append(raw)
        kill = parser.feed_record(record)
        if kill is not None:
            ledger.told(record.timestamp_usec * 1000, kill)
    reader.close()
    facts = ledger.between(from_ns, time.monotonic_ns())
    facts["disagreements"] = []  # no counter was read meanwhile
    return b"".join(raws), facts


def _open(path: Path) -> RingMap | None:
    try:
        return open_ring(path)
    except (NotFoundError, FormatError):
        return None
