"""What of a ring has not been streamed yet, newest first; read without a lock, as by any reader.

A segment grows at its end and never changes but there, until its slot is taken over, which its sequence
tells. So a place in a segment says what of it is on the disk. The past before the danger comes last, as far
back as it is wanted: what it has to tell is less urgent, and complete.
"""

import struct
import zlib
from dataclasses import dataclass, field

from memwatchd.ring.file import RingMap
from memwatchd.ring.format import SEGMENT_HEADER_BYTES, SEQUENCE_OFFSET, USED_OFFSET, unpack_segment_header

_WORD = struct.Struct("=Q")
# Where there is less room than this, the rest comes with the next write.
_LEAST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a segment that are in the target now.

    Attributes:
        offset: In the segment, its header included.
        crc: Of the bytes.
    """

    segment: int
    offset: int
    length: int
    crc: int


@dataclass(slots=True)
class Feed:
    """Goes through one ring.

    Attributes:
        left_out: Segments that were overwritten before all of them could be taken.
    """

    ring: RingMap
    left_out: int = 0
    _newest: int = 0
    _pending: dict[int, int] = field(default_factory=dict)
    _done: dict[int, int] = field(default_factory=dict)
    _next_back: int = 0
    _since_ns: int = 0

    def begin(self, since_ns: int) -> None:
        """Begin with the newest segment; the past up to `since_ns` is wanted, too.

        What was taken before and is still known is not taken again.
        """
        self._newest = max(map(_sequence, self.ring.segments), default=0)
        self._since_ns = since_ns
        self._next_back = self._newest - 1
        oldest = self._newest - len(self.ring.segments)
        taken = self._done | self._pending
        self._done = {segment: end for segment, end in taken.items() if segment > oldest}
        self._pending = {self._newest: self._done.pop(self._newest, 0)} if self._newest else {}

    def forget(self) -> None:
        """Nothing that was taken is where it was put any more."""
        self._done = {}
        self._pending = {self._newest: 0} if self._newest else {}
        self._next_back = self._newest - 1

    def take(self, target: memoryview, *, growing: bool, past: bool) -> Piece | None:
        """Copy the bytes that are wanted most; None when there are none, or no room for them.

        They count as taken from now on; `put_back` what could not be written.

        Args:
            target: Where to; no more than it holds is taken.
            growing: Whether the segment that is being written is wanted, too.
            past: Whether, when all else is taken, one more segment of the past is wanted.
        """
        if len(target) < _LEAST_BYTES:
            return None
        self._advance()
        for segment in sorted(self._pending, reverse=True):
            if segment < self._newest or growing:
                piece = self._copy(segment, target)
                if piece is not None:
                    return piece
        while past and self._reach_back():
            piece = self._copy(self._next_back + 1, target)
            if piece is not None:
                return piece
        return None

    def put_back(self, piece: Piece) -> None:
        """The disk did not take this piece, nor what was taken of the segment after it."""
        self._done.pop(piece.segment, None)
        self._pending[piece.segment] = min(piece.offset, self._pending.get(piece.segment, piece.offset))

    def _advance(self) -> None:
        """Look for segments that have been begun since."""
        slots = self.ring.segments
        while (found := _sequence(slots[self._newest % len(slots)])) > self._newest:
            known, self._newest = self._newest, found
            if found > known + 1:  # it has come round since
                self._newest = max(map(_sequence, slots))
            first = max(known + 1, self._newest - len(slots) + 1)
            self.left_out += first - known - 1
            self._pending |= dict.fromkeys(range(first, self._newest + 1), 0)

    def _reach_back(self) -> bool:
        """Want one more segment of the past; False when there is none that is wanted."""
        segment = self._next_back
        if segment < 1 or segment <= self._newest - len(self.ring.segments):
            return False
        if self._began_ns(segment + 1) <= self._since_ns:
            return False
        self._next_back -= 1
        self._pending[segment] = self._done.get(segment, 0)
        return True

    def _began_ns(self, segment: int) -> int:
        slot = self.ring.segments[(segment - 1) % len(self.ring.segments)]
        found = unpack_segment_header(bytes(slot[:SEGMENT_HEADER_BYTES]))
        return found[0].monotonic_ns if found is not None and found[0].sequence == segment else 0

    def _copy(self, segment: int, target: memoryview) -> Piece | None:
        """Copy what is new of a segment; one that is whole or gone is not pending any more."""
        slot = self.ring.segments[(segment - 1) % len(self.ring.segments)]
        start = self._pending[segment]
        end = min(SEGMENT_HEADER_BYTES + _WORD.unpack_from(slot, USED_OFFSET)[0], len(slot))
        if _sequence(slot) != segment:
            self._gone(segment)
            return None
        over = segment < self._newest
        length = min(end - start, len(target))
        if length <= 0:
            if over:
                self._finish(segment, end)
            return None
        target[:length] = slot[start : start + length]
        if _sequence(slot) != segment:
            self._gone(segment)
            return None
        self._pending[segment] = start + length
        if over and start + length == end:
            self._finish(segment, end)
        return Piece(segment, start, length, zlib.crc32(target[:length]))

    def _finish(self, segment: int, end: int) -> None:
        del self._pending[segment]
        self._done[segment] = end

    def _gone(self, segment: int) -> None:
        del self._pending[segment]
        self.left_out += 1


def _sequence(slot: memoryview) -> int:
    sequence: int = _WORD.unpack_from(slot, SEQUENCE_OFFSET)[0]
    return sequence
