"""``memwatchd report``: an incident as a page, as Markdown for a ticket, or as a picture."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from memwatchd.cli import arguments as shared
from memwatchd.cli.progress import Progress
from memwatchd.export.output import STDOUT, new_file, standard_output
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.store import SUFFIX
from memwatchd.views.report.markdown import render_markdown
from memwatchd.views.report.story import Story, tell

_HTML, _MARKDOWN = "html", "markdown"
_ENDINGS = {_HTML: ".html", _MARKDOWN: ".md", "svg": ".svg", "png": ".png"}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="'-' is standard output; default: INCIDENT.html, .svg or .png in the current directory, "
        "standard output for Markdown",
    )
    parser.add_argument(
        "--format", choices=tuple(_ENDINGS), help="default: by the ending of FILE, otherwise html"
    )
    shared.add_incident(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the report, whole or not at all."""
    chosen = arguments.format or _format_of(arguments.output)
    # What is missing is said before anything long is begun.
    render = _renderer(chosen)
    incident = shared.incident(arguments)
    output = arguments.output or _default(incident, chosen)
    if output != STDOUT:
        shared.refuse_input(Path(output), incident.path)
    progress = Progress(sys.stderr)
    progress.begin(incident.path.name, None)
    try:
        content = render(tell(incident, progress.share))
    finally:
        progress.clear()
    with standard_output() if output == STDOUT else new_file(Path(output)) as file:
        file.write(content)
    if output != STDOUT:
        print(f"memwatchd: {output}", file=sys.stderr)
    return 0


def _format_of(output: str | None) -> str:
    """The format whose ending a file has."""
    ending = Path(output or "").suffix.lower()
    return next((name for name, each in _ENDINGS.items() if each == ending), _HTML)


def _default(incident: Incident, chosen: str) -> str:
    return STDOUT if chosen == _MARKDOWN else incident.path.name.removesuffix(SUFFIX) + _ENDINGS[chosen]


def _renderer(chosen: str) -> Callable[[Story], bytes]:
    """Load what a format is written with.

    Raises:
        MissingExtraError: It is not installed.
    """
    if chosen == _MARKDOWN:
        return lambda story: _encoded(render_markdown(story))
    if chosen == _HTML:
        from memwatchd.views.report.library import find_library
        from memwatchd.views.report.page import render_page

        library = find_library()
        return lambda story: _encoded(render_page(story, library))
    from memwatchd.views.report.picture import draw

    return lambda story: draw(story, chosen)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
