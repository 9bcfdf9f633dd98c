"""How one sample is laid out in a record, and how it is read back.

    tick u64, monotonic_ns i64, lag_ns u64, read_ns u64, missed u32, entries u16, stride u16
    entries × (source u16, encoding u8, reserved u8, text_length u32)
    blob: the new texts of all entries that are not SAME, one after the other, in LZ4 blocks:
          (compressed_length u32, block) for every CHUNK_BYTES of it

`monotonic_ns` is when the tick began, `lag_ns` how far behind its deadline that was, `read_ns` how long
reading took, `missed` how many ticks before this one did not happen, `stride` how many periods of the rate it
stands for (0, in early rings, is 1). A source without an entry was not read in this tick.

The first sample of a segment reads every source. An entry is SAME (the text equals the source's text before),
KEY (needs nothing) or DELTA. The dictionary of the blob is the previous texts of the DELTA entries, one after
the other, cut into the same chunks. LZ4 looks back 65,535 bytes, so with chunks of 48 KiB the same place of
the previous text is always within reach.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import lz4.block

from memwatchd.errors import FormatError

CHUNK_BYTES = 48 << 10
MAX_TEXT_BYTES = 32 << 20

SAMPLE_HEADER = struct.Struct("=QqQQIHH")
ENTRY = struct.Struct("=HBBI")
_LENGTH = struct.Struct("=I")


class Encoding(IntEnum):
    """How an entry's text is stored."""

    SAME = 0
    KEY = 1
    DELTA = 2


def pack_entry(source: int, encoding: Encoding, text_length: int) -> bytes:
    """Lay out one entry; the sampler keeps the results, so this is not on the way of every tick."""
    return ENTRY.pack(source, encoding, 0, text_length)


def pack_blob(texts: Sequence[bytes | memoryview], previous: Sequence[bytes | memoryview]) -> list[bytes]:
    """Compress the new texts against the previous ones; about 15 µs for 10 KiB.

    Args:
        texts: New texts of the KEY and DELTA entries, in the order of the entries.
        previous: Previous texts of the DELTA entries, in the same order.
    """
    plain = b"".join(texts)
    dictionary = b"".join(previous)
    if len(plain) <= CHUNK_BYTES and len(dictionary) <= CHUNK_BYTES:
        block = lz4.block.compress(plain, store_size=False, dict=dictionary)
        return [_LENGTH.pack(len(block)), block]
    parts = []
    for start in range(0, len(plain), CHUNK_BYTES):
        end = start + CHUNK_BYTES
        block = lz4.block.compress(plain[start:end], store_size=False, dict=dictionary[start:end])
        parts += [_LENGTH.pack(len(block)), block]
    return parts


def unpack_blob(blob: memoryview, plain_length: int, dictionary: bytes) -> bytes:
    """Undo `pack_blob`.

    Raises:
        FormatError: The blob is damaged, or claims to hold more than a blob of its length can.
    """
    # An LZ4 block cannot grow by more than 255 times: a lie about the length ends here, not in memory.
    if plain_length > MAX_TEXT_BYTES or plain_length > 255 * len(blob):
        raise FormatError("a sample claims an impossible length")
    plain, at = [], 0
    for start in range(0, plain_length, CHUNK_BYTES):
        want = min(CHUNK_BYTES, plain_length - start)
        if at + _LENGTH.size > len(blob):
            raise FormatError("a sample ends in the middle")
        (length,) = _LENGTH.unpack_from(blob, at)
        at += _LENGTH.size
        try:
            text = lz4.block.decompress(
                bytes(blob[at : at + length]),
                uncompressed_size=want,
                dict=dictionary[start : start + CHUNK_BYTES],
            )
        except (lz4.block.LZ4BlockError, ValueError) as error:
            raise FormatError("a sample cannot be decompressed") from error
        if len(text) != want:
            raise FormatError("a sample has a text of the wrong length")
        plain.append(text)
        at += length
    return b"".join(plain)


@dataclass(frozen=True, slots=True)
class Sample:
    """One tick as recorded.

    Attributes:
        stride: Periods of the sampling rate from the tick before to this one, had none been missed.
        texts: Source id to its verbatim text as of this tick, read in it or earlier.
        read: Ids of the sources read in this very tick.
        read_at_ns: Source id to the monotonic time of the tick it was last read in.
    """

    tick: int
    monotonic_ns: int
    lag_ns: int
    read_ns: int
    missed: int
    stride: int
    texts: dict[int, bytes]
    read: tuple[int, ...]
    read_at_ns: dict[int, int]


@dataclass(slots=True)
class SampleDecoder:
    """Turns the sample records of one segment back into samples; make a new one for each segment."""

    texts: dict[int, bytes] = field(default_factory=dict)
    read_at_ns: dict[int, int] = field(default_factory=dict)

    def decode(self, payload: memoryview) -> Sample:
        """Read one record's payload.

        Raises:
            FormatError: The payload is damaged, or depends on a text that was not there.
        """
        if len(payload) < SAMPLE_HEADER.size:
            raise FormatError("a sample ends in the middle")
        tick, monotonic_ns, lag_ns, read_ns, missed, count, stride = SAMPLE_HEADER.unpack_from(payload)
        blob_at = SAMPLE_HEADER.size + count * ENTRY.size
        if len(payload) < blob_at:
            raise FormatError("a sample ends in the middle")
        entries = list(ENTRY.iter_unpack(payload[SAMPLE_HEADER.size : blob_at]))
        self._apply(entries, payload[blob_at:])
        read = tuple(entry[0] for entry in entries)
        self.read_at_ns = {**self.read_at_ns, **dict.fromkeys(read, monotonic_ns)}
        return Sample(
            tick, monotonic_ns, lag_ns, read_ns, missed, max(1, stride), self.texts, read, self.read_at_ns
        )

    def forget(self, sources: Iterable[int]) -> None:
        """Forget the texts of sources whose ids now stand for something else, or for nothing."""
        gone = set(sources)
        if gone:
            self.texts = {number: text for number, text in self.texts.items() if number not in gone}

    def _apply(self, entries: Sequence[tuple[int, int, int, int]], blob: memoryview) -> None:
        missing = [entry[0] for entry in entries if entry[1] != Encoding.KEY and entry[0] not in self.texts]
        if missing:
            raise FormatError(f"a sample builds on a text of source {missing[0]} that is not there")
        changed = [entry for entry in entries if entry[1] != Encoding.SAME]
        if not changed:
            return
        deltas = [source for source, encoding, _, _ in changed if encoding == Encoding.DELTA]
        dictionary = b"".join(self.texts[source] for source in deltas)
        plain = unpack_blob(blob, sum(entry[3] for entry in changed), dictionary)
        texts, at = dict(self.texts), 0
        for source, _, _, length in changed:
            texts[source] = plain[at : at + length]
            at += length
        if sum(map(len, texts.values())) > MAX_TEXT_BYTES:
            raise FormatError("a sample's texts are impossibly long")
        self.texts = texts
