"""The kernel's log on the monotonic clock.

Time stamps of kernel messages are of the kernel's local clock. It starts with the monotonic one, but is not
adjusted as that is: after an hour they were 2 ms apart on the machine this was written on. How far apart they
are is found by writing a message and reading its time stamp; it also tells whoever reads the log that the
kill which follows was meant.
"""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.report import BenchError
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.oomreport.kills import KillParser
from memwatchd.procfs.kmsg import KmsgRecord
from memwatchd.roots import Roots

_WAIT_S = 2.0


class KernelLog:
    """A position in the kernel's log; see `kernel_log`."""

    def __init__(self, reader: KmsgReader, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._ahead_ns = 0

    def announce(self, message: str) -> None:
        """Write a message and find by how much the monotonic clock is ahead of the log's.

        Raises:
            BenchError: The message did not come back.
            OSError: It was refused.
        """
        before_ns = time.monotonic_ns()
        # Without a newline the kernel would wait for the rest of the line.
        os.write(self._writer, message.encode() + b"\n")
        after_ns = time.monotonic_ns()
        record = self._find(message.encode())
        self._ahead_ns = (before_ns + after_ns) // 2 - record.timestamp_usec * 1000

    def kill_ns(self, pid: int) -> int:
        """Monotonic time of the message that this process was killed.

        Raises:
            BenchError: There is none.
        """
        parser = KillParser()
        for record in self._records():
            kill = parser.feed(record.text, record.sequence, record.timestamp_usec)
            if kill is not None and kill.pid == pid:
                return record.timestamp_usec * 1000 + self._ahead_ns
        raise BenchError(f"the kernel did not say that it killed pid {pid}")

    def _find(self, text: bytes) -> KmsgRecord:
        for record in self._records():
            if record.text == text:
                return record
        raise BenchError(f"{text!r} did not come back from the kernel's log")

    def _records(self) -> Iterator[KmsgRecord]:
        """Records as they come, until none has come for a while."""
        while select.select([self._reader.descriptor], [], [], _WAIT_S)[0]:
            for _, record in self._reader.read():
                if record is not None:
                    yield record


@contextmanager
def kernel_log() -> Iterator[KernelLog]:
    """Open the log at its end.

    Raises:
        OSError: Not permitted.
    """
    path = Roots().kmsg
    reader = KmsgReader.open(path, backlog=False)
    try:
        writer = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield KernelLog(reader, writer)
        finally:
            os.close(writer)
    finally:
        reader.close()
