"""Part 9: how fast an incident of half a minute is opened, stepped through and read as a whole.

The incident is made of this machine's own texts, with every source in every one of 7,000 samples, 5 ms apart
as if 35 s had been recorded at the full rate; a process that takes and gives back memory sees to it that they
change. That is more than the recorder writes while all is calm, when slabinfo is read some times a second.
Times are of the processor: alone on a core they are those of the clock.

Called with the path of an incident, it measures that one, alone in its process, and prints JSON.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.report import BenchError, Part, Target, progress
from memwatchd.export.formats import FORMATS, STREAM
from memwatchd.export.options import Options
from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.moment import moment_at
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.recorded import from_incident
from memwatchd.incidents.rewrite import Contents, write_incident
from memwatchd.ring.format import Kind, SegmentHeader, Stream
from memwatchd.ring.packing import Packed, pack_segment
from memwatchd.ring.reader import Segment
from memwatchd.ring.samples import SAMPLE_HEADER, Encoding, pack_blob, pack_entry
from memwatchd.sampling.plan import SOURCE_PATHS
from memwatchd.signals.table import read_table
from memwatchd.views.text import columns

RATE_HZ = 200
SPAN_S = 35
_PERIOD_NS = 1_000_000_000 // RATE_HZ
_SEGMENT_BYTES = 128 << 10
_SEEKS = 50
_BOOT_ID = bytes(range(16))
_AIM_SEEK_MS = 50.0
_AIM_READ_S = 3.0
_AIM_READ_MIB = 300.0
_RESTLESS = """
import os, time
while True:
    held = [bytearray(os.urandom(1 << 16)) for _ in range(64)]
    time.sleep(0.02)
"""


def measure(*, quick: bool) -> Part:
    """Record, then read in a process of its own."""
    progress("reading an incident")
    count = RATE_HZ * (5 if quick else SPAN_S)
    with tempfile.TemporaryDirectory(prefix="memwatchd-bench-") as directory:
        path = Path(directory) / "bench.mwi"
        with restlessness():
            record(path, count)
        command = [sys.executable, "-m", "bench.reading", str(path)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    part = Part(f"9. Reading an incident of {count} samples and {found['signals']} signals")
    part.lines = columns(
        [
            ["size of the file", f"{found['file_mib']:.1f} MiB"],
            ["values that changed", f"{found['changes'] / count:.0f} a sample"],
            ["decoded only", f"{found['decode_s']:.2f} s"],
            ["all signals of all samples", f"{found['read_s']:.2f} s, {found['read_mib']:.0f} MiB"],
            *([f"all of it as {name}", f"{s:.1f} s"] for name, s in found["export_s"].items()),
        ],
        frozenset({1}),
    )
    part.targets = [
        Target("open, and seek to any sample (the slowest)", found["seek_ms"]["max"], _AIM_SEEK_MS, "ms"),
        Target("all signals of all samples", found["read_s"], _AIM_READ_S, "s"),
        Target("memory of the process that has read them", found["read_mib"], _AIM_READ_MIB, "MiB"),
    ]
    part.figures = found
    return part


@contextmanager
def restlessness() -> Iterator[None]:
    """Have something happen on this machine meanwhile."""
    child = subprocess.Popen([sys.executable, "-c", _RESTLESS])
    try:
        yield
    finally:
        child.kill()
        child.wait()


# -- recording ---------------------------------------------------------------------------------------------


def record(path: Path, count: int) -> None:
    """Write an incident of so many samples, of which the last but 5 seconds' worth is moment zero."""
    zero_ns = max(1, count - 5 * RATE_HZ) * _PERIOD_NS
    trigger = {"kind": "requested", "detail": "bench", "monotonic_ns": zero_ns, "realtime_ns": 10**18}
    header = IncidentHeader(_BOOT_ID, _BOOT_ID, 10**18)
    streams = {BlockType.SAMPLES: _segments(count)}
    write_incident(path, Contents(header, {"trigger": trigger}, streams, {}, complete=True))


def _segments(count: int) -> Iterator[Segment]:
    there = {name: Path("/proc", place) for name, place in SOURCE_PATHS.items() if _is_there(place)}
    files = {name: os.open(path, os.O_RDONLY | os.O_CLOEXEC) for name, path in there.items()}
    if not files:
        raise BenchError("none of the kernel's files can be read here")
    catalogue = json.dumps([{"id": number, "name": name} for number, name in enumerate(files)]).encode()
    records: list[Packed] = []
    before: list[bytes] = []
    size = sequence = 0
    for tick in range(1, count + 1):
        texts = [_read(descriptor) for descriptor in files.values()]
        if size > _SEGMENT_BYTES:
            sequence += 1
            yield _packed(sequence, records)
            records, before = [], []
        if not records:
            records, size = [(Kind.CATALOGUE, catalogue)], 0
        records.append((Kind.SAMPLE, _sample(tick, texts, before)))
        size += len(records[-1][1])
        before = texts
    for descriptor in files.values():
        os.close(descriptor)
    yield _packed(sequence + 1, records)


def _is_there(place: str) -> bool:
    try:
        return bool(Path("/proc", place).read_bytes())
    except OSError:
        return False


def _read(descriptor: int) -> bytes:
    """The whole file: seq_file hands out a page at a time."""
    text = b""
    while part := os.pread(descriptor, 1 << 16, len(text)):
        text += part
    return text


def _sample(tick: int, texts: list[bytes], before: list[bytes]) -> bytes:
    """One tick, laid out as the sampler does."""
    entries, new, previous = [], [], []
    for number, text in enumerate(texts):
        same = bool(before) and before[number] == text
        encoding = Encoding.SAME if same else Encoding.DELTA if before else Encoding.KEY
        entries.append(pack_entry(number, encoding, len(text)))
        if not same:
            new.append(text)
            previous += before[number : number + 1]
    head = SAMPLE_HEADER.pack(tick, tick * _PERIOD_NS, 0, 0, 0, len(entries), 1)
    return b"".join((head, *entries, *(pack_blob(new, previous) if new else ())))


def _packed(sequence: int, records: list[Packed]) -> Segment:
    first = int(SAMPLE_HEADER.unpack_from(records[1][1])[0])
    at_ns = first * _PERIOD_NS
    header = SegmentHeader(
        Stream.SAMPLES, sequence, 0, True, 0, _BOOT_ID, at_ns, at_ns, 10**18 + at_ns, first, 1
    )
    return pack_segment(header, records)


# -- reading -----------------------------------------------------------------------------------------------


def _examine(path: Path) -> dict[str, object]:
    """Read an incident in every way; the process has nothing else to do."""
    seeks_ms = sorted(1000 * taken_s for taken_s in _seeks(path))
    incident = open_incident(path)
    decode_s = _taken_s(lambda: sum(1 for _ in incident.moments()))
    began = time.process_time()
    table = read_table(incident.moments(), 4096)
    read_s = time.process_time() - began
    read_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "file_mib": path.stat().st_size / 2**20,
        "signals": len(table.columns),
        "changes": sum(len(column.rows) for column in table.columns.values()),
        "seek_ms": {"median": statistics.median(seeks_ms), "max": seeks_ms[-1]},
        "decode_s": decode_s,
        "read_s": read_s,
        "read_mib": read_mib,
        "export_s": dict(_exports(path)),
    }


def _seeks(path: Path) -> Iterator[float]:
    """Open and find one moment, each time anew."""
    times_ns = [moment.sample.monotonic_ns for moment in open_incident(path).moments()]
    for at_ns in random.Random(1).sample(times_ns, _SEEKS):
        began = time.process_time()
        found = moment_at(open_incident(path), at_ns)
        yield time.process_time() - began
        if found.sample.monotonic_ns != at_ns:
            raise BenchError("a moment was not found")


def _exports(path: Path) -> Iterator[tuple[str, float]]:
    recorded = from_incident(open_incident(path))
    for name, form in FORMATS.items():
        if form.kind == STREAM and form.signals:
            # Not to a disk: as openmetrics it is a gigabyte.
            with open(os.devnull, "wb") as out:
                yield name, _taken_s(partial(form.writer(), recorded, out, Options(("*",), 0)))


def _taken_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    print(json.dumps(_examine(Path(sys.argv[1]))))
