"""What several packages' tests share."""

import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorder import KERNEL_KILL, Recorder, Segments, Trigger, Whole, Windows
from memwatchd.incidents.store import Keep, Store
from memwatchd.ring.file import RingMap, create_ring
from memwatchd.ring.format import Kind, RingHeader, Stream
from memwatchd.ring.reader import read_segments
from memwatchd.ring.samples import SAMPLE_HEADER, Encoding, pack_blob, pack_entry
from memwatchd.ring.stream import pack_file, pack_message, pack_process_rows
from memwatchd.ring.writer import Clocks, RingWriter

BOOT_ID = bytes(range(16))


def find_tool(name: str) -> str | None:
    """A program of the system, or one that scripts/setup has put beside the interpreter."""
    return shutil.which(name) or shutil.which(name, path=Path(sys.executable).parent)


FIXTURES = Path(__file__).resolve().parent / "fixtures"

# Moment zero of a made-up past: a minute after start-up, on 14 November 2023 at 22:13:20.123 UTC.
ZERO_NS = 60_000_000_000
ZERO_REALTIME_NS = 1_700_000_000_123_000_000
S = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def clocks() -> Callable[[], Clocks]:
    """Three clocks that move on by a millisecond whenever they are read."""
    steps: Iterator[int] = itertools.count(1)

    def read() -> Clocks:
        now_ns = next(steps) * 1_000_000
        return Clocks(now_ns, now_ns + 5, now_ns + 10**18)

    return read


@pytest.fixture
def make_ring(tmp_path: Path) -> Callable[..., RingMap]:
    """Make a small ring in a file of its own."""
    numbers = itertools.count()

    def make(segments: int = 4, segment_bytes: int = 4096, stream: Stream = Stream.SAMPLES) -> RingMap:
        header = RingHeader(segment_bytes, segments, stream, BOOT_ID, 10**18)
        return create_ring(tmp_path / f"ring{next(numbers)}", header)

    return make


@pytest.fixture
def kernel_text() -> Callable[[str, str], bytes]:
    """Read one file of a fixture machine: ``kernel_text("vanilla-4.9", "proc/zoneinfo")``."""

    def read(machine: str, name: str) -> bytes:
        return (FIXTURES / machine / name).read_bytes()

    return read


@dataclass
class Tape:
    """A past made up by hand: the two rings of a daemon, and the clock by which they are written.

    Attributes:
        now_ns: The monotonic clock; every method with `at_s` sets it, in seconds from moment zero.
        catalogue: What the sample ring says of its sources; new ones are added as they are first sampled.
    """

    samples: RingMap
    events: RingMap
    now_ns: int = ZERO_NS
    tick: int = 0
    catalogue: list[dict[str, Any]] = field(default_factory=list)
    _writers: dict[Stream, RingWriter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for ring in (self.samples, self.events):
            self._writers[ring.header.stream] = RingWriter(ring, self.clocks, BOOT_ID, 77)

    def clocks(self) -> Clocks:
        """The three clocks now."""
        return Clocks(self.now_ns, self.now_ns + 7 * S, self.now_ns - ZERO_NS + ZERO_REALTIME_NS)

    def at(self, at_s: float) -> Clocks:
        """Set the clock."""
        self.now_ns = ZERO_NS + round(at_s * S)
        return self.clocks()

    def watch(self, name: str, **facts: Any) -> None:
        """Add a source to the catalogue, or change what is said of it."""
        known = next((entry for entry in self.catalogue if entry["name"] == name), None)
        if known is None:
            known = {"id": len(self.catalogue), "name": name, "path": f"/proc/{name}"}
            self.catalogue.append(known)
        known |= facts
        self._append(Stream.SAMPLES, Kind.CATALOGUE, self._catalogue())

    def sample(self, at_s: float, texts: dict[str, bytes], *, missed: int = 0, stride: int = 1) -> None:
        """Record a tick in which these texts were read."""
        self.at(at_s)
        for name in texts:
            if all(entry["name"] != name for entry in self.catalogue):
                self.watch(name)
        self.tick += (1 + missed) * stride
        numbers = {entry["name"]: entry["id"] for entry in self.catalogue}
        entries = [pack_entry(numbers[name], Encoding.KEY, len(text)) for name, text in texts.items()]
        header = SAMPLE_HEADER.pack(self.tick, self.now_ns, 0, 1000, missed, len(entries), stride)
        blob = pack_blob(list(texts.values()), ()) if texts else []
        self._append(Stream.SAMPLES, Kind.SAMPLE, header, *entries, *blob)

    def noticed(self, at_s: float, event: str, **facts: Any) -> None:
        """Record what the sampler noticed."""
        self._event(Stream.SAMPLES, at_s, event, facts)

    def happened(self, at_s: float, event: str, **facts: Any) -> None:
        """Record an event of the service."""
        self._event(Stream.EVENTS, at_s, event, facts)

    def message(self, at_s: float, raw: bytes) -> None:
        """Record a kernel message."""
        self.at(at_s)
        self._append(Stream.EVENTS, Kind.KMSG, pack_message(self.now_ns, raw))

    def processes(self, at_s: float, *rows: dict[str, Any]) -> None:
        """Record part of the process table; all rows have the columns of the first."""
        self.at(at_s)
        payload = pack_process_rows(self.now_ns, list(rows[0]), [list(row.values()) for row in rows])
        self._append(Stream.EVENTS, Kind.PROCESSES, payload)

    def file(self, at_s: float, name: str, text: bytes) -> None:
        """Record a small file."""
        self.at(at_s)
        self._append(Stream.EVENTS, Kind.FILE, pack_file(self.now_ns, name, text))

    def new_segment(self) -> None:
        """Begin a new segment in both rings."""
        for stream in self._writers:
            self._start(stream)

    def _event(self, stream: Stream, at_s: float, event: str, facts: dict[str, Any]) -> None:
        self.at(at_s)
        self._append(stream, Kind.EVENT, _json({"event": event, "monotonic_ns": self.now_ns, **facts}))

    def _catalogue(self) -> bytes:
        return _json(self.catalogue)

    def _append(self, stream: Stream, kind: Kind, *parts: bytes) -> None:
        if not self._writers[stream].append(kind, *parts):
            self._start(stream)
            assert self._writers[stream].append(kind, *parts), "the record is larger than a segment"

    def _start(self, stream: Stream) -> None:
        self._writers[stream].start_segment(self.tick)
        if stream == Stream.SAMPLES:
            self._writers[stream].append(Kind.CATALOGUE, self._catalogue())


@dataclass
class Notes:
    """What an administrator would have been told."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, level: str, message: str, **_fields: object) -> None:
        """Take a line."""
        self.lines.append((level, message))

    def of(self, level: str) -> list[str]:
        """Lines of one level."""
        return [message for each, message in self.lines if each == level]


WriteIncident = Callable[..., Path]


@pytest.fixture
def tape(make_ring: Callable[..., RingMap]) -> Tape:
    """An empty past."""
    return Tape(make_ring(8, 65536), make_ring(8, 65536, Stream.EVENTS))


@pytest.fixture
def write_incident(tape: Tape, tmp_path: Path) -> WriteIncident:
    """Write what is on the tape as a complete incident with its trigger at moment zero."""

    def write(
        facts: dict[str, Any] | None = None,
        *,
        directory: Path = tmp_path / "incidents",
        kind: str = KERNEL_KILL,
        detail: str = "eater (pid 4711) was killed because the machine was out of memory",
        texts: dict[str, bytes] | None = None,
    ) -> Path:
        recorder = Recorder(
            store=Store(directory, tmp_path / "pending", Keep(100, 1 << 30, 10**18), 1 << 16),
            samples=tape.samples,
            events=tape.events,
            windows=Windows(10 * S, 2 * S, 30 * S),
            describe=lambda _from_ns, _to_ns: {},
            clocks=tape.clocks,
            texts={},
            note=Notes(),
        )
        segments: Segments = {
            BlockType.EVENTS: lambda: read_segments(tape.events),
            BlockType.SAMPLES: lambda: read_segments(tape.samples),
        }
        trigger = Trigger(kind, detail, tape.at(0))
        return recorder.write_whole(Whole(trigger, BOOT_ID, segments, facts or {}, texts or {}))

    return write


def meminfo(**figures_kib: int) -> bytes:
    """A meminfo of a few lines."""
    lines = [b"MemTotal: %15d kB\n" % 1_000_000]
    lines += [b"%s: %15d kB\n" % (name.encode(), kib) for name, kib in figures_kib.items()]
    return b"".join(lines)


def vmstat(**figures: int) -> bytes:
    """A vmstat of a few lines."""
    return b"nr_free_pages 1\n" + b"".join(
        b"%s %d\n" % (name.encode(), value) for name, value in figures.items()
    )


def pressure(total_usec: int) -> bytes:
    """A /proc/pressure/memory."""
    return (
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n"
        b"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n" % total_usec
    )


def zoneinfo(free: int, high: int, present: int = 4000) -> bytes:
    """A /proc/zoneinfo of one zone."""
    return (
        b"Node 0, zone   Normal\n  pages free     %d\n        min      10\n        low      20\n"
        b"        high     %d\n        spanned  4000\n        present  %d\n" % (free, high, present)
    )


def slabinfo(**slabs: int) -> bytes:
    """A /proc/slabinfo whose caches have so many slabs of one page."""
    head = b"slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> : tunables : slabdata\n"
    line = b"%s %d %d 192 21 1 : tunables 0 0 0 : slabdata %d %d 0\n"
    return head + b"".join(line % (name.encode(), 21 * n, 21 * n, n, n) for name, n in slabs.items())


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def daemon_state() -> dict[str, Any]:
    """What a daemon says of itself; its process is the one of the test."""
    return {
        "program": {"name": "memwatchd", "version": "0.1.0", "python": "3.11.2"},
        "pid": os.getpid(),
        "sampler_pid": None,
        "exporter_pid": None,
        "started_realtime_ns": ZERO_REALTIME_NS,
        "renewed_monotonic_ns": time.monotonic_ns(),
        "degraded": [],
        "sampling": {
            "rate_hz": 200.0,
            "present_rate_hz": 200.0,
            "ticks": 1000,
            "missed": 7,
            "armed": False,
            "armed_ticks": 0,
            "lag_us": {"p50": 60.0, "p99": 140.0, "max": 900.0},
            "read_us": {"p50": 90.0, "p99": 400.0, "max": 1200.0},
            "budget_pct": 5.0,
            "source_errors": 0,
            "oversize": 0,
            "restarts": 0,
            "kills_counted": 3,
            "minor_faults": 0,
            "major_faults": 0,
            "sources": {
                "meminfo": {"rate_hz": 200.0, "reads": 1000, "errors": 0, "cost_us": None},
                "slabinfo": {"rate_hz": 5.0, "reads": 25, "errors": 0, "cost_us": 310.5},
            },
        },
        "sources": ["meminfo", "slabinfo"],
        "kills": {"global": 1, "cgroup": 2, "unknown": 0},
        "kmsg": {"readable": True, "lost": 3},
        "incidents": {
            "written": 2,
            "last": "x.mwi",
            "directory": "/var/lib/memwatchd/incidents",
            "by_kind": {"kernel_kill": 1, "rule_fired": 1, "requested": 0, "machine_died": 0},
            "recent": ["20261121T082359.123Z-kernel_kill.mwi", "20261121T092359.123Z-rule_fired.mwi"],
        },
        "black_box": {
            "enabled": True,
            "ready": True,
            "streaming": False,
            "path": "/var/lib/memwatchd/black-box",
            "size_bytes": 64 << 20,
            "written_bytes": 70 << 20,
            "today_bytes": 6 << 20,
            "per_day_bytes": 16 << 30,
            "writes": 400,
            "longest_write_ms": 12.5,
            "errors": 1,
            "left_out_segments": 2,
        },
        "rules": [
            {
                "name": "zone-slab",
                "severity": "act",
                "dry_run": False,
                "active": True,
                "fired": 4,
                "held": 1,
                "last_fired_monotonic_ns": 5_000_000_000,
                "outcomes": [
                    {"action": "drop_caches", "verdict": "helped", "count": 3},
                    {"action": "drop_caches", "verdict": "no effect", "count": 1},
                ],
            },
            {
                "name": "stall-breaker",
                "severity": "act",
                "dry_run": False,
                "active": False,
                "fired": 0,
                "held": 0,
                "last_fired_monotonic_ns": None,
                "outcomes": [],
            },
        ],
        "actions": {
            "drop_caches": {
                "verdicts": {"helped": 3, "no effect": 1, "failed": 0},
                "took": {"buckets": [[0.1, 1], [1.0, 4]], "count": 4, "sum_s": 1.25},
            }
        },
        "config": {
            "reloads": {"taken": 1, "refused": 2},
            "last_successful": False,
            "taken_realtime_ns": ZERO_REALTIME_NS + 5 * S,
        },
        "log_lines_dropped": 0,
        "log_lines_repeated": 0,
    }
