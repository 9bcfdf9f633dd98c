"""A story's curves as JSON for the page: whole numbers, each as the difference from the one before.

What is the same for a while is then a row of zeros, and 35 s at 200 Hz take some hundred kilobytes. Where the
page would be too large all the same, the curves are thinned further, all by the same.
"""

import json
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from memwatchd.views.report.curves import Curve, Kind, Panel, thinned
from memwatchd.views.report.story import Story

# Into so many pieces the time is cut at first.
_PIECES = 1200
_LEAST_PIECES = 10
_MOST_BYTES = 1_300_000
_TIME_S = 1e-4
# What a difference of one is, by unit; bytes are pages or kilobytes, but for positions in files.
_STEPS = {"bytes": 1024.0, "share": 1e-4, "ms": 1e-3, "pages/s": 0.1, "/s": 0.1, "blocks": 1.0}


def payload(story: Story) -> tuple[str, list[Panel]]:
    """Make what the page's script reads.

    Returns:
        JSON that may stand in a script element, and the panels as thinned as they are in it.
    """
    course = story.course
    pieces, panels, text = _PIECES, list[Panel](), _json({})
    while course is not None:
        panels = [
            panel if panel.kind is Kind.RATES else thinned(panel, course.from_s, course.to_s, pieces)
            for panel in course.panels
        ]
        text = _json(_document(story, panels))
        if len(text) <= _MOST_BYTES or pieces <= _LEAST_PIECES:
            break
        pieces //= 2
    return text, panels


def _document(story: Story, panels: Sequence[Panel]) -> dict[str, Any]:
    course = story.course
    assert course is not None
    return {
        "from": round(course.from_s, 4),
        "to": round(course.to_s, 4),
        "zero_ms": None if story.zero_realtime_ns is None else story.zero_realtime_ns // 1_000_000,
        "time_step": _TIME_S,
        "panels": [_panel(panel) for panel in panels],
        "markers": [
            {"sort": str(each.sort), "at": round(each.at_s, 4), "to": round(each.to_s, 4), "text": each.text}
            for each in story.markers
        ],
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "key": panel.key,
        "title": panel.title,
        "kind": str(panel.kind),
        "times": _differences(panel.times_s, _TIME_S),
        "curves": [_curve(curve) for curve in panel.curves],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    step = 1.0 if curve.apart else _STEPS.get(curve.unit, 1.0)
    return {
        "name": curve.name,
        "unit": curve.unit,
        "source": curve.source,
        "step": step,
        "limit": curve.is_limit,
        "apart": curve.apart,
        "values": _differences(curve.values, step),
    }


def _differences(values: Iterable[float], step: float) -> list[int | None]:
    found: list[int | None] = []
    last = 0
    for value in values:
        if not isfinite(value):
            found.append(None)
            continue
        whole = round(value / step)
        found.append(whole - last)
        last = whole
    return found


def _json(value: Any) -> str:
    """Write JSON in which nothing can end a script element, or begin a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
