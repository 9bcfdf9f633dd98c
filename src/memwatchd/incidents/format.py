r"""The incident file's format, version 1: a header, then blocks one after the other. Native byte order.

**Header**, 64 bytes: magic ``MWINC\r\n\0`` (on a big-endian machine ``MWINC\n\r\0``), version u32, reserved
u32, incident id 16 bytes, boot id 16 bytes, wall clock of the trigger i64, CRC-32 of all that.

**Block**: magic ``MWBK``, type u16, reserved u16, number u64, length u64, CRC-32 of the payload, CRC-32 of
the incident id and the block header so far; then the payload. Types:

    1 meta      JSON object, see `meta`; a later one replaces an earlier one
    2 samples   one segment of the sample ring, verbatim (see `memwatchd.ring.format`); number = its sequence
    3 events    one segment of the service's ring, verbatim; number = its sequence
    4 text      u16 length of the name, the name, a text byte for byte
    5 end       empty; the incident is complete

A segment that was still being written when it was first stored comes again later, longer: of several blocks
with the same type and number the last good one counts. A file grows only at its end, so a damaged tail costs
no more than itself. After the last block there may be anything: zeros, for the space is reserved beforehand,
or old blocks of another incident, which the CRC with the incident's id tells apart.
"""

import struct
import sys
import zlib
from dataclasses import dataclass
from enum import IntEnum

from memwatchd.errors import FormatError

VERSION = 1
HEADER_BYTES = 64
BLOCK_MAGIC = b"MWBK"
MAX_BLOCK_BYTES = 64 << 20

_MAGIC = b"MWINC\r\n\0" if sys.byteorder == "little" else b"MWINC\n\r\0"
_HEADER = struct.Struct("=8sII16s16sq")
_CRC = struct.Struct("=I")
_BLOCK = struct.Struct("=4sHHQQI")
BLOCK_HEADER_BYTES = _BLOCK.size + _CRC.size


class BlockType(IntEnum):
    """What a block holds."""

    META = 1
    SAMPLES = 2
    EVENTS = 3
    TEXT = 4
    END = 5


@dataclass(frozen=True, slots=True)
class IncidentHeader:
    """What never changes about an incident."""

    incident_id: bytes
    boot_id: bytes
    realtime_ns: int

    def pack(self) -> bytes:
        """Lay the header out as it stands at the beginning of the file."""
        fixed = _HEADER.pack(_MAGIC, VERSION, 0, self.incident_id, self.boot_id, self.realtime_ns)
        return (fixed + _CRC.pack(zlib.crc32(fixed))).ljust(HEADER_BYTES, b"\0")


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What stands before a block's payload."""

    type: int
    number: int
    length: int
    crc: int


def unpack_header(data: bytes, name: str) -> IncidentHeader:
    """Read an incident's header.

    Raises:
        FormatError: Not an incident, one of another version, or damaged; `name` says which file.
    """
    if len(data) < HEADER_BYTES or data[:5] != _MAGIC[:5]:
        raise FormatError(f"{name}: not a memwatchd incident")
    if data[:8] != _MAGIC:
        raise FormatError(f"{name}: written on a machine of the other byte order")
    _, version, _, incident_id, boot_id, realtime_ns = _HEADER.unpack_from(data)
    if version != VERSION:
        raise FormatError(f"{name}: incident format {version}, this program reads {VERSION}")
    if _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(data[: _HEADER.size]):
        raise FormatError(f"{name}: the incident's header is damaged")
    return IncidentHeader(incident_id, boot_id, realtime_ns)


def pack_block(incident_id: bytes, kind: BlockType, number: int, payload: bytes | memoryview) -> bytes:
    """Lay out a block's header; the payload follows it in the file."""
    fixed = _BLOCK.pack(BLOCK_MAGIC, kind, 0, number, len(payload), zlib.crc32(payload))
    return fixed + _CRC.pack(zlib.crc32(fixed, zlib.crc32(incident_id)))


def unpack_block(incident_id: bytes, data: bytes | memoryview) -> BlockHeader | None:
    """Read a block's header; None when there is no good one of this incident."""
    if len(data) < BLOCK_HEADER_BYTES:
        return None
    magic, kind, _, number, length, crc = _BLOCK.unpack_from(data)
    stated = _CRC.unpack_from(data, _BLOCK.size)[0]
    good = zlib.crc32(data[: _BLOCK.size], zlib.crc32(incident_id)) == stated
    if magic != BLOCK_MAGIC or not good or length > MAX_BLOCK_BYTES:
        return None
    return BlockHeader(kind, number, length, crc)


def pack_text(name: str, text: bytes) -> bytes:
    """Payload of a text block."""
    encoded = name.encode()
    return struct.pack("=H", len(encoded)) + encoded + text


def unpack_text(payload: bytes) -> tuple[str, bytes]:
    """Name and text of a text block.

    Raises:
        FormatError: The payload is too short to hold a name.
    """
    if len(payload) < 2:
        raise FormatError("a text block is too short")
    end = 2 + int(struct.unpack_from("=H", payload)[0])
    return payload[2:end].decode("utf-8", "replace"), payload[end:]
