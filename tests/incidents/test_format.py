"""The incident file's header and blocks."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.errors import FormatError
from memwatchd.incidents.format import (
    BLOCK_HEADER_BYTES,
    HEADER_BYTES,
    MAX_BLOCK_BYTES,
    BlockHeader,
    BlockType,
    IncidentHeader,
    pack_block,
    pack_text,
    unpack_block,
    unpack_header,
    unpack_text,
)

ID = bytes(range(16))
OTHER_ID = bytes(range(1, 17))
HEADER = IncidentHeader(ID, bytes(range(16, 32)), 1_700_000_000_123_456_789)


def test_a_header_comes_back() -> None:
    """Incidents could not be read, or not be placed in time."""
    packed = HEADER.pack()
    assert len(packed) == HEADER_BYTES
    assert unpack_header(packed, "x") == HEADER


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x: not a memwatchd incident"),
        (HEADER.pack()[:-1], "x: not a memwatchd incident"),
        (bytes(HEADER_BYTES), "x: not a memwatchd incident"),
        (b"MWINC\n\r\0" + HEADER.pack()[8:], "x: written on a machine of the other byte order"),
        (HEADER.pack()[:8] + b"\2" + HEADER.pack()[9:], "x: incident format 2, this program reads 1"),
        (HEADER.pack()[:20] + b"\xff" + HEADER.pack()[21:], "x: the incident's header is damaged"),
    ],
)
def test_what_is_no_incident_is_refused_with_a_reason(data: bytes, message: str) -> None:
    """A wrong file would be misread, or end in a traceback."""
    with pytest.raises(FormatError) as raised:
        unpack_header(data, "x")
    assert str(raised.value) == message


@given(
    kind=st.sampled_from(list(BlockType)), number=st.integers(0, 2**64 - 1), payload=st.binary(max_size=99)
)
def test_a_block_header_comes_back(kind: BlockType, number: int, payload: bytes) -> None:
    """A block would be lost."""
    packed = pack_block(ID, kind, number, payload)
    assert len(packed) == BLOCK_HEADER_BYTES
    block = unpack_block(ID, packed + payload)
    assert block == BlockHeader(kind, number, len(payload), block.crc if block else 0)


def test_a_block_of_another_incident_is_none() -> None:
    """Old blocks in the reserved space would be shown as part of the incident."""
    assert unpack_block(OTHER_ID, pack_block(ID, BlockType.META, 0, b"{}")) is None


@given(at=st.integers(0, BLOCK_HEADER_BYTES * 8 - 1))
def test_a_flipped_bit_in_a_block_header_is_noticed(at: int) -> None:
    """A damaged length would send the reader astray."""
    packed = bytearray(pack_block(ID, BlockType.META, 0, b"{}"))
    packed[at // 8] ^= 1 << at % 8
    assert unpack_block(ID, bytes(packed)) is None


def test_a_block_too_short_or_too_long_is_none() -> None:
    """A forged length would be believed."""
    assert unpack_block(ID, b"") is None
    assert unpack_block(ID, pack_block(ID, BlockType.META, 0, b"")[:-1]) is None
    fixed = struct.pack("=4sHHQQI", b"MWBK", 1, 0, 0, MAX_BLOCK_BYTES + 1, 0)
    assert unpack_block(ID, fixed + struct.pack("=I", zlib.crc32(fixed, zlib.crc32(ID)))) is None


@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20), text=st.binary(max_size=50))
def test_a_text_comes_back(name: str, text: bytes) -> None:
    """The configuration kept with an incident would be lost."""
    assert unpack_text(pack_text(name, text)) == (name, text)


def test_a_text_without_a_name_is_an_error() -> None:
    """A damaged block would end in a traceback."""
    with pytest.raises(FormatError):
        unpack_text(b"\1")
