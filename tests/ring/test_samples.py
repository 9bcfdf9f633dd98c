"""The encoding of samples: deltas against the previous text, chunks, and damage."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.errors import FormatError
from memwatchd.ring.samples import (
    CHUNK_BYTES,
    SAMPLE_HEADER,
    Encoding,
    Sample,
    SampleDecoder,
    pack_blob,
    pack_entry,
)


@dataclass
class Encoder:
    """Encodes as the loop does, from whole texts."""

    last: dict[int, bytes] = field(default_factory=dict)
    tick: int = 0

    def encode(self, texts: dict[int, bytes]) -> bytes:
        self.tick += 1
        entries, new, previous = [], [], []
        for source, text in texts.items():
            if source not in self.last:
                entries.append(pack_entry(source, Encoding.KEY, len(text)))
                new.append(text)
            elif self.last[source] == text:
                entries.append(pack_entry(source, Encoding.SAME, len(text)))
            else:
                entries.append(pack_entry(source, Encoding.DELTA, len(text)))
                new.append(text)
                previous.append(self.last[source])
        self.last |= texts
        header = SAMPLE_HEADER.pack(self.tick, self.tick * 1000, 7, 8, 0, len(entries), 0)
        return b"".join([header, *entries, *(pack_blob(new, previous) if new else ())])


def decode(records: list[bytes]) -> list[Sample]:
    decoder = SampleDecoder()
    return [decoder.decode(memoryview(record)) for record in records]


texts_of_a_tick = st.dictionaries(st.integers(0, 5), st.binary(max_size=200), max_size=4)


@given(ticks=st.lists(texts_of_a_tick, max_size=12))
def test_every_text_comes_back_byte_for_byte(ticks: list[dict[int, bytes]]) -> None:
    """The kernel's text would not be what the kernel wrote."""
    encoder = Encoder()
    samples = decode([encoder.encode(texts) for texts in ticks])
    known: dict[int, bytes] = {}
    for texts, sample in zip(ticks, samples, strict=True):
        known |= texts
        assert sample.texts == known
        assert sample.read == tuple(texts)


def test_large_texts_are_stored_against_the_same_chunk_of_the_previous_one() -> None:
    """LZ4 looks back 64 KiB only: a large zoneinfo would be stored whole on every tick."""
    numbers = random.Random(1)
    text = b"".join(b"%d line %d\n" % (number, numbers.getrandbits(60)) for number in range(20_000))
    changed = text[:300_000] + b"X" + text[300_001:]
    encoder = Encoder()
    first, second = encoder.encode({0: text}), encoder.encode({0: changed})
    assert len(text) > 8 * CHUNK_BYTES
    assert [sample.texts[0] for sample in decode([first, second])] == [text, changed]
    assert len(second) < len(text) // 100


def test_when_a_source_was_last_read_is_known() -> None:
    """An old slabinfo would pass for a fresh one."""
    encoder = Encoder()
    samples = decode([encoder.encode({0: b"a", 1: b"b"}), encoder.encode({0: b"c"})])
    assert samples[1].read_at_ns == {0: 2000, 1: 1000}


def test_a_delta_without_its_base_is_an_error() -> None:
    """A text would be made up from nothing."""
    encoder = Encoder()
    encoder.encode({0: b"one"})
    with pytest.raises(FormatError, match="source 0"):
        decode([encoder.encode({0: b"two"})])


@pytest.mark.parametrize("text", [b"s", b"short", b"long " * 1000])
def test_every_truncation_is_an_error_or_the_whole(text: bytes) -> None:
    """A record cut short would crash the reader."""
    record = Encoder().encode({3: text})
    for length in range(len(record)):
        with pytest.raises(FormatError):
            decode([record[:length]])


@given(record=st.binary(max_size=120))
def test_any_bytes_can_be_offered_as_a_sample(record: bytes) -> None:
    """A hostile incident would end in a traceback."""
    try:
        decode([record])
    except FormatError:
        return


def test_a_lie_about_the_length_costs_no_memory() -> None:
    """A few bytes that claim to be gigabytes would be believed."""
    header = SAMPLE_HEADER.pack(1, 1, 0, 0, 0, 1, 0)
    record = header + pack_entry(0, Encoding.KEY, 0xFFFFFFFF) + b"\4\0\0\0abcd"
    with pytest.raises(FormatError, match="impossible length"):
        decode([record])
