"""``memwatchd show``: one incident on one screen."""

import argparse
import json
import sys

from memwatchd.cli import arguments as shared
from memwatchd.views.incident import render
from memwatchd.views.summary import summarise


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    shared.add_incident(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the incident's summary."""
    summary = summarise(shared.incident(arguments))
    sys.stdout.write(json.dumps(summary, indent=2) + "\n" if arguments.json else render(summary))
    return 0
