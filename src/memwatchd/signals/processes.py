"""process: watched processes, by name or by pid.

    process.rsync.rss                       resident memory of all watched processes of this name together
    process.4711.swap                       of the process of this pid (or of this name)
    process.rsync.position                  the furthest position of all its watched files
    process.rsync."/srv/backup.img".position
    process.rsync.count                     how many of this name are watched now

0.6 µs for each process or file. Which there are is found when a signal is bound.
"""

from collections.abc import Callable, Iterator, Mapping
from math import isnan, nan
from typing import Any

from memwatchd.signals.cursor import Cursor, meminfo_cursor
from memwatchd.signals.family import Family, Parts
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, read_text

_KIB = 1024.0
_FDINFO = "fdinfo/*"
_FIELDS = {
    "rss": ("statm", Unit.BYTES, "resident memory"),
    "swap": ("status", Unit.BYTES, "memory in swap"),
    "position": (_FDINFO, Unit.BYTES, "furthest position in an open file"),
    "count": ("statm", Unit.COUNT, "watched processes"),
}


def _read_resident(text: Buffer, size: int) -> int | None:
    fields = text[: max(size, 0)].split(None, 2)
    return int(fields[1]) if len(fields) > 2 and fields[1].isdigit() and len(fields[1]) <= 20 else None


def _sources(recording: Recording, who: str, file: str, target: str | None) -> list[str]:
    """Names of the sources of this kind, of the processes of a name or a pid."""
    return [
        name
        for name, entry in recording.entries.items()
        if _is_file(name, file) and _is(entry, who) and (target is None or entry.get("target") == target)
    ]


def _is_file(source: str, file: str) -> bool:
    kind, _, rest = source.partition("/")
    name = rest.partition("/")[2]
    return kind == "process" and (name.startswith("fdinfo/") if file == _FDINFO else name == file)


def _is(entry: Mapping[str, Any], who: str) -> bool:
    return bool(entry.get("comm") == who) or str(entry.get("pid")) == who


def _total(readers: list[Reader], combine: Callable[[list[float]], float]) -> Reader:
    """Combine what is there; NaN when nothing is."""

    def reader() -> float:
        there = [value for read in readers if not isnan(value := read())]
        return combine(there) if there else nan

    return readers[0] if len(readers) == 1 else reader


def _find(parts: Parts) -> Signal | None:
    if len(parts) not in (2, 3) or parts[-1] not in _FIELDS or (len(parts) == 3 and parts[2] != "position"):
        return None
    who, *targets, field = parts
    target = targets[0] if targets else None
    file, unit, meaning = _FIELDS[field]

    def bind(recording: Recording) -> Reader:
        found = _sources(recording, who, file, target)
        if field == "count":
            count = float(len(found))
            return lambda: count
        texts = [recording.texts.get(name) for name in found]
        if field == "rss":
            page_size = recording.page_size
            return _total([read_text(text, _read_resident, page_size) for text in texts], sum)
        if field == "swap":
            return _total([read_text(text, meminfo_cursor("VmSwap").read, _KIB) for text in texts], sum)
        return _total([read_text(text, Cursor(b"pos:").read) for text in texts], max)

    if target is not None:
        meaning = "position in the open file"
    sources = (f"process/*/{file}",)
    return Signal(join_name(("process", *parts)), unit, f"/proc/PID/{file}", meaning, sources, bind)


def _names(recording: Recording) -> Iterator[Parts]:
    names: dict[Parts, None] = {}
    for entry in recording.entries.values():
        if not str(entry.get("name")).startswith("process/"):
            continue
        for who in (entry.get("comm"), entry.get("pid")):
            if isinstance(who, str | int):
                names.update(dict.fromkeys((str(who), field) for field in _FIELDS))
                if isinstance(target := entry.get("target"), str):
                    names[str(who), target, "position"] = None
    return iter(names)


PROCESSES = Family(("process.COMM.FIELD", "process.PID.FIELD"), _find, _names, tuple(_FIELDS))
