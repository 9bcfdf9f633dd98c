"""A disk that fails: the incident is written all the same, or waits in memory until the disk is back."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.service.conftest import QUICK, Daemon, MakeEater, StartDaemon

from memwatchd.incidents.reader import open_incident

pytestmark = pytest.mark.live


@pytest.fixture
def fill(small_disk: Path) -> Iterator[Callable[[], Path]]:
    """Fill the small disk to its last byte; returns the file to remove."""

    def run() -> Path:
        path = small_disk / "filler"
        block = bytes(1 << 16)
        with path.open("ab", buffering=0) as filler:
            while block:
                try:
                    filler.write(block)
                except OSError:
                    block = block[: len(block) // 2]
        return path

    yield run
    (small_disk / "filler").unlink(missing_ok=True)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make a mounted disk read-only for a while."""
    subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(directory)], check=True)


def reserved(daemon: Daemon) -> bool:
    """Whether space for the next incident is there."""
    try:
        return (daemon.places.incidents / ".reserve").stat().st_blocks > 0
    except OSError:
        return False


def in_place(daemon: Daemon) -> list[str]:
    return sorted(path.name for path in daemon.places.incidents.glob("*.mwi"))


def waiting(daemon: Daemon) -> list[str]:
    return sorted(path.name for path in daemon.places.pending.glob("*.mwi"))


def degraded(daemon: Daemon, word: str) -> bool:
    return any(word in sentence for sentence in daemon.state()["degraded"])


def wait_until_settled(daemon: Daemon, names: list[str]) -> None:
    """Wait until the incidents are where they belong, whole, and nobody complains any more."""
    daemon.wait_for(
        lambda: waiting(daemon) == [] and set(names) <= set(in_place(daemon)), "the incidents to move"
    )
    for name in names:
        incident = open_incident(daemon.places.incidents / name)
        assert (incident.complete, incident.problems) == (True, [])
        assert len(list(incident.moments())) > 10
    daemon.wait_for(lambda: not degraded(daemon, str(daemon.places.incidents)), "the status to recover")
    assert list(daemon.places.incidents.glob("*.new")) == []


def test_a_disk_that_fills_up_later_has_room_for_one_incident(
    small_disk: Path, start_daemon: StartDaemon, fill: Callable[[], Path]
) -> None:
    """The log flood that comes with running out of memory would leave no room for the incident."""
    daemon = start_daemon()
    daemon.wait_for(lambda: reserved(daemon), "the reserve")
    fill()
    first = daemon.dump()
    assert first.path.parent == daemon.places.incidents
    assert (first.complete, first.problems) == (True, [])
    # What it did not need was given back; the next to come finds nothing.
    filler = fill()
    daemon.wait_for(lambda: degraded(daemon, "No space left"), "the status to say so")
    (daemon.places.incidents / ".reserve").unlink(missing_ok=True)
    fill()
    second = daemon.dump()
    assert second.path.parent == daemon.places.pending
    assert daemon.cli("show", "last").returncode == 0
    assert "No space left" in daemon.log()
    assert second.path.name in daemon.cli("incidents").stdout.decode()
    filler.unlink()
    wait_until_settled(daemon, [first.path.name, second.path.name])
    assert "incident moved to its place" in daemon.log()
    assert daemon.stop() == 0


def test_a_kill_on_a_disk_that_was_full_from_the_start(
    small_disk: Path, start_daemon: StartDaemon, fill: Callable[[], Path], make_eater: MakeEater
) -> None:
    """A full disk would cost the incident, or the daemon its life."""
    eater = make_eater()
    filler = fill()
    daemon = start_daemon()
    daemon.wait_for(lambda: degraded(daemon, "No space left"), "the status to say so")
    daemon.wait_for_ticks(100)
    eater.eat()
    incident = daemon.wait_for_incident_of(eater.pid)
    assert incident.path.parent == daemon.places.pending
    assert eater.pid in [kill["pid"] for kill in incident.meta["kills"]]
    filler.unlink()
    wait_until_settled(daemon, [incident.path.name])
    assert daemon.stop() == 0


def test_incidents_that_wait_outlive_the_daemon(
    small_disk: Path, start_daemon: StartDaemon, fill: Callable[[], Path]
) -> None:
    """A restart, of all things to try when the disk is full, would throw the evidence away."""
    filler = fill()
    daemon = start_daemon()
    daemon.wait_for_ticks(50)
    waiting_there = daemon.dump().path
    assert waiting_there.parent == daemon.places.pending
    assert daemon.stop() == 0
    assert open_incident(waiting_there).complete
    filler.unlink()
    daemon.start().wait_until_sampling()
    wait_until_settled(daemon, [waiting_there.name])


def test_a_disk_that_becomes_read_only(
    small_disk: Path, start_daemon: StartDaemon, make_eater: MakeEater
) -> None:
    """An ext4 error would cost the incident, or the daemon its life."""
    eater = make_eater()
    daemon = start_daemon()
    daemon.wait_for(lambda: reserved(daemon), "the reserve")
    daemon.wait_for_ticks(50)
    with read_only(small_disk):
        eater.eat()
        killed = daemon.wait_for_incident_of(eater.pid)
        dumped = daemon.dump()
        assert {killed.path.parent, dumped.path.parent} == {daemon.places.pending}
        daemon.wait_for(lambda: degraded(daemon, "Read-only file system"), "the status to say so")
        assert daemon.cli("show", "last").returncode == 0
        assert "Read-only file system" in daemon.log()
    wait_until_settled(daemon, [killed.path.name, dumped.path.name])
    assert daemon.stop() == 0


def test_more_waits_than_memory_has_room_for(small_disk: Path, start_daemon: StartDaemon) -> None:
    """A disk that stays broken would fill the machine's memory with incidents."""
    daemon = start_daemon()
    daemon.wait_for(lambda: reserved(daemon), "the reserve")
    with read_only(small_disk):
        dumped = [daemon.dump().path.name for _ in range(6)]
        assert waiting(daemon) == dumped[2:]
    wait_until_settled(daemon, dumped[2:])


def test_old_incidents_that_cannot_be_removed(small_disk: Path, start_daemon: StartDaemon) -> None:
    """Tidying up would fail on a broken disk, and with it the writing of incidents for good."""
    config = {**QUICK, "incidents": {**QUICK["incidents"], "keep": {"count": 1}}}
    incidents = small_disk / "incidents"
    incidents.mkdir()
    for number in range(3):
        (incidents / f"2020010{number + 1}T000000.000Z-requested.mwi").write_bytes(b"old")
    with read_only(small_disk):
        daemon = start_daemon(config)
        dumped = [daemon.dump() for _ in range(2)]
        assert {each.path.parent for each in dumped} == {daemon.places.pending}
    daemon.wait_for(lambda: waiting(daemon) == [], "the waiting ones to move")
    last = daemon.dump()
    assert last.path.parent == daemon.places.incidents
    daemon.wait_for(lambda: in_place(daemon) == [last.path.name], "the old ones to go")
    assert daemon.stop() == 0


def test_a_kill_where_old_incidents_cannot_be_removed(
    small_disk: Path, start_daemon: StartDaemon, make_eater: MakeEater
) -> None:
    """The first kill on a broken disk would be the last one recorded."""
    config = {**QUICK, "incidents": {**QUICK["incidents"], "keep": {"count": 1}}}
    incidents = small_disk / "incidents"
    incidents.mkdir()
    for number in range(3):
        (incidents / f"2020010{number + 1}T000000.000Z-requested.mwi").write_bytes(b"old")
    eater = make_eater()
    with read_only(small_disk):
        daemon = start_daemon(config)
        eater.eat()
        daemon.wait_for_incident_of(eater.pid)
        assert daemon.dump().complete


def test_a_directory_that_is_removed_is_made_again(start_daemon: StartDaemon) -> None:
    """A mistaken rm would end the recording until somebody restarts the daemon."""
    daemon = start_daemon()
    daemon.wait_for(lambda: reserved(daemon), "the reserve")
    daemon.dump()
    shutil.rmtree(daemon.places.state_dir)
    dumped = daemon.dump()
    assert dumped.path.parent == daemon.places.incidents
    assert (dumped.complete, dumped.problems) == (True, [])
    assert daemon.stop() == 0


def test_a_file_in_the_place_of_the_directory(start_daemon: StartDaemon) -> None:
    """Whatever stands in the way, incidents would be lost instead of waiting for it to go."""
    daemon = start_daemon()
    daemon.wait_for(lambda: reserved(daemon), "the reserve")
    shutil.rmtree(daemon.places.state_dir)
    daemon.places.state_dir.write_text("in the way")
    dumped = daemon.dump()
    assert dumped.path.parent == daemon.places.pending
    daemon.wait_for(lambda: degraded(daemon, str(daemon.places.incidents)), "the status to say so")
    daemon.places.state_dir.unlink()
    wait_until_settled(daemon, [dumped.path.name])
    assert daemon.stop() == 0


def test_a_link_in_the_place_of_the_reserve_is_not_followed(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    """Whoever can write to the state directory could have root overwrite any file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    daemon = start_daemon()
    daemon.wait_for(lambda: reserved(daemon), "the reserve")
    reserve = daemon.places.incidents / ".reserve"
    reserve.unlink()
    reserve.symlink_to(victim)
    dumped = daemon.dump()
    assert victim.read_text() == "precious"
    assert dumped.complete
    os.unlink(reserve)
    wait_until_settled(daemon, [dumped.path.name])
