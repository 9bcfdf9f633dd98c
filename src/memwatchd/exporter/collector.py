"""Metrics from the ring's board, the service's state file and the newest sample.

Nothing here touches the recorder: the ring is mapped read-only, the state file is a file. What node_exporter
exports of /proc is not exported again, but for a few figures that matter at the moment of a kill.
"""

import os
import time
from collections.abc import Iterator
from math import isnan
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from memwatchd.errors import MemwatchdError
from memwatchd.places import Places
from memwatchd.ring.board import BoardFigures, Histogram, Slot, bucket_bound_ns
from memwatchd.ring.file import RingMap
from memwatchd.ring.stream import Moment, newest
from memwatchd.signals.catalogue import MAIN_SIGNALS
from memwatchd.signals.replay import Replay
from memwatchd.state import read_state

_STALE_NS = 2_000_000_000
# Every fourth bucket of the board: one per doubling, from 4 µs to 2 s.
_BUCKETS = range(19, 99, 4)


class MemwatchdCollector:
    """Makes fresh metrics on every scrape."""

    def __init__(self, places: Places, ring: RingMap) -> None:
        self._places = places
        self._ring = ring

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; without a running daemon, memwatchd_up alone says so."""
        board = self._ring.figures()
        alive = time.monotonic_ns() - board[Slot.HEARTBEAT_NS] < _STALE_NS
        yield GaugeMetricFamily("memwatchd_up", "1 while the sampler samples.", float(alive))
        yield from _sampling(board)
        yield from _signals(newest(self._ring))
        try:
            state = read_state(self._places.state)
        except MemwatchdError:
            return
        yield from _service(state)


def _sampling(board: BoardFigures) -> Iterator[Metric]:
    yield CounterMetricFamily("memwatchd_ticks", "Ticks in which sources were read.", board[Slot.TICKS])
    yield CounterMetricFamily("memwatchd_ticks_missed", "Ticks that did not happen.", board[Slot.MISSED])
    yield CounterMetricFamily(
        "memwatchd_ticks_armed", "Ticks at full rate, because memory was in danger.", board[Slot.ARMED_TICKS]
    )
    yield CounterMetricFamily(
        "memwatchd_source_errors", "Readings the kernel refused.", board[Slot.SOURCE_ERRORS]
    )
    yield CounterMetricFamily(
        "memwatchd_sampler_cpu_seconds", "CPU time of the sampler.", board[Slot.CPU_NS] / 1e9
    )
    yield CounterMetricFamily(
        "memwatchd_sampler_restarts", "Samplers started after the first.", board[Slot.RESTARTS]
    )
    yield GaugeMetricFamily("memwatchd_armed", "1 while memory is in danger.", float(board[Slot.ARMED]))
    yield _histogram("memwatchd_tick_lag_seconds", "How far behind its deadline a tick began.", board.lag)
    yield _histogram(
        "memwatchd_tick_read_seconds", "How long reading the sources of a tick took.", board.read
    )
    yield CounterMetricFamily(
        "memwatchd_kills_counted", "Rises of the kernel's oom_kill counters.", board[Slot.KILLS_SEEN]
    )


def _histogram(name: str, documentation: str, histogram: Histogram) -> Metric:
    counts = histogram.counts
    buckets = [(str(bucket_bound_ns(index) / 1e9), float(sum(counts[: index + 1]))) for index in _BUCKETS]
    total_ns = sum(bucket_bound_ns(index) * count for index, count in enumerate(counts) if count)
    metric = HistogramMetricFamily(name, documentation)
    # The sum is an upper bound, right within 19 %, as the buckets are.
    metric.add_metric([], [*buckets, ("+Inf", float(sum(counts)))], sum_value=total_ns / 1e9)
    return metric


def _signals(moment: Moment | None) -> Iterator[Metric]:
    replay = Replay(os.sysconf("SC_PAGE_SIZE"))
    if moment is not None:
        replay.take(moment)
    for signal in MAIN_SIGNALS:
        value = signal.bind(replay.recording)()
        if isnan(value):
            continue
        unit = "" if signal.name.endswith(signal.unit) else f"_{signal.unit}"
        name = f"memwatchd_signal_{signal.name.replace('.', '_').lower()}{unit}"
        family = CounterMetricFamily if signal.counter else GaugeMetricFamily
        yield family(name, f"{signal.name}: {signal.meaning}, from {signal.source}.", value)


def _service(state: dict[str, Any]) -> Iterator[Metric]:
    kills = CounterMetricFamily(
        "memwatchd_kills", "Kills the kernel told of, by whose limit.", labels=["scope"]
    )
    for scope, count in state["kills"].items():
        kills.add_metric([scope], count)
    yield kills
    incidents = state["incidents"]["written"]
    yield CounterMetricFamily("memwatchd_incidents", "Incidents written.", incidents)
    yield CounterMetricFamily("memwatchd_kmsg_lost", "Kernel messages lost unread.", state["kmsg"]["lost"])
    degraded = state["degraded"]
    yield GaugeMetricFamily("memwatchd_degraded", "Functions that do not work here.", len(degraded))
    rates = GaugeMetricFamily(
        "memwatchd_source_rate_hertz", "Present rate of each source.", labels=["source"]
    )
    for name, source in state["sampling"]["sources"].items():
        rates.add_metric([name], source["rate_hz"])
    yield rates
    yield from _black_box(state["black_box"])
    yield from _rules(state["rules"])
    build = GaugeMetricFamily("memwatchd_build_info", "Constant 1.", labels=["version", "python"])
    build.add_metric([state["program"]["version"], state["program"]["python"]], 1)
    yield build


def _black_box(box: dict[str, Any]) -> Iterator[Metric]:
    streaming, ready = float(box["streaming"]), float(box["ready"])
    yield GaugeMetricFamily("memwatchd_black_box_ready", "1 while its file is there.", ready)
    yield GaugeMetricFamily(
        "memwatchd_black_box_streaming", "1 while samples go to disk, because memory is in danger.", streaming
    )
    if box["written_bytes"] is not None:
        yield CounterMetricFamily(
            "memwatchd_black_box_written_bytes",
            "Written to its file since that was made.",
            box["written_bytes"],
        )
    if box["longest_write_ms"] is not None:
        yield GaugeMetricFamily(
            "memwatchd_black_box_longest_write_seconds",
            "The longest a write has taken since the file was opened.",
            box["longest_write_ms"] / 1000,
        )
    yield CounterMetricFamily("memwatchd_black_box_errors", "Writes the disk refused.", box["errors"])
    yield CounterMetricFamily(
        "memwatchd_black_box_left_out_segments",
        "Segments that were overwritten before the disk had taken them.",
        box["left_out_segments"],
    )


def _rules(rules: list[dict[str, Any]]) -> Iterator[Metric]:
    fired = CounterMetricFamily("memwatchd_rule_fired", "How often a rule has fired.", labels=["rule"])
    held = CounterMetricFamily("memwatchd_rule_held", "How often it was held back.", labels=["rule"])
    active = GaugeMetricFamily("memwatchd_rule_active", "1 until a rule has cleared.", labels=["rule"])
    actions = CounterMetricFamily(
        "memwatchd_actions", "Actions by what came of them.", labels=["rule", "action", "verdict"]
    )
    for rule in rules:
        fired.add_metric([rule["name"]], rule["fired"])
        held.add_metric([rule["name"]], rule["held"])
        active.add_metric([rule["name"]], float(rule["active"]))
        for outcome in rule["outcomes"]:
            actions.add_metric([rule["name"], outcome["action"], outcome["verdict"]], outcome["count"])
    yield from (fired, held, active, actions)
