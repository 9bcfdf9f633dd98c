"""``memwatchd actions``: what can be done about it, and how to write that."""

import argparse
import json
import sys
from dataclasses import asdict

from memwatchd.actions.registry import ACTIONS
from memwatchd.errors import NotFoundError
from memwatchd.views.actions import describe, markdown, render, render_list


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="only this one, with its parameters")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON")
    forms.add_argument("--markdown", action="store_true", help="print all of them as a document")


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or one of them."""
    if arguments.name is not None and arguments.name not in ACTIONS:
        raise NotFoundError(f"{arguments.name}: no such action; there are {', '.join(sorted(ACTIONS))}")
    names = sorted(ACTIONS) if arguments.name is None else [arguments.name]
    actions = [ACTIONS[name] for name in names]
    if arguments.json:
        described = [asdict(describe(action)) for action in actions]
        print(json.dumps(described if arguments.name is None else described[0], indent=2))
    elif arguments.markdown:
        sys.stdout.write(markdown(actions))
    else:
        sys.stdout.write(render_list(actions) if arguments.name is None else render(describe(actions[0])))
    return 0
