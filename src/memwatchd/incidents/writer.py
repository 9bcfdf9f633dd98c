"""Writing one incident file, so that at every moment what was written before can be read.

The first version is written into space that was reserved beforehand, fsynced and only then given its name.
After that the file grows at its end; see `format`.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memwatchd.incidents.format import BlockType, IncidentHeader, pack_block, pack_text
from memwatchd.kernel.files import open_own
from memwatchd.ring.reader import Segment


class IncidentWriter:
    """An incident file being written.

    Args:
        beside: Path to write to until `publish`; space already reserved in it is used.
        header: The incident's fixed facts.

    Raises:
        OSError: From every method, when the disk does not take it.
    """

    def __init__(self, beside: Path, header: IncidentHeader) -> None:
        self.path = beside
        self._header = header
        self._descriptor = open_own(beside, os.O_RDWR | os.O_CREAT, 0o640)
        self._at = 0
        self._last: dict[BlockType, tuple[int, int]] = {}
        self._write(header.pack())

    def add_segments(self, kind: BlockType, segments: Iterable[Segment]) -> None:
        """Store those segments that are new, or longer than when they were last stored."""
        for segment in segments:
            sequence = segment.header.sequence
            if (sequence, len(segment.data)) > self._last.get(kind, (0, 0)):
                self._block(kind, sequence, segment.data)
                self._last[kind] = (sequence, len(segment.data))

    def last_sequence(self, kind: BlockType) -> int:
        """Newest segment stored so far; it may have grown since. 0 for none."""
        return self._last.get(kind, (0, 0))[0]

    def add_meta(self, meta: dict[str, Any]) -> None:
        """Store what is known of the incident by now."""
        self._block(BlockType.META, 0, json.dumps(meta).encode())

    def add_text(self, number: int, name: str, text: bytes) -> None:
        """Store a text byte for byte."""
        self._block(BlockType.TEXT, number, pack_text(name, text))

    def publish(self, path: Path) -> None:
        """Make what was written so far safe on disk, under its final name."""
        os.fsync(self._descriptor)
        self.path.rename(path)
        self.path = path
        sync_directory(path.parent)

    def sync(self) -> None:
        """Make what was written so far safe on disk."""
        os.fsync(self._descriptor)

    def finish(self) -> None:
        """Say that the incident is complete and give back the space that was not needed."""
        self._block(BlockType.END, 0, b"")
        os.ftruncate(self._descriptor, self._at)
        os.fsync(self._descriptor)
        self.close()

    def close(self) -> None:
        """Close the file as it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _block(self, kind: BlockType, number: int, payload: bytes | memoryview) -> None:
        # One write for both, so that a full disk cannot leave a header without its payload more often than it
        # must.
        self._write(pack_block(self._header.incident_id, kind, number, payload) + bytes(payload))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        at = self._at
        while view:
            written = os.pwrite(self._descriptor, view, at)
            at += written
            view = view[written:]
        self._at = at


def sync_directory(path: Path) -> None:
    """Make renames and removals in a directory safe on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
