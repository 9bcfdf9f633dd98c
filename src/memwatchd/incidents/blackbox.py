r"""The black box's format, version 1: what a machine that died leaves to the next start. Native byte order.

    0       page A    4096    what state the box is in, see below
    4096    page B    4096    the same, of the time before
    8192    log       to the end of the file, which never changes its size

**Page**: magic ``MWBOX\r\n\0`` (on a big-endian machine ``MWBOX\n\r\0``), version u32, length u32, generation
u64, CRC-32 of all that and of the JSON that follows, `length` bytes of it, see `Status`. Generation g stands
in page A when g is even and in page B when it is odd, so that a page that was torn in two costs nothing: of
the good ones the highest counts. A page is written when the state changes and at no other time.

**Log**: extents, written from the beginning to the end and then from the beginning again. A write begins at a
multiple of 4096 and is filled up to one with zeros, so that it can go past the page cache (O_DIRECT); within
it extents stand one after the other, at multiples of 8.

**Extent**: a header of 88 bytes and data:

    magic ``MWBX``, kind u16, reserved u16, sequence u64 (1, 2, 3 … within a run), run id 16 bytes,
    boot id 16 bytes, segment u64, offset u32, length u32, written i64 (monotonic clock at which the write was
    put together), took u32 (µs that the write before it took), CRC-32 of the data, CRC-32 of the header

    kind 1  samples   `length` bytes of segment `segment` of the sample ring, from `offset` on
    kind 2  events    the same of the service's ring
    kind 3  facts     JSON, compressed by zlib: what goes into an incident's meta block, and texts

Offset 0 is the segment's own header. A segment is streamed while it grows, so it comes in many extents; what
there is of it without a hole from its beginning is put together again, cut at the last good record, and is
then a segment like any other. Nothing points from one extent to another: whatever is torn, damaged or has
been overwritten costs itself, and of its segment what comes after it.

Extents of another run than the one the page names are of the past and do not count.
"""

import json
import struct
import sys
import uuid
import zlib
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Any

from memwatchd.errors import FormatError

VERSION = 1
BLOCK_BYTES = 4096
PAGE_BYTES = BLOCK_BYTES
LOG_OFFSET = 2 * PAGE_BYTES
EXTENT_MAGIC = b"MWBX"
EXTENT_HEADER_BYTES = 88
MAX_EXTENT_BYTES = 1 << 20

_MAGIC = b"MWBOX\r\n\0" if sys.byteorder == "little" else b"MWBOX\n\r\0"
_PAGE = struct.Struct("=8sIIQ")
_CRC = struct.Struct("=I")
_PAGE_JSON = _PAGE.size + _CRC.size
_EXTENT = struct.Struct("=4sHHQ16s16sQIIqII")
_LONGEST_US = (1 << 32) - 1


class BoxState(StrEnum):
    """What the next start has to think of the box.

    ARMED  memory is in danger; who finds this in another boot knows that the machine went down
    CALM   there is nothing to tell
    CLOSED the daemon was stopped in good order
    ENDED  the daemon came to an end that nobody wanted, while the machine went on
    """

    ARMED = "armed"
    CALM = "calm"
    CLOSED = "closed"
    ENDED = "ended"


class ExtentKind(IntEnum):
    """What an extent holds."""

    SAMPLES = 1
    EVENTS = 2
    FACTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a page says.

    Attributes:
        realtime_ns: When the page was written.
        every_ns: Time between two writes, as configured.
        at: Where in the file the next write would have gone.
        filled: The whole file has been written once; until then the file system has to note down with every
            write that these blocks are in use now.
        spent: The day's budget was used up while memory was in danger.
        total_bytes: Written since the file was made.
        day: Days since 1970 in UTC.
        day_bytes: Written on that day.
    """

    state: BoxState
    boot_id: bytes
    run_id: bytes
    generation: int
    realtime_ns: int
    every_ns: int
    at: int = LOG_OFFSET
    filled: bool = False
    spent: bool = False
    total_bytes: int = 0
    day: int = 0
    day_bytes: int = 0

    @property
    def offset(self) -> int:
        """Where the page stands."""
        return self.generation % 2 * PAGE_BYTES

    def pack(self) -> bytes:
        """Lay the page out."""
        told = {**asdict(self), "boot_id": self.boot_id.hex(), "run_id": self.run_id.hex()}
        del told["generation"]
        text = json.dumps(told).encode()
        fixed = _PAGE.pack(_MAGIC, VERSION, len(text), self.generation)
        return (fixed + _CRC.pack(zlib.crc32(text, zlib.crc32(fixed))) + text).ljust(PAGE_BYTES, b"\0")


def unpack_page(page: bytes) -> Status | None:
    """Read a page; None where there is no good one.

    Raises:
        FormatError: It is good, but of another version or byte order.
    """
    if len(page) < PAGE_BYTES or page[:5] != _MAGIC[:5]:
        return None
    magic, version, length, generation = _PAGE.unpack_from(page)
    if magic != _MAGIC:
        raise FormatError("written on a machine of the other byte order")
    text = page[_PAGE_JSON : _PAGE_JSON + length]
    stated = _CRC.unpack_from(page, _PAGE.size)[0]
    if len(text) != length or zlib.crc32(text, zlib.crc32(page[: _PAGE.size])) != stated:
        return None
    if version != VERSION:
        raise FormatError(f"black box format {version}, this program reads {VERSION}")
    return _status(text, generation)


def _status(text: bytes, generation: int) -> Status | None:
    """What the JSON says; None when it is none of ours, whatever its CRC is."""
    try:
        told = json.loads(text)
        state = BoxState(told["state"])
        ids = [uuid.UUID(told[name]).bytes for name in ("boot_id", "run_id")]
        return Status(
            state=state,
            boot_id=ids[0],
            run_id=ids[1],
            generation=generation,
            realtime_ns=int(told["realtime_ns"]),
            every_ns=int(told["every_ns"]),
            at=int(told["at"]),
            filled=bool(told["filled"]),
            spent=bool(told["spent"]),
            total_bytes=int(told["total_bytes"]),
            day=int(told["day"]),
            day_bytes=int(told["day_bytes"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class ExtentHeader:
    """What an extent says of itself; see the module for units."""

    kind: int
    sequence: int
    run_id: bytes
    boot_id: bytes
    segment: int
    offset: int
    length: int
    written_ns: int
    took_us: int
    data_crc: int

    def pack(self) -> bytes:
        """Lay the header out; the data follows it."""
        fixed = _EXTENT.pack(
            EXTENT_MAGIC,
            self.kind,
            0,
            self.sequence,
            self.run_id,
            self.boot_id,
            self.segment,
            self.offset,
            self.length,
            self.written_ns,
            min(self.took_us, _LONGEST_US),
            self.data_crc,
        )
        return (fixed + _CRC.pack(zlib.crc32(fixed))).ljust(EXTENT_HEADER_BYTES, b"\0")


def unpack_extent(data: bytes | memoryview) -> ExtentHeader | None:
    """Read an extent's header; None where there is no good one."""
    if len(data) < EXTENT_HEADER_BYTES:
        return None
    magic, kind, _, *rest = _EXTENT.unpack_from(data)
    stated = _CRC.unpack_from(data, _EXTENT.size)[0]
    if magic != EXTENT_MAGIC or zlib.crc32(data[: _EXTENT.size]) != stated:
        return None
    header = ExtentHeader(kind, *rest)
    return header if header.length <= MAX_EXTENT_BYTES else None


def padded(length: int, multiple: int) -> int:
    """Round a length up to the next multiple."""
    return -(-length // multiple) * multiple


def pack_facts(facts: dict[str, Any]) -> bytes:
    """Data of an extent of facts."""
    return zlib.compress(json.dumps(facts, default=str).encode(), 1)


def unpack_facts(data: bytes) -> dict[str, Any]:
    """Facts of an extent; empty when they are damaged, or larger than facts can be."""
    try:
        plain = zlib.decompressobj()
        facts = json.loads(plain.decompress(data, MAX_EXTENT_BYTES))
    except (zlib.error, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}
