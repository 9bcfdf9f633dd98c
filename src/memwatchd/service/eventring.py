"""The service's own ring: what is not a sample but belongs beside them."""

import json
import os
import threading
from typing import Any

from memwatchd.kernel.clocks import read_clocks
from memwatchd.ring.file import RingMap
from memwatchd.ring.format import Kind
from memwatchd.ring.stream import pack_file, pack_message, pack_process_rows
from memwatchd.ring.writer import RingWriter


class EventRing:
    """Appends records from any of the service's threads."""

    def __init__(self, ring: RingMap) -> None:
        self.ring = ring
        self._writer = RingWriter(ring, read_clocks, ring.header.boot_id, os.getpid())
        self._lock = threading.Lock()
        self.oversize = 0

    def event(self, name: str, monotonic_ns: int, **facts: Any) -> None:
        """Remember something that happened."""
        record = json.dumps({"event": name, "monotonic_ns": monotonic_ns, **facts}, default=str)
        self._append(Kind.EVENT, record.encode())

    def message(self, monotonic_ns: int, raw: bytes) -> None:
        """Keep a kernel message, byte for byte."""
        self._append(Kind.KMSG, pack_message(monotonic_ns, raw))

    def processes(self, monotonic_ns: int, columns: list[str], rows: list[list[Any]]) -> None:
        """Keep a part of the process table."""
        self._append(Kind.PROCESSES, pack_process_rows(monotonic_ns, columns, rows))

    def file(self, monotonic_ns: int, name: str, text: bytes) -> None:
        """Keep a file's text."""
        self._append(Kind.FILE, pack_file(monotonic_ns, name, text))

    def close(self) -> None:
        """Seal what is there."""
        with self._lock:
            self._writer.seal()

    def _append(self, kind: Kind, payload: bytes) -> None:
        with self._lock:
            if self._writer.append(kind, payload):
                return
            self._writer.start_segment()
            if not self._writer.append(kind, payload):
                self.oversize += 1
