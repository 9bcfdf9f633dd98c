"""One moment of an incident written out as a /proc tree, for tools that take another root than /proc."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident
from memwatchd.ring.stream import Moment, stored_files

_PLACES = {"pressure": "pressure/memory", "arcstats": "spl/kstat/zfs/arcstats"}


def write_tree(incident: Incident, moment: Moment, directory: Path) -> list[Path]:
    """Write the texts of a moment below a directory.

    Watched processes become PID/statm and the like; watched cgroups go below ``cgroup/``.

    Raises:
        MemwatchdError: The directory holds something already.
        OSError: It cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise MemwatchdError(f"{directory}: expected an empty directory")
    written = []
    for name, text in _texts(incident, moment):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        written.append(path)
    return written


def _texts(incident: Incident, moment: Moment) -> Iterator[tuple[PurePosixPath, bytes]]:
    for number, entry in moment.sources.items():
        name, text = str(entry["name"]), moment.sample.texts.get(number)
        place = _safe(_PLACES.get(name, name.removeprefix("process/")))
        if text is not None and place is not None:
            yield place, text
    context = {}
    for stored in stored_files(incident.segments(BlockType.EVENTS)):
        if stored.monotonic_ns <= moment.sample.monotonic_ns or stored.name not in context:
            context[stored.name] = stored.text
    for name, text in context.items():
        place = _safe(name)
        if place is not None:
            yield place, text


def _safe(name: str) -> PurePosixPath | None:
    """A relative path that stays below the directory; None for what a forged incident may try."""
    path = PurePosixPath(name)
    unsafe = (
        path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name or not _encodable(name)
    )
    return None if unsafe else path


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True
