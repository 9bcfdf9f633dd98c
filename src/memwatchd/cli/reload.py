"""``memwatchd reload``: have the daemon read its configuration anew."""

import argparse

from memwatchd.cli import arguments as shared
from memwatchd.errors import ConfigError


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--timeout", type=float, default=90.0, metavar="SECONDS", help="default 90")
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Say nothing when it went well; otherwise the daemon goes by its old configuration."""
    reply = shared.ask_daemon(arguments, {"command": "reload"})
    if "error" in reply:
        raise ConfigError(f"the configuration is kept as it was\n{reply['error']}")
    return 0
