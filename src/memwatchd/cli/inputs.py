"""What `memwatchd explain` reads: files, also compressed, standard input, the journal, /dev/kmsg, incidents.

Everything becomes blocks of bytes, of which one is in memory at a time. Errors name the input as it was
named.
"""

import argparse
import bz2
import gzip
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Protocol

from memwatchd.cli import arguments as shared
from memwatchd.cli.progress import Progress
from memwatchd.errors import FormatError, NotFoundError
from memwatchd.incidents.kernel_log import kernel_log
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.kernel.journal import open_journal, read_journal
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.roots import Roots
from memwatchd.units import parse_duration

BLOCK_BYTES = 1 << 20
STDIN = "-"
# A person who comes in the morning has the whole night in it, and what was before a reboot, too.
DEFAULT_SINCE = "yesterday"
EXPECTED_SINCE = (
    "today, yesterday, boot, 03:00, a span such as -1h or -2d, or 2026-11-21 or '2026-11-21 03:00'"
)
_KERNEL = 0
_ALL_RECORDS = 1 << 22
_INCIDENT = b"MWINC"
_ZSTD = b"\x28\xb5\x2f\xfd"
_CLOCK = re.compile(r"\d{2}:\d{2}(:\d{2})?")
_DAMAGES = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Stream(Protocol):
    """What can be read in pieces as they come."""

    def read1(self, size: int, /) -> bytes:
        """Give at most so many bytes, and none at the end."""


_COMPRESSED: dict[bytes, Callable[["BufferedReader[FileIO]"], Stream]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


@dataclass(slots=True)
class Input:
    """One log.

    Attributes:
        name: What a person calls it.
        blocks: Its bytes, to be read once.
        incident: Whose log it is.
        lines: How many have been read so far.
        problem: Why it could not be read to its end.
        if_empty: What to think of when there is nothing in it.
    """

    name: str
    blocks: Iterator[bytes]
    incident: Incident | None = None
    lines: int = 0
    problem: FormatError | None = None
    if_empty: str = ""

    def counted(self) -> Iterator[bytes]:
        """Give the blocks, counting their lines; it ends with a problem where it cannot go on."""
        last = b"\n"
        try:
            for block in self.blocks:
                self.lines += block.count(b"\n")
                last = block or last
                yield block
        except FormatError as error:
            self.problem = error
        self.lines += not last.endswith(b"\n")


Opener = Callable[[], Input]


def openers(arguments: argparse.Namespace, progress: Progress) -> list[Opener]:
    """Say what is to be read, in order; nothing is opened yet.

    Raises:
        NotFoundError: `--journal` names no moment.
    """
    found: list[Opener] = [partial(_named, arguments, name, progress) for name in arguments.inputs]
    since = arguments.journal
    if not found and since is None and not arguments.kmsg:
        if sys.stdin is not None and not sys.stdin.isatty():
            return [partial(_standard_input, progress)]
        since = DEFAULT_SINCE
    if since is not None:
        found.append(partial(_journal, parse_since(since, datetime.now().astimezone()), progress))
    if arguments.kmsg:
        found.append(partial(_kmsg, Roots().kmsg))
    return found


def parse_since(text: str, now: datetime) -> datetime:
    """Read a moment of the past as a person names it.

    Raises:
        NotFoundError: It is none; says what was expected.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    words = {"today": midnight, "yesterday": midnight - timedelta(days=1)}
    try:
        if text == "boot":
            uptime_s = float((Roots().procfs / "uptime").read_text().split()[0])
            return now - timedelta(seconds=uptime_s)
        if text.startswith("-"):
            return now - timedelta(seconds=parse_duration(text[1:]) / 1e9)
        if _CLOCK.fullmatch(text):
            text = f"{now:%Y-%m-%d} {text}"
        return words.get(text) or datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise NotFoundError(f"--journal {text[:100]}: no such moment; expected {EXPECTED_SINCE}") from error


def _named(arguments: argparse.Namespace, name: str, progress: Progress) -> Input:
    """A file, whatever is in it, or an incident by its name."""
    if name == STDIN:
        return _standard_input(progress)
    path = Path(name)
    if name == "last" or not _exists(path):
        try:
            return _incident(shared.open_named(arguments, name))
        except NotFoundError as error:
            if name == "last":
                raise
            raise NotFoundError(f"{name}: no such file, and no incident of this name") from error
    try:
        file = BufferedReader(FileIO(path), BLOCK_BYTES)
        magic = file.peek(8)
    except OSError as error:
        raise NotFoundError(f"{name}: {error.strerror}") from error
    if magic.startswith(_INCIDENT) and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        return _incident(open_incident(path))
    return Input(name, _file_blocks(file, name, progress))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no path at all, such as one that is too long
        return False


def _incident(incident: Incident) -> Input:
    return Input(incident.path.name, iter((kernel_log(incident),)), incident)


def _standard_input(progress: Progress) -> Input:
    if sys.stdin is None:
        raise NotFoundError("standard input: closed")
    # A copy of the descriptor, so that closing it leaves the process its own.
    file = BufferedReader(FileIO(os.dup(sys.stdin.fileno())), BLOCK_BYTES)
    return Input("standard input", _file_blocks(file, "standard input", progress))


def _journal(since: datetime, progress: Progress) -> Input:
    name = f"the journal since {since:%Y-%m-%d %H:%M}"
    try:
        reader = open_journal()
    except OSError as error:
        raise NotFoundError(f"the journal: {error.strerror or error}") from error
    progress.begin(name, None)
    found = Input(name, _guarded(_followed(read_journal(reader, since), progress), name))
    found.if_empty = " (all of it is only for root and the groups adm and systemd-journal)"
    return found


def _followed(blocks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    done = 0
    for block in blocks:
        done += len(block)
        progress.reached(done)
        yield block


def _kmsg(path: Path) -> Input:
    try:
        reader = KmsgReader.open(path, backlog=True)
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror}") from error
    return Input(str(path), _guarded(_records(reader), str(path)))


def _records(reader: KmsgReader) -> Iterator[bytes]:
    """What the kernel itself has said; what programs wrote there may name anybody."""
    try:
        for raw, record in reader.read(_ALL_RECORDS):
            if record is not None and record.facility == _KERNEL:
                yield raw.rstrip(b"\n") + b"\n"
    finally:
        reader.close()


def _file_blocks(file: "BufferedReader[FileIO]", name: str, progress: Progress) -> Iterator[bytes]:
    with file:
        yield from _guarded(_unpacked(file, name, progress), name)


def _unpacked(file: "BufferedReader[FileIO]", name: str, progress: Progress) -> Iterator[bytes]:
    magic = file.peek(8)
    if magic.startswith(_INCIDENT):
        raise FormatError(f"{name}: an incident; name its file, it cannot be read from a pipe")
    if magic.startswith(_ZSTD):
        raise FormatError(f"{name}: compressed by zstd; try: zstd -dc FILE | memwatchd explain -")
    stream: Stream = file
    for prefix, unpack in _COMPRESSED.items():
        if magic.startswith(prefix):
            stream = unpack(file)
    state = os.fstat(file.fileno())
    whole = stat.S_ISREG(state.st_mode)
    progress.begin(name, state.st_size if whole else None)
    done = 0
    while block := stream.read1(BLOCK_BYTES):
        done += len(block)
        progress.reached(file.raw.tell() if whole else done)
        yield block


def _guarded(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Name the input when it cannot be read any further."""
    try:
        yield from blocks
    except _DAMAGES as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"{name}: cannot be read any further: {reason}") from error
