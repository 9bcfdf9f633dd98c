"""What happened when: kills, rules, actions, reclaim, gaps; what the charts mark, and a table lists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from memwatchd.units import printable
from memwatchd.views.events import event_line
from memwatchd.views.report.curves import Panel
from memwatchd.views.report.layout import DIRECT_SCANNED, KSWAPD_SCANNED, RECLAIM

# Of gaps, which may be hundreds on a busy machine, the longest.
_GAPS = 100
# Reclaim that pauses for less is one.
_PAUSE_S = 0.5


class Sort(StrEnum):
    """What kind of thing a marker is, in the order of their lanes."""

    KILL = "kernel kill"
    RULE = "rule"
    ACTION = "action"
    DIRECT = "direct reclaim"
    KSWAPD = "kswapd"
    GAP = "gap in sampling"
    OTHER = "recorder"


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened.

    Attributes:
        at_s: When it began, in seconds from the trigger.
        to_s: When it was over; the same for what took no time.
        text: What it was, made printable.
    """

    sort: Sort
    at_s: float
    to_s: float
    text: str


def find_markers(summary: Mapping[str, Any], panels: Sequence[Panel]) -> list[Marker]:
    """Find everything worth a mark, by time.

    Args:
        summary: See `memwatchd.views.summary.summarise`.
        panels: With all their points.
    """
    found = [
        *_kills(summary["kills"]),
        *_events(summary["events"]),
        *_gaps(summary["samples"]["gaps"]),
        *(each for panel in panels if panel.key == RECLAIM for each in _reclaim(panel)),
    ]
    return sorted(found, key=lambda marker: marker.at_s)


def _kills(kills: Sequence[Mapping[str, Any]]) -> Iterator[Marker]:
    for kill in kills:
        where = kill["limit_cgroup"] or {"global": "the machine"}.get(kill["scope"] or "", "a limit")
        text = f"the kernel killed {kill['comm']} (pid {kill['pid']}) for {where}"
        yield Marker(Sort.KILL, kill["at_s"], kill["at_s"], printable(text))


def _events(events: Sequence[Mapping[str, Any]]) -> Iterator[Marker]:
    for event in events:
        text = event_line(event)
        if not text:
            continue
        sort, at_s = Sort.OTHER, event["at_s"]
        if event["event"] in ("rule_fire", "rule_held", "rule_clear"):
            sort = Sort.RULE
        elif event["event"] in ("action", "put_back"):
            sort = Sort.ACTION
        yield Marker(sort, at_s, at_s, printable(text))


def _gaps(gaps: Sequence[Mapping[str, Any]]) -> Iterator[Marker]:
    for gap in sorted(gaps, key=lambda gap: -float(gap["length_s"]))[:_GAPS]:
        text = f"no sample for {gap['length_s'] * 1000:.0f} ms, {gap['missed']} missed"
        yield Marker(Sort.GAP, gap["at_s"] - gap["length_s"], gap["at_s"], text)


def _reclaim(panel: Panel) -> Iterator[Marker]:
    for curve in panel.curves:
        sort = {DIRECT_SCANNED: Sort.DIRECT, KSWAPD_SCANNED: Sort.KSWAPD}.get(curve.name)
        if sort is None:
            continue
        for from_s, to_s, pages in _spans(panel.times_s, curve.values):
            who = "tasks reclaimed themselves" if sort is Sort.DIRECT else "kswapd reclaimed"
            yield Marker(sort, from_s, to_s, f"{who} for {to_s - from_s:.1f} s: {pages:,.0f} pages scanned")


def _spans(times_s: Sequence[float], values: Sequence[float]) -> Iterator[tuple[float, float, float]]:
    """Yield from when to when a rate was above zero, and how much came of it."""
    begun: tuple[float, float, float] | None = None
    for from_s, to_s, value in zip(times_s, times_s[1:], values[1:], strict=False):
        if not value > 0:
            continue
        amount = value * (to_s - from_s)
        if begun is not None and from_s - begun[1] <= _PAUSE_S:
            begun = (begun[0], to_s, begun[2] + amount)
            continue
        if begun is not None:
            yield begun
        begun = (from_s, to_s, amount)
    if begun is not None:
        yield begun
