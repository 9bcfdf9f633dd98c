"""``memwatchd status``: how the daemon is doing."""

import argparse
import json
import sys

from memwatchd.cli import arguments as shared
from memwatchd.views.status import read_status, render


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the status; exit status 3 when the daemon is not running."""
    status = read_status(shared.places(arguments))
    sys.stdout.write(json.dumps(status, indent=2) + "\n" if arguments.json else render(status))
    return 0
