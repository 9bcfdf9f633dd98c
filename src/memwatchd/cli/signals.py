"""``memwatchd signals``: the numbers that rules can watch, with their present values."""

import argparse
import json
import sys

from memwatchd.cli import arguments as shared
from memwatchd.incidents.moment import parse_at
from memwatchd.views.signals import describe, read_now, recorded, render


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "pattern", nargs="?", metavar="PATTERN", help="part of a name, or a pattern such as 'zone.*.free'"
    )
    parser.add_argument(
        "--incident", metavar="INCIDENT", help="read them from this one: path, name, or 'last'"
    )
    parser.add_argument("--at", metavar="TIME", help="seconds from the trigger, or a date; default 0")
    parser.add_argument("--verbose", "-v", action="store_true", help="with meaning and kernel file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(refuse=parser.error)
    shared.add_places(parser)
    shared.add_roots(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each signal that has a value."""
    if arguments.incident is not None:
        incident = shared.incident(arguments)
        recording = recorded(incident, parse_at(arguments.at or "0", incident))
    elif arguments.at is not None:
        arguments.refuse("--at needs --incident")
    else:
        recording = read_now(shared.roots(arguments), shared.places(arguments))
    found = describe(recording, arguments.pattern)
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write(render(found, verbose=arguments.verbose))
    return 0
