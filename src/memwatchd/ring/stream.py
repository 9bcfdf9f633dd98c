"""Going through the records of several segments in order: the same for a live ring and for an incident."""

import json
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import lz4.block

from memwatchd.errors import FormatError
from memwatchd.ring.file import RingMap
from memwatchd.ring.format import Kind
from memwatchd.ring.reader import Record, Segment, read_segments, segment_headers
from memwatchd.ring.samples import Sample, SampleDecoder

_TIME = struct.Struct("=q")
_TIME_AND_LENGTH = struct.Struct("=qI")
_TIME_AND_NAME = struct.Struct("=qH")
_MAX_JSON_BYTES = 2 << 20
_TEXT_COLUMNS = ("comm", "state", "cgroup")
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Moment:
    """A sample and the catalogue that was in force.

    Attributes:
        sources: Catalogue entries by source id.
    """

    sample: Sample
    sources: dict[int, dict[str, Any]]

    def text(self, name: str) -> bytes | None:
        """Text of the source of this name as of this moment, or None when it was not sampled."""
        for number, entry in self.sources.items():
            if entry["name"] == name:
                return self.sample.texts.get(number)
        return None


@dataclass(frozen=True, slots=True)
class Message:
    """One kernel message as read from /dev/kmsg at `monotonic_ns`."""

    monotonic_ns: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class ProcessRows:
    """Part of the process table, each row a mapping from column to value."""

    monotonic_ns: int
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file read now and then, such as /proc/loadavg."""

    monotonic_ns: int
    name: str
    text: bytes


class MomentDecoder:
    """Turns the records of one segment into moments as they come; make a new one for each segment."""

    def __init__(self) -> None:
        self._samples = SampleDecoder()
        self._sources: dict[int, dict[str, Any]] = {}

    def take(self, record: Record) -> Moment | None:
        """Take the next record in; None when it is no sample.

        Raises:
            FormatError: It is damaged, and so is all that follows in this segment.
        """
        if record.kind == Kind.CATALOGUE:
            known, self._sources = self._sources, parse_catalogue(record.payload)
            self._samples.forget(number for number in known if known[number] != self._sources.get(number))
        elif record.kind == Kind.SAMPLE:
            return Moment(self._samples.decode(record.payload), self._sources)
        return None


def moments(segments: Iterable[Segment]) -> Iterator[Moment]:
    """Yield all samples, oldest first; what is damaged ends its own segment and no more."""
    for segment in segments:
        decoder = MomentDecoder()
        for record in segment.records():
            try:
                moment = decoder.take(record)
            except FormatError:
                break
            if moment is not None:
                yield moment


def newest(ring: RingMap) -> Moment | None:
    """Read the last sample of a ring, live or not; None when there is none."""
    for header in reversed(segment_headers(ring)):
        last = deque(moments(read_segments(ring, since_sequence=header.sequence)), maxlen=1)
        if last:
            return last[0]
    return None


def events(segments: Iterable[Segment]) -> Iterator[dict[str, Any]]:
    """Yield the events, oldest first within each segment."""
    for payload in _payloads(segments, Kind.EVENT):
        event = _event(payload)
        if event is not None:
            yield event


def event_ns(payload: memoryview) -> int | None:
    """When an event was, from its record's payload; None for one that is damaged."""
    event = _event(payload)
    return None if event is None else int(event["monotonic_ns"])


def messages(segments: Iterable[Segment]) -> Iterator[Message]:
    """Yield the kernel's messages, verbatim."""
    for payload in _payloads(segments, Kind.KMSG):
        if len(payload) >= _TIME.size:
            yield Message(_TIME.unpack_from(payload)[0], bytes(payload[_TIME.size :]))


def process_rows(segments: Iterable[Segment]) -> Iterator[ProcessRows]:
    """Yield the parts of the process table in the order they were read."""
    for payload in _payloads(segments, Kind.PROCESSES):
        if len(payload) < _TIME_AND_LENGTH.size:
            continue
        monotonic_ns, length = _TIME_AND_LENGTH.unpack_from(payload)
        block = bytes(payload[_TIME_AND_LENGTH.size :])
        if length > min(_MAX_JSON_BYTES, 255 * len(block)):
            continue
        try:
            table = _json(lz4.block.decompress(block, uncompressed_size=length))
        except (lz4.block.LZ4BlockError, ValueError):
            continue
        if isinstance(table, dict) and isinstance(table.get("rows"), list):
            yield ProcessRows(monotonic_ns, tuple(_rows(table)))


def stored_files(segments: Iterable[Segment]) -> Iterator[StoredFile]:
    """Yield the files that are read now and then."""
    for payload in _payloads(segments, Kind.FILE):
        if len(payload) < _TIME_AND_NAME.size:
            continue
        monotonic_ns, length = _TIME_AND_NAME.unpack_from(payload)
        start = _TIME_AND_NAME.size + length
        name = bytes(payload[_TIME_AND_NAME.size : start]).decode("utf-8", "replace")
        yield StoredFile(monotonic_ns, name, bytes(payload[start:]))


def pack_message(monotonic_ns: int, raw: bytes) -> bytes:
    """Payload of a kmsg record."""
    return _TIME.pack(monotonic_ns) + raw


def pack_process_rows(monotonic_ns: int, columns: list[str], rows: list[list[Any]]) -> bytes:
    """Payload of a processes record."""
    plain = json.dumps({"columns": columns, "rows": rows}, separators=(",", ":")).encode()
    block = lz4.block.compress(plain, store_size=False)
    return _TIME_AND_LENGTH.pack(monotonic_ns, len(plain)) + bytes(block)


def pack_file(monotonic_ns: int, name: str, text: bytes) -> bytes:
    """Payload of a file record."""
    encoded = name.encode()
    return _TIME_AND_NAME.pack(monotonic_ns, len(encoded)) + encoded + text


def parse_catalogue(payload: memoryview) -> dict[int, dict[str, Any]]:
    """Read a catalogue record: its entries by the source's id.

    Raises:
        FormatError: It is no list.
    """
    entries = _json(payload)
    if not isinstance(entries, list):
        raise FormatError("a catalogue is not a list")
    good = (each for each in entries if isinstance(each, dict) and isinstance(each.get("name"), str))
    return {each["id"]: each for each in good if isinstance(each.get("id"), int)}


def _payloads(segments: Iterable[Segment], kind: Kind) -> Iterator[memoryview]:
    for segment in segments:
        for record in segment.records():
            if record.kind == kind:
                yield record.payload


def _event(payload: memoryview) -> dict[str, Any] | None:
    event = _json(payload)
    if not isinstance(event, dict):
        return None
    good = _is_number(event.get("monotonic_ns")) and isinstance(event.get("event"), str)
    return event if good else None


def _rows(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    columns = table.get("columns")
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        return
    for row in table["rows"]:
        if isinstance(row, list):
            named = zip(columns, row, strict=False)
            yield {column: cell for column, cell in named if _fits(column, cell)}


def _fits(column: str, cell: Any) -> bool:
    return isinstance(cell, str) if column in _TEXT_COLUMNS else _is_number(cell)


def _is_number(value: Any) -> bool:
    """Whether it is a number that a recorder writes, and not one without end."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST


def _json(payload: memoryview | bytes) -> Any:
    try:
        return json.loads(bytes(payload))
    except (ValueError, RecursionError):
        return None
