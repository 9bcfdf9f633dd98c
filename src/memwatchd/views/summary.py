"""One incident on one screen: who was killed, by which limit, what the memory did before and after.

`summarise` makes a plain value, which is what ``show --json`` prints; `render` turns it into text.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isnan
from typing import Any

from memwatchd.errors import ParseError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.history import size_kib
from memwatchd.incidents.moment import page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.ring.reader import Segment
from memwatchd.ring.samples import Sample
from memwatchd.ring.stream import Moment, events, moments, process_rows
from memwatchd.signals.catalogue import MAIN_SIGNALS
from memwatchd.signals.recording import Reader
from memwatchd.signals.replay import Replay
from memwatchd.signals.signal import Signal
from memwatchd.signals.watched import watched_signal
from memwatchd.views.verdict import verdict_of

_COLUMNS = 30
_TOP = 5
_GAPS_KEPT = 1000


@dataclass(slots=True)
class Track:
    """A signal's way through an incident.

    Attributes:
        bins: Last value, or for a counter its mean growth per second, in each of the chart's columns.
    """

    name: str
    unit: str
    bins: list[float | None]
    first: float | None = None
    last: float | None = None
    low: float | None = None
    high: float | None = None
    at_trigger: float | None = None


@dataclass(slots=True)
class _Follower:
    """Reads one signal from sample after sample."""

    signal: Signal
    track: Track
    read: Reader
    _last: tuple[int, float] | None = None
    _bin: int = -1

    def take(self, now_ns: int, place: int, before_trigger: bool) -> None:
        value = self.read()
        if isnan(value):
            return
        if self.signal.counter:
            self._take_counter(now_ns, value, place, before_trigger)
        else:
            self._note(value, place, before_trigger)

    def _take_counter(self, now_ns: int, value: float, place: int, before_trigger: bool) -> None:
        """Growth per second from one column of the chart to the next."""
        if self._last is None:
            self._last, self._bin = (now_ns, value), place
        elif place != self._bin:
            then_ns, then = self._last
            self._last, self._bin = (now_ns, value), place
            if now_ns > then_ns:
                self._note((value - then) * 1e9 / (now_ns - then_ns), place - 1, before_trigger)

    def _note(self, value: float, place: int, before_trigger: bool) -> None:
        track = self.track
        track.bins[place] = value
        track.first = value if track.first is None else track.first
        track.last = value
        track.low = value if track.low is None else min(track.low, value)
        track.high = value if track.high is None else max(track.high, value)
        if before_trigger:
            track.at_trigger = value


def summarise(incident: Incident, *, with_verdict: bool = True) -> dict[str, Any]:
    """Read an incident once through and say what is in it; times are seconds from the trigger.

    Args:
        incident: An open one.
        with_verdict: Otherwise there is none, for somebody who finds it himself.
    """
    meta, zero_ns = incident.facts, incident.trigger_ns
    window = _window(incident)
    scan = _Scan(zero_ns, *window, Replay(page_size_of(incident)), _period_ns(incident))
    for moment in incident.moments():
        scan.take(moment)
    trigger = meta["trigger"]
    return {
        "name": incident.path.name,
        "path": str(incident.path),
        "complete": incident.complete,
        "problems": incident.problems,
        "trigger": {
            "kind": trigger["kind"],
            "detail": trigger["detail"],
            "time": _wall_clock(trigger["realtime_ns"]),
        },
        "verdict": verdict_of(incident) if with_verdict else None,
        "host": meta["host"],
        "program": meta["program"],
        "kills": [_kill(kill, zero_ns) for kill in meta["kills"]],
        "counters": meta["counters"],
        "disagreements": meta["disagreements"],
        "degraded": meta["degraded"],
        "death": _death(meta["death"]),
        "samples": scan.samples(),
        "figures": [
            _figure(follower.track) for follower in scan.followers if follower.track.first is not None
        ],
        "slab_growth": scan.slab_growth(),
        "process_growth": _process_growth(incident, zero_ns),
        "events": list(_events(incident, zero_ns)),
    }


@dataclass(slots=True)
class _Scan:
    """What is gathered while going through the samples."""

    zero_ns: int
    from_ns: int
    to_ns: int
    replay: Replay
    period_ns: float
    followers: list[_Follower] = field(default_factory=list)
    count: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    missed: int = 0
    longest_ns: int = 0
    gaps: list[dict[str, float]] = field(default_factory=list)
    first_slabinfo: bytes | None = None
    slabinfo: bytes | None = None
    _lag_ns: int = 0
    _stride: int = 1

    def __post_init__(self) -> None:
        for signal in MAIN_SIGNALS:
            self._follow(signal)

    def _follow(self, signal: Signal) -> None:
        unit = {"seconds": "share", "pages": "pages/s"}[signal.unit] if signal.counter else str(signal.unit)
        track = Track(signal.name, unit, [None] * _COLUMNS)
        self.followers.append(_Follower(signal, track, signal.bind(self.replay.recording)))

    def take(self, moment: Moment) -> None:
        sample = moment.sample
        now_ns = sample.monotonic_ns
        if not self.from_ns <= now_ns <= self.to_ns:
            return
        self._count(now_ns, sample)
        before_trigger = now_ns <= self.zero_ns
        place = (now_ns - self.from_ns) * _COLUMNS // (self.to_ns - self.from_ns + 1)
        if self.replay.take(moment):
            self._bind()
        for follower in self.followers:
            follower.take(now_ns, place, before_trigger)
        slabinfo = moment.text("slabinfo")
        if slabinfo is not None and (before_trigger or self.slabinfo is None):
            self.first_slabinfo = self.first_slabinfo or slabinfo
            self.slabinfo = slabinfo

    def _bind(self) -> None:
        """Read from other sources; what is watched is followed from the moment it is in the catalogue."""
        for follower in self.followers:
            follower.read = follower.signal.bind(self.replay.recording)
        known = {source for follower in self.followers for source in follower.signal.sources}
        for entry in self.replay.recording.entries.values():
            signal = watched_signal(entry) if entry["name"] not in known else None
            if signal is not None:
                self._follow(signal)

    def _count(self, now_ns: int, sample: Sample) -> None:
        if self.last_ns is not None:
            length_ns = now_ns - self.last_ns
            self.longest_ns = max(self.longest_ns, length_ns)
            # A sampler that was started anew knows nothing of the ticks between its predecessor and it, but
            # the time between the two deadlines does.
            apart_ns = length_ns - sample.lag_ns + self._lag_ns
            period_ns = self.period_ns * max(sample.stride, self._stride)
            missed = max(sample.missed, round(apart_ns / period_ns) - 1)
            if missed:
                at_s, length_s = _seconds(now_ns, self.zero_ns), round(length_ns / 1e9, 4)
                self.gaps.append({"at_s": at_s, "missed": missed, "length_s": length_s})
                self.missed += missed
        self._lag_ns, self._stride = sample.lag_ns, sample.stride
        self.first_ns = now_ns if self.first_ns is None else self.first_ns
        self.last_ns = now_ns
        self.count += 1

    def samples(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "missed": self.missed,
            "from_s": None if self.first_ns is None else _seconds(self.first_ns, self.zero_ns),
            "to_s": None if self.last_ns is None else _seconds(self.last_ns, self.zero_ns),
            "longest_gap_s": round(self.longest_ns / 1e9, 4),
            "gaps": self.gaps[:_GAPS_KEPT],
        }

    def slab_growth(self) -> list[dict[str, Any]]:
        """Caches that grew most up to the trigger."""
        if self.first_slabinfo is None or self.slabinfo is None:
            return []
        page_size = self.replay.recording.page_size
        try:
            before = {
                cache.name: cache.size_bytes(page_size)
                for cache in parse_slabinfo(self.first_slabinfo).caches
            }
            after = {
                cache.name: cache.size_bytes(page_size) for cache in parse_slabinfo(self.slabinfo).caches
            }
        except ParseError as error:
            return [{"problem": str(error)}]
        grown = ((name, before.get(name, 0), size) for name, size in after.items())
        return [
            {"cache": name, "from_bytes": first, "to_bytes": last}
            for name, first, last in sorted(grown, key=lambda row: row[1] - row[2])[:_TOP]
            if last > first
        ]


def _period_ns(incident: Incident) -> float:
    rate_hz: float | None = incident.facts["sampling"]["rate_hz"]
    return 1e9 / rate_hz if rate_hz is not None else 1e12


def _window(incident: Incident) -> tuple[int, int]:
    """Span of the incident, from its meta data and from what samples there are."""
    window = incident.facts["window"]
    from_ns, to_ns = window["from_ns"], window["to_ns"]
    first_ns, newest_ns = _span(incident)
    from_ns = first_ns if from_ns is None else max(first_ns, from_ns)
    # The first version's window ends at the trigger, while samples go on.
    to_ns = min(to_ns, newest_ns) if to_ns is not None and incident.complete else newest_ns
    return from_ns, max(to_ns, from_ns)


def _span(incident: Incident) -> tuple[int, int]:
    """When the first and the last sample were taken; only the first and last segment are decoded."""
    first: Segment | None = None
    last: Segment | None = None
    for last in incident.segments(BlockType.SAMPLES):
        first = first or last
    if first is None or last is None:
        return 0, 0
    earliest = next((moment.sample.monotonic_ns for moment in moments([first])), first.header.monotonic_ns)
    latest = deque((moment.sample.monotonic_ns for moment in moments([last])), maxlen=1)
    return earliest, latest[0] if latest else last.header.monotonic_ns


def _process_growth(incident: Incident, zero_ns: int) -> list[dict[str, Any]]:
    first: dict[tuple[Any, Any], dict[str, Any]] = {}
    last: dict[tuple[Any, Any], dict[str, Any]] = {}
    for part in process_rows(incident.segments(BlockType.EVENTS)):
        for row in part.rows:
            if isinstance(row.get("rss_kib"), int) and row.get("read_ns", part.monotonic_ns) <= zero_ns:
                key = (row.get("pid"), row.get("start_ticks"))
                first.setdefault(key, row)
                last[key] = row
    growth = [(size_kib(row) - size_kib(first[key]), key) for key, row in last.items()]
    return [
        {
            "pid": last[key].get("pid"),
            "comm": last[key].get("comm"),
            "cgroup": last[key].get("cgroup"),
            "from_bytes": size_kib(first[key]) * 1024,
            "to_bytes": size_kib(last[key]) * 1024,
            "oom_score_adj": last[key].get("oom_score_adj"),
        }
        for grown, key in sorted(growth, key=lambda item: -item[0])[:_TOP]
        if grown > 0
    ]


def _events(incident: Incident, zero_ns: int) -> Iterator[dict[str, Any]]:
    both: Iterable[dict[str, Any]] = (
        event for kind in (BlockType.SAMPLES, BlockType.EVENTS) for event in events(incident.segments(kind))
    )
    # A missed tick is in the samples' own gaps.
    told = (event for event in both if event["event"] != "missed")
    for event in sorted(told, key=lambda event: int(event["monotonic_ns"])):
        facts = {name: value for name, value in event.items() if name not in ("monotonic_ns", "at_s")}
        yield {"at_s": _seconds(event["monotonic_ns"], zero_ns), **facts}


def _death(death: dict[str, Any]) -> dict[str, Any] | None:
    """What is known of a machine's end; None where it has not ended."""
    if death["last_realtime_ns"] is None:
        return None
    return {
        "last_sample": _wall_clock(death["last_realtime_ns"]),
        "next_start": _wall_clock(death["next_start_realtime_ns"]),
        "unrecorded_s_at_most": _or_none(death["unrecorded_ns_at_most"], 1e9, 3),
        "every_ms": _or_none(death["every_ns"], 1e6, 1),
        "longest_write_ms": _or_none(death["longest_write_ns"], 1e6, 1),
        **{name: death[name] for name in ("extents", "missing_extents", "damaged_extents")},
        **{name: death[name] for name in ("wrapped", "spent")},
    }


def _or_none(value_ns: int | None, unit_ns: float, digits: int) -> float | None:
    return None if value_ns is None else round(value_ns / unit_ns, digits)


def _kill(kill: dict[str, Any], zero_ns: int) -> dict[str, Any]:
    facts = {name: value for name, value in kill.items() if name != "monotonic_ns"}
    return {"at_s": _seconds(kill["monotonic_ns"], zero_ns), **facts}


def _figure(track: Track) -> dict[str, Any]:
    return {
        "name": track.name,
        "unit": track.unit,
        "first": track.first,
        "at_trigger": track.at_trigger,
        "last": track.last,
        "min": track.low,
        "max": track.high,
        "run": track.bins,
    }


def _seconds(at_ns: int, zero_ns: int) -> float:
    return round((at_ns - zero_ns) / 1e9, 4)


def _wall_clock(realtime_ns: int | None) -> str | None:
    if not isinstance(realtime_ns, int):
        return None
    try:
        return datetime.fromtimestamp(realtime_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None
