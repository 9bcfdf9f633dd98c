"""``memwatchd explain``: why the kernel, or another killer, killed."""

import argparse
import os
import shutil
import sys
from collections import deque
from collections.abc import Iterator

from memwatchd.cli import arguments as shared
from memwatchd.cli.inputs import DEFAULT_SINCE, EXPECTED_SINCE, Input, Opener, openers
from memwatchd.cli.progress import Progress
from memwatchd.diagnosis.history import History
from memwatchd.diagnosis.verdict import EARLIER, Diagnosis, diagnose
from memwatchd.errors import MemwatchdError, NotFoundError
from memwatchd.incidents.history import read_history
from memwatchd.incidents.snapshot import diagnose_recording, report_of
from memwatchd.oomreport.reader import read_events
from memwatchd.oomreport.report import Event
from memwatchd.units import printable
from memwatchd.views.explain.digest import Digest, Document, Paper, in_markdown, on_screen
from memwatchd.views.explain.schema import schema_text
from memwatchd.views.explain.text import Screen

_LOOKED_FOR = (
    "no 'invoked oom-killer', 'Out of memory', 'Killed process' or 'page allocation failure', and no kill by "
    "systemd-oomd, earlyoom, nohang, oomd or kubelet"
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="FILE",
        help="a log, also compressed (gz, bz2, xz); '-' is standard input; or an incident: path, name, last",
    )
    parser.add_argument(
        "--journal",
        nargs="?",
        const=DEFAULT_SINCE,
        metavar="SINCE",
        help=f"what systemd's journal has since then, by default since {DEFAULT_SINCE}: {EXPECTED_SINCE}",
    )
    parser.add_argument("--kmsg", action="store_true", help="what the kernel's log holds now")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--markdown", action="store_true", help="print Markdown, for a ticket")
    output.add_argument("--schema", action="store_true", help="print the JSON Schema of --json")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="print every event in full")
    which.add_argument("--event", type=_number, metavar="N", help="print the event of this number only")
    shared.add_places(parser)
    parser.epilog = (
        "without any input: standard input, or on a terminal the journal; "
        "exit status 6: there is no event in it, or an input cannot be opened; 5: one is damaged"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the events, and why."""
    if arguments.schema:
        sys.stdout.write(schema_text())
        return 0
    progress = Progress(sys.stderr)
    session = _Session(progress, arguments.event)
    return session.run(openers(arguments, progress), _paper(arguments))


def history_of(source: Input, event: Event) -> History | None:
    """What was recorded before an event; None where the input is no incident."""
    return None if source.incident is None else read_history(source.incident, event)


class _Session:
    """Goes through all inputs, and remembers what there was to complain about.

    Args:
        progress: Cleared before anything is printed.
        only: Number of the one event that is wanted.
    """

    def __init__(self, progress: Progress, only: int | None) -> None:
        self._progress = progress
        self._only = only
        self._status = 0
        self._count = 0
        self._unanswered: list[str] = []

    def run(self, inputs: list[Opener], paper: Paper) -> int:
        """Print all, and say how it ended."""
        self._print(paper.begin())
        for opener in inputs:
            if self._only is not None and self._count >= self._only:
                break
            try:
                self._read(opener(), paper)
            except MemwatchdError as error:
                self._complain(error)
        self._print(paper.end())
        self._progress.clear()
        if self._unanswered and not self._asked_for():
            self._complain(NotFoundError(self._nothing()))
        return self._status

    def _read(self, source: Input, paper: Paper) -> None:
        for diagnosis in _explained(source):
            self._count += 1
            if self._only in (None, self._count):
                self._print(paper.take(self._count, source.name, diagnosis))
            if self._only == self._count:
                return
        if source.problem is not None:
            raise source.problem
        hint = "" if source.lines else source.if_empty
        self._unanswered.append(f"{source.name}: {source.lines:,} lines read{hint}")

    def _asked_for(self) -> bool:
        return self._count >= (self._only or 1)

    def _nothing(self) -> str:
        read = "; ".join(self._unanswered)
        if self._count:
            return f"{read}; there is no event {self._only}, only {self._count}"
        return f"{read}, and no OOM report in them: {_LOOKED_FOR}"

    def _print(self, pieces: Iterator[str]) -> None:
        for piece in pieces:
            self._progress.clear()
            sys.stdout.write(piece)

    def _complain(self, error: MemwatchdError) -> None:
        self._progress.clear()
        sys.stdout.flush()
        print(f"memwatchd: {printable(str(error))}", file=sys.stderr)
        self._status = self._status or error.exit_status


def _explained(source: Input) -> Iterator[Diagnosis]:
    earlier: deque[Event] = deque(maxlen=EARLIER)
    incident, is_reported = source.incident, False
    for event in read_events(source.counted()):
        yield diagnose(event, history_of(source, event), tuple(earlier))
        earlier.append(event)
        is_reported = is_reported or (incident is not None and report_of(incident, (event,)) is not None)
    recorded = None if incident is None or is_reported else diagnose_recording(incident)
    if recorded is not None:
        yield recorded


def _paper(arguments: argparse.Namespace) -> Paper:
    if arguments.json:
        return Document()
    if arguments.markdown:
        return Digest(in_markdown(), whole=arguments.all)
    terminal = sys.stdout.isatty()
    screen = Screen(
        width=shutil.get_terminal_size().columns,
        colour=terminal and not os.environ.get("NO_COLOR"),
        cut=terminal,
    )
    return Digest(on_screen(screen), whole=arguments.all)


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
