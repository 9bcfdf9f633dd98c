"""A Perfetto trace, read back with the protocol's own definitions, and by trace_processor if it is there."""

import io
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    BuiltinClock,
    Trace,
    TrackDescriptor,
    TrackEvent,
)
from tests.conftest import Tape, WriteIncident, meminfo

from memwatchd.errors import MemwatchdError
from memwatchd.export.as_perfetto import write
from memwatchd.export.options import Options
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.recorded import Recorded, from_incident

SHELL = shutil.which("trace_processor_shell") or shutil.which("trace_processor")
ZERO_BOOT_NS = 67_000_000_000


def exported(recorded: Recorded, *patterns: str) -> bytes:
    out = io.BytesIO()
    write(recorded, out, Options(patterns))
    return out.getvalue()


def path_of(tracks: dict[int, TrackDescriptor], uuid: int) -> tuple[str, ...]:
    """Names from the root to a track."""
    track = tracks[uuid]
    above = path_of(tracks, track.parent_uuid) if track.parent_uuid else ()
    return (*above, track.name)


def test_counters_and_instants(recorded: Recorded) -> None:
    """The timeline would be empty, or show a figure under another's name or at another time."""
    trace = Trace.FromString(exported(recorded, "meminfo.MemFree", "slab.dentry.bytes"))
    described = (packet.track_descriptor for packet in trace.packet)
    tracks = {track.uuid: track for track in described if track.uuid}
    counters: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    instants: list[tuple[float, str, str]] = []
    for packet in trace.packet:
        event, at_s = packet.track_event, (packet.timestamp - ZERO_BOOT_NS) / 1e9
        if event.type == TrackEvent.TYPE_COUNTER:
            counters[path_of(tracks, event.track_uuid)].append((at_s, event.double_counter_value))
        elif event.type == TrackEvent.TYPE_INSTANT:
            instants.append((at_s, path_of(tracks, event.track_uuid)[-1], event.name))
    assert counters == {
        ("memory of db1", "meminfo", "MemFree"): [(-1, 1024000), (-0.5, 716800), (0, 409600), (0.5, 102400)],
        ("memory of db1", "slab", "dentry.bytes"): [(-1, 40960), (0, 122880)],
    }
    assert instants == [
        (-1.2, "events", "rule leak fired: meminfo.MemFree 4 KiB"),
        (0, "events", "trigger: kernel_kill"),
        (0, "kills", "eat\\x1ber (4711) killed"),
        (0, "kernel log", "Out of memory: Killed process 4711 (eat\\x1ber) total-vm:9kB, anon-rss:900kB"),
        (0.1, "kernel log", "a program says it killed pid 1"),
    ]


def test_the_facts_of_an_event(tape: Tape, write_incident: WriteIncident) -> None:
    """An action that was late would end the export, and what is known of it could not be asked for."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    tape.happened(1, "action", late=True, began_ns=7, share=0.5, huge=1 << 70, figures={"a": 1}, detail=None)
    trace = Trace.FromString(exported(from_incident(open_incident(write_incident()))))
    (event,) = [each.track_event for each in trace.packet if each.track_event.name.startswith("rule None")]
    facts = {each.name: getattr(each, str(each.WhichOneof("value"))) for each in event.debug_annotations}
    assert facts.pop("monotonic_ns") > 0
    assert facts == {
        "event": "action",
        "late": True,
        "began_ns": 7,
        "share": "0.5",
        "huge": "1180591620717411303424",
    }


def test_the_clocks(recorded: Recorded) -> None:
    """The UI could not say at what time of day it was."""
    trace = Trace.FromString(exported(recorded, "meminfo.MemFree"))
    snapshot = trace.packet[0].clock_snapshot
    assert {each.clock_id: each.timestamp for each in snapshot.clocks} == {
        BuiltinClock.BUILTIN_CLOCK_BOOTTIME: ZERO_BOOT_NS - 10**9,
        BuiltinClock.BUILTIN_CLOCK_MONOTONIC: 59_000_000_000,
        BuiltinClock.BUILTIN_CLOCK_REALTIME: 1_700_000_000_123_000_000 - 10**9,
    }


def test_without_the_library(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would get a traceback instead of the name of what to install."""
    monkeypatch.setitem(sys.modules, "perfetto", None)
    with pytest.raises(MemwatchdError) as caught:
        exported(recorded)
    said = "--format perfetto needs perfetto, which is not installed: pip install 'memwatchd[perfetto]'"
    assert str(caught.value) == said


@pytest.mark.skipif(SHELL is None, reason="there is no trace_processor here")
def test_the_trace_processor_reads_it(recorded: Recorded, tmp_path: Path) -> None:
    """What the definitions allow, the program behind the UI might drop."""
    from perfetto.trace_processor import TraceProcessor, TraceProcessorConfig

    path = tmp_path / "x.pftrace"
    path.write_bytes(exported(recorded, "meminfo.MemFree"))
    with TraceProcessor(trace=str(path), config=TraceProcessorConfig(bin_path=SHELL)) as processor:
        values = [row.value for row in processor.query("select value from counter order by ts")]
    assert values == [1024000, 716800, 409600, 102400]
