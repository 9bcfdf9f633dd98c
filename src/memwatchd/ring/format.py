r"""The ring's format on tmpfs, version 1. Everything is in native byte order; offsets are in bytes.

    0       header   4096    see _HEADER; written once when the ring is made, but for `state`
    4096    board    8192    1024 unsigned 64-bit live figures, see `board`
    12288   segments         `segment_count` × `segment_bytes`

**Header**: magic, version, segment_bytes, segment_count, stream (1 samples, 2 events), boot id, wall clock of
creation, CRC-32 of all that; then `state`: 1 while a run owns the ring, 2 after a run ended in good order.

**Segment**: a header of 96 bytes and then records, `used` bytes of them. Segment `sequence` (1, 2, 3 …) lives
in slot ``(sequence - 1) % segment_count``. A slot that is being taken over has sequence 0 for that moment.
The header holds the boot id and the three clocks at the first record, so a segment can be understood on its
own; its fixed part has a CRC of its own, from which the records' running CRC starts.

**Record**: ``crc u32, length u32, kind u32, payload[length]``, padded to a multiple of 8. `crc` is the
running CRC-32 of the segment up to and including this record, without the crc fields: a record is good
exactly when all before it are. `used` is stored after the record, in one aligned 64-bit store, so a reader
needs no lock: it copies the segment, compares the sequence before and after, and believes the records whose
CRC holds. A sealed segment (flag bit 0) repeats the last running CRC in its header.

The first record of a segment of the sample stream is the catalogue, the next a key sample: no sample needs
anything from before its segment. Payloads of each kind:

    1 catalogue   JSON list of sources: {"id", "name", "path", …}; replaces the one before
    2 sample      see `samples`
    3 event       JSON object with at least "event" and "monotonic_ns"
    4 kmsg        i64 monotonic_ns at which it was read, then one /dev/kmsg record byte for byte
    5 processes   i64 monotonic_ns of the pass, u32 length of the JSON, then the JSON as one LZ4 block
    6 file        i64 monotonic_ns, u16 length of the name, the name, then the file's text byte for byte
"""

import struct
import sys
import zlib
from dataclasses import dataclass
from enum import IntEnum

from memwatchd.errors import FormatError

VERSION = 1
HEADER_BYTES = 4096
BOARD_OFFSET = HEADER_BYTES
BOARD_BYTES = 8192
SEGMENTS_OFFSET = BOARD_OFFSET + BOARD_BYTES
SEGMENT_HEADER_BYTES = 96
RECORD_HEADER = struct.Struct("=III")
MIN_SEGMENT_BYTES = 4096
MAX_SEGMENT_BYTES = 64 << 20
MAX_SEGMENTS = 1 << 17
MAX_RING_BYTES = 8 << 30

_MAGIC = b"MWRING\r\n" if sys.byteorder == "little" else b"MWRING\n\r"
_HEADER = struct.Struct("=8sIIII16sq")
_HEADER_CRC = struct.Struct("=I")
_STATE = struct.Struct("=I")
_STATE_OFFSET = 64

# magic, flags, stream, sequence | used | crc, reserved | boot id | clocks | first tick, pid, header crc
_SEGMENT_MAGIC = b"MWSG"
_SEGMENT_FIXED = struct.Struct("=16sqqqQI")
_SEGMENT_FIXED_OFFSET = 32
_SEGMENT_MUTABLE = struct.Struct("=4sHHQQII")
USED_OFFSET = 16
SEQUENCE_OFFSET = 8
SEALED = 1


class Stream(IntEnum):
    """Which process writes a ring."""

    SAMPLES = 1
    EVENTS = 2


class Kind(IntEnum):
    """What a record holds."""

    CATALOGUE = 1
    SAMPLE = 2
    EVENT = 3
    KMSG = 4
    PROCESSES = 5
    FILE = 6


class State(IntEnum):
    """Whether the run that owns a ring ended in good order."""

    RUNNING = 1
    CLOSED = 2


@dataclass(frozen=True, slots=True)
class RingHeader:
    """The fixed part of a ring's first page."""

    segment_bytes: int
    segment_count: int
    stream: Stream
    boot_id: bytes
    created_realtime_ns: int

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return SEGMENTS_OFFSET + self.segment_bytes * self.segment_count

    def pack(self) -> bytes:
        """Lay the header out as it stands at offset 0, state excluded."""
        fixed = _HEADER.pack(
            _MAGIC,
            VERSION,
            self.segment_bytes,
            self.segment_count,
            self.stream,
            self.boot_id,
            self.created_realtime_ns,
        )
        return fixed + _HEADER_CRC.pack(zlib.crc32(fixed))


def unpack_header(page: bytes, name: str) -> RingHeader:
    """Read a ring's first page.

    Raises:
        FormatError: Not a ring, a ring of another version, or damaged; `name` says which file.
    """
    end = _HEADER.size + _HEADER_CRC.size
    if len(page) < _STATE_OFFSET + _STATE.size or page[:6] != _MAGIC[:6]:
        raise FormatError(f"{name}: not a memwatchd ring")
    if page[:8] != _MAGIC:
        raise FormatError(f"{name}: written on a machine of the other byte order")
    _, version, segment_bytes, count, stream, boot_id, created = _HEADER.unpack_from(page)
    if version != VERSION:
        raise FormatError(f"{name}: ring format {version}, this program reads {VERSION}")
    if zlib.crc32(page[: _HEADER.size]) != _HEADER_CRC.unpack(page[_HEADER.size : end])[0]:
        raise FormatError(f"{name}: the ring's header is damaged")
    sane = MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES and segment_bytes % 8 == 0
    if not sane or not 0 < count <= MAX_SEGMENTS or segment_bytes * count > MAX_RING_BYTES:
        raise FormatError(f"{name}: the ring's header makes no sense")
    if stream not in tuple(Stream):
        raise FormatError(f"{name}: unknown stream {stream}")
    return RingHeader(segment_bytes, count, Stream(stream), boot_id, created)


def pack_state(state: State) -> tuple[int, bytes]:
    """Say where the state stands and what to write there."""
    return _STATE_OFFSET, _STATE.pack(state)


def unpack_state(page: bytes) -> State | None:
    """Read the state; None for a value this version does not know."""
    value = _STATE.unpack_from(page, _STATE_OFFSET)[0]
    return State(value) if value in tuple(State) else None


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself.

    Attributes:
        used: Bytes of records after the header.
        crc: Running CRC at the seal; meaningless before.
        first_tick: Tick of the first sample, 0 in the event stream.
    """

    stream: int
    sequence: int
    used: int
    sealed: bool
    crc: int
    boot_id: bytes
    monotonic_ns: int
    boottime_ns: int
    realtime_ns: int
    first_tick: int
    writer_pid: int

    def pack(self) -> tuple[bytes, int]:
        """Lay the header out; also return the CRC from which the records' running CRC starts."""
        fixed = _SEGMENT_FIXED.pack(
            self.boot_id,
            self.monotonic_ns,
            self.boottime_ns,
            self.realtime_ns,
            self.first_tick,
            self.writer_pid,
        )
        seed = zlib.crc32(fixed, zlib.crc32(struct.pack("=HQ", self.stream, self.sequence)))
        flags = SEALED if self.sealed else 0
        mutable = _SEGMENT_MUTABLE.pack(
            _SEGMENT_MAGIC, flags, self.stream, self.sequence, self.used, self.crc, 0
        )
        return (mutable + fixed + struct.pack("=I", seed)).ljust(SEGMENT_HEADER_BYTES, b"\0"), seed


def unpack_segment_header(data: bytes | bytearray | memoryview) -> tuple[SegmentHeader, int] | None:
    """Read a segment's header and the seed of its running CRC; None where there is no good header."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    magic, flags, stream, sequence, used, crc, _ = _SEGMENT_MUTABLE.unpack_from(data)
    boot_id, monotonic, boottime, realtime, tick, pid = _SEGMENT_FIXED.unpack_from(
        data, _SEGMENT_FIXED_OFFSET
    )
    end = _SEGMENT_FIXED_OFFSET + _SEGMENT_FIXED.size
    fixed = bytes(data[_SEGMENT_FIXED_OFFSET:end])
    seed = zlib.crc32(fixed, zlib.crc32(struct.pack("=HQ", stream, sequence)))
    if magic != _SEGMENT_MAGIC or sequence == 0 or struct.unpack_from("=I", data, end)[0] != seed:
        return None
    header = SegmentHeader(
        stream,
        sequence,
        used,
        bool(flags & SEALED),
        crc,
        boot_id,
        monotonic,
        boottime,
        realtime,
        tick,
        pid,
    )
    return header, seed


def seal_fields(crc: int) -> tuple[int, bytes, int, bytes]:
    """Say what sealing writes: (offset, bytes) of the CRC, then (offset, bytes) of the flags."""
    return 24, struct.pack("=I", crc), 4, struct.pack("=H", SEALED)
