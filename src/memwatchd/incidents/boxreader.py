"""Reading a black box, whatever has happened to it; see `blackbox` for what is in it.

Only the places of the extents are kept; segments are put together one at a time, so memory stays small
however large the box is.
"""

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memwatchd.errors import FormatError, NotFoundError
from memwatchd.incidents.blackbox import (
    EXTENT_HEADER_BYTES,
    EXTENT_MAGIC,
    LOG_OFFSET,
    MAX_EXTENT_BYTES,
    PAGE_BYTES,
    ExtentHeader,
    ExtentKind,
    Status,
    unpack_extent,
    unpack_facts,
    unpack_page,
)
from memwatchd.ring.format import (
    MAX_SEGMENT_BYTES,
    SEGMENT_HEADER_BYTES,
    USED_OFFSET,
    SegmentHeader,
    unpack_segment_header,
)
from memwatchd.ring.reader import Segment, parse_segment
from memwatchd.ring.stream import moments
from memwatchd.ring.writer import Clocks

_CHUNK_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_USED = struct.Struct("=Q")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an extent's data is."""

    at: int
    header: ExtentHeader


@dataclass(slots=True)
class Box:
    """A black box that was read.

    Attributes:
        status: Its newest good page.
        damaged: Extents that were torn or damaged.
    """

    path: Path
    status: Status
    damaged: int = 0
    _sequences: set[int] = field(default_factory=set, repr=False)
    _segments: dict[tuple[int, int], list[_Place]] = field(default_factory=dict, repr=False)
    _facts: _Place | None = field(default=None, repr=False)
    _writes: dict[int, int] = field(default_factory=dict, repr=False)

    @property
    def extents(self) -> int:
        """How many good ones there are of the run that wrote last."""
        return len(self._sequences)

    @property
    def missing(self) -> int:
        """How many there should be between the first and the last, and are not."""
        if not self._sequences:
            return 0
        return max(self._sequences) - min(self._sequences) + 1 - len(self._sequences)

    @property
    def wrapped(self) -> bool:
        """Whether the run had begun to overwrite its own past."""
        return bool(self._sequences) and min(self._sequences) > 1

    def longest_write_ns(self, from_ns: int) -> int | None:
        """The longest that a write took since a moment of the monotonic clock, as far as it is known."""
        took = [took_us * 1000 for written_ns, took_us in self._writes.items() if written_ns >= from_ns]
        return max(took, default=None)

    def facts(self) -> dict[str, Any]:
        """What was known of the machine when it was last written down."""
        return {} if self._facts is None else unpack_facts(self._data(self._facts))

    def headers(self, kind: ExtentKind) -> list[SegmentHeader]:
        """Headers of the segments of which the beginning is there, oldest first."""
        found = []
        for (each, _), places in sorted(self._segments.items()):
            first = next((place for place in places if place.header.offset == 0), None)
            if each == kind and first is not None:
                header = unpack_segment_header(self._data(first)[:SEGMENT_HEADER_BYTES])
                if header is not None:
                    found.append(header[0])
        return found

    def segments(self, kind: ExtentKind, from_ns: int | None = None) -> Iterator[Segment]:
        """Put the segments of one ring together, oldest first, one in memory at a time.

        Args:
            kind: Which ring.
            from_ns: Leave out those that ended before this moment of the monotonic clock.
        """
        headers = self.headers(kind)
        for place, header in enumerate(headers):
            later = headers[place + 1 : place + 2]
            if from_ns is not None and later and later[0].monotonic_ns <= from_ns:
                continue
            segment = self._segment(kind, header.sequence)
            if segment is not None:
                yield segment

    def last(self) -> Clocks | None:
        """When the last sample was taken, on the clocks of its boot; None when there is none."""
        for header in reversed(self.headers(ExtentKind.SAMPLES)):
            segment = self._segment(ExtentKind.SAMPLES, header.sequence)
            newest = deque(moments([segment] if segment else []), maxlen=1)
            if newest:
                ahead_ns = newest[0].sample.monotonic_ns - header.monotonic_ns
                return Clocks(
                    header.monotonic_ns + ahead_ns,
                    header.boottime_ns + ahead_ns,
                    header.realtime_ns + ahead_ns,
                )
        return None

    def _segment(self, kind: ExtentKind, sequence: int) -> Segment | None:
        data = bytearray()
        # Of two extents of one place the later one is the longer one, or the same.
        for place in sorted(
            self._segments.get((kind, sequence), ()),
            key=lambda each: (each.header.offset, each.header.length),
        ):
            skip = len(data) - place.header.offset
            if skip < 0 or place.header.offset + place.header.length > MAX_SEGMENT_BYTES:
                break
            data += self._data(place)[skip:]
        return _whole(data, sequence)

    def _data(self, place: _Place) -> bytes:
        descriptor = os.open(self.path, _FLAGS)
        try:
            data = _pread(descriptor, place.header.length, place.at, self.path)
        finally:
            os.close(descriptor)
        return data if zlib.crc32(data) == place.header.data_crc else b""

    def _take(self, place: _Place) -> None:
        header = place.header
        self._sequences.add(header.sequence)
        self._writes[header.written_ns] = header.took_us
        if header.kind == ExtentKind.FACTS:
            if self._facts is None or self._facts.header.sequence < header.sequence:
                self._facts = place
        elif header.kind in tuple(ExtentKind):
            self._segments.setdefault((header.kind, header.segment), []).append(place)


def read_status(path: Path) -> Status | None:
    """Read what the newest good page says; None when none of them is good.

    Raises:
        NotFoundError: There is no such file, or it may not be read.
        FormatError: It is of another version or byte order, or the disk does not give it.
    """
    descriptor = _open(path)
    try:
        return _read_status(descriptor, path)
    finally:
        os.close(descriptor)


def read_box(path: Path) -> Box:
    """Read a box: find the extents of the run that wrote last.

    Raises:
        NotFoundError: There is no such file, or it may not be read.
        FormatError: It is no black box, or nobody can say of which run it is.
    """
    descriptor = _open(path)
    try:
        status = _read_status(descriptor, path)
        if status is None:
            raise FormatError(f"{path}: not a black box, or its pages are damaged")
        box = Box(path, status)
        _scan(descriptor, box)
    finally:
        os.close(descriptor)
    return box


def _read_status(descriptor: int, path: Path) -> Status | None:
    try:
        pages = [unpack_page(_pread(descriptor, PAGE_BYTES, at, path)) for at in (0, PAGE_BYTES)]
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    return max((page for page in pages if page), key=lambda page: page.generation, default=None)


def _scan(descriptor: int, box: Box) -> None:
    size = os.fstat(descriptor).st_size
    at = LOG_OFFSET
    while at < size:
        try:
            # So much more that an extent's header which begins in the chunk is whole.
            chunk = _pread(descriptor, _CHUNK_BYTES + EXTENT_HEADER_BYTES, at, box.path)
            at = _scan_chunk(descriptor, box, chunk, at)
        except FormatError:
            # A disk that fails in one place has the others still.
            box.damaged += 1
            at += _CHUNK_BYTES


def _scan_chunk(descriptor: int, box: Box, chunk: bytes, start: int) -> int:
    """Take in the extents that begin in a chunk; returns where to go on."""
    found = chunk.find(EXTENT_MAGIC)
    while 0 <= found < _CHUNK_BYTES:
        header = unpack_extent(chunk[found : found + EXTENT_HEADER_BYTES])
        following = found + 1
        if header is not None and header.run_id == box.status.run_id:
            place = _Place(start + found + EXTENT_HEADER_BYTES, header)
            data = _pread(descriptor, header.length, place.at, box.path)
            if len(data) == header.length and zlib.crc32(data) == header.data_crc:
                box._take(place)
                following = found + EXTENT_HEADER_BYTES + header.length
            else:
                box.damaged += 1
        if following >= _CHUNK_BYTES:
            return start + following
        found = chunk.find(EXTENT_MAGIC, following)
    return start + _CHUNK_BYTES


def _whole(data: bytearray, sequence: int) -> Segment | None:
    """Make what there is of a segment one that ends with its last good record."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    # As it was when the header was streamed, the segment held no more than that.
    _USED.pack_into(data, USED_OFFSET, len(data) - SEGMENT_HEADER_BYTES)
    segment = parse_segment(data)
    if segment is None or segment.header.sequence != sequence:
        return None
    good = bytearray(segment.data)
    _USED.pack_into(good, USED_OFFSET, len(good) - SEGMENT_HEADER_BYTES)
    return parse_segment(good)


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS)
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror}") from error


def _pread(descriptor: int, length: int, at: int, path: Path) -> bytes:
    try:
        return os.pread(descriptor, min(length, _CHUNK_BYTES + MAX_EXTENT_BYTES), at)
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror}") from error
