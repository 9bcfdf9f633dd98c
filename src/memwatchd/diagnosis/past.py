"""A history made of numbers by time, wherever these come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from memwatchd.diagnosis.history import Grower, History, Reclaim, RuleAction, ZonePast
from memwatchd.diagnosis.series import Series, find_climb, low_since, rise_of

# What is said of the last seconds is said of so many.
_LAST_S = 10.0
# Whoever takes the last of the memory does it in so many.
_END_S = 3.0
# What grew by less is noise: in bytes, as a share of what it is, and beside what grew most.
_LEAST_BYTES = 1 << 20
_LEAST_SHARE = 0.02
_LEAST_BESIDE = 0.01
# A climb that began so soon after the recording did may have begun before.
_START_SHARE = 0.05
# Of caches, processes and cgroups so many are kept.
_EACH = 5


@dataclass(frozen=True, slots=True)
class Size:
    """How large something was, by time, in bytes."""

    kind: str
    series: Series
    name: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class ZoneLevels:
    """A zone's free memory and its marks in bytes, all read at the same times."""

    node: int | None
    name: str
    free: Series
    low: Series
    min: Series


@dataclass(frozen=True, slots=True)
class Past:
    """The numbers that a history is made of; all of them end at the event.

    Attributes:
        times_s: Of all samples, ascending.
        missed: Samples that should have been taken and were not.
        sizes: What may have grown.
        amounts: ``available``, ``swap_total`` and ``swap_free`` in bytes.
        counters: By `History`'s names, ``stalled_*`` in seconds; for `Reclaim` ``direct_scanned`` and
            ``direct_reclaimed``, ``kswapd_scanned`` and ``kswapd_reclaimed``.
    """

    times_s: Sequence[float]
    missed: int = 0
    sizes: Sequence[Size] = ()
    zones: Sequence[ZoneLevels] = ()
    amounts: Mapping[str, Series] = field(default_factory=dict)
    counters: Mapping[str, Series] = field(default_factory=dict)
    actions: Sequence[RuleAction] = ()
    after: Sequence[RuleAction] = ()


def derive_history(past: Past) -> History | None:
    """Make a history of what was recorded; None when nothing was."""
    if not past.times_s:
        return None
    from_s = past.times_s[0]
    last_s = min(_LAST_S, -from_s)
    marks = (*past.times_s, 0.0)
    counted = {name: rise_of(series, -last_s) for name, series in past.counters.items()}
    return History(
        from_s=from_s,
        samples=len(past.times_s),
        newest_s=past.times_s[-1],
        missed=past.missed,
        longest_gap_s=max(later - time for time, later in pairwise(marks)),
        growers=_growers(past.sizes, from_s),
        seen_pids=frozenset(size.pid for size in past.sizes if size.pid is not None),
        zones=tuple(each for levels in past.zones if (each := _zone(levels)) is not None),
        available_bytes=_last(past.amounts.get("available")),
        available_bytes_per_s=_trend(past.amounts.get("available"), -_END_S),
        swap_total_bytes=_last(past.amounts.get("swap_total")),
        swap_free_bytes=_last(past.amounts.get("swap_free")),
        last_s=last_s,
        swap_free_bytes_per_s=_trend(past.amounts.get("swap_free"), -last_s),
        direct=_reclaim(counted, "direct"),
        kswapd=_reclaim(counted, "kswapd"),
        stalled_some_s=counted.get("stalled_some_s"),
        stalled_full_s=counted.get("stalled_full_s"),
        allocstalls=_whole(counted.get("allocstalls")),
        refaulted_file_pages=_whole(counted.get("refaulted_file_pages")),
        refaulted_anon_pages=_whole(counted.get("refaulted_anon_pages")),
        swapped_in_pages=_whole(counted.get("swapped_in_pages")),
        swapped_out_pages=_whole(counted.get("swapped_out_pages")),
        major_faults=_whole(counted.get("major_faults")),
        actions=tuple(past.actions),
        after=tuple(past.after),
    )


def _growers(sizes: Sequence[Size], from_s: float) -> tuple[Grower, ...]:
    grown = [each for size in sizes if (each := _grower(size, from_s)) is not None]
    grown.sort(key=lambda each: -each.grown_bytes)
    kept: list[Grower] = []
    for each in grown:
        beside = sum(other.kind == each.kind for other in kept)
        if beside < _EACH and each.grown_bytes >= _LEAST_BESIDE * grown[0].grown_bytes:
            kept.append(each)
    return tuple(kept)


def _grower(size: Size, from_s: float) -> Grower | None:
    last = size.series.last
    if last is None:
        return None
    climb = find_climb(size.series, max(_LEAST_BYTES, _LEAST_SHARE * last))
    if climb is None:
        return None
    return Grower(
        kind=size.kind,
        name=size.name,
        pid=size.pid,
        from_bytes=round(climb.from_value),
        to_bytes=round(climb.to_value),
        since_s=climb.since_s,
        until_s=climb.until_s,
        bytes_per_s=climb.per_s,
        from_start=climb.since_s - from_s <= _START_SHARE * -from_s,
        rising=climb.rising,
    )


def _zone(levels: ZoneLevels) -> ZonePast | None:
    free, least, low = levels.free.last, levels.min.last, levels.low.last
    if free is None or least is None or low is None:
        return None
    return ZonePast(
        node=levels.node,
        name=levels.name,
        free_bytes=round(free),
        min_bytes=round(least),
        low_bytes=round(low),
        low_since_s=low_since(levels.free, levels.low),
        min_since_s=low_since(levels.free, levels.min),
    )


def _reclaim(counted: Mapping[str, float | None], who: str) -> Reclaim | None:
    scanned, reclaimed = counted.get(f"{who}_scanned"), counted.get(f"{who}_reclaimed")
    return None if scanned is None or reclaimed is None else Reclaim(round(scanned), round(reclaimed))


def _trend(series: Series | None, since_s: float) -> float | None:
    """Mean growth per second since a moment."""
    if series is None:
        return None
    start = len(series.before(since_s).times_s)
    times, values = series.times_s[max(0, start - 1) :], series.values[max(0, start - 1) :]
    if len(times) < 2 or times[-1] <= times[0]:
        return None
    return (values[-1] - values[0]) / (times[-1] - times[0])


def _last(series: Series | None) -> int | None:
    return _whole(None if series is None else series.last)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
