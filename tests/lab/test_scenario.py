"""The scenario model."""

import re

import pytest
from lab.daemons import DAEMONS
from lab.errors import ScenarioError
from lab.scenario import Moment, Process, Swap

from lab import inject, places, scenario, session

DOCUMENT = places.PROJECT / "docs/lab.md"
LEAST = "story: a test\nprocesses: {hog: {run: eat.py, at: 0s}}\n"


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_can_be_run(name: str) -> None:
    """A scenario that is broken would be found in the middle of a night of runs."""
    story = scenario.load(name)
    session.image_of(story)
    for process in story.processes:
        assert "ExecStart=" in inject.unit_text(process)
    assert set(story.daemons) <= set(DAEMONS)
    assert set(story.expect) <= {"all", *DAEMONS}


def test_every_scenario_is_in_the_documents_table() -> None:
    """A reader would not learn of a scenario, or look for one that is gone."""
    section = DOCUMENT.read_text().split("## The scenarios\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE) == scenario.names()


def test_every_figure_that_is_expected_is_in_the_documents_table() -> None:
    """Nobody could tell what a demand of a scenario means."""
    section = DOCUMENT.read_text().split("## What is measured\n")[1].split("\n## ")[0]
    keys = " ".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))
    asked = {
        each.place.split(".")[0]
        for name in scenario.names()
        for daemon in scenario.load(name).expect.values()
        for each in daemon
    }
    assert asked <= set(re.findall(r"[a-z_]+", keys))


def test_a_disk_can_be_made_slow_meanwhile() -> None:
    """A machine that waits for its disk could not be tried without a boot that takes as long."""
    story = scenario.parse("slow", LEAST + "monitor: [{at: 1s, do: disk, iops: 30, rate: 1MiB}]")
    assert story.monitor == (Moment(1.0, "disk", iops=30, bytes_per_s=1 << 20),)


def test_what_is_left_out_has_a_default() -> None:
    """A scenario would have to spell out every key."""
    story = scenario.parse("least", LEAST)
    assert (story.machine.memory_bytes, story.machine.cpus, story.machine.swap) == (512 << 20, 2, Swap())
    assert story.processes == (Process("hog", "harm", "eat.py", 0.0, 0, {}),)
    assert (story.settle_s, story.cron, story.machine.boots) == (5.0, False, 1)


def test_processes_may_be_many_and_early() -> None:
    """Eight of a kind would need eight entries, and a service could not be there before the harm."""
    story = scenario.parse(
        "many", "story: x\nprocesses: {eater: {run: eat.py, count: 2, at: 1500ms}, web: {run: /bin/x}}"
    )
    assert [(each.name, each.at_s) for each in story.processes] == [
        ("eater-1", 1.5),
        ("eater-2", 1.5),
        ("web", None),
    ]


def test_swap_and_moments_are_read() -> None:
    """The balloon would come at the wrong time, or swap of the wrong kind."""
    text = (
        LEAST
        + "machine: {swap: {zram: 256MiB}}\n"
        + "monitor: [{at: 8s, do: quit}, {at: 5s, do: balloon, memory: 200MiB}]"
    )
    story = scenario.parse("moments", text)
    assert story.machine.swap == Swap("zram", 256 << 20)
    assert story.monitor == (Moment(5.0, "balloon", 200 << 20), Moment(8.0, "quit"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("story: ''", "story"),
        (LEAST + "durration: 5s", "durration"),
        (LEAST + "duration: soon", "duration"),
        (LEAST + "machine: {memory: much}", "memory"),
        (LEAST + "machine: {swap: tape}", "swap"),
        (LEAST + "monitor: [{do: explode}]", "explode"),
        (LEAST + "expect: {all: [nonsense]}", "PLACE"),
        ("story: x\nprocesses: {hog: {run: eat.py, role: villain}}", "villain"),
        ("story: x\nprocesses: {Hog!: {run: eat.py}}", "Hog!"),
        ("story: [", "YAML"),
    ],
)
def test_a_mistake_is_named(text: str, said: str) -> None:
    """A slip would silently run another scenario than the one that was meant."""
    with pytest.raises(ScenarioError, match=said):
        scenario.parse("wrong", text)


def test_a_unit_runs_what_the_scenario_says() -> None:
    """A word with a space or a percent sign would come apart on its way through systemd."""
    process = Process("hog", "harm", "eat.py --note 'half 50%'", 0.0, -5, {"MemoryMax": "64M"})
    lines = inject.unit_text(process).splitlines()
    assert "ExecStart=/usr/bin/python3 /opt/lab/lab/harm/eat.py --note 'half 50%%'" in lines
    assert {"OOMScoreAdjust=-5", "MemoryMax=64M"} <= set(lines)


@pytest.mark.parametrize("run", ["nosuch.py", "relative"])
def test_a_program_that_is_not_there_is_named(run: str) -> None:
    """The guest would boot for minutes before anybody found out."""
    with pytest.raises(ScenarioError, match=run):
        inject.unit_text(Process("hog", "harm", run, 0.0, 0, {}))
