"""The report as Markdown for a ticket."""

import re

from tests.conftest import WriteIncident

from memwatchd.incidents.reader import open_incident
from memwatchd.views.report.markdown import render_markdown
from memwatchd.views.report.story import Story, tell


def test_the_ticket_says_what_matters(story: Story) -> None:
    """Somebody would have to open the page to see what it is about."""
    text = render_markdown(story)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0] == "## The memory limit of the cgroup /app was met: 256 MiB of 256 MiB."
    assert headings[-4:] == [
        "### Was the right one killed?",
        "### What was recorded",
        "### What happened when",
        "### The largest of 2 processes",
    ]
    assert "| free | 752 MiB | 166 MiB | +0.00 s | 752 MiB | -6.00 s | 166 MiB | 752 MiB |" in text


def test_names_stay_text_outside_of_blocks(story: Story) -> None:
    """A name could hide the rest of a ticket, or load a picture into it."""
    outside = re.sub(r"^( *)(```+).*?^\1\2$", "", render_markdown(story), flags=re.MULTILINE | re.DOTALL)
    assert "<" not in outside
    assert "&lt;img src=x onerror=alert(1)&gt;" in outside


def test_an_empty_incident_has_a_ticket(write_incident: WriteIncident) -> None:
    """A traceback would be attached instead."""
    text = render_markdown(tell(open_incident(write_incident(kind="requested", detail="somebody asked"))))
    assert text.startswith("## Somebody asked.\n\n")
