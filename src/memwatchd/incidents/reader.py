"""Reading an incident file, whatever has happened to it.

Only the places of the blocks are kept; segments are read one at a time, so memory stays small however large
the file is, or claims to be.
"""

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from memwatchd.errors import FormatError, NotFoundError
from memwatchd.incidents.format import (
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    HEADER_BYTES,
    BlockHeader,
    BlockType,
    IncidentHeader,
    unpack_block,
    unpack_header,
    unpack_text,
)
from memwatchd.incidents.meta import fit_meta
from memwatchd.ring.format import unpack_segment_header
from memwatchd.ring.reader import Segment, parse_segment
from memwatchd.ring.stream import Moment, moments

# After so much that is no block of this incident, the rest is not searched any further.
_GIVE_UP_BYTES = 64 << 20
_SEARCH_BYTES = 1 << 20
_MAX_META_BYTES = 4 << 20
_SEGMENTS = (BlockType.SAMPLES, BlockType.EVENTS)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block's payload is, and of a segment when it begins."""

    offset: int
    header: BlockHeader
    begins_ns: int | None = None


@dataclass(slots=True)
class Incident:
    """An open incident file.

    It is opened anew for each block. Every method that reads raises NotFoundError when it has been removed.

    Attributes:
        meta: What the recorder says of the incident, as it stands in the file.
        facts: The same, each thing in its place and of its kind, see `memwatchd.incidents.meta`.
        complete: The aftermath is in, and the file ended in good order.
        problems: What is damaged, one sentence each.
    """

    path: Path
    header: IncidentHeader
    meta: dict[str, Any]
    complete: bool
    problems: list[str]
    facts: dict[str, Any] = field(default_factory=lambda: fit_meta({}))
    _places: dict[tuple[int, int], list[_Place]] = field(default_factory=dict, repr=False)

    @property
    def trigger_ns(self) -> int:
        """Moment zero of the incident, on the monotonic clock of its boot."""
        value: int | None = self.facts["trigger"]["monotonic_ns"]
        return value or 0

    def segments(self, kind: BlockType, from_ns: int | None = None) -> Iterator[Segment]:
        """Yield the segments of one stream, oldest first, one in memory at a time.

        Args:
            kind: Which stream.
            from_ns: Leave out segments that ended before this moment of the monotonic clock.
        """
        found = [places for key, places in sorted(self._places.items()) if key[0] == kind]
        for places, following in zip_longest(found, found[1:]):
            begins_ns = following[-1].begins_ns if following is not None else None
            if from_ns is not None and begins_ns is not None and begins_ns <= from_ns:
                continue
            segment = self._segment(places)
            if segment is not None:
                yield segment

    def segment_count(self, kind: BlockType) -> int:
        """How many segments of a stream there are, good or not."""
        return sum(each == kind for each, _ in self._places)

    def moments(self, from_ns: int | None = None) -> Iterator[Moment]:
        """Yield all samples, oldest first; with `from_ns` only from the segment on that has this moment."""
        return moments(self.segments(BlockType.SAMPLES, from_ns))

    def texts(self) -> dict[str, bytes]:
        """Texts kept with the incident, by name."""
        found = {}
        for (kind, _), places in self._places.items():
            payload = self._payload(places[-1]) if kind == BlockType.TEXT else None
            if payload is not None:
                with suppress(FormatError):  # a forged one; there are others
                    name, text = unpack_text(payload)
                    found[name] = text
        return found

    def _segment(self, places: list[_Place]) -> Segment | None:
        """The last good version of a segment."""
        for place in reversed(places):
            payload = self._payload(place)
            segment = parse_segment(payload) if payload is not None else None
            if segment is not None:
                return segment
        return None

    def _payload(self, place: _Place) -> bytes | None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:  # removed to make room while somebody reads it
            raise NotFoundError(f"{self.path}: {error.strerror}") from error
        try:
            payload = os.pread(descriptor, place.header.length, place.offset)
        finally:
            os.close(descriptor)
        return payload if zlib.crc32(payload) == place.header.crc else None


def open_incident(path: Path) -> Incident:
    """Open an incident and find its blocks.

    Raises:
        NotFoundError: There is no such file, or it may not be read.
        FormatError: Not an incident, or nothing of it is left.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror}") from error
    try:
        header = unpack_header(_pread(descriptor, HEADER_BYTES, 0, path), str(path))
        return _scan(descriptor, path, header)
    finally:
        os.close(descriptor)


def _scan(descriptor: int, path: Path, header: IncidentHeader) -> Incident:
    incident = Incident(path, header, {}, complete=False, problems=[])
    size = os.fstat(descriptor).st_size
    at, budget_bytes = HEADER_BYTES, _GIVE_UP_BYTES
    while at + BLOCK_HEADER_BYTES <= size:
        block = _block_at(descriptor, at, header, path)
        if block is None:
            end = min(size, at + budget_bytes)
            following = _search(descriptor, at + 1, end, header.incident_id, path)
            if following is None:
                break
            if _block_at(descriptor, at, header, path) is not None:
                continue  # it is being written: a moment ago there was nothing, by now this block and another
            budget_bytes -= following - at
            incident.problems.append(f"bytes {at} to {following} are damaged")
            at = following
            continue
        place = _Place(at + BLOCK_HEADER_BYTES, block)
        at = place.offset + block.length
        if at > size:
            incident.problems.append(f"the file ends in the middle of a block, at {size} of {at} bytes")
            break
        _take(incident, place)
    if not incident.meta:
        raise FormatError(f"{path}: nothing readable is left of this incident")
    return incident


def _block_at(descriptor: int, at: int, header: IncidentHeader, path: Path) -> BlockHeader | None:
    return unpack_block(header.incident_id, _pread(descriptor, BLOCK_HEADER_BYTES, at, path))


def _take(incident: Incident, place: _Place) -> None:
    kind, number = place.header.type, place.header.number
    if kind == BlockType.END:
        incident.complete = True
        return
    payload = (
        incident._payload(place) if kind != BlockType.META or place.header.length <= _MAX_META_BYTES else None
    )
    if payload is None:
        incident.problems.append(f"a block at byte {place.offset} is damaged")
    elif kind == BlockType.META:
        meta = _json_object(payload)
        if meta:
            incident.meta, incident.facts = meta, fit_meta(meta)
    elif kind in tuple(BlockType):
        found = unpack_segment_header(payload) if kind in _SEGMENTS else None
        place = place if found is None else replace(place, begins_ns=found[0].monotonic_ns)
        incident._places.setdefault((kind, number), []).append(place)


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _search(descriptor: int, start: int, end: int, incident_id: bytes, path: Path) -> int | None:
    """Find the next good block header at or after `start`."""
    at = start
    while at < end:
        chunk = _pread(descriptor, _SEARCH_BYTES + BLOCK_HEADER_BYTES, at, path)
        found = chunk.find(BLOCK_MAGIC)
        while 0 <= found < _SEARCH_BYTES:
            if unpack_block(incident_id, chunk[found : found + BLOCK_HEADER_BYTES]) is not None:
                return at + found
            found = chunk.find(BLOCK_MAGIC, found + 1)
        at += _SEARCH_BYTES
    return None


def _pread(descriptor: int, length: int, offset: int, path: Path) -> bytes:
    try:
        return os.pread(descriptor, length, offset)
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}") from error
