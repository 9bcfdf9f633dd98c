"""One table of many results, in Markdown: a row for each scenario and daemon.

Times are compared within one accelerator only, so there is a table for each.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import places
from lab.daemons import DAEMONS
from lab.expect import find

Cell = Callable[[Mapping[str, Any]], str]


def render(results: Iterable[Mapping[str, Any]], columns: Iterable[str] | None = None) -> str:
    """Make the tables, of all columns or of some; an empty text when there is no result."""
    by_accelerator: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        by_accelerator.setdefault(str(result.get("accelerator")), []).append(result)
    chosen = {name: COLUMNS[name] for name in columns or COLUMNS}
    return "\n".join(_table(name, rows, chosen) for name, rows in sorted(by_accelerator.items()))


def load(directory: Path) -> list[dict[str, Any]]:
    """All results of a directory, sorted; a file that cannot be read is left out."""
    found = []
    for file in sorted(directory.glob("*.json")):
        try:
            found.append(json.loads(file.read_text()))
        except (OSError, ValueError):
            continue
    order = {name: place for place, name in enumerate(DAEMONS)}
    return sorted(found, key=lambda result: (result["scenario"], order.get(result["daemon"], len(order))))


def _table(accelerator: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Cell]) -> str:
    lines = [
        f"accelerator: {accelerator}",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
    ]
    last = None
    for row in rows:
        cells = [cell(row) for cell in columns.values()]
        if row["scenario"] == last:
            cells[0] = ""
        last = row["scenario"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _value(place: str, form: str = "{}", absent: str = "") -> Cell:
    def cell(row: Mapping[str, Any]) -> str:
        value = find(row, place)
        if isinstance(value, bool):
            return "yes" if value else "**no**"
        return absent if value is None else form.format(value)

    return cell


def _kills(row: Mapping[str, Any]) -> str:
    """How many, and of what role."""
    roles: dict[str, int] = {}
    for kill in find(row, "kernel_kills.list") or []:
        roles[kill["role"]] = roles.get(kill["role"], 0) + 1
    count, counted = len(find(row, "kernel_kills.list") or []), find(row, "kernel_kills.counted")
    text = ", ".join(f"{number} {role}" for role, number in sorted(roles.items())) or "0"
    return text if counted in (None, count) else f"{text} (counted {counted})"


def _daemon_kills(row: Mapping[str, Any]) -> str:
    roles: dict[str, set[int]] = {}
    for each in find(row, "daemon_kills.list") or []:
        if each["signal"] != "STOP":
            roles.setdefault(each["role"], set()).add(each["pid"])
    return ", ".join(f"{len(pids)} {role}" for role, pids in sorted(roles.items())) or "0"


def _lost(row: Mapping[str, Any]) -> str:
    names = [*(find(row, "critical.lost") or []), *(find(row, "innocents_lost") or [])]
    return ", ".join(names) or "none"


def _critical(row: Mapping[str, Any]) -> str:
    def word(place: str) -> str:
        return {True: "yes", False: "**no**", None: "–"}[find(row, place)]

    return f"{word('critical.login_after')} / {word('critical.cron_after')}"


def _names_cause(row: Mapping[str, Any]) -> str:
    if find(row, "evidence.incidents"):
        return {True: "yes", False: "**no**", None: "–"}[find(row, "evidence.names_cause")]
    return {True: "log", False: "log: no", None: "–"}[find(row, "evidence.kernel_log_names_cause")]


def _expected(row: Mapping[str, Any]) -> str:
    failed = [each["text"] for each in row.get("expectations", []) if not each["ok"]]
    return "ok" if not failed else "**" + "; ".join(failed) + "**"


COLUMNS: dict[str, Cell] = {
    "scenario": _value("scenario"),
    "daemon": _value("daemon"),
    "ended": _value("ended"),
    "kernel kills": _kills,
    "daemon's kills": _daemon_kills,
    "lost": _lost,
    "login / cron after": _critical,
    "longest stall, s": _value("probe.longest_s", "{:.2f}"),
    "stalls over 1 s, s": _value("probe.above_1s_s", "{:.1f}"),
    "danger to action, s": _value("action.after_danger_s", "{:+.2f}", "–"),
    "danger to relief, s": _value("danger.relief_after_s", "{:.2f}", "–"),
    "cause named": _names_cause,
    "unrecorded at death, s": _value("stream.unrecorded_s", "{:.2f}", "–"),
    "PSS, MiB": lambda row: _in_mib(find(row, "service.pss_kib")),
    "CPU": lambda row: _in_percent(find(row, "service.cpu_share")),
    "longest gap, s": _value("sampler.longest_gap_s", "{:.3f}"),
    "guest's speed, s": _value("host.guest_speed_s", "{:.2f}"),
    "as expected": _expected,
}
# What a reader asks first.
BRIEF = (
    *(
        "scenario",
        "daemon",
        "kernel kills",
        "daemon's kills",
        "lost",
        "longest stall, s",
        "danger to action, s",
    ),
    *("cause named", "unrecorded at death, s", "guest's speed, s"),
)


def _in_mib(kib: float | None) -> str:
    return "" if not kib else f"{kib / 1024:.1f}"


def _in_percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f} %"


def main() -> int:
    """Print the tables of a directory of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=places.RESULTS)
    parser.add_argument("--brief", action="store_true", help="only what a reader asks first")
    arguments = parser.parse_args()
    sys.stdout.write(render(load(arguments.directory), BRIEF if arguments.brief else None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
