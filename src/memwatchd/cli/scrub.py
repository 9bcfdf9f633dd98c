"""``memwatchd scrub``: a report or an incident without the names in it, to be shared."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from memwatchd.cli import arguments as shared
from memwatchd.cli.inputs import BLOCK_BYTES, STDIN, Input, openers
from memwatchd.cli.progress import Progress
from memwatchd.config.load import SHIPPED_CONFIG, parse_config
from memwatchd.errors import MemwatchdError
from memwatchd.export.output import new_file, standard_output
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.scrub import scrub_incident
from memwatchd.scrub.log import LogScrubber
from memwatchd.scrub.names import Names

_SUFFIX = ".mwi"
_POLICIES = SHIPPED_CONFIG.parent / "policies"
_KINDS = {
    "host": "host names",
    "proc": "commands",
    "cgroup": "cgroups",
    "unit": "units",
    "id": "ids",
    "uid": "users",
    "user": "user names",
    "path": "paths",
    "ip": "IP addresses",
    "mac": "MAC addresses",
    "mail": "mail addresses",
    "domain": "domains",
    "url": "URLs",
    "rule": "rules",
    "word": "unknown words",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs",
        nargs=1,
        metavar="INPUT",
        help="a log, also compressed; '-' is standard input; or an incident: path, name, last",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="a file, or '-' for standard output; default: INPUT.scrubbed or INCIDENT-scrubbed.mwi in the "
        "current directory, and standard output for standard input",
    )
    parser.add_argument(
        "--keep-commands", action="store_true", help="leave the names of commands as they are"
    )
    parser.set_defaults(journal=None, kmsg=False)
    shared.add_places(parser)
    parser.epilog = (
        "names become stand-ins such as host-1 and proc-7, the same everywhere; memory stays as it was"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the scrubbed file and say what was replaced."""
    names = Names(keep_commands=arguments.keep_commands, kept_rules=_shipped_rules())
    if arguments.output not in (None, STDIN):
        shared.refuse_input(Path(arguments.output), Path(arguments.inputs[0]))
    source = openers(arguments, Progress(sys.stderr))[0]()
    try:
        if source.incident is not None:
            out = _scrub_incident(source.incident, arguments.output, names)
        else:
            out = _scrub_log(source, arguments, names)
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        raise MemwatchdError(f"{arguments.output or source.name}: {error.strerror}") from error
    print(f"memwatchd: {_summary(names)}", file=sys.stderr)
    print(f"memwatchd: {out}: a person should look at it before it is shared", file=sys.stderr)
    return 0


def _scrub_incident(incident: Incident, output: str | None, names: Names) -> str:
    if output == STDIN:
        raise MemwatchdError(f"{incident.path}: an incident goes to a file; expected its name after -o")
    out = Path(output or f"{incident.path.name.removesuffix(_SUFFIX)}-scrubbed{_SUFFIX}")
    shared.refuse_input(out, incident.path)
    scrub_incident(incident, out, names)
    return str(out)


def _scrub_log(source: Input, arguments: argparse.Namespace, names: Names) -> str:
    given: str = arguments.inputs[0]
    output = arguments.output or (STDIN if given == STDIN else f"{Path(given).name}.scrubbed")
    with tempfile.TemporaryFile() as spool:
        for block in source.counted():
            spool.write(block)
        if source.problem is not None:
            raise source.problem
        _write(LogScrubber(names).scrub(partial(_blocks, spool)), output)
    return "standard output" if output == STDIN else output


def _blocks(spool: BinaryIO) -> Iterator[bytes]:
    spool.seek(0)
    while block := spool.read(BLOCK_BYTES):
        yield block


def _write(lines: Iterator[str], output: str) -> None:
    with standard_output() if output == STDIN else new_file(Path(output)) as out:
        out.writelines(line.encode("utf-8", "surrogateescape") for line in lines)


def _shipped_rules() -> set[str]:
    """Names that everybody's rules may have."""
    files = (SHIPPED_CONFIG, *sorted(_POLICIES.glob("*.yaml")))
    return {rule.name for file in files for rule in parse_config(file.read_bytes(), str(file)).rules}


def _summary(names: Names) -> str:
    replaced = ", ".join(f"{count} {_KINDS.get(kind, kind)}" for kind, count in sorted(names.counts.items()))
    dropped = ", ".join(f"{count} {kind}s" for kind, count in sorted(names.dropped.items()) if count)
    left_out = f"; left out: {dropped}" if dropped else ""
    return f"replaced: {replaced or 'nothing'}{left_out}"
