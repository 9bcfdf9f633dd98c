"""What one metric is, what it is read from, and how it becomes a family of prometheus-client."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isnan
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from memwatchd.exporter.watch import Watch
from memwatchd.ring.board import BoardFigures

PREFIX = "memwatchd_"


class Type(StrEnum):
    """As Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(slots=True)
class OwnFigures:
    """How the exporter itself does."""

    requests: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("2xx", "4xx", "5xx"), 0))
    clients: int = 0
    turned_away: int = 0
    segments_missed: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """Everything metrics are read from, as of one moment.

    Attributes:
        board: None while there is no ring.
        state: The state file; None while there is none.
        alive: The sampler has ticked a moment ago.
        now_ns: Monotonic time.
    """

    board: BoardFigures | None
    state: Mapping[str, Any] | None
    alive: bool
    watch: Watch
    own: OwnFigures
    cpu_s: float
    now_ns: int

    def say(self, *keys: str) -> Any:
        """What the state file has under these keys; None where it has nothing, or is of an older service."""
        found: Any = self.state
        for key in keys:
            if not isinstance(found, Mapping):
                return None
            found = found.get(key)
        return found


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram's value.

    Attributes:
        counts: (upper bound, how many were no larger), without the last one, which is `count`.
        sum: Of all values.
    """

    counts: Sequence[tuple[float, float]]
    count: float
    sum: float


# The values of the labels, and the value. A None or NaN is left out.
Sample = tuple[tuple[str, ...], float | Buckets | None]
Read = Callable[[View], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table.

    Attributes:
        name: Without the prefix; a counter's with ``_total``.
        help: One sentence.
        labels: Names of its labels.
        bound: What keeps the number of its time series small, where it has labels.
    """

    name: str
    type: Type
    help: str
    read: Read
    labels: tuple[str, ...] = ()
    bound: str = ""

    @property
    def full_name(self) -> str:
        """As it stands on the page."""
        return PREFIX + self.name

    def family(self, view: View) -> Family | None:
        """Make its family; None where there is nothing to tell."""
        family = _FAMILIES[self.type](self.full_name.removesuffix("_total"), self.help, labels=self.labels)
        for labels, value in self.read(view):
            if isinstance(value, Buckets):
                counts = [(_bound(bound), count) for bound, count in value.counts]
                family.add_metric(labels, [*counts, ("+Inf", value.count)], sum_value=value.sum)
            elif value is not None and not isnan(value):
                family.add_metric(labels, float(value))
        return family if family.samples else None


def _bound(bound: float) -> str:
    return repr(float(bound))


_FAMILIES: Mapping[Type, Any] = {
    Type.COUNTER: CounterMetricFamily,
    Type.GAUGE: GaugeMetricFamily,
    Type.HISTOGRAM: HistogramMetricFamily,
}
