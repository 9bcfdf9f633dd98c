"""Finding one moment of an incident, as a person names it."""

import math
import re
from collections.abc import Iterable
from datetime import datetime

from memwatchd.errors import NotFoundError
from memwatchd.incidents.reader import Incident
from memwatchd.ring.stream import Moment

_RELATIVE = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(ms|s|min)?")
_UNITS_S = {"ms": 1e-3, "s": 1.0, "min": 60.0, None: 1.0}


def parse_at(text: str, incident: Incident, option: str = "--at") -> int:
    """Read a moment: ``-0.5s``, ``-200ms``, ``0`` from the trigger, or a wall clock time with date and zone.

    Returns:
        The moment on the incident's monotonic clock, in nanoseconds.

    Raises:
        NotFoundError: It is neither.
    """
    try:
        return incident.trigger_ns + _from_trigger_ns(text.strip(), incident)
    except (ValueError, OverflowError) as error:
        expected = "expected seconds from the trigger such as -0.5s, or a date"
        raise NotFoundError(f"{option} {text[:80]}: {expected}") from error


def page_size_of(incident: Incident) -> int:
    """Size of a page of the machine that made the recording, in bytes; 4096 where that is not known."""
    page_size = incident.facts["host"].get("page_size")
    return page_size if isinstance(page_size, int) and page_size > 0 else 4096


def _from_trigger_ns(text: str, incident: Incident) -> int:
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return round(float(relative[1]) * _UNITS_S[relative[2]] * 1e9)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.astimezone()
    return math.floor(moment.timestamp() * 1e9) - (incident.facts["trigger"]["realtime_ns"] or 0)


def moment_at(incident: Incident, at_ns: int) -> Moment:
    """Find the last sample taken at or before a moment; before the first one, the first.

    Only the segment it is in is decoded, unless that is damaged.

    Raises:
        NotFoundError: There is no sample in the incident at all.
    """
    found = _last_until(incident.moments(at_ns), at_ns)
    if found is None or found.sample.monotonic_ns > at_ns:
        found = _last_until(incident.moments(), at_ns)
    if found is None:
        raise NotFoundError(f"{incident.path}: no samples in this incident")
    return found


def _last_until(moments: Iterable[Moment], at_ns: int) -> Moment | None:
    found: Moment | None = None
    for moment in moments:
        if found is not None and moment.sample.monotonic_ns > at_ns:
            break
        found = moment
    return found
