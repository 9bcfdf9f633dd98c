"""Segments of either ring without strangers' names: each record is decoded, scrubbed and encoded anew.

Nothing is patched in place: a compressed text or a running CRC would keep what was there before.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from memwatchd.errors import FormatError
from memwatchd.ring.format import (
    RECORD_HEADER,
    SEGMENT_HEADER_BYTES,
    Kind,
)
from memwatchd.ring.packing import pack_segment
from memwatchd.ring.reader import Record, Segment
from memwatchd.ring.samples import SAMPLE_HEADER, Encoding, Sample, SampleDecoder, pack_blob, pack_entry
from memwatchd.ring.stream import (
    messages,
    pack_file,
    pack_message,
    pack_process_rows,
    process_rows,
    stored_files,
)
from memwatchd.scrub.facts import FactScrubber
from memwatchd.scrub.files import FileScrubber
from memwatchd.scrub.log import LogScrubber
from memwatchd.scrub.names import Names, hashed_id

_KEPT_KINDS = tuple(Kind)


class SegmentScrubber:
    """Takes names out of segments, which are to be shown in their order.

    Args:
        names: The stand-ins.
    """

    def __init__(self, names: Names) -> None:
        self._facts = FactScrubber(names)
        self._files = FileScrubber(names)
        self._log = LogScrubber(names)

    def scrub(self, segment: Segment) -> Segment:
        """The same segment with stand-ins; unknown kinds of records and what is damaged are left out.

        Raises:
            MemwatchdError: It would become larger than a segment may be.
        """
        header = replace(segment.header, boot_id=hashed_id(segment.header.boot_id))
        return pack_segment(header, list(self.records(segment)))

    def records(self, segment: Segment) -> Iterator[tuple[Kind, bytes]]:
        """The records of a segment without names, as kind and payload."""
        samples = _SampleScrubber(self._facts, self._files)
        for record in segment.records():
            if record.kind not in _KEPT_KINDS:
                continue
            kind = Kind(record.kind)
            try:
                payload = (
                    samples.scrub(record) if kind in _SAMPLED else self._scrub(kind, _alone(segment, record))
                )
            except FormatError:
                return  # as for every reader, it is the end of the segment
            if payload is not None:
                yield kind, payload

    def _scrub(self, kind: Kind, alone: Segment) -> bytes | None:
        match kind:
            case Kind.EVENT:
                return self._event(alone)
            case Kind.KMSG:
                for message in messages([alone]):
                    return pack_message(message.monotonic_ns, self._log.scrub_kmsg(message.raw))
            case Kind.PROCESSES:
                for part in process_rows([alone]):
                    return self._rows(part.monotonic_ns, part.rows)
            case Kind.FILE:
                for stored in stored_files([alone]):
                    text = self._files.scrub(stored.name, stored.text)
                    return None if text is None else pack_file(stored.monotonic_ns, stored.name, text)
        return None

    def _event(self, alone: Segment) -> bytes | None:
        for record in alone.records():
            event = _json(record.payload)
            if isinstance(event, dict):
                return json.dumps(self._facts.event(event)).encode()
        return None

    def _rows(self, monotonic_ns: int, rows: tuple[dict[str, Any], ...]) -> bytes | None:
        scrubbed = [self._facts.process_row(row) for row in rows]
        columns = sorted({column for row in scrubbed for column in row})
        cells = [[row.get(column) for column in columns] for row in scrubbed]
        return pack_process_rows(monotonic_ns, columns, cells)


_SAMPLED = (Kind.CATALOGUE, Kind.SAMPLE)


class _SampleScrubber:
    """The catalogue and the samples of one segment."""

    def __init__(self, facts: FactScrubber, files: FileScrubber) -> None:
        self._facts = facts
        self._files = files
        self._decoder = SampleDecoder()
        self._sources: dict[int, dict[str, Any]] = {}
        self._before: dict[int, tuple[bytes, bytes | None]] = {}
        self._written: dict[int, bytes] = {}

    def scrub(self, record: Record) -> bytes:
        """Payload of a catalogue or a sample.

        Raises:
            FormatError: It is damaged.
        """
        if record.kind == Kind.CATALOGUE:
            return self._catalogue(record.payload)
        return self._sample(self._decoder.decode(record.payload))

    def _catalogue(self, payload: memoryview) -> bytes:
        entries = _json(payload)
        if not isinstance(entries, list):
            raise FormatError("a catalogue is not a list")
        known = self._sources
        good = [each for each in entries if isinstance(each, dict) and isinstance(each.get("name"), str)]
        self._sources = {each["id"]: each for each in good if isinstance(each.get("id"), int)}
        gone = [number for number in known if known[number] != self._sources.get(number)]
        self._decoder.forget(gone)
        for number in gone:
            self._before.pop(number, None)
            self._written.pop(number, None)
        return json.dumps(self._facts.catalogue(entries)).encode()

    def _sample(self, sample: Sample) -> bytes:
        entries, new, previous = [], [], []
        for number in sample.read:
            text = self._text(number, sample.texts[number])
            if text is None:
                continue
            before = self._written.get(number)
            encoding = _encoding(before, text)
            entries.append(pack_entry(number, encoding, len(text)))
            if encoding is not Encoding.SAME:
                new.append(text)
            if encoding is Encoding.DELTA:
                previous.append(before or b"")
            self._written[number] = text
        head = SAMPLE_HEADER.pack(
            sample.tick,
            sample.monotonic_ns,
            sample.lag_ns,
            sample.read_ns,
            sample.missed,
            len(entries),
            sample.stride,
        )
        return b"".join((head, *entries, *(pack_blob(new, previous) if new else ())))

    def _text(self, number: int, raw: bytes) -> bytes | None:
        """A source's text without names, remembered as long as it stays the same."""
        entry = self._sources.get(number)
        if entry is None:
            return None
        before = self._before.get(number)
        if before is None or before[0] is not raw:
            before = self._before[number] = raw, self._files.scrub(entry["name"], raw)
        return before[1]


def _encoding(before: bytes | None, text: bytes) -> Encoding:
    if before is None:
        return Encoding.KEY
    return Encoding.SAME if before == text else Encoding.DELTA


def _alone(segment: Segment, record: Record) -> Segment:
    """A segment with just this record, for the readers of streams."""
    length = len(record.payload)
    head = RECORD_HEADER.pack(0, length, record.kind)
    data = bytes(SEGMENT_HEADER_BYTES) + head + bytes(record.payload) + bytes(-length & 7)
    return Segment(segment.header, memoryview(data), damaged=False)


def _json(payload: memoryview) -> Any:
    try:
        return json.loads(bytes(payload))
    except (ValueError, RecursionError):
        return None
