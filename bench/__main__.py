"""Entry point: ``python -m bench [--quick] [--only PART] [--json FILE]``.

The figures of one invocation belong together; those of two may be from different weather on a shared machine.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import psutil

from bench import (
    explain,
    exporter,
    footprint,
    governor,
    latency,
    page,
    ratio,
    reaction,
    reading,
    rules,
    signals,
)
from bench.machine import load_line, machine_facts, machine_lines
from bench.report import BenchError, Part

_PARTS = {
    "ratio": ratio.measure,
    "governor": governor.measure,
    "footprint": footprint.measure,
    "latency": latency.measure,
    "signals": signals.measure,
    "rules": rules.measure,
    "reaction": reaction.measure,
    "explain": explain.measure,
    "exporter": exporter.measure,
    "reading": reading.measure,
    "page": page.measure,
}


def main() -> int:
    """Measure what was asked for; 0 also when a target was missed, 1 when something could not be measured."""
    arguments = _parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    facts = machine_facts()
    print("\n".join(machine_lines(facts)), end="\n\n", flush=True)
    parts: dict[str, Part] = {}
    status = 0
    try:
        for name in arguments.only or _PARTS:
            try:
                part = _PARTS[name](quick=arguments.quick)
            except (BenchError, OSError, psutil.Error) as error:
                # The other parts may still be measured.
                part = Part(name, skipped=str(error))
                status = 1
            parts[name] = part
            print(part.text(), flush=True)
    except KeyboardInterrupt:
        # Whatever was running has been stopped and removed on the way here.
        print("interrupted", file=sys.stderr)
        status = 130
    facts["load_average_after"] = list(os.getloadavg())
    print(f"load     {load_line(facts['load_average_after'])} at the end")
    if arguments.json:
        found = {"machine": facts, **{name: part.to_json() for name, part in parts.items()}}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    return status


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what memwatchd costs here.")
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds, for trying things out"
    )
    parser.add_argument(
        "--only", action="append", choices=tuple(_PARTS), help="this part only; may be given several times"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
