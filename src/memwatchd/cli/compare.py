"""``memwatchd compare``: what grew in one incident and not in another."""

import argparse
import json
import sys

from memwatchd.cli import arguments as shared
from memwatchd.units import parse_duration
from memwatchd.views.compare import compare_incidents, render


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--over",
        type=shared.value(parse_duration),
        metavar="TIME",
        help="how long before each trigger, for example 10s; default as long as both were recorded",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("a", metavar="A", help="an incident: path, name, or 'last'")
    parser.add_argument("b", metavar="B", help="another one")
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print both sides."""
    one, other = (shared.open_to_pass_on(arguments, name) for name in (arguments.a, arguments.b))
    found = compare_incidents(one, other, arguments.over)
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if arguments.json else render(found))
    return 0
