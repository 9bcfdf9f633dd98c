"""``memwatchd run``: the daemon, in the foreground."""

import argparse
from dataclasses import replace
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.config.load import load_config
from memwatchd.service.service import Service

_DEFAULT = Path("/etc/memwatchd.yaml")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"default: {_DEFAULT} if it is there, else built in"
    )
    parser.add_argument("--no-exporter", action="store_true", help="do not start the exporter as a child")
    shared.add_places(parser)
    shared.add_roots(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    config = load_config(arguments.config or (_DEFAULT if _DEFAULT.exists() else None))
    if arguments.no_exporter:
        config = replace(config, exporter=replace(config.exporter, enabled=False))
    Service(config, shared.places(arguments), shared.roots(arguments)).run()
    return 0
