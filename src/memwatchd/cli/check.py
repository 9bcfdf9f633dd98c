"""``memwatchd check``: whether a configuration is good, and what it would do on this machine now."""

import argparse
import json
import os
import sys
from itertools import pairwise
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.config.dump import to_plain, to_yaml
from memwatchd.config.load import config_files, load_config
from memwatchd.config.model import Config
from memwatchd.config.schema import schema_text
from memwatchd.errors import ConfigError
from memwatchd.exporter.access import Access
from memwatchd.sampling.glance import Glance
from memwatchd.service.acting import active_rules, make_rulebook, silent_world
from memwatchd.service.needs import drop_in, refusals
from memwatchd.service.sandbox import Sandbox
from memwatchd.service.start import make_plan
from memwatchd.service.unitfile import Unit, read_unit
from memwatchd.service.watches import WatchKeeper
from memwatchd.units import printable
from memwatchd.views.check import RuleCheck, check_rules, render, to_json

_UNIT = "memwatchd.service"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    shared.add_config(parser)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--effective", action="store_true", help="print the whole configuration as YAML")
    kind.add_argument("--schema", action="store_true", help="print the JSON Schema of the configuration")
    kind.add_argument("--json", action="store_true", help="print JSON")
    kind.add_argument(
        "--unit",
        nargs="?",
        const=_UNIT,
        metavar="NAME|FILE",
        help=f"say which directives of this unit forbid what the configuration wants (default {_UNIT})",
    )
    shared.add_places(parser)
    shared.add_roots(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what the configuration says and would do; raises ConfigError when it is not good."""
    if arguments.schema:
        sys.stdout.write(schema_text())
        return 0
    if arguments.unit:
        return _check_unit(arguments)
    path = shared.config_path(arguments)
    config = load_config(path)
    if arguments.effective:
        sys.stdout.write(to_yaml(config))
        return 0
    web_problem = _web_problem(config)
    checks = _check(config, arguments)
    if arguments.json:
        print(
            json.dumps(
                {"configuration": to_plain(config), "rules": [to_json(each) for each in checks]}, indent=2
            )
        )
    else:
        _print(path, config, checks)
    refused = [f"{path}: {each}" for each in map(_refusal, checks) if each]
    refused += [web_problem] if web_problem else []
    if refused:
        raise ConfigError("\n".join(refused))
    return 0


def _check_unit(arguments: argparse.Namespace) -> int:
    """Compare what the configuration wants with what a unit lets through."""
    unit = read_unit(arguments.unit)
    path = shared.config_path(arguments) if arguments.config else _config_of(unit, arguments)
    found = refusals(load_config(path), Sandbox(unit))
    for file in (*unit.files, *config_files(path)):
        print(printable(f"read {file}"))
    print()
    if not found:
        print(printable(f"{unit.name} lets everything through that {path} wants"))
        return 0
    for each in found:
        print(printable(str(each)))
    print(f"\nThis drop-in, /etc/systemd/system/{printable(unit.name)}.d/local.conf, would let it through:\n")
    print("\n".join(map(printable, drop_in(found).splitlines())))
    return ConfigError.exit_status


def _config_of(unit: Unit, arguments: argparse.Namespace) -> Path:
    """The configuration that the unit's command names, or the one to go by when it names none."""
    words = [part for word in unit.command() for part in word.split("=", 1)]
    named = [after for word, after in pairwise(words) if word == "--config"]
    return Path(named[-1]) if named else shared.config_path(arguments)


def _check(config: Config, arguments: argparse.Namespace) -> list[RuleCheck]:
    places, roots = shared.places(arguments), shared.roots(arguments)
    plan = make_plan(config, places, roots)
    with Glance(plan.sources) as glance:
        WatchKeeper(roots, config.watch, glance.add).look()
        world = silent_world(roots, places, frozenset({os.getpid()}))
        return check_rules(active_rules(config), make_rulebook(config), glance, world)


def _web_problem(config: Config) -> str:
    """What keeps the exporter from serving with its web configuration; one line each."""
    path = config.exporter.web_config
    if path is None or not config.exporter.enabled:
        return ""
    try:
        Access(path, lambda _sentence: None)
    except ConfigError as error:
        return str(error)
    return ""


def _files(path: Path, config: Config) -> list[Path]:
    web = config.exporter.web_config if config.exporter.enabled else None
    return [*config_files(path), *([] if web is None else [web])]


def _refusal(check: RuleCheck) -> str:
    if not check.refused:
        return ""
    absent = ", ".join(check.absent)
    return f"rules.{check.rule.name}.when: expected signals of this machine, or optional: true; got {absent}"


def _print(path: Path, config: Config, checks: list[RuleCheck]) -> None:
    for file in _files(path, config):
        print(f"read {file}")
    print()
    print(to_yaml(config))
    print("\n".join(map(printable, render(checks, config.acting))))
    missing = {
        f"{step.action.name}: {each}" for check in checks for step in check.steps for each in step.missing
    }
    for each in sorted(missing):
        print(printable(f"missing  {each}"))
