"""Where ring and incidents are; apart from the other arguments, whose code the exporter should not hold."""

import argparse
from pathlib import Path

from memwatchd.places import Places, find_places


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add --runtime-dir and --state-dir."""
    parser.add_argument(
        "--runtime-dir", type=Path, metavar="DIR", help="ring and sockets (default: see README)"
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="incidents (default: see README)")


def places(arguments: argparse.Namespace) -> Places:
    """The directories that were asked for."""
    return find_places(arguments.runtime_dir, arguments.state_dir)
