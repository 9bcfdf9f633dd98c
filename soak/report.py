"""The run as a table that grows while it goes on, the verdict at its end, and both as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from memwatchd.views.text import columns, format_bytes
from soak.activity import Activity
from soak.figures import Reading
from soak.judge import ROLES, Check

_HEADINGS = ("", *ROLES, "fds", "threads", "missed", "sleeper", "incidents", "kills", "failing")
_ROW = "{:>7}  {:>10}  {:>10}  {:>10}  {:>9}  {:>8}  {:>9}  {:>9}  {:>9}  {:>5}  {}"


def headings() -> str:
    """The first line of the growing table; memory is PSS."""
    return _ROW.format(*_HEADINGS)


def row(reading: Reading, incidents: int, kills: int, failing: Sequence[str]) -> str:
    """One minute of the growing table."""
    found = [reading.processes.get(role) for role in ROLES]
    return _ROW.format(
        _clock(reading.at_s),
        *("–" if each is None else format_bytes(each.pss_bytes) for each in found),
        "/".join("–" if each is None else str(each.descriptors) for each in found),
        "/".join("–" if each is None else str(each.threads) for each in found),
        reading.sampler.missed,
        reading.sleeper.missed,
        incidents,
        kills,
        "; ".join(failing) or "nothing",
    )


def verdict_table(checks: Sequence[Check]) -> list[str]:
    """All checks, one line each."""
    rows = [["", "found", "limit", ""]]
    rows += [[check.name, check.found, check.limit, check.verdict] for check in checks]
    return columns(rows, right=frozenset({1, 2}))


def activity_table(activities: Sequence[Activity]) -> list[str]:
    """What was done, and what went wrong with it."""
    rows = [["", "done", "failed"]]
    rows += [[each.name, str(each.done), str(each.failed)] for each in activities]
    lines = columns(rows, right=frozenset({1, 2}))
    return lines + [f"  {each.name}: {trouble}" for each in activities for trouble in each.troubles]


def write_json(
    path: Path,
    machine: dict[str, Any],
    readings: Sequence[Reading],
    checks: Sequence[Check],
    activities: Sequence[Activity],
    facts: dict[str, Any],
) -> None:
    """Write everything, for comparing one run with another; renewed every minute."""
    found = {
        "machine": machine,
        **facts,
        "passed": all(check.passed is not False for check in checks),
        "checks": [asdict(check) for check in checks],
        "activities": {
            each.name: {"done": each.done, "failed": each.failed, "troubles": list(each.troubles)}
            for each in activities
        },
        "readings": [asdict(each) for each in readings],
    }
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(found, indent=1) + "\n")
    beside.rename(path)


def _clock(at_s: float) -> str:
    minutes, seconds = divmod(round(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
