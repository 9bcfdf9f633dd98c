"""``memwatchd procfs``: one moment as a /proc tree that other tools can be pointed at."""

import argparse
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.moment import moment_at, parse_at
from memwatchd.views.proctree import write_tree
from memwatchd.views.text import printable


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--at", default="0", metavar="TIME", help="seconds from the trigger, or a date; default 0"
    )
    shared.add_incident(parser)
    parser.add_argument("directory", type=Path, metavar="DIR", help="made if need be; must be empty")


def run(arguments: argparse.Namespace) -> int:
    """Write the tree and print what is in it."""
    incident = shared.incident(arguments)
    at_ns = parse_at(arguments.at, incident)
    try:
        written = write_tree(incident, moment_at(incident, at_ns), arguments.directory)
    except OSError as error:
        raise MemwatchdError(f"{arguments.directory}: {error.strerror}") from error
    print("\n".join(printable(str(path)) for path in written))
    return 0
