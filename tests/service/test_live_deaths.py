"""Whoever dies: the samples stay, and the others know what to do."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.conftest import Daemon, StartDaemon, gone

from memwatchd.incidents.reader import Incident
from memwatchd.ring.board import Slot
from memwatchd.ring.file import open_ring
from memwatchd.ring.format import BOARD_OFFSET, SEGMENTS_OFFSET, State
from memwatchd.ring.reader import read_segments, segment_headers
from memwatchd.ring.stream import events, moments

pytestmark = pytest.mark.live


def other_sampler(daemon: Daemon, old_pid: int) -> int | None:
    """Pid of the sampler that has taken over, once it samples."""
    pid: int | None = daemon.state().get("sampler_pid")
    figures = daemon.ring().figures()
    return pid if pid not in (None, old_pid) and figures[Slot.PID] == pid and figures[Slot.WARM] else None


def test_a_killed_sampler_is_replaced_and_the_ring_kept(start_daemon: StartDaemon) -> None:
    """The seconds before the sampler's death would be lost, or all that came after it."""
    daemon = start_daemon()
    daemon.wait_for_ticks(200)
    old_pid, old_ticks = daemon.state()["sampler_pid"], daemon.ticks()
    old, old_number = segment_headers(daemon.ring()), daemon.ring().board[Slot.NUMBER]
    os.kill(old_pid, signal.SIGKILL)
    daemon.wait_for(lambda: other_sampler(daemon, old_pid), "another sampler")
    daemon.wait_for_ticks(100)
    daemon.wait_for(lambda: daemon.state()["sampling"]["restarts"] == 1, "the state to tell of the restart")

    ring = daemon.ring()
    kept = {header.sequence: header for header in segment_headers(ring)}
    assert all(kept[header.sequence].monotonic_ns == header.monotonic_ns for header in old)
    taken = [moment.sample for moment in moments(read_segments(ring))]
    assert [sample.tick for sample in taken] == sorted({sample.tick for sample in taken})
    assert sum(sample.tick <= old_number for sample in taken) > 100
    assert [state for state in [daemon.status()["sampling"]] if state["ticks"] > old_ticks]
    assert "the sampler died with status -9" in daemon.log()
    (death,) = [
        event
        for event in events(read_segments(open_ring(daemon.places.events)))
        if event["event"] == "sampler_died"
    ]
    assert death["status"] == -9
    assert "sampler_died" in [event["event"] for event in summary(daemon, daemon.dump())["events"]]
    assert daemon.stop() == 0


def wait_for_other_pid(daemon: Daemon, pid: int) -> None:
    daemon.wait_for(lambda: daemon.state()["sampler_pid"] != pid, "the service to notice")


def test_a_sampler_that_keeps_dying_does_not_take_the_service_along(start_daemon: StartDaemon) -> None:
    """A crash loop would end the daemon, or fill the journal and the CPUs."""
    daemon = start_daemon()
    for _ in range(3):
        pid = daemon.wait_for(lambda: daemon.state()["sampler_pid"], "a sampler")
        os.kill(pid, signal.SIGKILL)
        wait_for_other_pid(daemon, pid)
    daemon.wait_for(lambda: daemon.state()["sampling"]["restarts"] == 3, "the fourth sampler")
    daemon.wait_for_ticks(20)
    assert daemon.stop() == 0


def summary(daemon: Daemon, incident: Incident) -> dict[str, list[dict[str, str]]]:
    result = daemon.cli("show", "--json", incident.path.name)
    assert result.returncode == 0, result.stderr.decode()
    value: dict[str, list[dict[str, str]]] = json.loads(result.stdout)
    return value


def check_last_samples(daemon: Daemon) -> Incident:
    """Start the daemon again: the ring that is there must become one incident with all that was in it."""
    dead = open_ring(daemon.places.ring)
    assert dead.state == State.RUNNING
    *_, last = moments(read_segments(dead))
    daemon.start().wait_until_sampling()
    incident = daemon.wait_for_incident("recorder_died")
    assert (incident.complete, incident.problems) == (True, [])
    *_, saved = incident.moments()
    assert saved == last
    assert incident.trigger_ns >= last.sample.monotonic_ns
    assert "did not end in good order" in daemon.log()
    shown = daemon.cli("show", incident.path.name)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert "the recorder was killed" in shown.stdout.decode()
    assert daemon.cli("raw", incident.path.name, "--source", "meminfo").stdout == last.text("meminfo")
    assert daemon.stop() == 0
    daemon.start().wait_until_sampling()
    assert len(daemon.incidents("recorder_died")) == 1
    return incident


def test_a_restart_in_good_order_goes_on_in_the_ring(start_daemon: StartDaemon) -> None:
    """An upgrade shortly before the night that matters would cost the half minute that leads up to it."""
    daemon = start_daemon()
    daemon.wait_for_ticks(200)
    assert daemon.stop() == 0
    closed = open_ring(daemon.places.ring)
    assert closed.state == State.CLOSED
    before = [moment.sample for moment in moments(read_segments(closed))]
    assert len(before) > 100
    daemon.start().wait_until_sampling()
    daemon.wait_for_ticks(100)
    assert daemon.ring().state == State.RUNNING
    assert daemon.incidents("recorder_died") == []
    incident = daemon.dump()
    taken = [moment.sample for moment in incident.moments()]
    kept = [sample for sample in taken if sample.tick <= before[-1].tick]
    assert kept, "all of it was overwritten"
    assert kept == before[-len(kept) :]
    assert [sample.tick for sample in taken] == sorted({sample.tick for sample in taken})
    shown = daemon.cli("show", incident.path.name)
    assert (shown.returncode, shown.stderr) == (0, b"")
    # What it has after the restart is no less safe than before.
    crash(daemon)
    check_last_samples(daemon)


def test_a_killed_service_takes_its_children_along_and_leaves_the_ring(start_daemon: StartDaemon) -> None:
    """Orphans would go on sampling for nobody, or hold the port, and the last seconds would be lost."""
    daemon = start_daemon(exporter=True)
    daemon.wait_for_ticks(200)
    children = [daemon.state()["sampler_pid"], daemon.state()["exporter_pid"]]
    # It must have gone through all of its own start-up, giving up its rights included.
    if os.geteuid() == 0:
        status = Path(f"/proc/{children[1]}/status")
        daemon.wait_for(lambda: "\nUid:\t65534\t" in status.read_text(), "the exporter to become nobody")
    daemon.kill()
    daemon.wait_until_dead(children)
    incident = check_last_samples(daemon)
    assert incident.meta["sampling"]["ticks"] >= 200


def test_an_exporter_that_stands_still_or_dies_is_not_felt(start_daemon: StartDaemon) -> None:
    """Who only wants to look at the figures could cost them."""
    daemon = start_daemon(exporter=True)
    daemon.wait_for_ticks(50)
    sampler, exporter = daemon.state()["sampler_pid"], daemon.state()["exporter_pid"]
    os.kill(exporter, signal.SIGSTOP)
    daemon.wait_for_ticks(200)
    daemon.dump()
    os.kill(exporter, signal.SIGKILL)
    daemon.wait_for_ticks(50)
    daemon.wait_for(
        lambda: daemon.state().get("exporter_pid") not in (None, exporter), "another exporter in its place"
    )
    assert daemon.state()["sampler_pid"] == sampler
    assert daemon.state()["sampling"]["restarts"] == 0
    assert "the exporter ended with status -9" in daemon.log()
    assert daemon.stop() == 0


def test_when_both_are_killed_the_ring_becomes_an_incident(start_daemon: StartDaemon) -> None:
    """The OOM killer's second victim would take the first one's story with it."""
    daemon = start_daemon()
    daemon.wait_for_ticks(200)
    sampler_pid = daemon.state()["sampler_pid"]
    os.kill(daemon.pid, signal.SIGSTOP)
    os.kill(sampler_pid, signal.SIGKILL)
    daemon.kill()
    daemon.wait_until_dead([sampler_pid])
    check_last_samples(daemon)


def crash(daemon: Daemon) -> None:
    """Kill the service and wait for the sampler."""
    sampler_pid = daemon.state()["sampler_pid"]
    daemon.kill()
    daemon.wait_until_dead([sampler_pid])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("ring", "truncated"),
        ("ring", "empty"),
        ("ring", "garbage"),
        ("ring", "heartbeat in the far future"),
        ("ring", "board full of ones"),
        ("ring", "segments full of ones"),
        ("events", "truncated"),
        ("events", "segments full of ones"),
        ("ring", "a symbolic link"),
        ("events", "a symbolic link"),
    ],
)
def test_a_damaged_ring_does_not_keep_the_daemon_from_starting(
    start_daemon: StartDaemon, file: str, damage: str
) -> None:
    """A machine that crashed once would never be watched again."""
    daemon = start_daemon()
    daemon.wait_for_ticks(50)
    crash(daemon)
    path = daemon.places.runtime_dir / file
    size = path.stat().st_size
    if damage == "truncated":
        os.truncate(path, size // 2)
    elif damage == "empty":
        os.truncate(path, 0)
    elif damage == "a symbolic link":
        path.unlink()
        path.symlink_to("/etc/passwd")
    else:
        offset, data = {
            "garbage": (0, os.urandom(size)),
            "heartbeat in the far future": (BOARD_OFFSET + 8 * Slot.HEARTBEAT_NS, b"\xff" * 8),
            "board full of ones": (BOARD_OFFSET, b"\xff" * (SEGMENTS_OFFSET - BOARD_OFFSET)),
            "segments full of ones": (SEGMENTS_OFFSET + 4096, b"\xff" * (size - SEGMENTS_OFFSET - 4096)),
        }[damage]
        with path.open("r+b") as opened:
            opened.seek(offset)
            opened.write(data)
    daemon.start().wait_until_sampling()
    if damage in ("heartbeat in the far future", "board full of ones"):
        # Not a byte of the samples themselves is damaged.
        incident = daemon.wait_for_incident("recorder_died")
        assert len(list(incident.moments())) >= 50
    assert "Traceback" not in daemon.log()


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A runtime directory with room for one set of rings, but not for two."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    directory = Path(tempfile.mkdtemp(prefix="memwatchd-test-", dir="/dev/shm"))
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "memwatchd-test", str(directory)]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0:
        directory.rmdir()
        pytest.skip(f"a small file system cannot be mounted here: {result.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)
    shutil.rmtree(directory)


def test_a_crash_with_room_for_one_ring_only(
    small_memory: Path, make_daemon: StartDaemon, tmp_path: Path
) -> None:
    """Where /run is small, the dead ring would be in the way of the next one, and no start succeed again."""
    daemon: Daemon = make_daemon()
    daemon.arguments += ["--runtime-dir", str(small_memory)]
    daemon.places = type(daemon.places)(small_memory, tmp_path / "state")
    daemon.start().wait_until_sampling()
    rings = sum((small_memory / name).stat().st_blocks * 512 for name in ("ring", "events"))
    filesystem = os.statvfs(small_memory)
    assert filesystem.f_bavail * filesystem.f_frsize < rings * 1.3
    crash(daemon)
    daemon.start().wait_until_sampling()
    daemon.wait_for_incident("recorder_died")


def test_the_dead_leave_no_processes(start_daemon: StartDaemon) -> None:
    """Each crash would leave a process behind that still costs CPU time."""
    daemon = start_daemon(exporter=True)
    state = daemon.state()
    assert daemon.stop() == 0
    assert gone(state["sampler_pid"])
    assert gone(state["exporter_pid"])
    assert daemon.survivors() == []
