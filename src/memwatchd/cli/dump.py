"""``memwatchd dump``: have the daemon write an incident now."""

import argparse

from memwatchd.cli import arguments as shared
from memwatchd.errors import MemwatchdError, NotRunningError
from memwatchd.service.control import ask


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the incident")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="default 30")
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the new incident's path."""
    path = shared.places(arguments).control
    try:
        reply = ask(path, {"command": "dump", "detail": arguments.reason}, arguments.timeout)
    except (FileNotFoundError, ConnectionError) as error:
        raise NotRunningError(f"memwatchd is not running ({path}: {error.strerror})") from error
    except (OSError, ValueError) as error:
        raise NotRunningError(f"memwatchd does not answer ({path}: {error})") from error
    if "path" not in reply:
        raise MemwatchdError(str(reply.get("error", "no path in the answer")))
    print(reply["path"])
    return 0
