"""How the table's metrics find their values: on the board, in the state file, in the last minutes."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from memwatchd.exporter.extremes import WINDOWS
from memwatchd.exporter.metric import Buckets, Read, Sample, View
from memwatchd.exporter.watch import FRAGMENTATION_ORDERS
from memwatchd.ring.board import Histogram, Slot, bucket_bound_ns

# Every fourth bucket of the board: one per doubling, from 4 µs to 2 s.
_BUCKETS = range(19, 99, 4)
_MOST_REASONS = 20
_LONGEST_REASON = 160
_FRESH_NS = 10_000_000_000
_DIGITS = re.compile(r"\d+")


def one(read: Callable[[View], float | None]) -> Read:
    """A metric without labels."""
    return lambda view: [((), read(view))]


# ---- the board


def slot(which: Slot, factor: float = 1.0) -> Read:
    """A word of the board."""
    return one(lambda view: None if view.board is None else view.board[which] * factor)


def histogram(which: Callable[[Any], Histogram]) -> Read:
    """A histogram of the board."""

    def read(view: View) -> Iterable[Sample]:
        if view.board is None:
            return
        counts = which(view.board).counts
        buckets = [(bucket_bound_ns(index) / 1e9, float(sum(counts[: index + 1]))) for index in _BUCKETS]
        # The sum is an upper bound, right within 19 %, as the buckets are.
        total_ns = sum(bucket_bound_ns(index) * count for index, count in enumerate(counts) if count)
        yield (), Buckets(buckets, float(sum(counts)), total_ns / 1e9)

    return read


# ---- the last minutes


def lowest(track: str) -> Read:
    """The lowest value of a track in each window."""
    return lambda view: _extremes(view, view.watch.tracks[track], 0)


def highest(track: str) -> Read:
    """The highest value of a track in each window."""
    return lambda view: _extremes(view, view.watch.tracks[track], 1)


def _extremes(view: View, track: Any, which: int, before: tuple[str, ...] = ()) -> Iterator[Sample]:
    for window in WINDOWS:
        found = track.extremes(view.now_ns, window)
        if found is not None:
            yield (*before, window), found[which]


def stalls(view: View) -> Iterator[Sample]:
    """The highest share of a second in which tasks waited, by kind and window."""
    for kind in ("some", "full"):
        yield from _extremes(view, view.watch.tracks[kind], 1, (kind,))


def zones_now(view: View) -> Iterator[Sample]:
    """What each zone has above its min watermark."""
    for where, track in view.watch.zones.items():
        yield where, track.last if view.alive else None


def zones_lowest(view: View) -> Iterator[Sample]:
    """The least each zone had above its min watermark, by window."""
    for where, track in view.watch.zones.items():
        yield from _extremes(view, track, 0, where)


def time_left(view: View) -> float | None:
    """Seconds until nothing is available at the present trend."""
    return view.watch.tracks["time_left"].last if view.alive else None


def signal(name: str) -> Read:
    """A signal's present value."""
    return one(lambda view: view.watch.read(name) if view.alive else None)


def fragmentation(view: View) -> Iterator[Sample]:
    """The share of free memory that is in smaller blocks."""
    for order in FRAGMENTATION_ORDERS:
        yield (str(order),), view.watch.read(f"buddy.any.unusable_order{order}") if view.alive else None


def growing(which: int) -> Read:
    """The slab caches that grew most: their size (1) or their growth (2)."""

    def read(view: View) -> Iterator[Sample]:
        for each in view.watch.growing_caches() if view.alive else ():
            yield (each[0],), float(each[which])

    return read


# ---- the state file


def said(*keys: str, factor: float = 1.0) -> Read:
    """A number of the state file."""
    return one(lambda view: _number(view.say(*keys), factor))


def said_of_each(*keys: str) -> Read:
    """A mapping of the state file from the label's value to a number."""

    def read(view: View) -> Iterator[Sample]:
        found = view.say(*keys)
        for name, value in found.items() if isinstance(found, Mapping) else ():
            yield (str(name),), _number(value)

    return read


def of_sources(key: str, factor: float = 1.0) -> Read:
    """A number of each source."""

    def read(view: View) -> Iterator[Sample]:
        sources = view.say("sampling", "sources")
        for name, figures in sources.items() if isinstance(sources, Mapping) else ():
            yield (name,), _number(figures.get(key), factor)

    return read


def of_rules(key: str) -> Read:
    """A number of each rule."""

    def read(view: View) -> Iterator[Sample]:
        for rule in view.say("rules") or ():
            yield (rule["name"],), _number(rule.get(key))

    return read


def actions(view: View) -> Iterator[Sample]:
    """Actions by what came of them."""
    for name, deeds in (view.say("actions") or {}).items():
        for verdict, count in deeds["verdicts"].items():
            yield (name, verdict), _number(count)


def action_times(view: View) -> Iterator[Sample]:
    """How long actions took."""
    for name, deeds in (view.say("actions") or {}).items():
        counts: Sequence[tuple[float, float]] = [(bound, count) for bound, count in deeds["took"]["buckets"]]
        yield (name,), Buckets(counts, deeds["took"]["count"], deeds["took"]["sum_s"])


def degraded(view: View) -> float | None:
    """How much does not work."""
    found = view.say("degraded")
    return len(found) if isinstance(found, list) else None


def reasons(view: View) -> Iterator[Sample]:
    """Why; without the figures in the sentences: a count would make a time series of each number."""
    found = view.say("degraded") or ()
    sentences = dict.fromkeys(_DIGITS.sub("N", str(each))[:_LONGEST_REASON] for each in found)
    yield from (((sentence,), 1.0) for sentence in list(sentences)[:_MOST_REASONS])


def build(view: View) -> Iterator[Sample]:
    """What runs."""
    program = view.say("program")
    if isinstance(program, Mapping):
        yield (str(program.get("version")), str(program.get("python"))), 1.0


def service_up(view: View) -> float:
    """Whether the service has renewed its state a moment ago."""
    renewed_ns = view.say("renewed_monotonic_ns")
    return float(isinstance(renewed_ns, int) and 0 <= view.now_ns - renewed_ns < _FRESH_NS)


def requests(view: View) -> Iterator[Sample]:
    """Requests the exporter has answered."""
    return (((code,), float(count)) for code, count in view.own.requests.items())


def _number(value: Any, factor: float = 1.0) -> float | None:
    return float(value) * factor if isinstance(value, int | float) else None
