"""Signals with their values: of this machine now, or of a moment of an incident."""

import os
import time
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import Any

from memwatchd.errors import MemwatchdError, NotFoundError
from memwatchd.incidents.moment import moment_at, page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import open_ring
from memwatchd.ring.stream import Moment, newest
from memwatchd.roots import Roots
from memwatchd.sampling.plan import SOURCE_PATHS, extra_sources
from memwatchd.signals.catalogue import find_signal, list_signals
from memwatchd.signals.recording import Pulse, Recording, Text
from memwatchd.signals.replay import HeldText, Replay
from memwatchd.signals.signal import Unit
from memwatchd.views.text import columns, format_bytes, printable

_STALE_NS = 2_000_000_000
_WATCHED = ("process/", "cgroup/")


def recorded(incident: Incident, at_ns: int) -> Recording:
    """Make one moment of an incident the present.

    Raises:
        NotFoundError: There is no sample in the incident at all.
    """
    replay = Replay(page_size_of(incident))
    replay.take(moment_at(incident, at_ns))
    return replay.recording


def read_now(roots: Roots, places: Places) -> Recording:
    """Read the kernel's files, and from the daemon's ring what only the daemon has, if it is running."""
    texts: dict[str, Text] = dict(_read_files(roots))
    entries: dict[str, Mapping[str, Any]] = {}
    recording = Recording(texts, entries, Pulse(), os.sysconf("SC_PAGE_SIZE"))
    moment = _newest(places)
    if moment is not None:
        replay = Replay(recording.page_size)
        replay.take(moment)
        recording.pulse = replay.recording.pulse
        texts |= {name: text for name, text in replay.recording.texts.items() if name.startswith(_WATCHED)}
        entries |= replay.recording.entries
    return recording


def _read_files(roots: Roots) -> Iterator[tuple[str, HeldText]]:
    """Yield the text of each source of the machine; those that cannot be read are left out."""
    paths = {name: roots.procfs / path for name, path in SOURCE_PATHS.items()} | extra_sources(roots)
    for name, path in paths.items():
        try:
            text = Path(path).read_bytes()
        except OSError:
            continue  # not on this kernel, or not for this user: the signals are not listed
        yield name, HeldText(text, len(text))


def _newest(places: Places) -> Moment | None:
    """The last sample of a daemon that is running."""
    try:
        ring = open_ring(places.ring)
    except MemwatchdError:
        return None
    age_ns = time.monotonic_ns() - ring.figures()[Slot.HEARTBEAT_NS]
    return newest(ring) if 0 <= age_ns < _STALE_NS else None


def describe(recording: Recording, pattern: str | None) -> list[dict[str, Any]]:
    """List the signals that have a value, as ``signals --json`` prints them.

    Args:
        recording: Where the values are.
        pattern: A part of the name, or a pattern as in fnmatch(3) of all of it; None for all.

    Raises:
        NotFoundError: There is none of this pattern.
    """
    found = [
        {
            "name": signal.name,
            "value": _plain(signal.bind(recording)()),
            "unit": str(signal.unit),
            "counter": signal.counter,
            "meaning": signal.meaning,
            "source": signal.source,
        }
        for signal in list_signals(recording)
        if pattern is None or _matches(signal.name, pattern)
    ]
    if pattern is not None and not found:
        if not _is_glob(pattern):
            find_signal(pattern)  # says what may have been meant
        raise NotFoundError(f"{pattern}: no signal of this name has a value")
    return found


def _is_glob(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")


def _matches(name: str, pattern: str) -> bool:
    return pattern in name or (_is_glob(pattern) and fnmatchcase(name, pattern))


def _plain(value: float) -> float | int | None:
    if not isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def render(found: list[dict[str, Any]], *, verbose: bool) -> str:
    """Write one line for each signal.

    Args:
        found: As `describe` gives it.
        verbose: With meaning and kernel file.
    """
    rows = []
    for each in found:
        row = [printable(each["name"]), _value(each["value"], each["unit"]), _unit(each)]
        rows.append([*row, printable(each["meaning"]), printable(each["source"])] if verbose else row)
    return "".join(f"{line}\n" for line in columns(rows, right=frozenset({1})))


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "no limit"
    if unit == Unit.BYTES:
        return format_bytes(value)
    if unit in (Unit.RATIO, Unit.SECONDS):
        return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
    return f"{value:,.0f}"


def _unit(each: dict[str, Any]) -> str:
    unit = "" if each["unit"] == Unit.BYTES else each["unit"]
    return " ".join(filter(None, (unit, "so far" if each["counter"] else "")))
