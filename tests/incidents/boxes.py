"""Black boxes made by hand, of rings made by hand."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import BOOT_ID, MS

from memwatchd.incidents.blackbox import (
    BLOCK_BYTES,
    LOG_OFFSET,
    PAGE_BYTES,
    BoxState,
    ExtentHeader,
    ExtentKind,
    Status,
    pack_facts,
    padded,
)
from memwatchd.ring.file import RingMap
from memwatchd.ring.reader import read_segments

RUN_ID = bytes(range(50, 66))
NO_PAGE = bytes(PAGE_BYTES)


def status(**changed: Any) -> Status:
    """What a page says."""
    facts: dict[str, Any] = {
        "state": BoxState.ARMED,
        "boot_id": BOOT_ID,
        "run_id": RUN_ID,
        "generation": 2,
        "realtime_ns": 1,
        "every_ns": 250 * MS,
    }
    return Status(**(facts | changed))


@dataclass
class Extents:
    """Extents one after the other, as a run would write them.

    Attributes:
        writes: The bytes of each write.
    """

    run_id: bytes = RUN_ID
    sequence: int = 0
    written_ns: int = 0
    writes: list[bytes] = field(default_factory=list)

    def extent(self, kind: ExtentKind, data: bytes, segment: int = 0, offset: int = 0) -> bytes:
        """One extent, filled up to a multiple of 8."""
        self.sequence += 1
        header = ExtentHeader(
            kind,
            self.sequence,
            self.run_id,
            BOOT_ID,
            segment,
            offset,
            len(data),
            self.written_ns,
            7,
            zlib.crc32(data),
        )
        packed = header.pack() + data
        return packed.ljust(padded(len(packed), 8), b"\0")

    def write(self, *extents: bytes) -> None:
        """Put extents into one write."""
        plain = b"".join(extents)
        self.writes.append(plain.ljust(padded(len(plain), BLOCK_BYTES), b"\0"))

    def ring(self, ring: RingMap, kind: ExtentKind, piece_bytes: int = 1000) -> None:
        """All of a ring, each write a piece of one segment."""
        for segment in read_segments(ring):
            for offset in range(0, len(segment.data), piece_bytes):
                data = bytes(segment.data[offset : offset + piece_bytes])
                self.write(self.extent(kind, data, segment.header.sequence, offset))

    def facts(self, **facts: Any) -> None:
        """An extent of facts."""
        self.write(self.extent(ExtentKind.FACTS, pack_facts(facts)))

    def box(self, path: Path, page: bytes | None = None, log_bytes: int = 1 << 20) -> Path:
        """Write a file as it is after these writes, round and round."""
        log = bytearray(log_bytes)
        at = 0
        for write in self.writes:
            if at + len(write) > log_bytes:
                at = 0
            log[at : at + len(write)] = write
            at += len(write)
        pages = (status().pack() if page is None else page) + NO_PAGE
        assert len(pages) == LOG_OFFSET
        path.write_bytes(pages + log)
        return path
