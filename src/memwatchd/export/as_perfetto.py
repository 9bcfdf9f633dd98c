"""A trace for ui.perfetto.dev: signals as counters, by family; events, kills and messages as instants.

Its clock is the boot clock, which the UI shows as seconds from the first sample; a snapshot of the clocks
tells it the time of day. A counter has a value for each change.
"""

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any, BinaryIO

from memwatchd.export.extras import need
from memwatchd.export.options import Options
from memwatchd.export.rows import by_row
from memwatchd.export.telling import event_text, kernel_messages
from memwatchd.incidents.recorded import Recorded
from memwatchd.signals.signal import Signal, Unit
from memwatchd.signals.table import Table
from memwatchd.units import printable

if TYPE_CHECKING:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket

_SEQUENCE = 1
_ROOT = 1
_EVENTS, _KILLS, _MESSAGES = 2, 3, 4
_FIRST_FREE = 16
_LARGEST_INT = 1 << 63
_UNIT_NAMES = {Unit.PAGES: "pages", Unit.SECONDS: "s", Unit.RATIO: "of 1"}


def write(recorded: Recorded, out: BinaryIO, options: Options) -> None:
    """Write the trace packet by packet.

    Raises:
        MemwatchdError: The perfetto library is missing.
        NotFoundError: See `Options.table`.
    """
    need("perfetto", "perfetto", "--format perfetto")
    _Trace(recorded, out).write(options)


class _Trace:
    """Writes packets of one recording."""

    def __init__(self, recorded: Recorded, out: BinaryIO) -> None:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos
        from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

        self._protos = protos
        self._recorded = recorded
        self._builder = StreamingTraceProtoBuilder(out)
        boottime_ns = recorded.zero_boottime_ns
        self._apart_ns = 0 if boottime_ns is None else boottime_ns - recorded.zero_ns

    def write(self, options: Options) -> None:
        table = options.table(self._recorded)
        self._clocks(table.times_ns[0])
        host = printable(str(self._recorded.host.get("hostname") or "memwatchd"))
        self._track(_ROOT, f"memory of {host}", None)
        for number, name in ((_KILLS, "kills"), (_EVENTS, "events"), (_MESSAGES, "kernel log")):
            self._track(number, name, _ROOT)
        self._counters(table)
        for track, at_ns, name, facts in sorted(self._instants(), key=lambda each: each[1]):
            self._instant(track, at_ns, name, facts)

    def _clocks(self, at_ns: int) -> None:
        """Say what time it was on each clock; the first packet also begins the sequence."""
        builtin = self._protos.BuiltinClock
        packet = self._packet()
        packet.sequence_flags = self._protos.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        packet.timestamp = max(0, at_ns + self._apart_ns)
        snapshot = packet.clock_snapshot
        snapshot.primary_trace_clock = builtin.BUILTIN_CLOCK_BOOTTIME
        clocks = {
            builtin.BUILTIN_CLOCK_BOOTTIME: at_ns + self._apart_ns,
            builtin.BUILTIN_CLOCK_MONOTONIC: at_ns,
            builtin.BUILTIN_CLOCK_REALTIME: self._recorded.realtime_ns(at_ns),
        }
        for clock, now_ns in clocks.items():
            if now_ns is not None and now_ns >= 0:
                snapshot.clocks.add(clock_id=clock, timestamp=now_ns)
        self._builder.write_packet(packet)

    def _counters(self, table: Table) -> None:
        tracks, families = [], dict[str, int]()
        for number, column in enumerate(table.columns.values()):
            family, _, rest = column.signal.name.partition(".")
            if family not in families:
                families[family] = _FIRST_FREE + len(table.columns) + len(families)
                self._track(families[family], family, _ROOT)
            tracks.append(_FIRST_FREE + number)
            self._track(tracks[-1], printable(rest or family), families[family], column.signal)
        counter = self._protos.TrackEvent.TYPE_COUNTER
        for at_ns, changes in by_row(table):
            for number, value in changes:
                if isfinite(value):
                    packet = self._packet(at_ns)
                    packet.track_event.type = counter
                    packet.track_event.track_uuid = tracks[number]
                    packet.track_event.double_counter_value = value
                    self._builder.write_packet(packet)

    def _track(self, number: int, name: str, parent: int | None, signal: Signal | None = None) -> None:
        packet = self._packet()
        track = packet.track_descriptor
        track.uuid, track.name = number, name
        if parent is not None:
            track.parent_uuid = parent
        if signal is not None:
            track.description = printable(f"{signal.meaning}, from {signal.source}")
            units = self._protos.CounterDescriptor
            if signal.unit is Unit.BYTES:
                track.counter.unit = units.UNIT_SIZE_BYTES
            elif signal.unit is Unit.COUNT:
                track.counter.unit = units.UNIT_COUNT
            else:
                track.counter.unit_name = _UNIT_NAMES[signal.unit]
        self._builder.write_packet(packet)

    def _instants(self) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
        """Yield track, moment, name and facts of everything that happened at one moment."""
        recorded = self._recorded
        yield _EVENTS, recorded.zero_ns, f"trigger: {recorded.kind}", {"detail": recorded.detail}
        for kill in recorded.kills:
            name = f"{kill['comm']} ({kill['pid']}) killed"
            yield _KILLS, kill["monotonic_ns"], name, kill
        for event in recorded.events():
            text = event_text(event)
            if text:
                yield _EVENTS, event["monotonic_ns"], text, event
        for at_ns, record, raw in kernel_messages(recorded):
            yield _MESSAGES, at_ns, raw.decode("utf-8", "surrogateescape"), {"level": record.level}

    def _instant(self, track: int, at_ns: int, name: str, facts: dict[str, Any]) -> None:
        packet = self._packet(at_ns)
        event = packet.track_event
        event.type = self._protos.TrackEvent.TYPE_INSTANT
        event.track_uuid, event.name = track, printable(name)
        for key, value in facts.items():
            if isinstance(value, bool):
                event.debug_annotations.add(name=printable(key), bool_value=value)
            elif isinstance(value, int) and abs(value) < _LARGEST_INT:
                event.debug_annotations.add(name=printable(key), int_value=value)
            elif isinstance(value, str | int | float):
                event.debug_annotations.add(name=printable(key), string_value=printable(str(value)))
        self._builder.write_packet(packet)

    def _packet(self, at_ns: int | None = None) -> "TracePacket":
        packet = self._builder.create_packet()
        packet.trusted_packet_sequence_id = _SEQUENCE
        if at_ns is not None:
            packet.timestamp = max(0, at_ns + self._apart_ns)
        return packet
