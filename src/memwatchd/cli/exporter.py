"""``memwatchd exporter``: metrics for Prometheus, from a process of its own."""

import argparse
import sys
from pathlib import Path

from memwatchd.cli.where import add_places, places
from memwatchd.config.serving import Exporter, Listen, read_listen, write_listen
from memwatchd.exporter.server import serve
from memwatchd.exporter.table import markdown


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    default = Exporter().listen
    parser.add_argument(
        "--listen",
        action="append",
        type=_listen,
        metavar="HOST:PORT",
        help="or the path of a Unix socket; may be given several times; "
        f"default {' '.join(map(write_listen, default))}",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config",
        type=Path,
        metavar="FILE",
        help="certificate, passwords and headers, in the format of Prometheus' exporter-toolkit",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="describe all metrics as docs/metrics.md does"
    )
    parser.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)
    add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until killed."""
    if arguments.markdown:
        sys.stdout.write(markdown())
        return 0
    listen = tuple(arguments.listen or Exporter().listen)
    serve(places(arguments), listen, web_config=arguments.web_config, until_eof=arguments.until_eof)
    return 0


def _listen(text: str) -> Listen:
    try:
        return read_listen(text)
    except ValueError as error:
        expected = "host:port with an IPv6 address in brackets, or the path of a Unix socket"
        raise argparse.ArgumentTypeError(f"expected {expected}; got {text!r}") from error
