"""A story as one HTML file that needs nothing else: no server, no network, no second file.

Every name in it may be a stranger's. The template escapes whatever is put into it, the script writes text and
never markup, and the policy in the page's head allows the two scripts and the two styles that are in it, by
their hashes, and nothing else: not to load, not to send, not to be framed or to run anything besides.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

from memwatchd import __version__
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.incidents.recorder import KERNEL_KILL, RULE_FIRED
from memwatchd.units import printable
from memwatchd.views.explain import words
from memwatchd.views.report.curves import Curve, Kind, Panel, extremes, first_value, value_at
from memwatchd.views.report.library import Library, MissingExtraError
from memwatchd.views.report.markers import Sort
from memwatchd.views.report.payload import payload
from memwatchd.views.report.story import Story
from memwatchd.views.text import format_bytes, format_value

try:
    import jinja2
except ImportError as error:
    raise MissingExtraError("Jinja2, which writes the page,") from error

_ASSETS = "memwatchd.views.report"
_EVIDENCE = 40
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A curve in a line of the table behind its chart."""

    name: str
    source: str
    first: str
    low: str
    low_at: str
    high: str
    high_at: str
    at_zero: str
    last: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A panel as the page has it without its chart."""

    title: str
    note: str
    resolution: str
    rows: tuple[FigureRow, ...]


def render_page(story: Story, library: Library) -> str:
    """Write the page.

    Args:
        story: What to write.
        library: What draws the charts.
    """
    data, panels = payload(story)
    style, script = _asset("page.css"), _asset("page.js")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": _plain, "at": _at, "kib": _kib, "commands": words.commands_of}
    return environment.from_string(_asset("page.html.j2")).render(
        policy=_policy((library.script, script), (library.style, style)),
        library=library,
        style=style,
        script=script,
        data=data,
        version=__version__,
        story=story,
        summary=story.summary,
        headline=words.headline(story.headline),
        # Another incident's own words are the headline.
        detail=(story.summary["trigger"]["detail"] or "")
        if story.is_reported and story.summary["trigger"]["kind"] in (KERNEL_KILL, RULE_FIRED)
        else "",
        charts=[_chart(story, panel) for panel in panels],
        cited=_cited(story.diagnosis) if story.is_reported else {},
        machine=list(_machine(story)),
        course=story.course,
        sorts=list(Sort),
        gaps=[marker for marker in story.markers if marker.sort is Sort.GAP],
        told=[marker for marker in story.markers if marker.sort is not Sort.GAP],
        **_explained(story.diagnosis),
    )


def _asset(name: str) -> str:
    return (files(_ASSETS) / "assets" / name).read_text()


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    def hashes(texts: Sequence[str]) -> str:
        digests = (b64encode(sha256(text.encode()).digest()).decode() for text in texts)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _explained(diagnosis: Diagnosis | None) -> dict[str, Any]:
    """What the template needs of the diagnosis, empty where there is none."""
    if diagnosis is None:
        return {"findings": (), "facts": (), "sure": "", "advice": (), "limits": (), "dismissals": ()}
    advice = words.advice_of(diagnosis.findings)
    return {
        "findings": [(finding, finding.evidence[:_EVIDENCE]) for finding in diagnosis.findings],
        "facts": list(words.facts(diagnosis.case)),
        "sure": f"{diagnosis.verdict.tag}, {words.sure(diagnosis.verdict)}",
        "advice": [(heading, getattr(advice, name)) for heading, name in words.ADVICE],
        "limits": list(words.limits(diagnosis)),
        "dismissals": diagnosis.dismissals,
    }


def _cited(diagnosis: Diagnosis | None) -> dict[int, list[int]]:
    """Lines that findings quote, each with the numbers of these findings."""
    cited: dict[int, list[int]] = {}
    for number, finding in enumerate(diagnosis.findings if diagnosis else (), 1):
        for quote in finding.evidence[:_EVIDENCE]:
            cited.setdefault(quote.line, []).append(number)
    return cited


def _chart(story: Story, panel: Panel) -> Chart:
    if panel.step_s == 0 and len(panel.times_s) < panel.samples:
        resolution = f"{len(panel.times_s):,} of {panel.samples:,} readings, evenly."
    elif panel.step_s == 0:
        resolution = f"All {panel.samples:,} readings."
    elif panel.kind is not Kind.RATES:
        resolution = (
            f"{len(panel.times_s):,} of {panel.samples:,} readings: of each {panel.step_s * 1000:.0f} ms "
            "those in which any figure is lowest or highest."
        )
    else:
        resolution = f"{len(panel.times_s):,} means out of {panel.samples:,} readings."
    rows = tuple(row for curve in panel.curves for row in _figure(story, panel, curve))
    return Chart(panel.title, panel.note, resolution, rows)


def _figure(story: Story, panel: Panel, curve: Curve) -> Iterator[FigureRow]:
    found, course = extremes(panel, curve), story.course
    if found is None or course is None:
        return
    (low_s, low), (high_s, high) = found
    yield FigureRow(
        name=curve.name,
        source=curve.source,
        first=_value(first_value(curve), curve.unit),
        low=_value(low, curve.unit),
        low_at=_at(low_s),
        high=_value(high, curve.unit),
        high_at=_at(high_s),
        at_zero=_value(value_at(panel, curve, 0.0), curve.unit),
        last=_value(value_at(panel, curve, panel.times_s[-1]), curve.unit),
    )


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return _NOTHING
    return f"{value:,.0f} {unit}" if unit == "/s" else format_value(value, unit)


def _machine(story: Story) -> Iterator[tuple[str, str]]:
    summary = story.summary
    for facts in (summary["host"], {f"memwatchd {key}": each for key, each in summary["program"].items()}):
        for key, value in facts.items():
            if isinstance(value, str | int | float) and key != "memwatchd name":
                yield key.replace("_", " "), str(value)


def _plain(text: Any) -> str:
    """Make a stranger's word visible; what would not be is written in full."""
    return printable(str(text))


def _at(at_s: float) -> str:
    return f"{at_s:+.3f} s"


def _kib(amount_kib: int | None) -> str:
    return _NOTHING if amount_kib is None else format_bytes(amount_kib * 1024)
