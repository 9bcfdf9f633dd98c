"""What the page's script reads."""

import json
from array import array
from dataclasses import replace
from math import isnan
from typing import Any

from memwatchd.views.report.curves import Curve, Kind, Panel
from memwatchd.views.report.payload import payload
from memwatchd.views.report.reading import Course
from memwatchd.views.report.story import Story


def summed(differences: list[int | None], step: float) -> list[float | None]:
    """As the script does it."""
    found: list[float | None] = []
    last = 0
    for each in differences:
        last += each or 0
        found.append(None if each is None else last * step)
    return found


def test_the_script_gets_the_figures_as_they_were(story: Story) -> None:
    """A rounding would add up from point to point."""
    text, panels = payload(story)
    document: dict[str, Any] = json.loads(text)
    for panel, drawn in zip(panels, document["panels"], strict=True):
        times_s = summed(drawn["times"], document["time_step"])
        assert all(
            at is not None and abs(at - at_s) < 1e-4 for at, at_s in zip(times_s, panel.times_s, strict=True)
        )
        for curve, line in zip(panel.curves, drawn["curves"], strict=True):
            values = summed(line["values"], line["step"])
            assert all(
                (value is None and isnan(true))
                or (value is not None and abs(value - true) <= line["step"] / 2)
                for value, true in zip(values, curve.values, strict=True)
            )


def test_a_name_cannot_end_the_element(story: Story) -> None:
    """A process called </script> would run what follows."""
    text, _ = payload(story)
    assert not {"<", ">", "&"} & set(text)
    assert "</script>" in json.loads(text)["panels"][6]["title"] + json.dumps(json.loads(text))


def test_a_large_machine_s_page_stays_small(story: Story) -> None:
    """A page of many megabytes cannot be attached, and opens slowly."""
    times_s = array("d", (place / 100 for place in range(20_000)))
    noise = [
        array("d", (place * 7919 * each % 1000003 * 4096 for place in range(20_000))) for each in range(3, 83)
    ]
    curves = [Curve(f"c{place}", "bytes", "", values) for place, values in enumerate(noise)]
    panel = Panel("p", "P", Kind.LINES, times_s, curves, samples=20_000)
    course = Course(0.0, 200.0, 20_000, [panel], [])
    text, panels = payload(replace(story, course=course))
    assert len(text) <= 1_300_000
    assert max(map(max, noise)) == max(max(curve.values) for curve in panels[0].curves)


def test_without_samples_there_is_nothing_to_draw(story: Story) -> None:
    """The script would look for panels that are not there."""
    assert payload(replace(story, course=None)) == ("{}", [])
