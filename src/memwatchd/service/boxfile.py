"""The black box's file: made and preallocated, and written so that what was written is on the disk.

Written with O_DIRECT where the file system has it: a write then needs no page of the very memory that is
running out, and none that must be found first. O_DSYNC brings it through the disk's own cache. Over blocks
that have all been written before (`fill`) the file system has nothing to note down, so a write is one write:
on ext4 that halves the time, and on a real disk it saves two flushes of the journal.

Every method may wait for the disk as long as the disk likes, and raises OSError when it refuses.
Copy-on-write file systems (btrfs, ZFS) find another place for every write whatever was preallocated; there a
full disk ends the recording.
"""

import errno
import fcntl
import mmap
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from memwatchd.errors import FormatError
from memwatchd.incidents.blackbox import (
    BLOCK_BYTES,
    LOG_OFFSET,
    PAGE_BYTES,
    Status,
    padded,
    unpack_page,
)
from memwatchd.incidents.writer import sync_directory
from memwatchd.kernel.files import open_own

WRITE_BYTES = 128 << 10
_DAY_NS = 86_400_000_000_000


class BoxFile:
    """An open black box; one thread writes it, others read its figures.

    Args:
        path: The file; it is made when it is not there, or has another size.
        size_bytes: Its size; rounded down to whole blocks.
        fresh: What its page says when nothing of what was there counts any more.

    Attributes:
        buffer: What is to be written; its address suits O_DIRECT.
        status: What was last written into a page; counters are ahead of it.
        began_ns: Monotonic time at which the disk was asked for something that it has not done yet, or None.
        made: The file was made anew: what was streamed before is gone.
        direct: Writes go past the page cache.
        took_ns: What the last write took.
        longest_ns: What the longest write took.

    Raises:
        OSError: It cannot be made, or another daemon has it.
    """

    def __init__(self, path: Path, size_bytes: int, fresh: Status) -> None:
        self.path = path
        self.size_bytes = size_bytes // BLOCK_BYTES * BLOCK_BYTES
        self.buffer = memoryview(mmap.mmap(-1, WRITE_BYTES))
        self.buffer[:] = bytes(WRITE_BYTES)  # touched now, and not when there is no memory left
        self.began_ns: int | None = None
        self.took_ns = 0
        self.longest_ns = 0
        self.writes = 0
        self.made = False
        self.direct = True
        self.status = fresh
        with self._timed():
            try:
                self._descriptor = self._open()
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # No O_DIRECT on this file system, or not in blocks of this size.
                self.direct = False
                self._descriptor = self._open()

    # ---- making it

    def _open(self) -> int:
        """Open the file and make sure that it is ours, has its size, and says that nothing is to tell."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_DSYNC
        descriptor = open_own(self.path, flags | (os.O_DIRECT if self.direct else 0), 0o640)
        try:
            self._take(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _take(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ENOTSUP, "not a plain file")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(errno.EBUSY, "another memwatchd has it") from error
        self._descriptor = descriptor
        before = self._read_status()
        if found.st_size != self.size_bytes:
            self._allocate()
            self.made = True
            self.status = replace(self.status, at=LOG_OFFSET)
            before = before and replace(before, filled=False, at=LOG_OFFSET)
        self.write_status(self.status if before is None else self._going_on(before))

    def _going_on(self, before: Status) -> Status:
        """What the page says next: where the last run left off, and what was written in all.

        This run's own page of before knows less of that than the run itself.
        """
        if before.run_id == self.status.run_id:
            return replace(self.status, generation=before.generation + 1, filled=before.filled)
        good = LOG_OFFSET <= before.at <= self.size_bytes and before.at % BLOCK_BYTES == 0
        return replace(
            self.status,
            generation=before.generation + 1,
            at=before.at if good else LOG_OFFSET,
            filled=before.filled,
            total_bytes=before.total_bytes,
            day=before.day,
            day_bytes=before.day_bytes,
        )

    def _allocate(self) -> None:
        """Take the space now: a disk that fills up later is no concern of ours then."""
        os.ftruncate(self._descriptor, 0)
        try:
            os.posix_fallocate(self._descriptor, 0, self.size_bytes)
            os.fsync(self._descriptor)
            sync_directory(self.path.parent)
        except OSError:
            # Half a box on a full disk is of no use to anybody.
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            raise

    def _read_status(self) -> Status | None:
        good = []
        for at in (0, PAGE_BYTES):
            read = os.preadv(self._descriptor, [self.buffer[:PAGE_BYTES]], at)
            try:
                page = unpack_page(bytes(self.buffer[:read]))
            except FormatError:
                continue  # of another version: its counters are lost
            if page is not None:
                good.append(page)
        return max(good, key=lambda page: page.generation, default=None)

    # ---- writing it

    def write_status(self, status: Status) -> None:
        """Write another page; the one before stays as it is."""
        status = replace(status, generation=max(status.generation, self.status.generation + 1))
        self.buffer[:PAGE_BYTES] = status.pack()
        self._pwrite(PAGE_BYTES, status.offset)
        self.status = self._counted(status, PAGE_BYTES)

    def append(self, length: int) -> None:
        """Write the first `length` bytes of the buffer to the end of the log, or to its beginning."""
        size = padded(length, BLOCK_BYTES)
        self.buffer[length:size] = bytes(size - length)
        at = self.status.at if self.status.at + size <= self.size_bytes else LOG_OFFSET
        self._pwrite(size, at)
        self.status = replace(self._counted(self.status, size), at=at + size)

    def fill(self, at: int) -> int:
        """Write zeros to the next blocks from `at` on; returns where to go on."""
        size = min(WRITE_BYTES, self.size_bytes - at)
        self.buffer[:size] = bytes(size)
        self._pwrite(size, at)
        self.status = self._counted(self.status, size)
        return at + size

    def is_as_wanted(self, size_bytes: int) -> bool:
        """Whether it has this size, and the path still leads to it."""
        if self.size_bytes != size_bytes // BLOCK_BYTES * BLOCK_BYTES:
            return False
        ours = os.fstat(self._descriptor)
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino, found.st_size) == (ours.st_dev, ours.st_ino, self.size_bytes)

    def close(self) -> None:
        """Close it as it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def day_bytes(self, realtime_ns: int) -> int:
        """What was written on the day of this moment."""
        return self.status.day_bytes if self.status.day == realtime_ns // _DAY_NS else 0

    def _counted(self, status: Status, size: int) -> Status:
        now_ns = time.time_ns()
        before = status.day_bytes if status.day == now_ns // _DAY_NS else 0
        return replace(
            status,
            total_bytes=status.total_bytes + size,
            day=now_ns // _DAY_NS,
            day_bytes=before + size,
        )

    def _pwrite(self, size: int, at: int) -> None:
        with self._timed() as began_ns:
            written = 0
            while written < size:
                written += os.pwrite(self._descriptor, self.buffer[written:size], at + written)
        self.took_ns = time.monotonic_ns() - began_ns
        self.longest_ns = max(self.longest_ns, self.took_ns)
        self.writes += 1

    @contextmanager
    def _timed(self) -> Iterator[int]:
        self.began_ns = began_ns = time.monotonic_ns()
        try:
            yield began_ns
        finally:
            self.began_ns = None
