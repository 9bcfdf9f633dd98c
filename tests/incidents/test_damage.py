"""Incident and ring files that are cut off, flipped, forged or something else altogether.

They come from a crashed machine, a failing disk or a stranger's mail. Whoever opens one gets what is good of
it and is told what is not, or gets one line that says why not; never a traceback, a hang, or the machine's
memory gone.
"""

import contextlib
import io
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import lz4.block
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memwatchd.cli import main
from memwatchd.errors import FormatError, MemwatchdError
from memwatchd.incidents.format import (
    BLOCK_HEADER_BYTES,
    HEADER_BYTES,
    BlockType,
    IncidentHeader,
    pack_block,
    pack_text,
)
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorder import Recorder, Trigger, Windows
from memwatchd.incidents.store import Keep, Store
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, create_ring, open_ring
from memwatchd.ring.format import (
    BOARD_BYTES,
    BOARD_OFFSET,
    SEGMENTS_OFFSET,
    Kind,
    RingHeader,
    SegmentHeader,
    Stream,
)
from memwatchd.ring.reader import parse_segment, read_segments, segment_headers
from memwatchd.ring.samples import SAMPLE_HEADER, Encoding, pack_blob, pack_entry
from memwatchd.ring.stream import (
    events,
    messages,
    moments,
    pack_file,
    pack_message,
    pack_process_rows,
    process_rows,
    stored_files,
)
from memwatchd.ring.writer import Clocks, RingWriter
from memwatchd.roots import Roots
from memwatchd.service.remains import describe_remains, find_remains, forget_remains
from memwatchd.views.incident import render
from memwatchd.views.summary import summarise

BOOT_ID = bytes(range(16))
TICK_NS = 5_000_000
BEGIN_NS = 10**12
WALL_NS = 1_700_000_000 * 10**9
SAMPLES = 400
TRIGGER_NS = BEGIN_NS + 300 * TICK_NS
MORE_MEMORY_BYTES = 200 << 20

quick = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


# ---- making a ring and an incident without a daemon


class Clock:
    """Three clocks that stand where they are put."""

    def __init__(self) -> None:
        self.now_ns = BEGIN_NS

    def __call__(self) -> Clocks:
        return Clocks(self.now_ns, self.now_ns + 5, WALL_NS + self.now_ns)


def texts_at(number: int) -> list[bytes]:
    """What the sources say in one tick."""
    return [
        b"MemTotal:       16000000 kB\nMemFree: %8d kB\nMemAvailable: %8d kB\n"
        % (9000 - number, 9000 - number),
        b"nr_free_pages %d\npgscan_direct %d\noom_kill %d\n" % (9000 - number, number, number > 300),
        b"slabinfo - version: 2.1\n"
        b"# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables\n"
        b"dentry %d %d 192 21 1 : tunables 0 0 0 : slabdata 9 9 0\n" % (number * 20, number * 21),
    ]


CATALOGUE = [
    {"id": 0, "name": "meminfo", "path": "/proc/meminfo"},
    {"id": 1, "name": "vmstat", "path": "/proc/vmstat"},
    {"id": 2, "name": "slabinfo", "path": "/proc/slabinfo"},
]


def fill_samples(ring: RingMap, clock: Clock) -> None:
    writer = RingWriter(ring, clock, BOOT_ID, 77)
    before: list[bytes] | None = None
    for number in range(SAMPLES):
        clock.now_ns = BEGIN_NS + number * TICK_NS
        texts = texts_at(number)
        head = SAMPLE_HEADER.pack(number + 1, clock.now_ns, 1000, 2000, 0, len(texts), 0)
        if before is not None:
            entries = [pack_entry(place, Encoding.DELTA, len(text)) for place, text in enumerate(texts)]
            if writer.append(Kind.SAMPLE, head, *entries, *pack_blob(texts, before)):
                before = texts
                continue
        writer.start_segment(number + 1)
        assert writer.append(Kind.CATALOGUE, json.dumps(CATALOGUE).encode())
        entries = [pack_entry(place, Encoding.KEY, len(text)) for place, text in enumerate(texts)]
        assert writer.append(Kind.SAMPLE, head, *entries, *pack_blob(texts, ()))
        before = texts
    ring.board[Slot.HEARTBEAT_NS] = clock.now_ns
    ring.board[Slot.TICKS] = SAMPLES
    ring.board[Slot.PERIOD_NS] = TICK_NS


def fill_events(ring: RingMap, clock: Clock) -> None:
    writer = RingWriter(ring, clock, BOOT_ID, 78)
    writer.start_segment()
    columns = ["pid", "comm", "rss_kib", "start_ticks", "cgroup", "read_ns"]
    for second in range(2):
        now_ns = clock.now_ns = BEGIN_NS + second * 10**9
        rows: list[list[Any]] = [
            [pid, f"p{pid}", 1000 * pid + second * 77, 5, "/a", now_ns] for pid in range(1, 9)
        ]
        assert writer.append(Kind.PROCESSES, pack_process_rows(now_ns, columns, rows))
        assert writer.append(Kind.FILE, pack_file(now_ns, "loadavg", b"0.00 0.01 0.05 1/99 4711\n"))
        raw = b"4,%d,%d,-;Killed process 4 (p4) total-vm:9kB\n" % (second, now_ns // 1000)
        assert writer.append(Kind.KMSG, pack_message(now_ns, raw))
        event = {"event": "oom_kill", "monotonic_ns": now_ns, "source": "vmstat", "rise": 1}
        assert writer.append(Kind.EVENT, json.dumps(event).encode())


def describe(from_ns: int, to_ns: int) -> dict[str, Any]:
    kill = {
        "monotonic_ns": TRIGGER_NS,
        "pid": 4,
        "comm": "p4",
        "scope": "cgroup",
        "limit_cgroup": "/a",
        "task_cgroup": "/a",
        "amounts_kib": {"anon-rss": 4000},
        "sequence": 1,
        "timestamp_usec": 1,
    }
    return {
        "window": {"from_ns": from_ns, "to_ns": to_ns},
        "kills": [kill],
        "counters": {"vmstat": 1},
        "disagreements": [],
        "host": {"hostname": "vm", "kernel": "6.1", "page_size": 4096},
        "program": {"name": "memwatchd"},
        "degraded": ["no PSI"],
    }


def say_nothing(level: str, message: str, **fields: object) -> None:
    """In the place of the log."""


def make_recorder(directory: Path, samples: RingMap, events_ring: RingMap, clock: Clock) -> Recorder:
    return Recorder(
        store=Store(directory / "incidents", directory / "pending", Keep(50, 1 << 30, 10**18), 1 << 20),
        samples=samples,
        events=events_ring,
        windows=Windows(30 * 10**9, 5 * 10**9, 120 * 10**9),
        describe=describe,
        clocks=clock,
        texts={"config.yaml": b"log: {level: info}\n"},
        note=say_nothing,
    )


def make_rings(directory: Path, clock: Clock) -> tuple[RingMap, RingMap]:
    directory.mkdir(exist_ok=True)
    samples = create_ring(directory / "ring", RingHeader(8192, 12, Stream.SAMPLES, BOOT_ID, WALL_NS))
    events_ring = create_ring(directory / "events", RingHeader(8192, 8, Stream.EVENTS, BOOT_ID, WALL_NS))
    fill_events(events_ring, clock)
    fill_samples(samples, clock)
    return samples, events_ring


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An incident file in which nothing is wrong."""
    directory, clock = tmp_path_factory.mktemp("whole"), Clock()
    samples, events_ring = make_rings(directory, clock)
    recorder = make_recorder(directory, samples, events_ring, clock)
    trigger = Trigger(
        "kernel_kill", "p4 (pid 4) was killed", Clocks(TRIGGER_NS, TRIGGER_NS + 5, WALL_NS + TRIGGER_NS)
    )
    recorder.happened(trigger)
    clock.now_ns = TRIGGER_NS + 6 * 10**9
    recorder.poll()
    assert recorder.last_path is not None
    data = recorder.last_path.read_bytes()
    assert len(data) < 200_000
    return data


@pytest.fixture(scope="module")
def dead_rings(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The two rings of a daemon that was killed."""
    directory = tmp_path_factory.mktemp("rings")
    make_rings(directory, Clock())
    return (directory / "ring").read_bytes(), (directory / "events").read_bytes()


# ---- looking at a file in every way there is


def look(path: Path) -> Incident | None:
    """Use everything there is on a file; None when it was refused in good order."""
    try:
        incident = open_incident(path)
        summary = summarise(incident)
        assert render(summary).endswith("\n")
        json.dumps(summary)
        list(incident.moments())
        segments = list(incident.segments(BlockType.EVENTS))
        for read in (events, messages, process_rows, stored_files):
            list(read(segments))
        incident.texts()
    except MemwatchdError:
        return None
    return incident


def show(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; returns its status and what it wrote to stderr."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return status, err.getvalue()


def check_cli(path: Path) -> None:
    """Show a file from the command line: it works, or one line says why not."""
    tree = path.parent / f"tree-{next(_numbers)}"
    for command in (
        ["show", path],
        ["show", "--json", path],
        ["raw", "--source", "meminfo", path],
        ["procfs", path, tree],
        ["incidents", "--state-dir", path.parent, "--runtime-dir", path.parent],
    ):
        status, err = show(*command)
        assert status in (0, 1, 5, 6), (command, err)
        assert err.count("\n") == (status != 0), (command, err)


_numbers = itertools.count()


def test_the_undamaged_file(whole: bytes, tmp_path: Path) -> None:
    """All the tests below would test nothing."""
    path = tmp_path / "x.mwi"
    path.write_bytes(whole)
    incident = look(path)
    assert incident is not None
    assert (incident.complete, incident.problems) == (True, [])
    assert summarise(incident)["samples"]["count"] == SAMPLES
    assert len(list(process_rows(incident.segments(BlockType.EVENTS)))) == 2
    check_cli(path)


def test_a_file_that_ends_anywhere(whole: bytes, tmp_path: Path) -> None:
    """A crash in the middle of writing would cost more than what had not been written."""
    path = tmp_path / "x.mwi"
    counted = 0
    lengths = sorted(
        {*range(0, len(whole), max(1, len(whole) // 150)), *range(100), len(whole) - 1, len(whole) - 41}
    )
    for length in lengths:
        path.write_bytes(whole[:length])
        incident = look(path)
        if incident is None:
            assert counted == 0
            continue
        assert not incident.complete
        taken = len(list(incident.moments()))
        assert taken >= counted
        counted = taken
    assert counted == SAMPLES
    for length in lengths[::10]:
        path.write_bytes(whole[:length])
        check_cli(path)


def test_a_file_that_ends_in_the_reserved_space(whole: bytes, tmp_path: Path) -> None:
    """Zeros after the last block, or blocks of an older incident, would be taken for damage."""
    path = tmp_path / "x.mwi"
    other = bytearray(whole)
    for more in (bytes(5_000_000), whole.replace(b"MWINC", b"MWINX"), os.urandom(100_000)):
        path.write_bytes(whole + more)
        incident = look(path)
        assert incident is not None
        assert incident.complete
        assert len(list(incident.moments())) == SAMPLES
    # The same bytes under another incident's id belong to nobody.
    other[16:32] = bytes(16)
    forged = IncidentHeader(b"another one's id", BOOT_ID, WALL_NS).pack() + whole[HEADER_BYTES:]
    path.write_bytes(forged)
    with pytest.raises(FormatError, match="nothing readable"):
        open_incident(path)


@quick
@given(data=st.data())
def test_flipped_bits(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """One bad bit would cost the whole incident, be believed, or end in a traceback."""
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(whole) * 8 - 1))
        damaged[at // 8] ^= 1 << at % 8
    path = tmp_path / "x.mwi"
    path.write_bytes(damaged)
    incident = look(path)
    if incident is not None:
        believed = {moment.sample.tick: moment for moment in incident.moments()}
        for tick, moment in believed.items():
            assert list(moment.sample.texts.values()) == texts_at(tick - 1)


def test_one_flipped_bit_is_told_and_costs_little(whole: bytes, tmp_path: Path) -> None:
    """Damage would go unmentioned, or take more with it than its own block."""
    random_bits = random.Random(1)
    path = tmp_path / "x.mwi"
    largest = 8192 // 40
    for _ in range(300):
        at = random_bits.randrange(HEADER_BYTES * 8, len(whole) * 8)
        damaged = bytearray(whole)
        damaged[at // 8] ^= 1 << at % 8
        path.write_bytes(damaged)
        incident = look(path)
        assert incident is not None, at
        assert incident.problems or not incident.complete, at
        assert len(list(incident.moments())) >= SAMPLES - largest, at


@quick
@given(data=st.data())
def test_torn_and_shifted_pieces(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """A file system that lost or repeated a page would end in a traceback."""
    start_at, length = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 9000))
    insert_at = data.draw(st.integers(0, len(whole)))
    piece = whole[start_at : start_at + length]
    path = tmp_path / "x.mwi"
    action = data.draw(st.sampled_from(["repeat", "cut", "zero", "noise"]))
    if action == "repeat":
        path.write_bytes(whole[:insert_at] + piece + whole[insert_at:])
    elif action == "cut":
        path.write_bytes(whole[:start_at] + whole[start_at + length :])
    else:
        filler = bytes(len(piece)) if action == "zero" else random.Random(length).randbytes(len(piece))
        path.write_bytes(whole[:start_at] + filler + whole[start_at + length :])
    look(path)


@pytest.mark.parametrize("seed", range(12))
def test_damage_on_the_command_line(whole: bytes, tmp_path: Path, seed: int) -> None:
    """The administrator would be shown a traceback instead of what is left."""
    noise = random.Random(seed)
    damaged = bytearray(whole)
    for _ in range(noise.choice((1, 3, 30, 300))):
        at = noise.randrange(len(damaged))
        damaged[at] ^= 1 << noise.randrange(8)
    path = tmp_path / "20200101T000000.000Z-kernel_kill.mwi"
    path.write_bytes(damaged)
    (tmp_path / "incidents").mkdir()
    (tmp_path / "incidents" / path.name).write_bytes(damaged)
    check_cli(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a memwatchd incident"),
        (b"\x7fELF" + bytes(500), "not a memwatchd incident"),
        (b"MWINC\n\r\0" + bytes(500), "other byte order"),
        (b"MWINC\r\n\0" + b"\7\0\0\0" + bytes(500), "incident format 7, this program reads 1"),
        (b"MWINC\r\n\0" + b"\1\0\0\0" + bytes(500), "header is damaged"),
        (IncidentHeader(bytes(16), bytes(16), 0).pack(), "nothing readable"),
        (IncidentHeader(bytes(16), bytes(16), 0).pack() + bytes(5000), "nothing readable"),
        (b"MWRING\r\n" + bytes(500), "not a memwatchd incident"),
    ],
)
def test_what_is_no_incident_is_refused_with_a_reason(tmp_path: Path, content: bytes, message: str) -> None:
    """Somebody with a file of tomorrow's version, or the wrong file, would not learn what is wrong."""
    path = tmp_path / "20200101T000000.000Z-kernel_kill.mwi"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as raised:
        open_incident(path)
    assert str(path) in str(raised.value)
    status, err = show("show", path)
    assert (status, err.count("\n")) == (5, 1)


# ---- forgeries: every checksum is right, and nothing else


def forge(*blocks: tuple[BlockType, int, bytes], meta: Any = None) -> bytes:
    """An incident file of these blocks."""
    incident_id = b"0123456789abcdef"
    data = IncidentHeader(incident_id, BOOT_ID, WALL_NS).pack()
    if meta is not None:
        blocks = ((BlockType.META, 0, json.dumps(meta).encode()), *blocks)
    for kind, number, payload in blocks:
        data += pack_block(incident_id, kind, number, payload) + payload
    return data


GOOD_META: dict[str, Any] = {
    "trigger": {"kind": "kernel_kill", "detail": "x", "monotonic_ns": TRIGGER_NS, "realtime_ns": WALL_NS},
    **describe(BEGIN_NS, TRIGGER_NS),
}
STRANGE: list[Any] = [
    None,
    0,
    -1,
    1.5,
    10**400,
    -(10**30),
    float("nan"),
    float("inf"),
    True,
    "x",
    "\ud800\x1b",
    [],
    [0],
    {},
]


def paths_of(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [prefix] if prefix else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        found += paths_of(each, (*prefix, key))
    return found


@pytest.mark.parametrize("where", paths_of(GOOD_META), ids=lambda where: ".".join(map(str, where)))
def test_meta_data_of_the_wrong_kind(tmp_path: Path, where: tuple[Any, ...]) -> None:
    """A file of another version, or a forged one, would end in a traceback."""
    path = tmp_path / "20200101T000000.000Z-kernel_kill.mwi"
    for strange in (*STRANGE, ...):
        meta = json.loads(json.dumps(GOOD_META))
        holder = meta
        for key in where[:-1]:
            holder = holder[key]
        if strange is ...:
            del holder[where[-1]]
        else:
            holder[where[-1]] = strange
        path.write_bytes(forge((BlockType.END, 0, b""), meta=meta))
        try:
            look(path)
        except Exception as error:  # noqa: BLE001 - whatever it is, say what caused it
            pytest.fail(f"{'.'.join(map(str, where))} = {strange!r}: {type(error).__name__}: {error}")


def segment_of(kind: Stream, records: list[tuple[int, bytes]]) -> bytes:
    """A segment whose checksums are right."""
    size = 96 + sum(12 + (len(payload) + 7 & ~7) for _, payload in records)
    head, crc = SegmentHeader(kind, 1, size - 96, False, 0, BOOT_ID, BEGIN_NS, 0, WALL_NS, 1, 7).pack()
    data = bytearray(head)
    for number, payload in records:
        body = struct.pack("=II", len(payload), number) + payload + bytes(-len(payload) % 8)
        crc = zlib.crc32(body, crc)
        data += struct.pack("=I", crc) + body
    assert parse_segment(bytes(data)) is not None
    return bytes(data)


def sample(entries: list[tuple[int, int, int]], blob: bytes, tick: int = 1, at_ns: int = BEGIN_NS) -> bytes:
    head = SAMPLE_HEADER.pack(tick, at_ns, 0, 0, 0, len(entries), 0)
    return (
        head
        + b"".join(struct.pack("=HBBI", source, encoding, 0, size) for source, encoding, size in entries)
        + blob
    )


def key_sample(text: bytes, at_ns: int = BEGIN_NS) -> bytes:
    return sample([(0, Encoding.KEY, len(text))], b"".join(pack_blob([text], ())), at_ns=at_ns)


_CATALOGUE = (Kind.CATALOGUE, json.dumps(CATALOGUE).encode())

FORGED_SAMPLES: dict[str, list[tuple[int, bytes]]] = {
    "empty": [(Kind.SAMPLE, b"")],
    "a source nobody knows": [_CATALOGUE, (Kind.SAMPLE, sample([(999, Encoding.KEY, 0)], b""))],
    "more entries than there are": [_CATALOGUE, (Kind.SAMPLE, SAMPLE_HEADER.pack(1, 1, 0, 0, 0, 65535, 0))],
    "a huge text": [_CATALOGUE, (Kind.SAMPLE, sample([(0, Encoding.KEY, 2**32 - 1)], b"\4\0\0\0abcd"))],
    "many huge texts": [_CATALOGUE, (Kind.SAMPLE, sample([(0, Encoding.KEY, 2**32 - 1)] * 60000, b"x" * 99))],
    "a huge block": [_CATALOGUE, (Kind.SAMPLE, sample([(0, Encoding.KEY, 9)], b"\xff\xff\xff\xff"))],
    "an encoding nobody knows": [
        _CATALOGUE,
        (Kind.SAMPLE, sample([(0, 77, 3)], b"".join(pack_blob([b"abc"], ())))),
    ],
    "a delta to nothing": [_CATALOGUE, (Kind.SAMPLE, sample([(0, Encoding.DELTA, 3)], b""))],
    "time before all time": [_CATALOGUE, (Kind.SAMPLE, key_sample(b"MemFree: 1 kB\n", -(2**63)))],
    "the end of time": [
        _CATALOGUE,
        (Kind.SAMPLE, key_sample(b"MemFree: 1 kB\n", -(2**63))),
        (Kind.SAMPLE, key_sample(b"MemFree: 1 kB\n", 2**63 - 1)),
    ],
    "backwards": [
        _CATALOGUE,
        (Kind.SAMPLE, key_sample(b"MemFree: 1 kB\n", TRIGGER_NS)),
        (Kind.SAMPLE, key_sample(b"MemFree: 2 kB\n", BEGIN_NS)),
    ],
    "no catalogue": [(Kind.SAMPLE, key_sample(b"x"))],
    "a catalogue that is none": [(Kind.CATALOGUE, b'{"a": 1}'), (Kind.SAMPLE, key_sample(b"x"))],
    "a catalogue of rubbish": [
        (
            Kind.CATALOGUE,
            b'[1, null, {}, {"id": "x", "name": "meminfo"}, {"id": 0, "name": 7}, {"id": true, "name": "a"}]',
        ),
        (Kind.SAMPLE, key_sample(b"x")),
    ],
    "a catalogue as deep as can be": [(Kind.CATALOGUE, b"[" * 100_000), (Kind.SAMPLE, key_sample(b"x"))],
    "numbers without end": [
        _CATALOGUE,
        (Kind.SAMPLE, key_sample(b"MemFree: " + b"9" * 6000 + b" kB\nMemAvailable: -5 kB\n")),
        (Kind.SAMPLE, key_sample(b"MemFree: kB\nMemAvailable:\nSlab: 1e9 kB\n", TRIGGER_NS)),
    ],
    "large numbers": [
        _CATALOGUE,
        (
            Kind.SAMPLE,
            key_sample(b"MemFree: " + b"9" * 4000 + b" kB\nMemAvailable: " + b"9" * 330 + b" kB\n"),
        ),
        (Kind.SAMPLE, key_sample(b"MemFree: 0 kB\n", TRIGGER_NS)),
    ],
    "names that are paths": [
        (
            Kind.CATALOGUE,
            json.dumps(
                [
                    {"id": 0, "name": "../../evil"},
                    {"id": 1, "name": "/etc/evil"},
                    {"id": 2, "name": "a\0b"},
                    {"id": 3, "name": "\ud800"},
                    {"id": 4, "name": "x" * 5000},
                    {"id": 5, "name": ""},
                    {"id": 6, "name": "meminfo"},
                    {"id": 7, "name": "meminfo/below"},
                    {"id": 8, "name": "process/../../evil"},
                ]
            ).encode(),
        ),
        (
            Kind.SAMPLE,
            sample([(n, Encoding.KEY, 1) for n in range(9)], b"".join(pack_blob([b"123456789"], ()))),
        ),
    ],
}


@pytest.mark.parametrize("name", FORGED_SAMPLES)
def test_forged_samples(tmp_path: Path, name: str) -> None:
    """A file somebody sent us would end in a traceback, or write where it must not."""
    path = tmp_path / "20200101T000000.000Z-kernel_kill.mwi"
    payload = segment_of(Stream.SAMPLES, FORGED_SAMPLES[name])
    path.write_bytes(forge((BlockType.SAMPLES, 1, payload), (BlockType.END, 0, b""), meta=GOOD_META))
    before = {each for each in tmp_path.parent.rglob("*") if "tree-" not in each.name}
    look(path)
    check_cli(path)
    after = {each for each in tmp_path.parent.rglob("*") if not any("tree-" in part for part in each.parts)}
    assert after <= before | {path}
    assert not Path("/etc/evil").exists()


def event(**facts: Any) -> tuple[int, bytes]:
    return Kind.EVENT, json.dumps(facts).encode()


FORGED_EVENTS: dict[str, list[tuple[int, bytes]]] = {
    "no object": [(Kind.EVENT, b"[]"), (Kind.EVENT, b"\xff"), (Kind.EVENT, b"")],
    "a time without end": [event(event="x", monotonic_ns=10**400), event(event="y", monotonic_ns=-(10**400))],
    "no time": [event(event="x"), event(event="x", monotonic_ns="y"), event(event="x", monotonic_ns=None)],
    "no name": [event(event=None, monotonic_ns=1), event(event=[1], monotonic_ns=True)],
    "control characters": [event(event="\x1b[2J\n\ud800", monotonic_ns=1, detail="\x1b[2J")],
    "at_s already there": [event(event="x", monotonic_ns=1, at_s="y")],
    "short records": [
        (kind, bytes(size)) for kind in (Kind.KMSG, Kind.PROCESSES, Kind.FILE) for size in range(16)
    ],
    "a kind nobody knows": [(4711, b"x" * 100), (0, b"")],
    "process rows of rubbish": [
        (Kind.PROCESSES, pack_process_rows(BEGIN_NS, [[], {}], [[1, 2], [3]])),  # type: ignore[list-item]
        (Kind.PROCESSES, pack_process_rows(BEGIN_NS, ["pid", "rss_kib"], [[[], 5], [{}, 6], [None, 7]])),
        (Kind.PROCESSES, pack_process_rows(BEGIN_NS, ["read_ns", "rss_kib"], [["x", 1], [None, 2], [[], 3]])),
        (
            Kind.PROCESSES,
            pack_process_rows(BEGIN_NS, ["pid", "rss_kib", "comm", "cgroup"], [[1, 10**400, 5, []]]),
        ),
        (Kind.PROCESSES, pack_process_rows(BEGIN_NS, None, None)),  # type: ignore[arg-type]
    ],
    "rows that grow": [
        (Kind.PROCESSES, pack_process_rows(BEGIN_NS, ["pid", "rss_kib", "comm", "cgroup"], [[1, 1, 5, []]])),
        (Kind.PROCESSES, pack_process_rows(BEGIN_NS, ["pid", "rss_kib", "comm", "cgroup"], [[1, 9, {}, 7]])),
        (
            Kind.PROCESSES,
            pack_process_rows(BEGIN_NS, ["pid", "rss_kib", "swap_kib"], [[1, 10**400, 10**400]]),
        ),
    ],
    "file names": [
        (Kind.FILE, pack_file(1, name, b"x"))
        for name in ("../evil", "/etc/evil", "a\0b", "x" * 3000, "", ".", "..", "meminfo", "a", "a/b")
    ],
}


@pytest.mark.parametrize("name", FORGED_EVENTS)
def test_forged_events(tmp_path: Path, name: str) -> None:
    """A file somebody sent us would end in a traceback, or write where it must not."""
    path = tmp_path / "20200101T000000.000Z-kernel_kill.mwi"
    samples = segment_of(Stream.SAMPLES, [_CATALOGUE, (Kind.SAMPLE, key_sample(b"MemFree: 1 kB\n"))])
    payload = segment_of(Stream.EVENTS, FORGED_EVENTS[name])
    blocks = [(BlockType.SAMPLES, 1, samples), (BlockType.EVENTS, 1, payload), (BlockType.END, 0, b"")]
    path.write_bytes(forge(*blocks, meta=GOOD_META))
    look(path)
    check_cli(path)
    assert not (tmp_path / "evil").exists()
    assert not Path("/etc/evil").exists()


def test_text_blocks_of_rubbish(tmp_path: Path) -> None:
    """A text that ends before its name would take the whole incident with it."""
    path = tmp_path / "x.mwi"
    texts = [b"", b"\1", b"\xff\xff", b"\xff\xffabc", pack_text("good", b"good"), b"\2\0\xff\xfe"]
    blocks = [(BlockType.TEXT, number, text) for number, text in enumerate(texts)]
    path.write_bytes(forge(*blocks, meta=GOOD_META))
    incident = open_incident(path)
    assert incident.texts()["good"] == b"good"


# ---- lies about size: in a process of its own, with little memory and little time

_PATIENCE_S = 30

_LIMITED = """
import resource, sys
from memwatchd.cli import main
import memwatchd.ring.file, memwatchd.ring.reader, memwatchd.ring.stream, memwatchd.errors, pathlib
arguments = sys.argv[1:]
with open("/proc/self/status") as status:
    size = int(next(line for line in status if line.startswith("VmData:")).split()[1]) * 1024 + {more}
# Not RLIMIT_AS: a file may be mapped, however large it is, as long as it is not copied.
resource.setrlimit(resource.RLIMIT_DATA, (size, size))
if arguments[0] == "ring":
    try:
        ring = memwatchd.ring.file.open_ring(pathlib.Path(arguments[1]))
        for segment in memwatchd.ring.reader.read_segments(ring):
            for moment in memwatchd.ring.stream.moments([segment]):
                pass
    except memwatchd.errors.MemwatchdError as error:
        print("memwatchd:", error, file=sys.stderr)
        sys.exit(error.exit_status)
    sys.exit(0)
sys.exit(main(arguments))
"""


def run_limited(*arguments: object) -> None:
    """Run a command with 200 MiB more than it had before it opened anything."""
    command = [sys.executable, "-c", _LIMITED.format(more=MORE_MEMORY_BYTES), *map(str, arguments)]
    try:
        result = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{arguments[0]} took more than {_PATIENCE_S} s")
    said = result.stderr.decode()
    assert result.returncode in (0, 1, 5, 6), said[-2000:]
    assert said.count("\n") == (result.returncode != 0), said[-2000:]


def bomb(samples: int, size: int) -> bytes:
    """Samples that are each 255 times as large as they look, all of other sources."""
    text = bytes(size)
    blob = b"".join(pack_blob([text], ()))
    records = [(int(Kind.SAMPLE), sample([(number, Encoding.KEY, size)], blob)) for number in range(samples)]
    return segment_of(Stream.SAMPLES, [_CATALOGUE, *records])


def process_bomb(size: int) -> bytes:
    plain = b'{"columns":["pid"],"rows":[' + b"[]," * (size // 3) + b"[]]}"
    block = lz4.block.compress(plain, store_size=False)
    record = struct.pack("=qI", BEGIN_NS, len(plain)) + bytes(block)
    return segment_of(Stream.EVENTS, [(Kind.PROCESSES, record)])


def sparse_block(kind: BlockType, length: int) -> bytes:
    """Header of a block of that many zeros, with the right checksum; the zeros are to be added as a hole."""
    crc = 0
    zeros = bytes(1 << 20)
    for begin in range(0, length, 1 << 20):
        crc = zlib.crc32(zeros[: min(1 << 20, length - begin)], crc)
    fixed = struct.pack("=4sHHQQI", b"MWBK", kind, 0, 1, length, crc)
    return fixed + struct.pack("=I", zlib.crc32(fixed, zlib.crc32(b"0123456789abcdef")))


def forged_with_hole(path: Path, kind: BlockType, length: int) -> None:
    head = forge(meta=GOOD_META) + sparse_block(kind, length)
    path.write_bytes(head)
    os.truncate(path, len(head) + length)


def write_lie(path: Path, lie: str) -> None:
    """Make one of the files that claim to be larger than they are, or really are."""
    end = (BlockType.END, 0, b"")
    if lie == "a hole of 1 TiB":
        path.write_bytes(forge(end, meta=GOOD_META))
        os.truncate(path, 1 << 40)
    elif lie == "blocks of 2 EiB":
        fixed = struct.pack("=4sHHQQI", b"MWBK", BlockType.SAMPLES, 0, 1, 2**61, 0)
        block = fixed + struct.pack("=I", zlib.crc32(fixed, zlib.crc32(b"0123456789abcdef")))
        path.write_bytes(forge(meta=GOOD_META) + block * 50)
        os.truncate(path, 1 << 40)
    elif lie == "a hole in the meta data":
        forged_with_hole(path, BlockType.META, 255 << 20)
    elif lie == "a hole in a segment":
        forged_with_hole(path, BlockType.SAMPLES, 255 << 20)
    elif lie == "a hole in a text":
        forged_with_hole(path, BlockType.TEXT, 255 << 20)
    elif lie == "samples that blow up":
        path.write_bytes(forge((BlockType.SAMPLES, 1, bomb(8, 60 << 20)), end, meta=GOOD_META))
    elif lie == "a process table that blows up":
        path.write_bytes(forge((BlockType.EVENTS, 1, process_bomb(60 << 20)), end, meta=GOOD_META))
    elif lie == "a large meta block":
        path.write_bytes(forge(end, meta={**GOOD_META, "more": [[]] * (12 << 20)}))
    elif lie == "very many blocks":
        block = pack_block(b"0123456789abcdef", BlockType.TEXT, 1, b"")
        path.write_bytes(forge(meta=GOOD_META) + block * 100_000)
    else:
        write_islands(path)


def write_islands(path: Path) -> None:
    """A block every 32 MiB in 1 TiB of nothing, so that a search for the next one never gives up."""
    with path.open("wb") as file:
        file.write(forge(meta=GOOD_META))
        block = pack_block(b"0123456789abcdef", BlockType.TEXT, 1, b"")
        for place in range(1 << 25, 1 << 40, 1 << 25):
            file.seek(place)
            file.write(block)


@pytest.mark.parametrize(
    "lie",
    [
        "a hole of 1 TiB",
        "blocks of 2 EiB",
        "a hole in the meta data",
        "a hole in a segment",
        "a hole in a text",
        "samples that blow up",
        "a process table that blows up",
        "a large meta block",
        "very many blocks",
        "islands",
    ],
)
def test_lies_about_size(tmp_path: Path, lie: str) -> None:
    """One file could take all memory of the machine, or all time of whoever opens it."""
    path = tmp_path / "20200101T000000.000Z-kernel_kill.mwi"
    try:
        write_lie(path, lie)
    except OSError as error:
        pytest.skip(f"no such file can be made here: {error.strerror}")
    for command in (
        ["show", path],
        ["raw", "--source", "meminfo", path],
        ["procfs", path, tmp_path / "tree"],
    ):
        run_limited(*command)


# ---- rings


def look_at_ring(path: Path) -> RingMap | None:
    try:
        ring = open_ring(path)
    except MemwatchdError:
        return None
    segments = list(read_segments(ring))
    for read in (moments, events, messages, process_rows, stored_files):
        list(read(segments))
    assert len(segment_headers(ring)) <= ring.header.segment_count
    figures = ring.figures()
    figures.lag.quantile_ns(0.5)
    return ring


@quick
@given(data=st.data())
def test_rings_with_flipped_bits(
    dead_rings: tuple[bytes, bytes], tmp_path: Path, data: st.DataObject
) -> None:
    """A ring from a machine that is dying would end in a traceback, or its damage be believed."""
    damaged = bytearray(dead_rings[0])
    begin = data.draw(st.sampled_from([0, BOARD_OFFSET, SEGMENTS_OFFSET]))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(begin * 8, len(damaged) * 8 - 1))
        damaged[at // 8] ^= 1 << at % 8
    path = tmp_path / "ring"
    path.write_bytes(damaged)
    ring = look_at_ring(path)
    if ring is not None:
        for moment in moments(read_segments(ring)):
            assert list(moment.sample.texts.values()) == texts_at(moment.sample.tick - 1)


def test_rings_that_end_anywhere(dead_rings: tuple[bytes, bytes], tmp_path: Path) -> None:
    """A ring that was cut off would be read past its end, which no program survives."""
    path = tmp_path / "ring"
    for length in (*range(0, 200, 7), *range(200, len(dead_rings[0]), 3001), len(dead_rings[0]) - 1):
        path.write_bytes(dead_rings[0][:length])
        assert look_at_ring(path) is None
    path.write_bytes(dead_rings[0])
    assert look_at_ring(path) is not None


RING_LIES = {
    "tiny segments without number": RingHeader(97, 2**32 - 1, Stream.SAMPLES, BOOT_ID, 0),
    "many tiny segments": RingHeader(104, 20_000_000, Stream.SAMPLES, BOOT_ID, 0),
    "large segments": RingHeader(64 << 20, 16_000, Stream.SAMPLES, BOOT_ID, 0),
    "one segment of nothing": RingHeader(0, 1, Stream.SAMPLES, BOOT_ID, 0),
    "odd segments": RingHeader(101, 50, Stream.SAMPLES, BOOT_ID, 0),
}


@pytest.mark.parametrize("lie", RING_LIES)
def test_rings_that_lie_about_their_size(tmp_path: Path, lie: str) -> None:
    """Status would take all memory of the machine."""
    path, header = tmp_path / "ring", RING_LIES[lie]
    path.write_bytes(header.pack())
    try:
        os.truncate(path, min(header.file_bytes, (8 << 40) - 1))
    except OSError as error:
        pytest.skip(f"no such file can be made here: {error.strerror}")
    run_limited("ring", path)


def salvage(directory: Path, samples: bytes, events_ring: bytes) -> Path | None:
    """Save the rings of a dead service as the next one does; None when there is nothing in them."""
    directory.mkdir(exist_ok=True)
    places = Places(directory, directory)
    places.ring.write_bytes(samples)
    places.events.write_bytes(events_ring)
    remains = find_remains(places)
    if remains is None:
        return None
    clock = Clock()
    new = [
        create_ring(directory / f"new{n}", RingHeader(8192, 8, Stream.SAMPLES, BOOT_ID, 0)) for n in range(2)
    ]
    recorder = make_recorder(directory, new[0], new[1], clock)
    roots = Roots(procfs=directory, kmsg=directory / "kmsg")
    path = recorder.write_whole(describe_remains(remains, roots, BOOT_ID, 30 * 10**9))
    forget_remains(places)
    assert find_remains(places) is None
    return path


def test_the_rings_of_a_dead_daemon_are_saved(dead_rings: tuple[bytes, bytes], tmp_path: Path) -> None:
    """The tests below would test nothing."""
    path = salvage(tmp_path, *dead_rings)
    assert path is not None
    incident = look(path)
    assert incident is not None
    assert incident.complete
    assert len(list(incident.moments())) == SAMPLES


@quick
@given(data=st.data())
def test_the_rings_of_a_dead_daemon_with_flipped_bits(
    dead_rings: tuple[bytes, bytes], tmp_path: Path, data: st.DataObject
) -> None:
    """A machine that crashed once would never be watched again, for the daemon would not start any more."""
    damaged = [bytearray(ring) for ring in dead_rings]
    begin = data.draw(st.sampled_from([0, BOARD_OFFSET, SEGMENTS_OFFSET]))
    end = data.draw(st.sampled_from([BOARD_OFFSET, BOARD_OFFSET + 400, SEGMENTS_OFFSET, len(damaged[1])]))
    for ring in damaged:
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(min(begin, end - 1) * 8, end * 8 - 1))
            ring[at // 8] ^= 1 << at % 8
    path = salvage(tmp_path / str(next(_numbers)), bytes(damaged[0]), bytes(damaged[1]))
    assert path is None or look(path) is not None


def test_a_board_of_lies_costs_no_samples(dead_rings: tuple[bytes, bytes], tmp_path: Path) -> None:
    """The board has no checksum; one bad figure in it must not decide what is saved, or whether."""
    samples, events_ring = dead_rings
    at = BOARD_OFFSET + 8 * Slot.HEARTBEAT_NS
    (heartbeat,) = struct.unpack_from("=Q", samples, at)
    lies = [heartbeat ^ 1 << bit for bit in range(64)]
    for number, lie in enumerate((*lies, 0, 2**64 - 1)):
        damaged = samples[:at] + struct.pack("=Q", lie) + samples[at + 8 :]
        try:
            path = salvage(tmp_path / str(number), damaged, events_ring)
        except Exception as error:  # noqa: BLE001 - whatever it is, say what caused it
            pytest.fail(f"a heartbeat of {lie}: {type(error).__name__}: {error}")
        assert path is not None
        assert len(list(open_incident(path).moments())) == SAMPLES, f"a heartbeat of {lie}"


def test_a_board_of_noise(dead_rings: tuple[bytes, bytes], tmp_path: Path) -> None:
    """Whatever the board says, the samples beside it are good."""
    samples, events_ring = dead_rings
    for number, noise in enumerate(
        (b"\xff" * BOARD_BYTES, bytes(BOARD_BYTES), random.Random(3).randbytes(BOARD_BYTES))
    ):
        damaged = samples[:BOARD_OFFSET] + noise + samples[BOARD_OFFSET + BOARD_BYTES :]
        path = salvage(tmp_path / str(number), damaged, events_ring)
        assert path is not None
        incident = look(path)
        assert incident is not None
        assert len(list(incident.moments())) == SAMPLES


def test_blocks_have_the_length_they_should(whole: bytes) -> None:
    """The lies above are made by hand, after this layout."""
    assert len(pack_block(bytes(16), BlockType.END, 0, b"")) == BLOCK_HEADER_BYTES == 32
    assert whole.count(b"MWBK") > 10
