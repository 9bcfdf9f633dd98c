"""The directory of incidents: names, reserved space, retention, and a second place for when the first fails.

STATE_DIR/incidents/20261121T082359.123Z-kernel_kill.mwi STATE_DIR/incidents/.reserve       space for the next
one, allocated beforehand RUNTIME_DIR/pending/…              incidents that could not be written there yet
(tmpfs)
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import IncidentHeader
from memwatchd.incidents.writer import IncidentWriter, sync_directory
from memwatchd.kernel.files import open_own

SUFFIX = ".mwi"
_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[a-z_]+\.mwi")
_RESERVE = ".reserve"
_BESIDE = ".new"
# Memory that incidents waiting for the disk may take: each holds half a minute of samples, a few MiB.
MAX_PENDING = 4
_NONE: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is kept; the newest incident always is."""

    count: int
    size_bytes: int
    age_ns: int


@dataclass(slots=True)
class Store:
    """Where incidents are kept.

    Args:
        directory: STATE_DIR/incidents.
        pending: RUNTIME_DIR/pending.
        reserve_bytes: Space to hold ready.
    """

    directory: Path
    pending: Path
    keep: Keep
    reserve_bytes: int

    def begin(self, header: IncidentHeader) -> IncidentWriter:
        """Open the file of a new incident in the reserved space.

        Raises:
            OSError: The directory cannot be written.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        return IncidentWriter(self.directory / _RESERVE, header)

    def begin_pending(self, header: IncidentHeader) -> IncidentWriter:
        """Open the file of a new incident in memory, for want of a better place; the oldest there make room.

        Raises:
            OSError: Not even there.
        """
        self.pending.mkdir(parents=True, exist_ok=True, mode=0o750)
        for path in self.pending_paths()[: -MAX_PENDING + 1 or None]:
            path.unlink(missing_ok=True)
        return IncidentWriter(self.pending / _BESIDE, header)

    def name(self, realtime_ns: int, kind: str, directory: Path) -> Path:
        """Find a name that sorts by time and is not taken."""
        while True:
            name = _name(realtime_ns, kind)
            if not (directory / name).exists() and not (self.directory / name).exists():
                return directory / name
            # Names sort by time; two of one millisecond are told apart by the next.
            realtime_ns += 1_000_000

    def find(self, realtime_ns: int, kind: str) -> Path | None:
        """Find the incident of this kind and this very moment, waiting ones included."""
        name = _name(realtime_ns, kind)
        return next((path for path in (self.directory / name, self.pending / name) if path.exists()), None)

    def reserve(self) -> None:
        """Allocate the space for the next incident.

        Raises:
            OSError: There is no room, or no directory.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = open_own(self.directory / _RESERVE, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            os.posix_fallocate(descriptor, 0, self.reserve_bytes)
        finally:
            os.close(descriptor)

    def paths(self) -> list[Path]:
        """All incidents in their proper place, oldest first."""
        return _listed(self.directory)

    def pending_paths(self) -> list[Path]:
        """Incidents that still wait for a proper place, oldest first."""
        return _listed(self.pending)

    def settle_pending(self) -> list[Path]:
        """Move waiting incidents to their proper place; those that were.

        Raises:
            OSError: The disk still does not take them.
        """
        settled = []
        for path in self.pending_paths():
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)
            beside = self.directory / _BESIDE
            try:
                beside.unlink(missing_ok=True)
                fresh = open_own(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
                with path.open("rb") as source, os.fdopen(fresh, "wb") as target:
                    while chunk := source.read(1 << 20):
                        target.write(chunk)
                    target.flush()
                    os.fsync(target.fileno())
                beside.rename(self.directory / path.name)
                sync_directory(self.directory)
            except OSError:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
                raise
            path.unlink()
            settled.append(self.directory / path.name)
        return settled

    def prune(self, now_s: float, own: Mapping[str, float] = _NONE, spare: str = "") -> list[Path]:
        """Remove what is more, older or larger than is to be kept; the newest stays. Returns what went.

        Args:
            now_s: By the clock that dates files.
            own: Incidents of this run by name, in the order they were written, and their ages in seconds. The
                clock may have been set meanwhile: they are the newest, whatever their names and dates say.
            spare: Name of one that is being written.
        """
        removed = []
        size_bytes = 0
        for place, path in enumerate(reversed(self._by_age(own))):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # somebody else's hand
            size_bytes += status.st_size
            age_ns = own.get(path.name, now_s - status.st_mtime) * 1e9
            over = place >= self.keep.count or size_bytes > self.keep.size_bytes or age_ns > self.keep.age_ns
            if over and place > 0 and path.name != spare:
                path.unlink(missing_ok=True)
                removed.append(path)
        return removed

    def _by_age(self, own: Mapping[str, float]) -> list[Path]:
        """Incidents in their proper place, oldest first, those of this run last."""
        paths = {path.name: path for path in self.paths()}
        others = [path for name, path in paths.items() if name not in own]
        return others + [paths[name] for name in own if name in paths]


def find(directories: list[Path], wanted: str) -> Path:
    """Find an incident by path, by name (with or without suffix), or as "last".

    Raises:
        NotFoundError: None of that name.
    """
    found = list(all_paths(directories))
    if wanted == "last":
        if not found:
            raise NotFoundError(f"no incidents in {directories[0]}")
        return max(found, key=lambda path: path.name)
    for path in found:
        if wanted in (path.name, path.stem):
            return path
    path = Path(wanted)
    with suppress(OSError, ValueError):  # no path at all, such as one that is too long
        if path.is_file():
            return path
        if wanted and path.is_dir():
            raise NotFoundError(f"{wanted}: expected an incident, this is a directory")
    raise NotFoundError(f"{wanted}: no such incident; 'memwatchd incidents' lists those in {directories[0]}")


def all_paths(directories: list[Path]) -> Iterator[Path]:
    """Yield the incidents of several directories, each oldest first.

    Raises:
        NotFoundError: A directory may not be read.
    """
    for directory in directories:
        try:
            yield from _listed(directory)
        except OSError as error:
            raise NotFoundError(f"{directory}: {error.strerror}") from error


def _name(realtime_ns: int, kind: str) -> str:
    moment = datetime.fromtimestamp(realtime_ns / 1e9, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z-{kind}{SUFFIX}"


def _listed(directory: Path) -> list[Path]:
    try:
        names = sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [directory / name for name in names if _NAME.fullmatch(name)]
