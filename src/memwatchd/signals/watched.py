"""Signals of what the configuration watches: their names come with the recording, in its catalogue."""

from typing import Any

from memwatchd.signals.catalogue import Reader, Signal
from memwatchd.signals.cursor import Cursor

# v2 and v1 of the same figure.
_CGROUP_USAGE = ("memory.current", "memory.usage_in_bytes")


def watched_signal(entry: dict[str, Any], page_size: int) -> Signal | None:
    """Make the main signal of a watched source.

    Args:
        entry: The source's entry in the catalogue.
        page_size: Of the machine that made the recording, in bytes.

    Returns:
        Memory of a process or cgroup, or the position in an open file; None for other sources.
    """
    source = str(entry["name"])
    kind, _, rest = source.partition("/")
    if kind == "cgroup" and rest.endswith(_CGROUP_USAGE):
        return Signal(f"cgroup {entry.get('cgroup')}", "bytes", source, "memory charged to it", _number)
    comm, pid = entry.get("comm"), entry.get("pid")
    if kind == "process" and rest.endswith("/statm"):
        return Signal(f"{comm} {pid} rss", "bytes", source, "resident memory", lambda: _resident(page_size))
    if kind == "process" and "/fdinfo/" in rest:
        name = f"{comm} {pid} {entry.get('target')}"
        return Signal(name, "bytes", source, "position in the open file", _position)
    return None


def _number() -> Reader:
    def read(text: bytes) -> float | None:
        return float(text) if text.strip().isdigit() else None

    return read


def _resident(page_size: int) -> Reader:
    def read(text: bytes) -> float | None:
        fields = text.split(None, 2)
        return int(fields[1]) * page_size if len(fields) > 1 and fields[1].isdigit() else None

    return read


def _position() -> Reader:
    cursor = Cursor(b"pos:")
    return lambda text: cursor.read(text, len(text))
