"""``memwatchd exporter``: metrics for Prometheus, from a process of its own."""

import argparse

from memwatchd.cli import arguments as shared
from memwatchd.config.model import Config, Exporter, Listen
from memwatchd.config.scalars import read_scalar, write_scalar
from memwatchd.exporter.server import serve
from memwatchd.keys import keys_of

_LISTEN = keys_of(Exporter)["listen"]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    default = Config().exporter.listen
    parser.add_argument(
        "--listen",
        type=_listen,
        default=default,
        metavar="HOST:PORT",
        help=f"default {write_scalar(_LISTEN, default)}",
    )
    parser.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until killed."""
    serve(shared.places(arguments), arguments.listen, until_eof=arguments.until_eof)
    return 0


def _listen(text: str) -> Listen:
    try:
        listen: Listen = read_scalar(_LISTEN, text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return listen
