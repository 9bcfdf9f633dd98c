"""Making and mapping a ring file."""

import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from memwatchd.errors import FormatError, NotFoundError
from memwatchd.ring.board import BoardFigures, copy_board
from memwatchd.ring.format import (
    BOARD_BYTES,
    BOARD_OFFSET,
    HEADER_BYTES,
    SEGMENTS_OFFSET,
    RingHeader,
    State,
    pack_state,
    unpack_header,
    unpack_state,
)


@dataclass(frozen=True, slots=True)
class RingMap:
    """A mapped ring.

    Attributes:
        board: The live figures, format 'Q'.
        segments: One view per slot.
    """

    name: str
    header: RingHeader
    memory: memoryview
    board: memoryview
    segments: tuple[memoryview, ...]

    @property
    def state(self) -> State | None:
        """Whether the run that wrote it ended in good order."""
        return unpack_state(bytes(self.memory[:HEADER_BYTES]))

    def set_state(self, state: State) -> None:
        """Say so; only the ring's owner does."""
        offset, data = pack_state(state)
        self.memory[offset : offset + len(data)] = data

    def figures(self) -> BoardFigures:
        """Copy the board."""
        return copy_board(self.board)


def map_memory(memory: memoryview, header: RingHeader, name: str) -> RingMap:
    """Cut mapped memory into its parts."""
    size = header.segment_bytes
    starts = range(SEGMENTS_OFFSET, header.file_bytes, size)
    board = memory[BOARD_OFFSET : BOARD_OFFSET + BOARD_BYTES].cast("Q")
    return RingMap(name, header, memory, board, tuple(memory[at : at + size] for at in starts))


def create_ring(path: Path, header: RingHeader, mode: int = 0o640) -> RingMap:
    """Make a ring file, with all of its pages there, and map it for writing.

    It is made beside and renamed, so that nobody ever maps half a ring.

    Args:
        path: Where it is to be.
        header: What it is.
        mode: Who may read it.

    Raises:
        OSError: The directory cannot be written, or has no room.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        # A sparse file on tmpfs would be given its pages one by one inside the loop, under pressure.
        os.posix_fallocate(descriptor, 0, header.file_bytes)
        memory = _map(descriptor, header.file_bytes, writable=True)
        memory[: len(header.pack())] = header.pack()
        ring = map_memory(memory, header, str(path))
        ring.set_state(State.RUNNING)
        beside.rename(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return ring


def map_descriptor(descriptor: int, name: str, *, writable: bool = False) -> RingMap:
    """Map an open ring file.

    Raises:
        FormatError: Not a ring, damaged or truncated.
    """
    try:
        page = os.pread(descriptor, HEADER_BYTES, 0)
    except OSError as error:
        raise FormatError(f"{name}: {error.strerror}") from error
    header = unpack_header(page, name)
    size = os.fstat(descriptor).st_size
    if size < header.file_bytes:
        raise FormatError(f"{name}: truncated: {size} of {header.file_bytes} bytes are there")
    try:
        memory = _map(descriptor, header.file_bytes, writable=writable)
    except OSError as error:
        raise FormatError(f"{name}: cannot be mapped: {error.strerror}") from error
    return map_memory(memory, header, name)


def _map(descriptor: int, size: int, *, writable: bool) -> memoryview:
    """Map a file; a writer gets all pages now, so that it never faults on its way round the ring."""
    if writable:
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        return memoryview(mmap.mmap(descriptor, size, flags, mmap.PROT_READ | mmap.PROT_WRITE))
    return memoryview(mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ))


def open_ring(path: Path, *, writable: bool = False) -> RingMap:
    """Map an existing ring.

    Raises:
        NotFoundError: There is no such file, or it may not be read.
        FormatError: Not a ring, damaged or truncated.
    """
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror}") from error
    try:
        return map_descriptor(descriptor, str(path), writable=writable)
    finally:
        os.close(descriptor)
