"""The page as text: its structure, its names, its policy, its links."""

import os
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Tape, WriteIncident, meminfo
from tests.views.report.conftest import CACHE, CGROUP, COMM, HOSTILE, RULE, TARGET
from tests.views.report.outline import Outline

from memwatchd.incidents.reader import open_incident
from memwatchd.views.report.library import find_library
from memwatchd.views.report.markdown import render_markdown
from memwatchd.views.report.page import render_page
from memwatchd.views.report.story import Story, tell

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def text(story: Story) -> str:
    return render_page(story, find_library())


@pytest.fixture
def page(text: str) -> Outline:
    return Outline(text)


def check(outline: Outline, name: str) -> None:
    """Compare with what is kept; UPDATE_GOLDEN=1 keeps it anew."""
    found = "\n".join(outline.lines) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(found)
    assert found == (GOLDEN / name).read_text()


def test_the_structure_is_as_it_was(page: Outline) -> None:
    """A part would be missing, or have lost its name for those who cannot see it."""
    check(page, "whole.txt")


def test_an_incident_without_anything_has_a_page(tape: Tape, write_incident: WriteIncident) -> None:
    """The report on a file in which hardly anything is left would end in a traceback."""
    tape.sample(-1, {"meminfo": meminfo(MemFree=1)})
    bare = tell(open_incident(write_incident(kind="rule_fired", detail="rule slab fired")))
    page = Outline(render_page(bare, find_library()))
    check(page, "bare.txt")
    assert "Rule slab fired." in page.text
    check(Outline(render_page(replace(bare, course=None), find_library())), "empty.txt")


def test_what_the_incident_is_about_comes_first(
    record: Callable[..., None], write_incident: WriteIncident, facts: dict[str, Any]
) -> None:
    """A page about a rule that fired would begin with somebody's death of a quarter of a minute before."""
    record()
    detail = "rule leak: meminfo.MemFree (1 MiB) is below 5MiB"
    story = tell(open_incident(write_incident(facts, kind="rule_fired", detail=detail)))
    assert story.headline.startswith(
        f"Rule leak fired. Before that the kernel killed {COMM} (pid 4711): The memory limit of the cgroup "
        "/app was met"
    )
    page = Outline(render_page(story, find_library()))
    assert page.lines[1] == "  h1: Rule leak fired."
    assert f"sure · {detail}" in page.text


def test_names_stay_text(page: Outline) -> None:
    """Whoever may name a process, a cgroup or a file could run a script at the one who reads the report."""
    for name in (COMM, CGROUP, TARGET, CACHE, RULE, HOSTILE):
        assert name in page.text
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"img", "b", "i", "iframe", "object", "embed", "form"}
    assert [kind for kind, _ in page.scripts] == ["application/json", "", ""]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_only_what_is_in_the_page_may_run(page: Outline) -> None:
    """The charts would not be drawn, or anything could be."""
    policy = next(each["content"] for _, each in page.tags if "http-equiv" in each)
    assert policy is not None

    def hashes(texts: list[str]) -> str:
        return " ".join(f"'sha256-{b64encode(sha256(each.encode()).digest()).decode()}'" for each in texts)

    scripts = hashes([script for kind, script in page.scripts if kind == ""])
    assert policy == (
        f"default-src 'none'; script-src {scripts}; style-src {hashes(page.styles)}; "
        "base-uri 'none'; form-action 'none'"
    )
    # A style in an attribute would be refused by it.
    assert not any("style" in attributes for _, attributes in page.tags)


def test_the_page_needs_nothing_else(page: Outline) -> None:
    """It would be blank where there is no network, and tell others that it is read."""
    links = [
        value for _, each in page.tags for name, value in each.items() if name in ("href", "src", "srcset")
    ]
    assert links
    assert all(link is not None and link.startswith("#") for link in links)
    assert not any(re.search(r"url\(|@import", style) for style in page.styles)


def test_every_link_leads_somewhere(page: Outline) -> None:
    """A finding's line could not be found in the kernel's report."""
    ids = [each["id"] for _, each in page.tags if "id" in each]
    assert len(ids) == len(set(ids))
    links = {each["href"] for _, each in page.tags if "href" in each}
    assert {link[1:] for link in links if link and "=" not in link} - {""} <= {str(each) for each in ids}
    named = {each["aria-labelledby"] for _, each in page.tags if "aria-labelledby" in each}
    assert named <= set(ids)


def test_lines_that_matter_are_linked_both_ways(text: str) -> None:
    """A reader would have to search for the line, and for what it proves."""
    assert '<a href="#L11">line 11</a>' in text
    assert re.search(r'<div id="L11" class="cited">.*href="#finding-1"', text)


def test_it_is_said_how_much_is_shown(page: Outline) -> None:
    """A reader would take what is left for all there was."""
    assert "All 72 readings." in page.text
    assert "72 samples from -6.000 s to +2.000 s" in page.text


def test_a_recording_without_a_kill_claims_none(
    record: Callable[..., None], write_incident: WriteIncident, facts: dict[str, Any]
) -> None:
    """The page of a rule that fired would speak of a kill, a victim and a report that are not there."""
    record(reported=False)
    detail = "rule leak: meminfo.MemFree (1 MiB) is below 5MiB"
    quiet = {**facts, "kills": [], "counters": {}, "disagreements": []}
    story = tell(open_incident(write_incident(quiet, kind="rule_fired", detail=detail)))
    page = Outline(render_page(story, find_library()))
    check(page, "recorded.txt")
    assert story.diagnosis is not None
    assert story.headline == story.diagnosis.verdict.summary
    assert story.headline.startswith("Memory was ")
    assert "of what was recorded" in page.text
    assert "of the kernel's report" not in page.text
    assert story.processes.by.startswith("the recorder's process table")
    assert "Was the right one killed" not in render_markdown(story)


def test_a_rule_s_condition_is_not_the_title(tape: Tape, write_incident: WriteIncident) -> None:
    """A condition of ten lines would stand where one looks for what happened."""
    tape.sample(-1, {"meminfo": meminfo(MemFree=1)})
    story = tell(open_incident(write_incident(kind="rule_fired", detail="rule slab: x (3) is above 2")))
    page = Outline(render_page(replace(story, diagnosis=None), find_library()))
    assert page.lines[1] == "  h1: Rule slab fired."
    assert "Why: x (3) is above 2." in page.text


def test_a_message_of_several_lines_has_them(tape: Tape, write_incident: WriteIncident) -> None:
    r"""The kernel's report would not be as it was printed: \x0a would stand where a line ends."""
    tape.message(0, b"4,1,1,-;Mem-Info:\n")
    tape.message(0, b"4,2,2,-;active_anon:1\\x0a active_file:2\\x0a <b>\\xc3\\xa4\\x1b\n")
    told = tell(open_incident(write_incident()))
    assert [line.text for line in told.log if line.number == 2] == [
        "active_anon:1\n active_file:2\n <b>ä\\x1b"
    ]
