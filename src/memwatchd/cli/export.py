"""``memwatchd export``: what was recorded, in the formats of other programs."""

import argparse
import sys
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.cli.progress import Progress
from memwatchd.errors import MemwatchdError, NotFoundError
from memwatchd.export.formats import DIRECTORY, FORMATS, TREE, Format
from memwatchd.export.options import Options, parse_every, parse_patterns
from memwatchd.export.output import STDOUT, new_file, standard_output
from memwatchd.incidents.moment import moment_at, parse_at
from memwatchd.incidents.recorded import Recorded, from_incident, from_rings
from memwatchd.incidents.store import SUFFIX
from memwatchd.units import parse_duration, printable
from memwatchd.views.proctree import write_tree


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    formats = "; ".join(f"{name}: {each.meaning}" for name, each in FORMATS.items())
    parser.add_argument("--format", default="csv", choices=tuple(FORMATS), help=f"{formats}; default csv")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="a file or '-', a directory for parquet and procfs; default standard output, for perfetto "
        "INCIDENT.pftrace in the current directory",
    )
    parser.add_argument(
        "--signals",
        action="append",
        type=shared.value(parse_patterns),
        metavar="NAMES",
        help="names or patterns with commas between them, such as 'zone.*.free,slab.dentry.*'; '*' for all; "
        "default all for parquet and perfetto, the main ones for the others",
    )
    parser.add_argument(
        "--every",
        type=shared.value(parse_every),
        metavar="TIME",
        help="one sample in such a span, for example 50ms; default all, for openmetrics 1s",
    )
    parser.add_argument(
        "--at", metavar="TIME", help="for procfs: seconds from the trigger, or a date; default 0"
    )
    parser.add_argument(
        "--live",
        type=shared.value(parse_duration),
        metavar="SPAN",
        help="the last seconds of the daemon that runs here, for example 30s",
    )
    parser.add_argument(
        "incidents", nargs="*", metavar="INCIDENT", help="path, name, or 'last'; several for parquet"
    )
    parser.set_defaults(refuse=parser.error)
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write what was asked for."""
    form = FORMATS[arguments.format]
    _check(arguments, form)
    if form.kind == TREE:
        return _write_tree(arguments)
    progress = Progress(sys.stderr)
    status = 0
    for name in arguments.incidents or [None]:
        try:
            recorded = _recorded(arguments, name)
            progress.begin(f"{recorded.name}: {arguments.format}", None)
            _write(form, recorded, arguments, progress)
        except MemwatchdError as error:
            if len(arguments.incidents) < 2:
                raise
            # One bad file among thousands must not keep the others out.
            progress.clear()
            print(f"memwatchd: {printable(str(error))}", file=sys.stderr)
            status = status or error.exit_status
        finally:
            progress.clear()
    return status


def _check(arguments: argparse.Namespace, form: Format) -> None:
    """Refuse what does not go together, as argparse does."""
    refuse = arguments.refuse
    if (arguments.live is None) == (not arguments.incidents):
        refuse("expected INCIDENT or --live SPAN" if arguments.live is None else "--live takes no INCIDENT")
    if len(arguments.incidents) > 1 and form.kind != DIRECTORY:
        refuse(f"--format {arguments.format} takes one INCIDENT")
    if form.kind in (DIRECTORY, TREE) and arguments.output in (None, STDOUT):
        refuse(f"--format {arguments.format} needs -o DIRECTORY")
    if not form.signals and (arguments.signals or arguments.every is not None):
        refuse(f"--format {arguments.format} takes neither --signals nor --every")
    if arguments.at is not None and form.kind != TREE:
        refuse("--at is for --format procfs")
    if arguments.live is not None and form.kind == TREE:
        refuse("--format procfs takes an INCIDENT: what is now is in /proc")


def _recorded(arguments: argparse.Namespace, name: str | None) -> Recorded:
    if name is None:
        return from_rings(shared.places(arguments), arguments.live)
    return from_incident(shared.open_to_pass_on(arguments, name))


def _write(form: Format, recorded: Recorded, arguments: argparse.Namespace, progress: Progress) -> None:
    patterns = tuple(pattern for each in arguments.signals or () for pattern in each)
    options = Options(patterns, arguments.every, progress.share)
    write = form.writer()
    if form.kind == DIRECTORY:
        write(recorded, Path(arguments.output), options)
        return
    output = arguments.output
    if output is None:
        output = f"{recorded.name.removesuffix(SUFFIX)}{form.suffix}" if form.suffix else STDOUT
    if output == STDOUT:
        with standard_output() as out:
            write(recorded, out, options)
        return
    path = Path(output)
    if recorded.incident is not None:
        shared.refuse_input(path, recorded.incident.path)
    with new_file(path) as out:
        write(recorded, out, options)


def _write_tree(arguments: argparse.Namespace) -> int:
    incident = shared.open_to_pass_on(arguments, arguments.incidents[0])
    at_ns = parse_at(arguments.at or "0", incident)
    try:
        write_tree(incident, moment_at(incident, at_ns), Path(arguments.output))
    except OSError as error:
        raise NotFoundError(f"{arguments.output}: {error.strerror}") from error
    return 0
