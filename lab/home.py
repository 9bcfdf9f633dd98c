"""What came home from a run, in the guest's monotonic seconds; what is not there is empty or None."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.inside import trace

_STREAM_WORDS = 4  # the host's time, the guest's, MemAvailable, the clock that counts sleep


@dataclass(frozen=True, slots=True)
class Home:
    """One run's facts.

    Attributes:
        notes: What the conductor noted.
        samples: One mapping for each look at memory (inside/sampler.py).
        probe: How the machine felt (inside/probe.py); None when the machine died.
        signals: Signals and victims (inside/trace.py).
        kernel_log: As dmesg printed it.
        journal: Entries of the daemon's units.
        status: What the daemon says of itself (memwatchd only).
        incidents: Files.
        stream: Moments of samples that the guest sent out at once, of its first boot.
    """

    notes: Mapping[str, Any]
    samples: Sequence[Mapping[str, float]]
    probe: Mapping[str, Any] | None
    signals: Sequence[Mapping[str, Any]]
    kernel_log: bytes
    journal: Sequence[Mapping[str, Any]]
    status: Mapping[str, Any] | None
    incidents: Sequence[Path]
    stream: Sequence[float] = ()

    @property
    def harm_at(self) -> float | None:
        """When the harm began; None for a machine that was started again."""
        at = self.notes.get("harm_at")
        return None if at is None else float(at)

    @property
    def units(self) -> Mapping[int, str]:
        """Unit of every process that was seen."""
        return {int(pid): str(unit) for pid, unit in self.notes.get("census", {}).items()}


def read(directory: Path) -> Home:
    """Read a directory that came home; files that are missing or cut are as if empty."""
    status = _json(directory / "report-0.txt")
    return Home(
        notes=_json(directory / "notes.json") or {},
        samples=_samples(directory / "samples.jsonl"),
        probe=_json(directory / "probe.json"),
        signals=trace.parse(_text(directory / "trace.txt")),
        kernel_log=_text(directory / "dmesg.txt").encode(),
        journal=_json_lines(directory / "daemon.jsonl"),
        status=status if isinstance(status, dict) and "sampling" in status else None,
        incidents=sorted((directory / "files/var/lib/memwatchd/incidents").glob("*.mwi")),
        stream=_stream(directory.parent / "stream.txt"),
    )


def _samples(file: Path) -> list[dict[str, float]]:
    rows = _json_lines(file)
    if not rows or not isinstance(rows[0], list):
        return []
    return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]


def _stream(file: Path) -> list[float]:
    """The second word of each line; the last may have been cut by the death of the machine."""
    rows = [line.split() for line in _text(file).splitlines()]
    return [
        float(row[1]) for row in rows if len(row) == _STREAM_WORDS and row[1].replace(".", "", 1).isdigit()
    ]


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _json(file: Path) -> Any:
    # A tool may have warned before it printed its JSON.
    text = _text(file)
    start = re.search(r"^[\[{]", text, re.MULTILINE)
    try:
        return json.loads(text[start.start() :]) if start else None
    except ValueError:
        return None


def _json_lines(file: Path) -> list[Any]:
    found = []
    for line in _text(file).splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
