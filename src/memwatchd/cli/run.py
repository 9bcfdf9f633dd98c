"""``memwatchd run``: the daemon, in the foreground."""

import argparse
from dataclasses import replace

from memwatchd.cli import arguments as shared
from memwatchd.config.load import load_config
from memwatchd.config.model import Config
from memwatchd.service.service import Service


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    shared.add_config(parser)
    parser.add_argument("--no-exporter", action="store_true", help="do not start the exporter as a child")
    shared.add_places(parser)
    shared.add_roots(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""

    def read_config() -> Config:
        config = load_config(shared.config_path(arguments))
        if arguments.no_exporter:
            config = replace(config, exporter=replace(config.exporter, enabled=False))
        return config

    Service(read_config(), shared.places(arguments), shared.roots(arguments), read_config).run()
    return 0
