"""Runs one scenario with one daemon: `lab/run.py --scenario hog --daemon memwatchd`.

Exit status: 0, all is as the scenario expects; 1, something is not; 2, the run could not be made.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import daemons, places, scenario, session, table
from lab.course import Run
from lab.errors import LabError


def main(words: list[str] | None = None) -> int:
    """Run it; returns an exit status."""
    arguments = parse(words)
    began = time.monotonic()

    def tell(text: str) -> None:
        if not arguments.quiet:
            print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        story, daemon = scenario.load(arguments.scenario), daemons.find(arguments.daemon)
        with session.prepared(story, daemon, keep=arguments.keep, tell=tell) as prepared:
            tell(f"{story.name} with {daemon.name}, everything of it in {prepared.directory}")
            prepared.run.whole()
            result = session.result_of(prepared)
            session.write(result, session.result_file(story, daemon, arguments.results))
            print(json.dumps(result, indent=1) if arguments.json else table.render([result]), end="")
            if arguments.keep:
                hold(prepared.run)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    for text in session.failed(result):
        print(f"lab: not as expected: {text}", file=sys.stderr)
    return 1 if session.failed(result) else 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="lab/run.py", description=__doc__)
    parser.add_argument(
        "--scenario", required=True, help=f"one of {', '.join(scenario.names())}, or a path to one"
    )
    parser.add_argument("--daemon", required=True, choices=list(daemons.DAEMONS))
    parser.add_argument(
        "--keep", action="store_true", help="leave the guest running afterwards, and say how to get in"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the whole result instead of its line of the table"
    )
    parser.add_argument("--results", type=Path, default=places.RESULTS, help="where the result is written")
    parser.add_argument("--quiet", action="store_true", help="do not tell what happens meanwhile")
    return parser.parse_args(words)


def hold(run: Run) -> None:
    """Keep the guest until the person says otherwise, or it ends by itself."""
    print(
        f"the guest goes on. A shell in it:   {shlex.join(run.guest.ssh_words())}\n"
        f"its console (when ssh is dead):     socat -,raw,echo=0,escape=0x1d UNIX:{run.guest.console}\n"
        "Ctrl-C here switches it off.",
        flush=True,
    )
    try:
        while not run.guest.wait(1.0):
            pass
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    sys.exit(main())
