"""What an incident recorded of the seconds before an event in the kernel's log, or before any moment.

The kernel stamps its messages by a clock of its own, which runs with the monotonic one but is not corrected:
after some weeks they are seconds apart. How far is known from the messages of the incident, each of which was
read a moment after it was stamped.
"""

from collections.abc import Iterator
from math import inf
from statistics import median
from typing import Any

from memwatchd.diagnosis.history import PROCESS, History, RuleAction
from memwatchd.diagnosis.past import Past, Size, derive_history
from memwatchd.diagnosis.series import Series
from memwatchd.errors import ParseError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.moment import page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.tracks import Tracks
from memwatchd.oomreport.report import RECORDED, Event, Task
from memwatchd.procfs.kmsg import parse_kmsg
from memwatchd.ring.stream import events, messages, process_rows

# An event further after the last sample than this is not what was recorded.
_FAR_NS = 60_000_000_000
# Clocks do not drift apart within so many seconds of an event.
_NEAR_S = 60.0
_ACTION_EVENTS = ("action", "action_begun", "put_back")
_HELPED = "helped"
_END_NS = 2**63

# Pid and start: a pid alone may come back.
_Process = tuple[int, int | None]
# When it was read, in seconds from the event, and its size in bytes.
_Points = dict[_Process, list[tuple[float, float]]]


def read_history(incident: Incident, event: Event, at_ns: int | None = None) -> History | None:
    """Read what was recorded before an event; about a second for the usual 30 s at 200 Hz.

    Args:
        incident: What was recorded.
        event: What the kernel said; or what was read off the recording itself.
        at_ns: When it was, on the incident's monotonic clock, where that is known already. It is a moment of
            the recording then, and what rules did after it is told, too.

    Returns:
        None when the event's time is not known, or nothing was recorded before it.
    """
    event_ns = place_of(incident, event) if at_ns is None else at_ns
    if event_ns is None:
        return None
    tracks = Tracks(page_size_of(incident), event_ns)
    for moment in incident.moments():
        if not tracks.take(moment):
            break
    tracks.finish()
    if not tracks.times_s or tracks.times_s[-1] * 1e9 < -_FAR_NS:
        return None
    until_ns = event_ns if at_ns is None else _END_NS
    actions = sorted(_actions(incident, event_ns, until_ns), key=lambda each: each.at_s)
    return derive_history(
        Past(
            times_s=tracks.times_s,
            missed=tracks.missed,
            sizes=_with_processes(tracks.sizes(), _processes(incident, event, event_ns, tracks.times_s[0])),
            zones=tracks.zones(),
            amounts=tracks.amounts(),
            counters=tracks.counters(),
            actions=[each for each in actions if each.at_s <= 0],
            after=[each for each in actions if each.at_s > 0],
        )
    )


def place_of(incident: Incident, event: Event) -> int | None:
    """Say when an event was, on the incident's monotonic clock; None when nothing tells."""
    if event.seconds is not None:
        return round(event.seconds * 1e9) + _clocks_apart_ns(incident, event.seconds)
    victims = {victim.pid for victim in event.victims}
    found = (kill for kill in incident.facts["kills"] if kill["pid"] in victims)
    return next((int(kill["monotonic_ns"]) for kill in found), None)


def _clocks_apart_ns(incident: Incident, near_s: float) -> int:
    """How far the monotonic clock is ahead of the one messages are stamped by.

    The smallest distance is the best: that message was read soonest.
    """
    stamps = [(at_s, read_ns) for at_s, read_ns in _stamps(incident) if abs(at_s - near_s) <= _NEAR_S]
    stamps = stamps or list(_stamps(incident))
    return min((read_ns - round(at_s * 1e9) for at_s, read_ns in stamps), default=0)


def _stamps(incident: Incident) -> Iterator[tuple[float, int]]:
    """Yield the time stamp of each message in seconds, and when it was read."""
    for message in messages(incident.segments(BlockType.EVENTS)):
        try:
            yield parse_kmsg(message.raw).timestamp_usec / 1e6, message.monotonic_ns
        except ParseError:
            continue  # says nothing of time
    for kill in incident.facts["kills"]:
        if kill["timestamp_usec"] is not None:
            yield kill["timestamp_usec"] / 1e6, kill["monotonic_ns"]


# -- processes ---------------------------------------------------------------------------------------------


def last_rows(incident: Incident, at_ns: int) -> list[dict[str, Any]]:
    """The process table as last read at a moment or before, without processes that had ended.

    Every row has ``pid``, ``rss_kib`` and ``read_ns``.
    """
    points: _Points = {}
    newest: dict[_Process, dict[str, Any]] = {}
    for row, read_ns in _rows_until(incident, at_ns):
        process = (row["pid"], row.get("start_ticks"))
        points.setdefault(process, []).append(((read_ns - at_ns) / 1e9, size_kib(row) * 1024))
        newest[process] = {**row, "read_ns": read_ns}
    return [newest[process] for process in _living(points)]


def _rows_until(incident: Incident, at_ns: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield rows of processes with memory, and when each was read."""
    for part in process_rows(incident.segments(BlockType.EVENTS)):
        for row in part.rows:
            read_ns = row.get("read_ns", part.monotonic_ns)
            if isinstance(row.get("rss_kib"), int) and isinstance(row.get("pid"), int) and read_ns <= at_ns:
                yield row, read_ns


def _with_processes(sizes: list[Size], processes: list[Size]) -> list[Size]:
    """Add the process table to what was watched; what was watched was read more often."""
    watched = {size.pid for size in sizes if size.kind == PROCESS}
    return sizes + [size for size in processes if size.pid not in watched]


def _processes(incident: Incident, event: Event, event_ns: int, from_s: float) -> list[Size]:
    """How large each process was, by the table of processes, and by the kernel's own table at the end."""
    points: _Points = {}
    names: dict[_Process, str] = {}
    for row, read_ns in _rows_until(incident, event_ns):
        process = (row["pid"], row.get("start_ticks"))
        points.setdefault(process, []).append(((read_ns - event_ns) / 1e9, size_kib(row) * 1024))
        names[process] = str(row.get("comm") or "?")
    # Of a recording, they are these very rows.
    tasks = {} if event.kind == RECORDED else {task.tgid or task.pid: task for task in event.tasks}
    found = []
    for (pid, start_ticks), rows in _living(points).items():
        seen = list(rows)
        born_s = _born_s(incident, start_ticks, event_ns)
        if born_s is not None and from_s <= born_s < seen[0][0]:
            seen.insert(0, (born_s, 0.0))
        size = _size_bytes(tasks[pid], page_size_of(incident)) if pid in tasks else None
        if size is not None:
            seen.append((0.0, size))
        found.append(Size(PROCESS, Series(*zip(*seen, strict=True)), names[pid, start_ticks], pid))
    return found


def _living(points: _Points) -> _Points:
    """Leave out processes that had ended: not seen in the last two passes, or their pid is another's by now.

    A pass takes as long as lies between two readings of the same process, for most of them.
    """
    passes_s = [seen[-1][0] - seen[-2][0] for seen in points.values() if len(seen) > 1]
    newest_s = max((seen[-1][0] for seen in points.values()), default=0.0)
    since_s = newest_s - 2 * median(passes_s) if passes_s else -inf
    last = {pid: (pid, start_ticks) for pid, start_ticks in points}
    return {
        process: seen
        for process, seen in points.items()
        if last[process[0]] == process and seen[-1][0] >= since_s
    }


def _born_s(incident: Incident, start_ticks: int | None, event_ns: int) -> float | None:
    """When a process began, and had nothing; None when that cannot be told."""
    ticks_per_s, trigger = incident.facts["host"].get("clock_ticks_per_s"), incident.facts["trigger"]
    boottime_ns, monotonic_ns = trigger["boottime_ns"], trigger["monotonic_ns"]
    if start_ticks is None or boottime_ns is None or monotonic_ns is None:
        return None
    if not isinstance(ticks_per_s, int) or ticks_per_s <= 0:
        return None
    apart_ns: int = monotonic_ns - boottime_ns
    return start_ticks / ticks_per_s + (apart_ns - event_ns) / 1e9


def size_kib(row: dict[str, Any]) -> int:
    """Memory a process of the table holds, resident or swapped out."""
    return sum(row[name] for name in ("rss_kib", "swap_kib") if isinstance(row.get(name), int))


def _size_bytes(task: Task, page_size: int) -> int | None:
    """The same by the kernel's table of tasks; None where that does not tell of both."""
    if task.rss_pages is None or task.swap_pages is None:
        return None
    return (task.rss_pages + task.swap_pages) * page_size


# -- rules -------------------------------------------------------------------------------------------------


def _actions(incident: Incident, event_ns: int, until_ns: int) -> Iterator[RuleAction]:
    """Yield what rules had begun to do until then, whether or not it had come to an end."""
    told = [each for each in events(incident.segments(BlockType.EVENTS)) if each["event"] in _ACTION_EVENTS]
    undone = [each for each in told if each["event"] == "put_back" and each.get("verdict") == _HELPED]
    seen: set[tuple[str, int]] = set()
    # What came of it first: then its beginning says nothing new.
    for each in sorted(told, key=lambda each: _ACTION_EVENTS.index(each["event"])):
        began_ns, verdict = each.get("began_ns"), each.get("verdict")
        at_ns: int = began_ns if isinstance(began_ns, int) else each["monotonic_ns"]
        rule, action = str(each.get("rule")), str(each.get("action"))
        if each["event"] == "put_back" or not 0 <= at_ns <= until_ns or (rule, at_ns) in seen:
            continue
        seen.add((rule, at_ns))
        yield RuleAction(
            at_s=(at_ns - event_ns) / 1e9,
            rule=rule,
            action=action,
            verdict=None if verdict is None else str(verdict),
            detail=str(each.get("detail", "")),
            undone_s=_undone_s(undone, rule, action, at_ns, event_ns, until_ns),
        )


def _undone_s(
    undone: list[dict[str, Any]], rule: str, action: str, at_ns: int, event_ns: int, until_ns: int
) -> float | None:
    """When that was put back, between its beginning and the end."""
    found = (
        (each["monotonic_ns"] - event_ns) / 1e9
        for each in undone
        if (each.get("rule"), each.get("action")) == (rule, action)
        and at_ns <= each["monotonic_ns"] <= until_ns
    )
    return min(found, default=None)
