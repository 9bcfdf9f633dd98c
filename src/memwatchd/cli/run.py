"""``memwatchd run``: the daemon, in the foreground."""

import argparse
from dataclasses import replace
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.config.load import SHIPPED_CONFIG, SYSTEM_CONFIG, config_files, load_config
from memwatchd.config.model import Config
from memwatchd.errors import ConfigError
from memwatchd.kernel.files import foreign
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
        path = shared.config_path(arguments)
        config = load_config(path)
        _require_own(path)
        if arguments.no_exporter:
            config = replace(config, exporter=replace(config.exporter, enabled=False))
        return config

    Service(read_config(), shared.places(arguments), shared.roots(arguments), read_config).run()
    return 0


def _require_own(path: Path) -> None:
    """Go by nothing in /etc that somebody else could have written: what is in it is done as root.

    A file that is named on the command line is its author's and the caller's business.

    Raises:
        ConfigError: It, or a drop-in, or a directory of these, may be changed by others.
    """
    if path not in (SYSTEM_CONFIG, SHIPPED_CONFIG):
        return
    files = [file for file in config_files(path) if file != SHIPPED_CONFIG]
    for each in dict.fromkeys((*files, *(file.parent for file in files))):
        problem = foreign(each)
        if problem:
            raise ConfigError(f"{each}: {problem}: expected root's, for what is in it is done as root")
