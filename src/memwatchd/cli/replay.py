"""``memwatchd replay``: an incident on a terminal, to go to and fro in."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.config.load import load_config, parse_config
from memwatchd.errors import ConfigError
from memwatchd.incidents.moment import parse_at
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.recorded import from_incident
from memwatchd.views.live.program import Program
from memwatchd.views.live.source import Rules
from memwatchd.views.live.tape_source import TapeSource
from memwatchd.views.live.terminal import Terminal

_CONFIG = "config.yaml"
_FRAMES_HZ = 10.0


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--at", metavar="TIME", default="0", help="begin here: seconds from the trigger, or a date"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="look at the rules of this one; default: those of the recording",
    )
    shared.add_incident(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the incident until somebody quits."""
    incident = shared.incident(arguments)
    at_ns = parse_at(arguments.at, incident)
    source = TapeSource(
        from_incident(incident),
        _rules(arguments.config, incident),
        title=incident.path.name,
        notes=tuple(_notes(incident)),
    )
    source.go(at_ns)
    with Terminal() as terminal:
        Program(terminal, source, is_tape=True, rate_hz=_FRAMES_HZ).run()
    return 0


def _rules(path: Path | None, incident: Incident) -> Rules:
    """The rules that were in force when it was recorded, or those somebody names."""
    if path is not None:
        config = load_config(path)
    else:
        text = incident.texts().get(_CONFIG)
        if text is None:
            return Rules(note="the recording has no configuration with it: name one with --config")
        try:
            config = parse_config(text, _CONFIG)
        except ConfigError as error:
            return Rules(
                note=f"of another version, name one with --config: {str(error).partition(chr(10))[0]}"
            )
    return Rules(tuple(rule for rule in config.rules if rule.enabled), config.acting.dry_run)


def _notes(incident: Incident) -> Iterator[str]:
    if not incident.complete:
        yield "incomplete: the recording was cut short"
    if incident.problems:
        more = f", and {len(incident.problems) - 1} more" if incident.problems[1:] else ""
        yield f"damaged: {incident.problems[0]}{more}"
