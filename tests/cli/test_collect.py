"""``memwatchd collect``: each incident once, whole, and again when it was not taken."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.test_cli import Cli, cli, incident
from tests.conftest import Tape, WriteIncident

__all__ = ["cli", "incident"]

Collect = Callable[[], tuple[int | str | None, list[str]]]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Notes what it gets, and takes it unless there is a file called refuse."""
    path = tmp_path / "take"
    path.write_text(
        f'#!/bin/sh\n[ "$2" = "$MEMWATCHD_INCIDENT" ] || exit 9\n'
        f'echo "$1 ${{2##*/}}" >> {tmp_path}/taken\n[ ! -e {tmp_path}/refuse ]\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def collect(cli: Cli, program: Path, tmp_path: Path) -> Collect:
    def run() -> tuple[int | str | None, list[str]]:
        taken = tmp_path / "taken"
        taken.unlink(missing_ok=True)
        where = ["--runtime-dir", tmp_path / "run", "--state-dir", tmp_path / "state"]
        result = cli("collect", *where, "--done", tmp_path / "done", program, "-x", where=False)
        return result.status, taken.read_text().splitlines() if taken.exists() else []

    return run


def test_each_incident_is_handed_over_once(collect: Collect, incident: Path) -> None:
    """The site's archive would have it twice, or not at all."""
    assert collect() == (0, [f"-x {incident.name}"])
    assert collect() == (0, [])


def test_what_is_not_taken_comes_again(collect: Collect, incident: Path, tmp_path: Path) -> None:
    """An upload that failed in the night would never be tried again."""
    (tmp_path / "refuse").touch()
    assert collect() == (1, [f"-x {incident.name}"])
    (tmp_path / "refuse").unlink()
    assert collect() == (0, [f"-x {incident.name}"])
    assert collect() == (0, [])


def test_what_is_gone_is_forgotten(collect: Collect, incident: Path, tmp_path: Path) -> None:
    """The list would grow for years."""
    collect()
    incident.unlink()
    collect()
    assert (tmp_path / "done").read_text() == ""


def test_a_half_written_incident_is_waited_for(
    collect: Collect, incident: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows the kill would be missing in the archive."""
    whole = incident.read_bytes()
    incident.write_bytes(whole[: len(whole) // 2])
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        incident.write_bytes(whole)

    monkeypatch.setattr("memwatchd.cli.collect.time.sleep", wait)
    assert collect() == (0, [f"-x {incident.name}"])
    assert waits == [1.0]


def test_one_that_never_gets_whole_is_handed_over(collect: Collect, incident: Path) -> None:
    """The incident of a daemon that died would hold up all the others for ever."""
    incident.write_bytes(incident.read_bytes()[:-20])
    os.utime(incident, (1, 1))
    assert collect() == (0, [f"-x {incident.name}"])


def test_no_such_program(cli: Cli, incident: Path, tmp_path: Path) -> None:
    """The unit would end in a traceback."""
    where = ["--state-dir", tmp_path / "state", "--done", tmp_path / "done"]
    result = cli("collect", *where, tmp_path / "none", where=False)
    assert (result.status, result.line) == (1, f"memwatchd: {tmp_path}/none: No such file or directory")


def test_a_symbolic_link_is_not_written_through(
    collect: Collect, incident: Path, tmp_path: Path, tape: Tape, write_incident: WriteIncident
) -> None:
    """Whoever may write to that directory could have any file of the collector's user overwritten."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "done.new").symlink_to(tmp_path / "precious")
    (tmp_path / "done").symlink_to(tmp_path / "precious")
    collect()
    assert (tmp_path / "precious").read_text() == "precious"
