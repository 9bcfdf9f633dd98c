"""``memwatchd merge``: one incident of several of one machine."""

import argparse
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.merge import merge_incidents
from memwatchd.incidents.store import SUFFIX


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="default FIRST-merged.mwi in the current directory; a file of this name is replaced",
    )
    parser.add_argument("incidents", nargs="+", metavar="INCIDENT", help="path, name, or 'last'")
    parser.set_defaults(refuse=parser.error)
    shared.add_places(parser)
    parser.epilog = "they must be of one machine between two reboots; moment zero is the first one's trigger"


def run(arguments: argparse.Namespace) -> int:
    """Write the one incident and print its path."""
    if len(arguments.incidents) < 2:
        arguments.refuse("expected two incidents or more")
    incidents = [shared.open_to_pass_on(arguments, name) for name in arguments.incidents]
    first = min(incidents, key=lambda each: each.trigger_ns)
    out = arguments.output or Path(f"{first.path.name.removesuffix(SUFFIX)}-merged{SUFFIX}")
    for incident in incidents:
        shared.refuse_input(out, incident.path)
    try:
        merge_incidents(incidents, out)
    except OSError as error:
        raise MemwatchdError(f"{out}: {error.strerror}") from error
    print(out)
    return 0
