"""The command line: one module per command, each with `add` for its arguments and `run` for its work.

Only the module of the command that was asked for is imported: a resident process should not hold what the
others need.
"""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence

from memwatchd import __version__
from memwatchd.errors import ConfigError, MemwatchdError
from memwatchd.views.text import printable

_DESCRIPTION = "Records how this machine runs out of memory, and shows it afterwards."
_NEGATIVE = re.compile(r"-\.?\d")
_COMMANDS = {
    "run": "run the daemon in the foreground",
    "status": "show how the daemon is doing",
    "check": "validate a configuration, and say what it would do now",
    "reload": "have the daemon read its configuration anew",
    "dump": "write the last seconds to disk now",
    "incidents": "list the incidents",
    "show": "show an incident",
    "top": "watch the machine's memory now, on a terminal",
    "replay": "watch an incident on a terminal: step, play, also backwards",
    "explain": "say why the kernel killed, from a log, the journal or an incident",
    "export": "write it in the formats of other programs: CSV, JSON, Parquet, Perfetto, OpenMetrics",
    "cut": "make a smaller incident of one",
    "merge": "make one incident of several of one machine",
    "compare": "show what grew in one incident and not in another",
    "report": "write an incident as one page that needs nothing else, as Markdown, or as a picture",
    "scrub": "take the names out of a log or an incident, so that it can be shared",
    "backtest": "try a configuration's rules on incidents",
    "raw": "print a source's text at one moment, byte for byte",
    "procfs": "write one moment as a /proc tree",
    "signals": "list the numbers that can be watched, with their present values",
    "actions": "list what rules can have done, with its parameters",
    "exporter": "serve metrics for Prometheus",
    "collect": "hand new incidents to a program, each once",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status, see `memwatchd.errors`."""
    words = _with_negative_times(sys.argv[1:] if arguments is None else arguments)
    try:
        # Finding a command's modules takes longest at times: an interruption has to be expected here, too.
        chosen = make_parser(words[:1]).parse_args(words)
        status: int = chosen.run(chosen)
        sys.stdout.flush()
    except MemwatchdError as error:
        # The configuration's own messages are one line a problem; in all others strangers' words may stand.
        text = str(error) if isinstance(error, ConfigError) else printable(str(error))
        print(f"memwatchd: {text}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader has seen enough; keep the interpreter from complaining about the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


def make_parser(wanted: Sequence[str] = tuple(_COMMANDS)) -> argparse.ArgumentParser:
    """Make the parser; only the commands that are wanted know their arguments."""
    parser = argparse.ArgumentParser(prog="memwatchd", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"memwatchd {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        command_parser = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        if name in wanted:
            command = importlib.import_module(f"{__name__}.{name}")
            command.add(command_parser)
            command_parser.set_defaults(run=command.run)
    return parser


def _with_negative_times(arguments: Sequence[str]) -> list[str]:
    """Let ``--at -0.5s`` be written: argparse takes what begins with a dash for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--at", "--journal", "--from", "--to") and _NEGATIVE.match(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
