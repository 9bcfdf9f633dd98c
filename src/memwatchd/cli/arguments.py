"""Arguments that several commands share."""

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from memwatchd.cli.where import add_places as add_places
from memwatchd.cli.where import places as places
from memwatchd.config.load import SHIPPED_CONFIG, SYSTEM_CONFIG
from memwatchd.errors import MemwatchdError, NotRunningError
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.store import find
from memwatchd.roots import Roots
from memwatchd.service.control import ask
from memwatchd.units import printable


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Add --path.procfs and its sisters."""
    group = parser.add_argument_group("where the kernel's file systems are mounted")
    for name, default in (("procfs", "/proc"), ("sysfs", "/sys"), ("cgroupfs", "/sys/fs/cgroup")):
        group.add_argument(
            f"--path.{name}",
            dest=name,
            type=Path,
            default=Path(default),
            metavar="DIR",
            help=f"default {default}",
        )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"default: {SYSTEM_CONFIG} if it is there, else the one that comes with the program",
    )


def config_path(arguments: argparse.Namespace) -> Path:
    """The configuration that was asked for, or the one to go by when none was."""
    chosen: Path | None = arguments.config
    return chosen or (SYSTEM_CONFIG if SYSTEM_CONFIG.exists() else SHIPPED_CONFIG)


def add_incident(parser: argparse.ArgumentParser) -> None:
    """Add INCIDENT and the places to look for it."""
    parser.add_argument("incident", metavar="INCIDENT", help="path, name, or 'last'")
    add_places(parser)


def roots(arguments: argparse.Namespace) -> Roots:
    """The mount points that were asked for."""
    return Roots(arguments.procfs, arguments.sysfs, arguments.cgroupfs)


def ask_daemon(arguments: argparse.Namespace, request: dict[str, Any]) -> dict[str, Any]:
    """Send the running daemon a command and wait for its answer.

    Raises:
        NotRunningError: There is none, or it does not answer within ``--timeout``.
    """
    path = places(arguments).control
    try:
        return ask(path, request, arguments.timeout)
    except (FileNotFoundError, ConnectionError) as error:
        raise NotRunningError(f"memwatchd is not running ({path}: {error.strerror})") from error
    except (OSError, ValueError) as error:
        raise NotRunningError(f"memwatchd does not answer ({path}: {error})") from error


def incident(arguments: argparse.Namespace) -> Incident:
    """Open the incident that was asked for.

    Raises:
        NotFoundError: There is none.
        FormatError: It cannot be read.
    """
    return open_named(arguments, arguments.incident)


def open_named(arguments: argparse.Namespace, name: str) -> Incident:
    """Open an incident by its path or name, or the last one.

    Raises:
        NotFoundError: There is none.
        FormatError: It cannot be read.
    """
    where = places(arguments)
    return open_incident(find([where.incidents, where.pending], name))


def open_to_pass_on(arguments: argparse.Namespace, name: str) -> Incident:
    """Open an incident by its path or name, or the last one; say what is damaged, for the outcome will not.

    Raises:
        NotFoundError: There is none.
        FormatError: It cannot be read.
    """
    found = open_named(arguments, name)
    if found.problems:
        more = f", and {len(found.problems) - 1} more" if found.problems[1:] else ""
        text = f"{found.path}: damaged: {found.problems[0]}{more}; going on with what is left"
        print(f"memwatchd: {printable(text)}", file=sys.stderr)
    return found


def refuse_input(out: Path, path: Path) -> None:
    """Nobody wants the original to be replaced.

    Raises:
        MemwatchdError: It would be, or `out` is no file.
    """
    with suppress(OSError):
        if out.is_dir():
            raise MemwatchdError(f"{out}: expected the name of a file, this is a directory")
        if out.samefile(path):
            raise MemwatchdError(f"{out}: this is the input; expected another file")


def value(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a ``type`` for argparse that says what was expected, from a function that raises ValueError."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read
