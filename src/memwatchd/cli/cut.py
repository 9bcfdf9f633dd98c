"""``memwatchd cut``: a smaller incident of one."""

import argparse
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.cut import cut_incident
from memwatchd.incidents.moment import parse_at
from memwatchd.incidents.store import SUFFIX

_EARLIEST_NS, _LATEST_NS = 0, (1 << 63) - 1


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    moment = "seconds from the trigger such as -5s, or a date"
    parser.add_argument("--from", dest="begin", metavar="TIME", help=f"{moment}; default the beginning")
    parser.add_argument("--to", dest="end", metavar="TIME", help=f"{moment}; default the end")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="default INCIDENT-cut.mwi in the current directory; a file of this name is replaced",
    )
    parser.set_defaults(refuse=parser.error)
    shared.add_incident(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the smaller incident and print its path."""
    if arguments.begin is None and arguments.end is None:
        arguments.refuse("expected --from or --to")
    incident = shared.open_to_pass_on(arguments, arguments.incident)
    from_ns = _EARLIEST_NS if arguments.begin is None else parse_at(arguments.begin, incident, "--from")
    to_ns = _LATEST_NS if arguments.end is None else parse_at(arguments.end, incident, "--to")
    if from_ns > to_ns:
        arguments.refuse("--from is after --to")
    out = arguments.output or Path(f"{incident.path.name.removesuffix(SUFFIX)}-cut{SUFFIX}")
    shared.refuse_input(out, incident.path)
    try:
        cut_incident(incident, out, from_ns, to_ns)
    except OSError as error:
        raise MemwatchdError(f"{out}: {error.strerror}") from error
    print(out)
    return 0
