"""Incidents of which something is lost."""

import random
from pathlib import Path

import pytest

from memwatchd.errors import FormatError
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.views.report.library import find_library
from memwatchd.views.report.markdown import render_markdown
from memwatchd.views.report.page import render_page
from memwatchd.views.report.story import tell


@pytest.mark.parametrize("seed", range(12))
def test_what_is_left_of_a_damaged_file_is_shown(incident: Incident, tmp_path: Path, seed: int) -> None:
    """The machine that died worst would have no report."""
    chance = random.Random(seed)
    content = bytearray(incident.path.read_bytes())
    for _ in range(6):
        content[chance.randrange(64, len(content))] ^= 1 << chance.randrange(8)
    path = tmp_path / "damaged.mwi"
    path.write_bytes(content[: chance.randrange(len(content) // 4, len(content))])
    try:
        damaged = open_incident(path)
    except FormatError:
        return  # what it is has been lost
    story = tell(damaged)
    assert story.headline
    assert render_page(story, find_library()).endswith("</html>")
    assert render_markdown(story).startswith("## ")
