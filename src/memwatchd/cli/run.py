"""``memwatchd run``: the daemon, in the foreground."""

import argparse
from dataclasses import replace
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.config.model import Config
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
    config = _configuration(arguments.config or (_DEFAULT if _DEFAULT.exists() else None))
    if arguments.no_exporter:
        config = replace(config, exporter=replace(config.exporter, enabled=False))
    Service(config, shared.places(arguments), shared.roots(arguments)).run()
    return 0


def _configuration(path: Path | None) -> Config:
    if path is None:
        return Config()
    # Not at the top: without a file, a resident process should not hold two megabytes of YAML parser.
    from memwatchd.config.load import load_config

    return load_config(path)
