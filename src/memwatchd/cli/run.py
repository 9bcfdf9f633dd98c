"""``memwatchd run``: the daemon, in the foreground."""

import argparse
from dataclasses import replace
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.config.load import load_config
from memwatchd.service.service import Service


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: built in")
    parser.add_argument("--no-exporter", action="store_true", help="do not start the exporter as a child")
    shared.add_places(parser)
    shared.add_roots(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    config = load_config(arguments.config)
    if arguments.no_exporter:
        config = replace(config, exporter=replace(config.exporter, enabled=False))
    Service(config, shared.places(arguments), shared.roots(arguments)).run()
    return 0
