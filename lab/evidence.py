"""What is on disk after a run, and whether it names the cause: incidents, and the kernel's own log."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from lab.home import Home
from lab.scenario import Scenario
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.reader import open_incident
from memwatchd.views.summary import summarise

MACHINE_DIED = "machine_died"
_PATIENCE_S = 120
# What an incident or the journal tells of a rule that acts; telling alone (dump, log, notify) is no action.
_TELLING = {"dump", "log", "notify"}


def evidence(scenario: Scenario, home: Home) -> dict[str, Any]:
    """Say what an administrator would find.

    `names_cause` is None where the scenario names no cause, or where there is nothing that could name one.
    """
    found = [_incident(path) for path in home.incidents]
    told = [tag for each in found for tag in each["tags"][:1]]
    from_log = _tags_of(_explain(["-"], home.kernel_log))
    return {
        "incidents": len(found),
        "deaths": sum(each["kind"] == MACHINE_DIED for each in found),
        "kinds": sorted({each["kind"] for each in found if each["kind"]}),
        "list": found,
        "tags": sorted(set(told)),
        "names_cause": any(tag in scenario.cause for tag in told) if scenario.cause and found else None,
        "kernel_log_tags": from_log,
        "kernel_log_names_cause": any(tag in scenario.cause for tag in from_log)
        if scenario.cause and from_log
        else None,
        "daemon_lines": [str(entry.get("MESSAGE")) for entry in home.journal if entry.get("_PID") != "1"][
            :200
        ],
    }


def actions(home: Home) -> Iterator[tuple[float, str]]:
    """When memwatchd acted, in monotonic seconds, and by what: from its incidents and its journal."""
    for path in home.incidents:
        yield from acts(_events(path))
    for entry in home.journal:
        if _acts(entry.get("MEMWATCHD_ACTION"), entry.get("MEMWATCHD_VERDICT")):
            sent = _at(entry, home)
            if sent is not None:
                yield sent, str(entry["MEMWATCHD_ACTION"])


def acts(events: Iterable[tuple[float, Mapping[str, Any]]]) -> Iterator[tuple[float, str]]:
    """What was done, of an incident's events: what was only begun counts where nothing tells how it ended."""
    ended: Counter[tuple[object, ...]] = Counter()
    for at, event in reversed(list(events)):
        key = (event.get("rule"), event.get("step"), event.get("action"))
        if event.get("event") == "action":
            ended[key] += 1
            if _acts(event.get("action"), event.get("verdict")):
                yield (event["began_ns"] / 1e9 if event.get("began_ns") else at), str(event["action"])
        elif event.get("event") == "action_begun" and _acts(event.get("action"), None):
            if not ended[key]:
                yield at, str(event["action"])
            ended[key] = max(0, ended[key] - 1)


def _acts(action: str | None, verdict: str | None) -> bool:
    return action is not None and action not in _TELLING and verdict not in ("declined", "dry_run")


def deeds(home: Home) -> Iterator[tuple[float, str]]:
    """Each of memwatchd's actions once, with its outcome, by its journal."""
    for entry in home.journal:
        action = entry.get("MEMWATCHD_ACTION")
        done = entry.get("MEMWATCHD_VERDICT") not in (None, "declined", "dry_run")
        if action and action not in _TELLING and done and (at := _at(entry, home)) is not None:
            yield at, str(action)


def longest_gap(home: Home) -> float | None:
    """The longest time without a sample in any incident."""
    found = [float(each["longest_gap_s"]) for each in _samples(home) if each["longest_gap_s"] is not None]
    return round(max(found), 4) if found else None


def longest_gap_periods(home: Home) -> int | None:
    """The same in periods, which are longer on a slow machine: as they were meant to be then."""
    found = [max((gap["missed"] for gap in each["gaps"]), default=0) + 1 for each in _samples(home)]
    return max(found, default=None)


def _samples(home: Home) -> list[Mapping[str, Any]]:
    summaries = [_summary(path) for path in home.incidents]
    return [each["samples"] for each in summaries if each is not None]


def _incident(path: Path) -> dict[str, Any]:
    summary = _summary(path)
    if summary is None:
        return {"name": path.name, "kind": None, "problem": "cannot be read", "tags": []}
    events = _explain([str(path)], b"")
    return {
        "name": path.name,
        "kind": summary["trigger"]["kind"],
        "detail": summary["trigger"]["detail"],
        "complete": summary["complete"],
        "problems": summary["problems"],
        "death": summary.get("death"),
        "last_sample_monotonic_s": _sum(summary["trigger_s"], summary["samples"]["to_s"]),
        "tags": _tags_of(events),
        "confidence": [event["findings"][0]["confidence"] for event in events if event["findings"]],
        "samples": {key: summary["samples"][key] for key in ("count", "missed", "longest_gap_s")},
    }


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else round(one + other, 4)


def _tags_of(events: list[dict[str, Any]]) -> list[str]:
    """The verdict of each event."""
    return [str(event["findings"][0]["tag"]) for event in events if event["findings"]]


def _explain(words: list[str], log: bytes) -> list[dict[str, Any]]:
    """What `memwatchd explain` says, as anybody would ask it."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "memwatchd", "explain", "--json", *words],
            input=log, capture_output=True, timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
        return list(json.loads(done.stdout)["events"])
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return []


@lru_cache(maxsize=256)
def _summary(path: Path) -> dict[str, Any] | None:
    """What `memwatchd show --json` says, and `trigger_s`, its zero on the monotonic clock; else None."""
    try:
        incident = open_incident(path)
        return summarise(incident) | {"trigger_s": incident.trigger_ns / 1e9}
    except (MemwatchdError, OSError):
        return None


def _events(path: Path) -> Iterator[tuple[float, dict[str, Any]]]:
    summary = _summary(path)
    if summary is None:
        return
    for event in summary["events"]:
        yield summary["trigger_s"] + event["at_s"], event


def _at(entry: Mapping[str, Any], home: Home) -> float | None:
    """A journal entry's moment: when it was sent, not when the journal got round to it."""
    clocks = home.notes.get("clocks")
    if clocks and (sent := entry.get("_SOURCE_REALTIME_TIMESTAMP")):
        return int(sent) / 1e6 - float(clocks[0]["realtime"]) + float(clocks[0]["monotonic"])
    received = entry.get("__MONOTONIC_TIMESTAMP")
    return int(received) / 1e6 if received else None
