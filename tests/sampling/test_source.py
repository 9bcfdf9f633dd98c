"""A kernel file read again and again: growth, shrinking, sameness, errors."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memwatchd.ring.samples import ENTRY, Encoding
from memwatchd.sampling.source import Source


class File:
    """A temporary file in the part of a kernel file, and a source that reads it."""

    def __init__(self, path: Path, text: bytes, capacity: int) -> None:
        self.path = path
        self.write(text)
        self.source = Source(7, "meminfo", os.open(path, os.O_RDONLY), capacity)

    def write(self, text: bytes) -> None:
        self.path.write_bytes(text)

    def read(self) -> tuple[Encoding, bytes, bytes]:
        """Read once: how it is stored, the text, and the text it is stored against."""
        entries: list[bytes] = []
        texts: list[memoryview] = []
        previous: list[memoryview] = []
        self.source.read(entries, texts, previous)
        ((number, encoding, _, length),) = [ENTRY.unpack(entry) for entry in entries]
        assert (number, length) == (7, self.source.size)
        assert len(texts) == (encoding != Encoding.SAME)
        assert len(previous) == (encoding == Encoding.DELTA)
        return Encoding(encoding), bytes(self.source.text), b"".join(map(bytes, previous))


MakeFile = Callable[..., File]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    def make(text: bytes = b"one\n", capacity: int = 16) -> File:
        return File(tmp_path / "file", text, capacity)

    return make


def test_the_first_text_is_stored_whole_and_a_changed_one_against_it(make_file: MakeFile) -> None:
    """A segment could not be read on its own, or every text would be stored whole."""
    file = make_file(b"one\n")
    assert file.read() == (Encoding.KEY, b"one\n", b"")
    file.write(b"two\n")
    assert file.read() == (Encoding.DELTA, b"two\n", b"one\n")
    file.write(b"three\n")
    assert file.read() == (Encoding.DELTA, b"three\n", b"two\n")


def test_an_unchanged_text_costs_an_entry_only(make_file: MakeFile) -> None:
    """Two fifths of all readings would be compressed for nothing."""
    file = make_file(b"one\n")
    file.read()
    kept = file.source.text
    assert file.read() == (Encoding.SAME, b"one\n", b"")
    assert file.source.text is kept  # what looks at it sees that there is nothing new


@pytest.mark.parametrize("text", [b"one\nmore\n", b"on", b"", b"onE\n"])
def test_a_text_that_begins_like_the_one_before_is_another_text(make_file: MakeFile, text: bytes) -> None:
    """A line that was added or lost would not be recorded."""
    file = make_file(b"one\n")
    file.read()
    file.write(text)
    assert file.read() == (Encoding.DELTA, text, b"one\n")


@pytest.mark.parametrize("size", [15, 16, 17, 31, 32, 33, 5000, 70_000])
def test_a_text_larger_than_the_buffer_is_read_to_its_end(make_file: MakeFile, size: int) -> None:
    """On a machine with many CPUs zoneinfo would be cut off at a power of two."""
    text = bytes(number % 251 for number in range(size))
    file = make_file(text)
    assert file.read() == (Encoding.KEY, text, b"")
    grown = file.source.grown
    changed = b"X" + text[1:]
    file.write(changed)
    assert file.read() == (Encoding.DELTA, changed, text)
    assert file.source.grown == grown


def test_a_buffer_that_grows_keeps_the_text_before(make_file: MakeFile) -> None:
    """The delta would be made against a buffer that was replaced in between."""
    file = make_file(b"short\n", capacity=8)
    file.read()
    file.write(b"long " * 100)
    assert file.read() == (Encoding.DELTA, b"long " * 100, b"short\n")
    file.write(b"short\n")
    assert file.read() == (Encoding.DELTA, b"short\n", b"long " * 100)
    assert (bytes(file.source.buffer[: file.source.size]), file.source.size) == (b"short\n", 6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(texts=st.lists(st.binary(max_size=100), min_size=1, max_size=12))
def test_any_sequence_of_texts_comes_through(make_file: MakeFile, texts: list[bytes]) -> None:
    """What was recorded would not be what the kernel said."""
    file = make_file(texts[0], capacity=8)
    before = b""
    for number, text in enumerate(texts):
        file.write(text)
        if number == 0:
            expected = (Encoding.KEY, text, b"")
        elif text == before:
            expected = (Encoding.SAME, text, b"")
        else:
            expected = (Encoding.DELTA, text, before)
        assert file.read() == expected
        before = text


def test_after_forgetting_the_same_text_is_stored_whole(make_file: MakeFile) -> None:
    """A new segment would build on a text of the one before."""
    file = make_file(b"one\n")
    file.read()
    file.source.forget()
    assert file.source.fresh
    assert file.read() == (Encoding.KEY, b"one\n", b"")
    assert not file.source.fresh


def test_a_refused_reading_adds_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """An entry without a text would shift all texts after it."""
    path = tmp_path / "file"
    path.write_bytes(b"one\n")
    descriptor = os.open(path, os.O_RDONLY)
    source = Source(7, "meminfo", descriptor)
    entries: list[bytes] = []
    texts: list[memoryview] = []
    source.read(entries, texts, [])
    refusing = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    os.dup2(refusing, descriptor)
    os.close(refusing)
    with pytest.raises(IsADirectoryError):
        source.read(entries, texts, [])
    assert (len(entries), len(texts), source.reads, bytes(source.text)) == (1, 1, 1, b"one\n")


def test_closing_gives_the_descriptor_back(make_file: MakeFile) -> None:
    """Every watched process that ends would cost a descriptor."""
    source = make_file().source
    source.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(source.descriptor)
