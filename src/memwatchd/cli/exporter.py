"""``memwatchd exporter``: metrics for Prometheus, from a process of its own."""

import argparse

from memwatchd.cli import arguments as shared
from memwatchd.config.model import Config, Exporter, Listen, keys_of
from memwatchd.config.scalars import read_scalar, write_scalar

_LISTEN = keys_of(Exporter)["listen"]


def add(subparsers: shared.Subparsers) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser("exporter", help="serve metrics for Prometheus")
    default = Config().exporter.listen
    parser.add_argument(
        "--listen",
        type=_listen,
        default=default,
        metavar="HOST:PORT",
        help=f"default {write_scalar(_LISTEN, default)}",
    )
    parser.add_argument("--child-of", type=int, metavar="PID", help=argparse.SUPPRESS)
    shared.add_places(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until killed."""
    # prometheus_client alone takes 14 MiB and 100 ms: only this command pays for it.
    from memwatchd.exporter.server import serve

    serve(shared.places(arguments), arguments.listen, child_of=arguments.child_of)
    return 0


def _listen(text: str) -> Listen:
    try:
        listen: Listen = read_scalar(_LISTEN, text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return listen
