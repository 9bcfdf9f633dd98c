"""``memwatchd report`` on the command line: where it goes to, in which format, and what is missing for it."""

import sys
from functools import partial
from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.conftest import Tape, WriteIncident, meminfo

from memwatchd.views.report import library


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident) -> Path:
    tape.sample(-1, {"meminfo": meminfo(MemFree=7)})
    tape.sample(0, {"meminfo": meminfo(MemFree=5)})
    return write_incident({"host": {"hostname": "vm1", "page_size": 4096}})


@pytest.fixture
def report(in_empty_directory: Command) -> Command:
    """Run it in an empty directory."""
    return partial(in_empty_directory, "report")


def test_a_page_is_named_after_its_incident(report: Command, incident: Path) -> None:
    """Nobody would know where it is."""
    name = incident.with_suffix(".html").name
    assert report(incident) == (0, "", f"memwatchd: {name}\n")
    assert Path(name).read_text().startswith("<!doctype html>")
    assert [path.name for path in Path().iterdir()] == [name]


@pytest.mark.parametrize(
    ("words", "name", "start"),
    [
        (("-o", "a.md"), "a.md", b"## "),
        (("-o", "a.svg"), "a.svg", b"<?xml"),
        (("-o", "a.png"), "a.png", b"\x89PNG"),
        (("-o", "a.txt", "--format", "markdown"), "a.txt", b"## "),
        (("-o", "a"), "a", b"<!doctype html>"),
    ],
)
def test_the_format_is_that_of_the_name(
    report: Command, incident: Path, words: tuple[str, ...], name: str, start: bytes
) -> None:
    """A picture would be a page, or a page a picture."""
    assert report(*words, incident)[0] == 0
    assert Path(name).read_bytes().startswith(start)


def test_markdown_goes_to_standard_output(report: Command, incident: Path) -> None:
    """It could not be piped into a ticket."""
    status, out, err = report("--format", "markdown", incident)
    head = "## Eater (pid 4711) was killed because the machine was out of memory."
    assert (status, out.partition("\n")[0], err) == (0, head, "")
    assert list(Path().iterdir()) == []


def test_the_incident_is_never_written_over(report: Command, incident: Path) -> None:
    """A slip would cost the only recording."""
    before = incident.read_bytes()
    status, _, err = report("-o", incident, incident)
    assert (status, err) == (1, f"memwatchd: {incident}: this is the input; expected another file\n")
    assert incident.read_bytes() == before


def test_without_uplot_the_extra_is_named(
    report: Command, incident: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would know what to install."""
    monkeypatch.setattr(library, "_places", list)
    assert report(incident) == (
        1,
        "",
        "memwatchd: uPlot, which draws the charts, is not installed; it comes with the extra 'report': "
        "pip install 'memwatchd[report]'\n",
    )
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("name", "package"), [("a.html", "jinja2"), ("a.png", "matplotlib")])
def test_without_a_library_the_extra_is_named(
    report: Command, incident: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    """A traceback would come instead."""
    for module in ("page", "picture"):
        monkeypatch.delitem(sys.modules, f"memwatchd.views.report.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    status, out, err = report("-o", name, incident)
    assert (status, out) == (1, "")
    assert "is not installed; it comes with the extra 'report': pip install 'memwatchd[report]'" in err


def test_markdown_needs_no_extra(report: Command, incident: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is to be left alone could not make a ticket."""
    for package in ("jinja2", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(library, "_places", list)
    assert report("--format", "markdown", incident)[0] == 0


def test_what_cannot_be_written_leaves_nothing(report: Command, incident: Path) -> None:
    """Half a page would be taken for a whole one."""
    status, _, err = report("-o", "no/such/a.html", incident)
    assert (status, err) == (1, "memwatchd: no/such/a.html: No such file or directory\n")
