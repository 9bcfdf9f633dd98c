"""Temporary files in the part of kernel files, and sources that read them."""

import os
from pathlib import Path

import pytest

from memwatchd.sampling.source import Source


class Files:
    """A directory of pretended kernel files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def write(self, name: str, text: bytes) -> None:
        """Give a file its next text."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)

    def source(self, number: int, name: str, text: bytes = b"", capacity: int = 4096) -> Source:
        """Make a file and a source that reads it."""
        self.write(name, text)
        return Source(number, name, os.open(self.directory / name, os.O_RDONLY), capacity)

    def refuse(self, source: Source) -> None:
        """Have the kernel refuse to read it from now on."""
        refusing = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        os.dup2(refusing, source.descriptor)
        os.close(refusing)

    def allow(self, source: Source) -> None:
        """Have it readable again."""
        readable = os.open(self.directory / source.name, os.O_RDONLY)
        os.dup2(readable, source.descriptor)
        os.close(readable)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An empty directory of pretended kernel files."""
    return Files(tmp_path / "proc")
