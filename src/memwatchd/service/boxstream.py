"""From the rings into the black box: which bytes come first, laid out as extents of one write.

The newest bytes of both rings go into writes of their own, the service's before the samples: they are few,
and the kernel's words are among them. Other writes are of the past, for as long as there is some.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from memwatchd.incidents.blackbox import (
    BLOCK_BYTES,
    EXTENT_HEADER_BYTES,
    ExtentHeader,
    ExtentKind,
    pack_facts,
    padded,
)
from memwatchd.ring.file import RingMap
from memwatchd.service.boxfile import WRITE_BYTES, BoxFile
from memwatchd.service.feed import Feed, Piece

_FACTS_NS = 10_000_000_000
_ALIGN = 8


@dataclass(slots=True)
class BoxStream:
    """One run's way into the box.

    Args:
        samples: The sampler's ring.
        events: The service's ring.
        facts: What goes into an incident's meta block, and texts.
        run_id: 16 bytes, by which extents of this run are known.
    """

    samples: RingMap
    events: RingMap
    facts: Callable[[], dict[str, Any]]
    run_id: bytes
    _feeds: dict[ExtentKind, Feed] = field(init=False)
    _sequence: int = 0
    _facts_ns: int = 0

    def __post_init__(self) -> None:
        self._feeds = {ExtentKind.EVENTS: Feed(self.events), ExtentKind.SAMPLES: Feed(self.samples)}

    @property
    def left_out(self) -> int:
        """Segments that were overwritten in the ring before the disk had taken all of them."""
        return sum(feed.left_out for feed in self._feeds.values())

    def begin(self, since_ns: int) -> None:
        """Begin with what is newest; the time from `since_ns` on is wanted, too."""
        self._facts_ns = 0
        for feed in self._feeds.values():
            feed.begin(since_ns)

    def forget(self) -> None:
        """What was streamed before is not in the box any more."""
        for feed in self._feeds.values():
            feed.forget()

    def write(self, file: BoxFile, room: int, now_ns: int, *, growing: bool) -> int:
        """Write once.

        Args:
            file: Where to.
            room: Most bytes, at least a block.
            now_ns: On the monotonic clock.
            growing: The newest is wanted, up to this moment; otherwise the past is.

        Returns:
            How many bytes it took; 0 when there was nothing to write.

        Raises:
            OSError: The disk refused; all of it will come again.
        """
        batch = _Batch(file, min(room, WRITE_BYTES), self.run_id, self.samples.header.boot_id, now_ns)
        batch.sequence = self._sequence
        if growing and now_ns >= self._facts_ns:
            self._facts_ns = now_ns + _FACTS_NS
            batch.add(ExtentKind.FACTS, pack_facts(self.facts()))
        for kind, feed in self._feeds.items():
            batch.take(kind, feed, growing=growing, past=not growing)
        if not batch.length:
            return 0
        try:
            file.append(batch.length)
        except OSError:
            for feed, piece in batch.pieces:
                feed.put_back(piece)
            raise
        self._sequence = batch.sequence
        return padded(batch.length, BLOCK_BYTES)


@dataclass(slots=True)
class _Batch:
    """Extents of one write, in the file's buffer."""

    file: BoxFile
    room: int
    run_id: bytes
    boot_id: bytes
    now_ns: int
    sequence: int = 0
    length: int = 0
    pieces: list[tuple[Feed, Piece]] = field(default_factory=list)

    def take(self, kind: ExtentKind, feed: Feed, *, growing: bool, past: bool) -> None:
        """Add what a ring has, as long as there is room."""
        while True:
            start = self.length + EXTENT_HEADER_BYTES
            piece = feed.take(self.file.buffer[start : self.room], growing=growing, past=past)
            if piece is None:
                return
            self._head(kind, piece)
            self.pieces.append((feed, piece))

    def add(self, kind: ExtentKind, data: bytes) -> None:
        """Add an extent of its own, if there is room."""
        start = self.length + EXTENT_HEADER_BYTES
        if start + len(data) <= self.room:
            self.file.buffer[start : start + len(data)] = data
            self._head(kind, Piece(0, 0, len(data), zlib.crc32(data)))

    def _head(self, kind: ExtentKind, piece: Piece) -> None:
        self.sequence += 1
        header = ExtentHeader(
            kind,
            self.sequence,
            self.run_id,
            self.boot_id,
            piece.segment,
            piece.offset,
            piece.length,
            self.now_ns,
            self.file.took_ns // 1000,
            piece.crc,
        )
        self.file.buffer[self.length : self.length + EXTENT_HEADER_BYTES] = header.pack()
        end = self.length + EXTENT_HEADER_BYTES + piece.length
        self.length = min(padded(end, _ALIGN), self.room)
