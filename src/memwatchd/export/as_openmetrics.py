"""OpenMetrics with time stamps, for ``promtool tsdb create-blocks-from openmetrics``.

    # HELP memwatchd_signal_meminfo_memfree_bytes meminfo.MemFree: pages nobody uses, from /proc/meminfo.
    # TYPE memwatchd_signal_meminfo_memfree_bytes gauge
    memwatchd_signal_meminfo_memfree_bytes{instance="db1",job="memwatchd"} 1.048576e+08 1795292639.118

The names are those of /metrics. What a signal is of (a zone, a cache, a process) becomes labels.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import BinaryIO

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry
from prometheus_client.utils import floatToGoString

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
    stamps = _stamps(recorded, table)
    for metric, columns in metrics.items():
        out.writelines(_exposed(_family(recorded, metric, columns), columns.values(), stamps))
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


def _family(recorded: Recorded, metric: str, columns: dict[_Name, Column]) -> Metric:
    """A metric with one sample of each of its series, which stands for all."""
    signal = next(iter(columns.values())).signal
    labels = sorted({label for name in columns for label, _ in name.labels})
    make = CounterMetricFamily if signal.counter else GaugeMetricFamily
    # The name of one of several would be wrong for the others.
    what = f"{_text(signal.name)}: " if len(columns) == 1 else ""
    found = make(metric, f"{what}{_text(signal.meaning)}, from {signal.source}.", labels=[*labels, *_COMMON])
    common = [_text(str(recorded.host.get("hostname") or "")), "memwatchd"]
    for name in columns:
        own = dict(name.labels)
        found.add_metric([*(own.get(label, "") for label in labels), *common], 0)
    return found


_COMMON = ("instance", "job")


def _exposed(metric: Metric, columns: Iterable[Column], stamps: Sequence[str]) -> Iterator[bytes]:
    """Write a metric: the library writes head, names and labels, each once, for they take longest."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_One(metric))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    # Nothing but a newline ends a line: names may have what Python takes for one, too.
    lines = text.removesuffix(_END).decode().removesuffix("\n").split("\n")
    yield "".join(f"{line}\n" for line in lines if line.startswith("#")).encode()
    series = (line for line in lines if not line.startswith("#"))
    for line, column in zip(series, columns, strict=True):
        name = line.rpartition(" ")[0]
        for value, start, end in column.runs(len(stamps)):
            if not isnan(value):
                number: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # as above
                head = f"{name} {number}"
                yield "".join([head + stamp for stamp in stamps[start:end]]).encode()


def _stamps(recorded: Recorded, table: Table) -> list[str]:
    """What stands behind each value; Prometheus keeps milliseconds."""
    times_ns = (recorded.realtime_ns(at_ns) or 0 for at_ns in table.times_ns)
    return [f" {at_ns // 1_000_000 / 1000}\n" for at_ns in times_ns]


class _One:
    """A registry of one metric, as the library wants it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        yield self._metric
