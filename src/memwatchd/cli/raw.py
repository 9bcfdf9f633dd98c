"""``memwatchd raw``: the kernel's own text at one moment, byte for byte."""

import argparse
import sys

from memwatchd.cli import arguments as shared
from memwatchd.errors import NotFoundError
from memwatchd.incidents.moment import moment_at, parse_at


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--source", required=True, metavar="NAME", help="for example slabinfo")
    parser.add_argument(
        "--at", default="0", metavar="TIME", help="seconds from the trigger, or a date; default 0"
    )
    shared.add_incident(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the text to standard output and nothing else."""
    incident = shared.incident(arguments)
    moment = moment_at(incident, parse_at(arguments.at, incident))
    text = moment.text(arguments.source)
    if text is None:
        names = ", ".join(str(entry["name"]) for entry in moment.sources.values())
        raise NotFoundError(f"{arguments.source}: not among the sources of that moment: {names}")
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
    return 0
