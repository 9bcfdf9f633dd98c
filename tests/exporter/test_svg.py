"""Pictures of a minute."""

import re
import xml.etree.ElementTree as ET
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.exporter.svg import HEIGHT, WIDTH, draw


def shapes(picture: str) -> list[list[tuple[float, float]]]:
    """The corners of each band."""
    found = re.findall(r'<path d="M([^"]*)Z" class="band"/>', picture)
    return [[tuple(map(float, point.split())) for point in path.split("L")] for path in found]  # type: ignore[misc]


def test_steps() -> None:
    """A dip of a tenth of a second would be smoothed away."""
    picture = draw([(2, 2), (0, 2), (2, 2), (2, 2)], 0, 2, str)
    assert shapes(picture) == [
        [(0, 0), (600, 0), (600, 0), (300, 0), (300, 72), (150, 72), (150, 0), (0, 0)],
    ]


def test_gaps_stay_empty() -> None:
    """A pause would look as if all had been well."""
    gap = (nan, nan)
    picture = draw([gap, (1, 1), gap, gap, (1, 1), (inf, inf)], 0, 2, str)
    assert [[x for x, _ in shape] for shape in shapes(picture)] == [
        [100, 200, 200, 100],
        [400, 500, 500, 400],
    ]


def test_what_does_not_change_costs_nothing() -> None:
    """A page of six pictures would be a hundred kilobytes every five seconds."""
    assert len(draw([(1.0, 1.0)] * 600, 0, 2, str)) < 400


@pytest.mark.parametrize("value", [-5.0, 50.0])
def test_values_beyond_the_scale_stay_inside(value: float) -> None:
    """They would be drawn across the page."""
    (shape,) = shapes(draw([(value, value)], 0, 10, str))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in shape)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=50))
def test_it_is_well_formed_whatever_it_draws(band: list[tuple[float, float]]) -> None:
    """The browser would show half a page."""
    ET.fromstring(f"<div>{draw(band, 0, 1, str)}</div>")
