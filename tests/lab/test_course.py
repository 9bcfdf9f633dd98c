"""The host's part of a run, with a guest that only pretends."""

import io
import json
import queue
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from lab.course import Run
from lab.daemons import DAEMONS
from lab.guest import Report
from lab.image import IMAGES

from lab import course, scenario

SCENARIO = "story: x\nprocesses: {hog: {run: eat.py, at: 0s}}\nlogins: []\nmachine: {boots: 2}\n"


class Guest:
    """Says what it was told to, one list of reports for each life; after the last one it is dead."""

    lives: list[list[str]]

    def __init__(self, _image: object, _machine: object, directory: Path, _by: str, *, keep: bool) -> None:
        self.results, self.keep = directory / "results.raw", keep
        self.reports: queue.Queue[Report] = queue.Queue()
        self.monitor = None
        self.heard: list[Mapping[str, Any]] = []
        self.starts = 0
        self.logins: list[bool] = []
        self.slowed: list[tuple[int | None, int | None]] = []

    @property
    def running(self) -> bool:
        return bool(self._left) or self.starts == 0

    def start(self) -> None:
        self._left = list(self.lives[self.starts])
        self.starts += 1
        for name in self._left:
            self.reports.put(Report(float(self.starts), {"report": name, "at": 1.0}))
        if "done" not in self._left:
            self._left = []

    def say(self, facts: Mapping[str, Any]) -> None:
        self.heard.append(facts)

    def ssh(self, _command: str, _timeout_s: float) -> tuple[bool, float, str]:
        return (self.logins.pop(0) if self.logins else True), 0.1, "said"

    def slow_down(self, iops: int | None, bytes_per_s: int | None) -> None:
        self.slowed.append((iops, bytes_per_s))

    def cpu_seconds(self) -> float:
        return 0.0

    def switch_off(self) -> None:
        self._left = []

    close = switch_off


Make = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(course, "Guest", Guest)
    notes = json.dumps({"harm_at": 1.0}).encode()
    with tarfile.open(tmp_path / "results.raw", "w") as archive:
        entry = tarfile.TarInfo("./notes.json")
        entry.size = len(notes)
        archive.addfile(entry, io.BytesIO(notes))

    def make_run(more: str = "") -> Run:
        story = scenario.parse("test", SCENARIO + more)
        return Run(story, DAEMONS["none"], IMAGES["amd64"], "tcg", tmp_path, keep=False, tell=lambda _: None)

    return make_run


@pytest.fixture
def run(make: Make) -> Run:
    return make()


def test_a_run_goes_from_ready_to_done(run: Run) -> None:
    """The guest would wait for a word that never comes, or what it sent would not be unpacked."""
    Guest.lives = [["hello", "ready", "harm", "over", "done"]]
    found = run.whole()
    assert (found.ended, found.deaths) == ("done", [])
    assert [each["phase"] for each in found.logins] == ["before", "after"]
    assert (found.home / "notes.json").exists()


def test_a_machine_that_dies_is_started_again(run: Run) -> None:
    """What the black box holds after a power cut would never be read."""
    Guest.lives = [["hello", "ready", "harm"], ["hello", "over", "done"]]
    found = run.whole()
    assert (found.ended, len(found.deaths)) == ("done", 1)


def test_a_machine_that_dies_too_often_is_given_up(run: Run) -> None:
    """A run would go on for ever."""
    Guest.lives = [["hello"], ["hello"]]
    found = run.whole()
    assert (found.ended, len(found.deaths)) == ("died", 2)


def test_a_login_afterwards_is_tried_again(run: Run) -> None:
    """One lost packet would count as a dead sshd."""
    Guest.lives = [["hello", "over", "done"]]
    run.guest.logins = [False, True]  # type: ignore[attr-defined]  # the pretended guest has them
    assert [each["ok"] for each in run.whole().logins] == [False, True]


def test_a_disk_that_was_made_slow_is_fast_again_afterwards(make: Make) -> None:
    """Bringing results home would take as long as the disk is slow."""
    run = make("monitor: [{at: 1h, do: disk, iops: 10}]\n")
    Guest.lives = [["hello", "ready", "harm", "over", "done"]]
    run.whole()
    assert run.guest.slowed == [(None, None)]  # type: ignore[attr-defined]  # the pretended guest has them


def test_a_disk_is_left_alone_where_nobody_asked(run: Run) -> None:
    """A disk that a scenario has slow from the beginning would be made fast."""
    Guest.lives = [["hello", "ready", "harm", "over", "done"]]
    run.whole()
    assert run.guest.slowed == []  # type: ignore[attr-defined]  # the pretended guest has them
