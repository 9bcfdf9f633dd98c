"""Entry point: ``python -m soak [--minutes N | --hours N] [--exporter | --json FILE]``.

Exit status: 0 everything held, 1 something did not, 2 the command line is wrong, 130 interrupted.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from bench.machine import machine_facts, machine_lines
from bench.report import BenchError

from soak import exporter
from soak.run import Length, Soak

_MINUTES = 30.0
_FEWEST_MINUTES = 2.0


def main() -> int:
    """Run it; whatever was started is ended and removed on the way out, also after Ctrl-C."""
    arguments = _parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    seconds = arguments.hours * 3600 if arguments.hours else arguments.minutes * 60
    print("\n".join(machine_lines(machine_facts())), end="\n\n", flush=True)
    try:
        passed = exporter.run(seconds) if arguments.exporter else Soak(Length(seconds), arguments.json).run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (BenchError, OSError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    print(f"\n{'passed' if passed else 'NOT passed'}")
    return 0 if passed else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m soak", description="Run the real daemon for long, with everything that may happen."
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=_minutes, default=_MINUTES, help=f"default {_MINUTES:g}")
    length.add_argument("--hours", type=float)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--exporter", action="store_true", help="the exporter alone, asked every second")
    kind.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, every minute")
    return parser.parse_args()


def _minutes(text: str) -> float:
    minutes = float(text)
    if minutes < _FEWEST_MINUTES:
        raise argparse.ArgumentTypeError(f"at least {_FEWEST_MINUTES:g}, of which one is the warm-up")
    return minutes


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
