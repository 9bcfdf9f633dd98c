"""Reading the kernel's log as it is written.

/dev/kmsg gives one record per read, from a position of this reader's own. EPIPE means that records were
overwritten before they were read; the next read goes on with the oldest there is, and the sequence numbers
say how many are gone. Opening needs CAP_SYSLOG where kernel.dmesg_restrict is set.
"""

import errno
import os
import select
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from memwatchd.errors import ParseError
from memwatchd.procfs.kmsg import KmsgRecord, parse_kmsg

# PRINTKRB_RECORD_MAX is 1024, the dictionary as much again, and escapes take four bytes for one.
_RECORD_BYTES = 16 << 10


@dataclass(slots=True)
class KmsgReader:
    """A position in the kernel's log.

    Attributes:
        lost: Records overwritten before they were read; one for all of them when none was read before.
        malformed: Records this program could not understand; they are handed on all the same.
    """

    descriptor: int
    lost: int = 0
    malformed: int = 0
    _next: int | None = field(default=None)
    _overrun: bool = field(default=False)

    @classmethod
    def open(cls, path: Path, *, backlog: bool) -> "KmsgReader":
        """Open at the end, or with `backlog` at the oldest record there is.

        Raises:
            OSError: Not permitted, no such file, or something else in its place.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _refuse_other_files(descriptor, backlog=backlog)
            if not backlog:
                os.lseek(descriptor, 0, os.SEEK_END)
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)

    def read(self, at_most: int = 1000) -> Iterator[tuple[bytes, KmsgRecord | None]]:
        """Yield the records there are, verbatim and parsed, without waiting for more."""
        for _ in range(at_most):
            try:
                raw = os.read(self.descriptor, _RECORD_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EPIPE:
                    self._overrun = True
                    continue  # counted by the next record's sequence
                raise
            if not raw:
                return
            yield raw, self._parse(raw)

    def _parse(self, raw: bytes) -> KmsgRecord | None:
        try:
            record = parse_kmsg(raw)
        except ParseError:
            self.malformed += 1
            return None
        if self._next is None:
            self.lost += self._overrun
        elif record.sequence > self._next:
            self.lost += record.sequence - self._next
        self._next = record.sequence + 1
        return record


def _refuse_other_files(descriptor: int, *, backlog: bool) -> None:
    """Refuse what cannot be waited for: containers have /dev/null there, or an empty file, and no log at all.

    A regular file's records can be read all the same, from the oldest on.
    """
    if backlog and stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    with select.epoll() as waiting:
        try:
            waiting.register(descriptor, select.EPOLLIN)
        except PermissionError:
            raise OSError(errno.ENODEV, "not the kernel's log") from None
