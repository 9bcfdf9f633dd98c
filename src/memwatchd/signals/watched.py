"""The main signal of each watched source, under a name for people: what `show` draws."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.cgroups import USAGE
from memwatchd.signals.names import join_name
from memwatchd.signals.signal import Signal


def watched_signal(entry: Mapping[str, Any]) -> Signal | None:
    """Find the main signal of a watched source.

    Args:
        entry: The source's entry in the catalogue.

    Returns:
        Memory of a process or cgroup, or the position in an open file; None for other sources.
    """
    source = str(entry["name"])
    kind, _, rest = source.partition("/")
    if kind == "cgroup" and rest.endswith(USAGE):
        cgroup = str(entry.get("cgroup"))
        return _named(f"cgroup {cgroup}", source, "cgroup", cgroup, "usage")
    comm, pid = entry.get("comm"), str(entry.get("pid"))
    if kind == "process" and rest.endswith("/statm"):
        return _named(f"{comm} {pid} rss", source, "process", pid, "rss")
    if kind == "process" and "/fdinfo/" in rest:
        target = str(entry.get("target"))
        return _named(f"{comm} {pid} {target}", source, "process", pid, target, "position")
    return None


def _named(name: str, source: str, *parts: str) -> Signal:
    return replace(find_signal(join_name(parts)), name=name, sources=(source,))
