"""A story's timeline as a picture, SVG or PNG: where memory was, the tightest zone, stalls, reclaim, swap."""

import textwrap
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from memwatchd.errors import MemwatchdError
from memwatchd.units import format_bytes, printable
from memwatchd.views.explain import words
from memwatchd.views.report.curves import Curve, Kind, Panel, thinned
from memwatchd.views.report.library import MissingExtraError
from memwatchd.views.report.markers import Marker, Sort
from memwatchd.views.report.story import Story
from memwatchd.views.text import format_value

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MultipleLocator
except ImportError as error:
    raise MissingExtraError("matplotlib, which draws pictures,") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = ("memory", "zone-", "stall", "reclaim", "swap", "cgroup-", "process-")
_PIECES = 300
_WIDTH_IN, _HEIGHT_IN, _DPI = 11.0, 2.0, 110
_PARTS = {
    "anonymous": "#3b6fb6",
    "shared and tmpfs": "#86b1dd",
    "page cache": "#8fbf7f",
    "slab, reclaimable": "#f2c14e",
    "slab, unreclaimable": "#e08e45",
    "page tables": "#b07aa1",
    "kernel stacks and vmalloc": "#9c755f",
    "per CPU": "#7a8b99",
    "huge pages": "#59a39f",
    "other": "#bab0ac",
    "unaccounted": "#c2185b",
    "free": "#eef1f4",
}
# What never moved from zero has a scale all the same.
_LEAST = {"bytes": 65536.0, "share": 0.01, "pages/s": 10.0}
_LINES = ("#3b6fb6", "#c2410c", "#2e7d32", "#8e44ad", "#00838f", "#ad1457", "#795548", "#5f6b00")
_MARKS = {Sort.KILL: ("#d32f2f", "-"), Sort.RULE: ("#8e44ad", "--"), Sort.ACTION: ("#1976d2", ":")}


def draw(story: Story, picture: str) -> bytes:
    """Draw the picture.

    Args:
        story: With samples.
        picture: "svg" or "png".

    Raises:
        MemwatchdError: There are no samples to draw.
    """
    course = story.course
    if course is None:
        raise MemwatchdError(f"{story.name}: no samples in this incident; expected some to draw")
    panels = [
        panel if panel.kind is Kind.RATES else thinned(panel, course.from_s, course.to_s, _PIECES)
        for panel in _chosen(course.panels)
    ]
    # A dollar in a stranger's name begins no formula, text stays text, and the same story the same picture.
    settings: dict[Any, Any] = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": story.name,
        "font.size": 8,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A font may lack letters of a stranger's name; they become boxes.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing")
        figure = _figure(story, panels)
        out = BytesIO()
        figure.savefig(out, format=picture, dpi=_DPI, metadata={"Date": None} if picture == "svg" else None)
    return out.getvalue()


def _chosen(panels: Sequence[Panel]) -> list[Panel]:
    """The first of each kind."""
    found = [next((each for each in panels if each.key.startswith(key)), None) for key in _PANELS]
    return [panel for panel in found if panel is not None]


def _figure(story: Story, panels: Sequence[Panel]) -> Figure:
    heights = [2.0 if panel.kind is Kind.STACK else 1.0 for panel in panels]
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN * sum(heights) + 1.0), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_panel(axes, panel)
        _draw_marks(axes, story.markers)
    assert story.course is not None
    all_axes[-1].set_xlim(story.course.from_s, story.course.to_s)
    all_axes[-1].set_xlabel("seconds from the trigger")
    host = str(story.summary["host"].get("hostname", "?"))
    title = textwrap.fill(printable(words.headline(story.headline)[0]), 110)
    where = printable(f"{story.name}, {host}, {story.summary['trigger']['time'] or ''}")
    figure.suptitle(f"{title}\n{where}", x=0.01, ha="left", fontsize=10)
    return figure


def _draw_panel(axes: "Axes", panel: Panel) -> None:
    limits = [curve for curve in panel.curves if curve.is_limit]
    others = [curve for curve in panel.curves if not curve.is_limit and not curve.apart]
    if panel.kind is Kind.STACK:
        colours = [_PARTS.get(curve.name, "#999999") for curve in others]
        values = [curve.values for curve in others]
        axes.stackplot(panel.times_s, values, labels=[curve.name for curve in others], colors=colours)
    else:
        style = "steps-pre" if panel.kind is Kind.RATES else "default"
        for place, curve in enumerate(others):
            colour = _LINES[place % len(_LINES)]
            axes.plot(panel.times_s, curve.values, label=_label(curve), color=colour, lw=0.9, drawstyle=style)
    for place, curve in enumerate(limits):
        dashes = ("--", ":", "-.")[place % 3]
        axes.plot(panel.times_s, curve.values, label=_label(curve), color="#333333", lw=0.8, ls=dashes)
    if panel.kind is Kind.LOG:
        axes.set_yscale("log", base=2)
    else:
        axes.set_ylim(0, max(axes.get_ylim()[1], _LEAST.get(panel.curves[0].unit, 1.0)))
    _scale(axes, panel.curves[0].unit, panel.kind)
    axes.set_title(printable(panel.title), loc="left", fontsize=8)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=6.5, frameon=False)
    axes.grid(visible=True, alpha=0.25)


def _label(curve: Curve) -> str:
    # A leading underscore would hide it from the legend.
    return printable(curve.name).lstrip("_")[:40] or "?"


def _scale(axes: "Axes", unit: str, kind: Kind) -> None:
    def write(value: float, _place: Any) -> str:
        return format_bytes(value) if unit == "bytes" else format_value(value, unit)

    axes.yaxis.set_major_formatter(FuncFormatter(write))
    if unit == "bytes" and kind is not Kind.LOG:
        step = 1 << 20
        while axes.get_ylim()[1] / step > 5:
            step *= 2
        axes.yaxis.set_major_locator(MultipleLocator(step))


def _draw_marks(axes: "Axes", markers: Sequence[Marker]) -> None:
    for marker in markers:
        if marker.sort in _MARKS:
            colour, style = _MARKS[marker.sort]
            axes.axvline(marker.at_s, color=colour, ls=style, lw=1.0)
        elif marker.sort is Sort.GAP:
            axes.axvspan(marker.at_s, marker.to_s, color="#7f8c8d", alpha=0.2, lw=0)
