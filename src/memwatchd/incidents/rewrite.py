"""An incident made of another one, or of several: segments taken apart, and files written as a whole."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.writer import IncidentWriter, sync_directory
from memwatchd.kernel.ending import ending_in_order
from memwatchd.kernel.files import is_replaceable
from memwatchd.ring.format import Kind, SegmentHeader
from memwatchd.ring.packing import Packed, pack_segment
from memwatchd.ring.reader import Segment
from memwatchd.ring.samples import SAMPLE_HEADER, Encoding, pack_blob, pack_entry
from memwatchd.ring.stream import Moment, event_ns, moments

_TIME = struct.Struct("=q")


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a file.

    Attributes:
        streams: Segments with ascending numbers; taken one at a time.
        complete: Whether the aftermath is in.
    """

    header: IncidentHeader
    meta: dict[str, Any]
    streams: Mapping[BlockType, Iterable[Segment]]
    texts: dict[str, bytes]
    complete: bool


@ending_in_order()
def write_incident(out: Path, contents: Contents) -> None:
    """Write an incident file; until it is whole it stands beside `out`.

    Raises:
        OSError: It cannot be written.
        MemwatchdError: From whatever makes the segments; `out` is a device or a pipe; a signal has ended it.
    """
    if not is_replaceable(out):
        raise MemwatchdError(f"{out}: expected the name of a file, for an incident is written as a whole")
    beside = out.with_name(f".{out.name}.new")
    beside.unlink(missing_ok=True)
    writer = IncidentWriter(beside, contents.header)
    try:
        writer.add_meta(contents.meta)
        for kind, segments in contents.streams.items():
            writer.add_segments(kind, segments)
        for number, (name, text) in enumerate(contents.texts.items()):
            writer.add_text(number, name, text)
        if contents.complete:
            writer.finish()
        else:
            writer.sync()
        beside.rename(out)
        sync_directory(out.parent)
    finally:
        writer.close()
        beside.unlink(missing_ok=True)


def record_ns(kind: int, payload: memoryview) -> int | None:
    """When a record is from, on the monotonic clock; None for a catalogue and for what nobody knows."""
    if kind == Kind.SAMPLE and len(payload) >= SAMPLE_HEADER.size:
        return int(SAMPLE_HEADER.unpack_from(payload)[1])
    if kind in (Kind.KMSG, Kind.PROCESSES, Kind.FILE) and len(payload) >= _TIME.size:
        return int(_TIME.unpack_from(payload)[0])
    if kind == Kind.EVENT:
        return event_ns(payload)
    return None


def sampled_between(segment: Segment, from_ns: int, to_ns: int) -> Segment | None:
    """Leave of a segment of samples what is from this span; None when that is nothing.

    The first sample of a segment has all texts: those that were not read in it are as they were known then.
    """
    times = [record_ns(each.kind, each.payload) for each in segment.records()]
    known = [at_ns for at_ns in times if at_ns is not None]
    if not known or max(known) < from_ns or min(known) > to_ns:
        return None
    if min(known) >= from_ns and max(known) <= to_ns:
        return segment
    later = (each for each in enumerate(moments([segment])) if each[1].sample.monotonic_ns >= from_ns)
    rank, first = next(later, (0, None))
    if first is None or first.sample.monotonic_ns > to_ns:
        return None
    return pack_segment(_moved(segment, first), list(_kept(segment, first, rank, from_ns, to_ns)))


def _kept(segment: Segment, first: Moment, rank: int, from_ns: int, to_ns: int) -> Iterator[Packed]:
    """Yield the records of a span, of which `first` is the first sample, and the `rank`-th of the segment."""
    catalogue: list[Packed] = []
    noticed: list[Packed] = []
    seen, begun = -1, False
    for record in segment.records():
        at_ns = record_ns(record.kind, record.payload)
        packed, inside = (record.kind, record.payload), at_ns is not None and from_ns <= at_ns <= to_ns
        seen += record.kind == Kind.SAMPLE
        if begun:
            if at_ns is None or inside:
                yield packed
        elif record.kind == Kind.CATALOGUE:
            catalogue = [packed]
        elif record.kind == Kind.SAMPLE and seen == rank:
            yield from (*catalogue, *noticed, (Kind.SAMPLE, _whole(first)))
            begun = True
        elif record.kind == Kind.EVENT and inside:
            noticed.append(packed)


def _whole(moment: Moment) -> bytes:
    """A moment as a sample that needs nothing from before."""
    sample = moment.sample
    texts = {number: text for number, text in sample.texts.items() if number in moment.sources}
    entries = [pack_entry(number, Encoding.KEY, len(text)) for number, text in texts.items()]
    head = SAMPLE_HEADER.pack(
        sample.tick,
        sample.monotonic_ns,
        sample.lag_ns,
        sample.read_ns,
        sample.missed,
        len(entries),
        sample.stride,
    )
    return b"".join((head, *entries, *(pack_blob(list(texts.values()), ()) if texts else ())))


def _moved(segment: Segment, first: Moment) -> SegmentHeader:
    """The header of a segment that begins with a later sample."""
    header, sample = segment.header, first.sample
    later_ns = sample.monotonic_ns - header.monotonic_ns
    return replace(
        header,
        monotonic_ns=sample.monotonic_ns,
        boottime_ns=header.boottime_ns + later_ns,
        realtime_ns=header.realtime_ns + later_ns,
        first_tick=sample.tick,
    )
