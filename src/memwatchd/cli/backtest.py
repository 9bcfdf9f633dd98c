"""``memwatchd backtest``: try a configuration's rules on incidents."""

import argparse
import json
from pathlib import Path
from typing import Any

from memwatchd.cli import arguments as shared
from memwatchd.config.load import load_config
from memwatchd.config.model import Config
from memwatchd.incidents.reader import Incident
from memwatchd.service.acting import active_rules, make_rulebook
from memwatchd.units import printable
from memwatchd.views.backtest import Trial, compare, render, to_json, try_rules, worse

_MISSED = 8


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    shared.add_config(parser)
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with this configuration")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("incidents", nargs="+", metavar="INCIDENT", help="path, name, or 'last'")
    shared.add_places(parser)
    parser.epilog = (
        "exit status 8: in one of the incidents the kernel killed and no acting rule would have fired "
        "before; with --against: and a rule of the other configuration would have"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what each rule would have done in each incident."""
    incidents = [shared.open_named(arguments, name) for name in arguments.incidents]
    new = _trials(load_config(shared.config_path(arguments)), incidents)
    old = _trials(load_config(arguments.against), incidents) if arguments.against else []
    if arguments.json:
        print(json.dumps(_to_json(new, old), indent=2))
    else:
        _print(new, old)
    if old:
        return _MISSED if any(map(worse, new, old)) else 0
    return _MISSED if any(trial.missed for trial in new) else 0


def _trials(config: Config, incidents: list[Incident]) -> list[Trial]:
    rules, book = active_rules(config), make_rulebook(config)
    return [try_rules(incident, rules, book) for incident in incidents]


def _to_json(new: list[Trial], old: list[Trial]) -> list[dict[str, Any]]:
    found = [to_json(trial) for trial in new]
    for entry, trial in zip(found, old, strict=False):
        entry["against"] = to_json(trial)
    return found


def _print(new: list[Trial], old: list[Trial]) -> None:
    for place, trial in enumerate(new):
        if place:
            print()
        print("\n".join(map(printable, render(trial))))
    if old:
        print()
    for trial, other in zip(new, old, strict=False):
        print(printable(compare(trial.incident.path.name, trial, other)))
