"""``memwatchd incidents``: what has been recorded so far."""

import argparse
import json
from pathlib import Path
from typing import Any

from memwatchd.cli import arguments as shared
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.reader import open_incident
from memwatchd.incidents.store import all_paths
from memwatchd.views.text import columns, format_bytes, printable


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    shared.add_places(parser)


def run(arguments: argparse.Namespace) -> int:
    """List the incidents, oldest first; one that cannot be read is listed with what is wrong."""
    places = shared.places(arguments)
    found = [_describe(path) for path in all_paths([places.incidents, places.pending])]
    if arguments.json:
        print(json.dumps(found, indent=2))
    elif found:
        rows = [[each["name"], format_bytes(each["size_bytes"]), printable(each["detail"])] for each in found]
        print("\n".join(columns(rows, right=frozenset({1}))))
    else:
        print(f"no incidents in {places.incidents}")
    return 0


def _describe(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": path.name, "path": str(path), "size_bytes": path.stat().st_size}
    try:
        incident = open_incident(path)
    except MemwatchdError as error:
        return {**facts, "kind": None, "complete": False, "kills": 0, "detail": str(error)}
    trigger = incident.facts["trigger"]
    return {
        **facts,
        "kind": trigger["kind"],
        "complete": incident.complete,
        "kills": len(incident.facts["kills"]),
        "detail": trigger["detail"] or "",
    }
