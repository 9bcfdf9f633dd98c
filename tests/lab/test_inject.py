"""What is laid over a guest's root file system."""

import json
import tarfile
from pathlib import Path

from lab.daemons import DAEMONS
from lab.scenario import Scenario

from lab import daemons, inject

UNITS = "etc/systemd/system"


def contents(scenario: Scenario, daemon: str, directory: Path) -> dict[str, tarfile.TarInfo]:
    inject.write(scenario, DAEMONS[daemon], directory / "inject.tar", keep=False)
    with tarfile.open(directory / "inject.tar") as archive:
        return {entry.name: entry for entry in archive}


def test_one_daemon_starts_and_all_others_cannot(story: Scenario, tmp_path: Path) -> None:
    """Two watchdogs would share the credit for one kill."""
    found = contents(story, "systemd-oomd", tmp_path)
    masked = {name for name, entry in found.items() if entry.issym() and entry.linkname == "/dev/null"}
    assert masked == {f"{UNITS}/{unit}" for unit in daemons.foreign_units(DAEMONS["systemd-oomd"])}
    assert found[f"{UNITS}/multi-user.target.wants/systemd-oomd.service"].linkname.endswith(
        "/systemd-oomd.service"
    )
    assert f"{UNITS}/sockets.target.wants/systemd-oomd.socket" in found
    assert found[f"{UNITS}/dbus-org.freedesktop.oom1.service"].issym()


def test_the_guest_gets_its_plan_and_its_code(story: Scenario, tmp_path: Path) -> None:
    """The conductor would not start, and the host would wait for minutes."""
    found = contents(story, "none", tmp_path)
    for name in ("lab/__init__.py", "lab/inside/conductor.py", "lab/harm/eat.py"):
        assert found[f"opt/lab/{name}"].uid == 0
    assert f"{UNITS}/lab-hog.service" in found
    with tarfile.open(tmp_path / "inject.tar") as archive:
        plan = archive.extractfile("opt/lab/plan.json")
        assert plan is not None
        assert json.load(plan) == inject.plan(story, DAEMONS["none"], keep=False)


def test_every_daemon_is_known_by_its_name() -> None:
    """A result would be ascribed to another daemon."""
    assert [daemon.name for daemon in DAEMONS.values()] == list(DAEMONS)
    assert not set(DAEMONS["none"].units)
    assert DAEMONS["memwatchd"].wheel
