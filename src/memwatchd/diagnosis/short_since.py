"""How long the zone concerned had been below its watermarks: the time there was to do something.

Below ``low`` kswapd is woken, below ``min`` tasks have to reclaim memory themselves.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import History, ZonePast
from memwatchd.oomreport.report import MEMCG, MEMORY_INFO
from memwatchd.units import format_bytes, printable

TAG = "short_since"

_CONFIDENCE = 0.9
# So near to the beginning of the recording, it had been below before.
_FROM_START_S = 0.2


def examine(case: Case) -> Finding | Dismissal | None:
    """Say how long; None without a recording, and for cgroups, which have no watermarks."""
    history = case.history
    if history is None or case.event.scope == MEMCG or case.event.kind == MEMORY_INFO:
        return None
    zone = zone_concerned(case)
    if zone is None:
        return None
    if zone.low_since_s is None:
        return Dismissal(
            TAG,
            f"Zone {_name(case, zone)} was not below its low watermark before: "
            f"{format_bytes(zone.free_bytes)} were free when it was last read, "
            f"and low is {format_bytes(zone.low_bytes)}{_available(history)}.",
        )
    return Finding(
        tag=TAG,
        confidence=_CONFIDENCE,
        weight=0.0,
        summary=(
            f"Zone {_name(case, zone)} was below its low watermark {_since(history, zone.low_since_s)}"
            f"{_below_min(history, zone)}{_available(history)}."
        ),
        figures={
            "zone": zone.name,
            "node": zone.node,
            "low_since_s": round(zone.low_since_s, 3),
            "min_since_s": None if zone.min_since_s is None else round(zone.min_since_s, 3),
            "free_bytes": zone.free_bytes,
            "min_bytes": zone.min_bytes,
            "low_bytes": zone.low_bytes,
            "available_bytes": history.available_bytes,
        },
    )


def zone_concerned(case: Case) -> ZonePast | None:
    """The largest zone that the request could use, by its watermark; of all zones where it names none."""
    zones = case.history.zones if case.history is not None else ()
    allowed = {(zone.node, zone.name) for zone in case.zones_allowed}
    usable = [
        zone
        for zone in zones
        if not allowed or (zone.node, zone.name) in allowed or (None, zone.name) in allowed
    ]
    return max(usable, key=lambda zone: zone.low_bytes, default=None)


def _name(case: Case, zone: ZonePast) -> str:
    zones = case.history.zones if case.history is not None else ()
    several = len({each.node for each in zones}) > 1
    return f"{printable(zone.name)} of node {zone.node}" if several else printable(zone.name)


def _since(history: History, since_s: float) -> str:
    if since_s - history.from_s <= _FROM_START_S:
        return f"for all of the {-history.from_s:.0f} s recorded"
    return f"for {-since_s:.1f} s"


def _below_min(history: History, zone: ZonePast) -> str:
    if zone.min_since_s is None:
        return (
            f", but not below min ({format_bytes(zone.free_bytes)} free, min {format_bytes(zone.min_bytes)})"
        )
    return f", and below min {_since(history, zone.min_since_s)}"


def _available(history: History) -> str:
    if history.available_bytes is None:
        return ""
    return f"; MemAvailable was {format_bytes(history.available_bytes)} at the end"
