"""``memwatchd collect``: hands new incidents to a program of the site, each once, outside of the daemon.

What was handed over stands in a file of its own, one name a line. What the program refuses, with an exit
status other than 0, comes again the next time.
"""

import argparse
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.store import all_paths

_POLL_S = 1.0
# An incident that is never completed, because the daemon died in the middle, is handed over as it is.
_SETTLED_S = 600.0


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--done", type=Path, metavar="FILE", help="default: collected in the state directory")
    shared.add_places(parser)
    parser.add_argument(
        "command", metavar="COMMAND", help="gets the path of one incident after its arguments"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="arguments of COMMAND")


def run(arguments: argparse.Namespace) -> int:
    """Hand over what is new; wait for an incident that is still being written."""
    places = shared.places(arguments)
    done_file = arguments.done or places.state_dir / "collected"
    command = [arguments.command, *arguments.arguments]
    refused: set[str] = set()
    with _Done.opened(done_file) as done:
        while True:
            paths = list(all_paths([places.incidents]))
            new = [path for path in paths if path.name not in done.names | refused]
            for path in filter(_is_settled, new):
                if _hand_over(command, path):
                    done.add(path.name)
                else:
                    refused.add(path.name)
            if all(path.name in done.names | refused for path in new):
                break
            time.sleep(_POLL_S)
        done.keep({path.name for path in paths})
    if refused:
        raise MemwatchdError(f"{arguments.command} did not take {', '.join(sorted(refused))}")
    return 0


class _Done:
    """The names of what was handed over; one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text(errors="replace") if path.exists() else ""
        self.names = set(text.splitlines())

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator["_Done"]:
        """Wait for whoever is at it, and open the file."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            lock = os.open(path.with_name(f"{path.name}.lock"), flags, 0o600)
        except OSError as error:
            raise MemwatchdError(f"{error.filename}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield cls(path)
        finally:
            os.close(lock)

    def add(self, name: str) -> None:
        """Note one, at once: what comes after it may fail."""
        self._write(self.names | {name})

    def keep(self, names: set[str]) -> None:
        """Forget those that are not among these."""
        self._write(self.names & names)

    def _write(self, names: set[str]) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.unlink(missing_ok=True)
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write("".join(f"{name}\n" for name in sorted(names)))
                file.flush()
                os.fsync(file.fileno())
            beside.rename(self._path)
        except OSError as error:
            raise MemwatchdError(f"{beside}: {error.strerror}") from error
        self.names = names


def _is_settled(path: Path) -> bool:
    """Whether nothing more is added to an incident; one that cannot be read is never waited for."""
    try:
        if time.time() - path.stat().st_mtime > _SETTLED_S:
            return True
        return open_incident(path).complete
    except (MemwatchdError, OSError):
        return True


def _hand_over(command: list[str], path: Path) -> bool:
    environment = {**os.environ, "MEMWATCHD_INCIDENT": str(path)}
    try:
        ended = subprocess.run([*command, str(path)], env=environment, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise MemwatchdError(f"{command[0]}: {error.strerror}") from error
    return ended.returncode == 0
