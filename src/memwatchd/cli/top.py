"""``memwatchd top``: the machine's memory now, on a terminal."""

import argparse

from memwatchd.cli import arguments as shared
from memwatchd.config.load import load_config
from memwatchd.errors import ConfigError
from memwatchd.units import parse_rate
from memwatchd.views.live.program import Program
from memwatchd.views.live.ring_source import RingSource
from memwatchd.views.live.source import Rules
from memwatchd.views.live.tape_source import TapeSource
from memwatchd.views.live.terminal import Terminal

_MOST_HZ = 20.0


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--rate",
        type=shared.value(_rate),
        default=4.0,
        metavar="RATE",
        help="pictures a second, from 0.1Hz to 20Hz; default 4Hz",
    )
    shared.add_config(parser)
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show what memory does until somebody quits; exit status 3 when the daemon is not running."""
    source = RingSource(shared.places(arguments), _rules(arguments))

    def freeze() -> TapeSource:
        return TapeSource(source.put_aside(), source.rules, title=source.title)

    with Terminal() as terminal:
        Program(terminal, source, is_tape=False, rate_hz=arguments.rate, freeze=freeze).run()
    return 0


def _rules(arguments: argparse.Namespace) -> Rules:
    """The rules of the configuration, which need not be the daemon's, nor for everybody to read."""
    path = shared.config_path(arguments)
    try:
        config = load_config(path)
    except ConfigError as error:
        if arguments.config is not None:
            raise
        return Rules(note=str(error).partition("\n")[0])
    return Rules(tuple(rule for rule in config.rules if rule.enabled), config.acting.dry_run)


def _rate(text: str) -> float:
    rate_hz = parse_rate(text)
    if not 0.1 <= rate_hz <= _MOST_HZ:
        raise ValueError(f"expected a rate from 0.1Hz to {_MOST_HZ:g}Hz; got {text}")
    return rate_hz
