"""The timeline as a picture."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from tests.views.report.conftest import CGROUP, TARGET

from memwatchd.errors import MemwatchdError
from memwatchd.views.report.picture import draw
from memwatchd.views.report.story import Story


def texts(picture: bytes) -> list[str]:
    root = ET.fromstring(picture)
    return ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_vector_picture_has_its_words(story: Story) -> None:
    """Nobody could find in it what is written, or a dollar in a name would begin a formula."""
    found = texts(draw(story, "svg"))
    assert "The memory limit of the cgroup /app was met: 256 MiB of 256 MiB." in found
    assert {"Where all memory was", "unaccounted", "all memory", f"Watched cgroup {CGROUP}"} <= set(found)
    assert any("$^" in each for each in found)
    assert not any(TARGET in each for each in found)  # its axis would need a scale of its own


def test_the_same_incident_makes_the_same_picture(story: Story) -> None:
    """Pictures that are kept could not be compared."""
    assert draw(story, "svg") == draw(story, "svg")


def test_a_png_is_one(story: Story) -> None:
    """A ticket would show a broken picture."""
    assert draw(story, "png").startswith(b"\x89PNG\r\n\x1a\n")


def test_without_samples_it_is_said_so(story: Story) -> None:
    """A traceback would come instead."""
    with pytest.raises(MemwatchdError, match="no samples in this incident"):
        draw(replace(story, course=None), "svg")
