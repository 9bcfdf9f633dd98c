"""OpenMetrics with time stamps, for ``promtool tsdb create-blocks-from openmetrics``.

    # HELP memwatchd_signal_meminfo_memfree_bytes meminfo.MemFree: pages nobody uses, from /proc/meminfo.
    # TYPE memwatchd_signal_meminfo_memfree_bytes gauge
    memwatchd_signal_meminfo_memfree_bytes{instance="db1",job="memwatchd"} 1.048576e+08 1795292639.118

The names are those of /metrics. What a signal is of (a zone, a cache, a process) becomes labels.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isnan
from typing import BinaryIO

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from memwatchd.errors import NotFoundError
from memwatchd.export.options import MAIN, Options
from memwatchd.incidents.recorded import Recorded
from memwatchd.signals.names import split_name
from memwatchd.signals.signal import Signal
from memwatchd.signals.table import Column, Table

_EVERY_NS = 1_000_000_000
_END = b"# EOF\n"
_ODD = re.compile(r"[^a-zA-Z0-9_]+")
# What stands between the family and the field, by family, when there are so many parts.
_LABELS: dict[str, tuple[tuple[str, ...], ...]] = {
    "zone": (("zone",), ("node", "zone")),
    "buddy": (("zone",), ("node", "zone")),
    "node": (("node",),),
    "slab": (("cache",),),
    "process": (("process",), ("process", "target")),
    "zram": (("device",),),
    "cgroup": (("cgroup",),),
}
# Parts that are no names but choices.
_CHOICES = ("worst", "any", "top")


@dataclass(frozen=True, slots=True)
class _Name:
    """A signal's name as Prometheus has it."""

    metric: str
    labels: tuple[tuple[str, str], ...]


def write(recorded: Recorded, out: BinaryIO, options: Options) -> None:
    """Write all samples, one metric after the other.

    Raises:
        NotFoundError: See `Options.table`; or the time of day is not known.
    """
    if recorded.zero_realtime_ns is None:
        raise NotFoundError(f"{recorded.name}: nothing says at what time of day it was")
    table = options.table(recorded, patterns=MAIN, every_ns=_EVERY_NS)
    metrics: dict[str, dict[_Name, Column]] = {}
    for column in table.columns.values():
        name = metric_name(column.signal)
        metrics.setdefault(name.metric, {}).setdefault(name, column)
    out.writelines(_exposed(_family(recorded, table, metric, columns)) for metric, columns in metrics.items())
    out.write(_END)


def metric_name(signal: Signal) -> _Name:
    """Say how a signal is called in Prometheus."""
    family, *rest = split_name(signal.name)
    labels, fields = _split(family, rest)
    words = "_".join(filter(None, (_ODD.sub("_", part).strip("_") for part in (family, *fields))))
    unit = "" if words.endswith(signal.unit) else f"_{signal.unit}"
    return _Name(f"memwatchd_signal_{words.lower()}{unit}", labels)


def _split(family: str, parts: list[str]) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Tell what a signal is of from what is said of it."""
    if not parts or parts[0] in _CHOICES:
        return (), parts
    # Of a cgroup there may be fields of fields; of everything else the field is the last part.
    of = parts[:1] if family == "cgroup" else parts[:-1]
    names = next((names for names in _LABELS.get(family, ()) if len(names) == len(of)), None)
    if names is None:
        return (), parts
    return tuple(zip(names, map(_text, of), strict=True)), parts[len(of) :]


def _text(name: str) -> str:
    """A stranger's name as UTF-8 can hold it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _family(recorded: Recorded, table: Table, metric: str, columns: dict[_Name, Column]) -> Metric:
    signal = next(iter(columns.values())).signal
    labels = sorted({label for name in columns for label, _ in name.labels})
    make = CounterMetricFamily if signal.counter else GaugeMetricFamily
    # The name of one of several would be wrong for the others.
    what = f"{_text(signal.name)}: " if len(columns) == 1 else ""
    found = make(metric, f"{what}{_text(signal.meaning)}, from {signal.source}.", labels=[*labels, *_COMMON])
    common = [_text(str(recorded.host.get("hostname") or "")), "memwatchd"]
    for name, column in columns.items():
        own = dict(name.labels)
        values = [own.get(label, "") for label in labels]
        for at_s, value in _points(recorded, table, column):
            found.add_metric([*values, *common], value, timestamp=at_s)
    return found


_COMMON = ("instance", "job")


def _points(recorded: Recorded, table: Table, column: Column) -> Iterator[tuple[float, float]]:
    for at_ns, value in zip(table.times_ns, column.filled(len(table.times_ns)), strict=True):
        realtime_ns = recorded.realtime_ns(at_ns)
        # Prometheus keeps milliseconds.
        if realtime_ns is not None and not isnan(value):
            yield realtime_ns // 1_000_000 / 1000, value


class _One:
    """A registry of one metric, as the library wants it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        yield self._metric


def _exposed(metric: Metric) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_One(metric))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    return text.removesuffix(_END)
