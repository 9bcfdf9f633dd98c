"""The command line: one module per command, each with `add` for its arguments and `run` for its work."""

import argparse
import os
import sys
from collections.abc import Sequence

from memwatchd import __version__
from memwatchd.cli import dump, exporter, incidents, procfs, raw, run, show, status
from memwatchd.errors import MemwatchdError

_COMMANDS = (run, status, dump, incidents, show, raw, procfs, exporter)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status, see `memwatchd.errors`."""
    parser = argparse.ArgumentParser(prog="memwatchd", description=_description(), allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"memwatchd {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(subparsers)
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
        sys.stdout.flush()
    except MemwatchdError as error:
        print(f"memwatchd: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader has seen enough; keep the interpreter from complaining about the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


def _description() -> str:
    return "Records how this machine runs out of memory, and shows it afterwards."
