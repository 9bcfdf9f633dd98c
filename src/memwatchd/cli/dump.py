"""``memwatchd dump``: have the daemon write an incident now."""

import argparse

from memwatchd.cli import arguments as shared
from memwatchd.errors import MemwatchdError


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the incident")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="default 30")
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the new incident's path."""
    reply = shared.ask_daemon(arguments, {"command": "dump", "detail": arguments.reason})
    if "path" not in reply:
        raise MemwatchdError(str(reply.get("error", "no path in the answer")))
    print(reply["path"])
    return 0
