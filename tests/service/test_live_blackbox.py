"""The black box on the real machine: a death, ends that are none, and disks that will not.

A machine's death is a kill of all processes at once, the loss of the runtime directory, which is in memory,
and a start under another boot id, which stands in a tree of links to /proc.
"""

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import QUICK, Daemon, StartDaemon, wait_for

from memwatchd.incidents.blackbox import BoxState
from memwatchd.incidents.boxreader import read_status
from memwatchd.incidents.format import BlockType
from memwatchd.ring.stream import events

pytestmark = pytest.mark.live

# A rule that holds on every machine is danger enough, for its first minute.
ARMED = {**QUICK, "black_box": {"size": "4MiB"}, "rules": {"always": {"when": "meminfo.MemTotal > 1MiB"}}}
CALM = {**QUICK, "black_box": {"size": "4MiB"}}


def box(daemon: Daemon) -> dict[str, Any]:
    """What the daemon says of its box."""
    found: dict[str, Any] = daemon.state().get("black_box", {})
    return found


def wait_until_streaming(daemon: Daemon, writes: int = 12) -> None:
    """Wait until some seconds are on disk."""
    daemon.wait_for(
        lambda: box(daemon).get("streaming") and box(daemon)["writes"] >= writes, "the black box to stream"
    )


def state_of(daemon: Daemon) -> BoxState | None:
    """What the next start would find."""
    status = read_status(daemon.places.black_box)
    return None if status is None else status.state


def switch_off(daemon: Daemon) -> int:
    """End all processes as a power cut does, and lose the memory; returns when, on the monotonic clock."""
    sampler = daemon.state()["sampler_pid"]
    killed_ns = time.monotonic_ns()
    # Stopped first, so that neither sees the other's end.
    for pid in (daemon.pid, sampler):
        os.kill(pid, signal.SIGSTOP)
    os.kill(sampler, signal.SIGKILL)
    daemon.kill()
    daemon.wait_until_dead([sampler])
    lose_memory(daemon)
    return killed_ns


def lose_memory(daemon: Daemon) -> None:
    """Empty the runtime directory, as a boot does."""
    for path in daemon.places.runtime_dir.iterdir():
        path.unlink() if path.is_file() or path.is_socket() else shutil.rmtree(path)


@pytest.fixture
def other_boot(tmp_path: Path) -> list[str]:
    """Arguments for a start in another boot."""
    procfs = tmp_path / "proc"
    fake = procfs / "sys" / "kernel" / "random"
    fake.mkdir(parents=True)
    for directory in (procfs, procfs / "sys", procfs / "sys" / "kernel"):
        for path in ("/proc" / directory.relative_to(procfs)).iterdir():
            if not path.name.isdecimal() and not (directory / path.name).exists():
                (directory / path.name).symlink_to(path)
    (fake / "boot_id").write_text(f"{uuid.uuid4()}\n")
    return ["--path.procfs", str(procfs)]


def test_a_machine_that_dies_in_danger(start_daemon: StartDaemon, other_boot: list[str]) -> None:
    """A power cut at the height of the storm would leave nothing."""
    daemon = start_daemon(ARMED)
    wait_until_streaming(daemon)
    killed_ns = switch_off(daemon)
    assert state_of(daemon) is BoxState.ARMED
    daemon.arguments += other_boot
    daemon.start().wait_until_sampling()
    incident = daemon.wait_for_incident("machine_died")
    assert (incident.complete, incident.problems) == (True, [])
    taken = [moment.sample.monotonic_ns for moment in incident.moments()]
    lost_s = (killed_ns - taken[-1]) / 1e9
    print(f"{len(taken)} samples, the last one {lost_s * 1000:.0f} ms before the end")  # pytest -s shows it
    # A quarter of a second is meant; a machine on which tests run may be slow.
    assert -0.5 < lost_s < 3
    assert incident.trigger_ns == taken[-1]
    assert len(taken) > 100
    armed = [event for event in events(incident.segments(BlockType.SAMPLES)) if event["event"] == "armed"]
    assert "always" in armed[0]["reason"]
    now = uuid.UUID(Path(other_boot[1], "sys/kernel/random/boot_id").read_text().strip())
    assert incident.header.boot_id != now.bytes
    facts = incident.facts
    assert facts["death"]["missing_extents"] == facts["death"]["damaged_extents"] == 0
    assert facts["sampling"]["rate_hz"] == 200
    assert "config.yaml" in incident.texts()
    shown = daemon.cli("show", incident.path.name).stdout.decode()
    assert "the machine went down; these are its last samples" in shown
    assert "written every 250 ms" in shown
    assert "machine_died" in daemon.cli("incidents", "--json").stdout.decode()
    # Told once: not again by the next start, whichever boot it is.
    assert daemon.stop() == 0
    daemon.start().wait_until_sampling()
    assert len(daemon.incidents("machine_died")) == 1
    assert daemon.incidents("recorder_died") == []


@pytest.mark.parametrize("config", [ARMED, CALM], ids=["armed", "calm"])
def test_a_reboot_is_no_death(
    start_daemon: StartDaemon, other_boot: list[str], config: dict[str, Any]
) -> None:
    """Every shutdown of a machine in trouble would be told as its death."""
    daemon = start_daemon(config)
    if config is ARMED:
        wait_until_streaming(daemon)
    else:
        daemon.wait_for(lambda: box(daemon).get("ready"), "the black box")
    assert daemon.stop() == 0
    assert state_of(daemon) is BoxState.CLOSED
    lose_memory(daemon)
    daemon.arguments += other_boot
    daemon.start().wait_until_sampling()
    daemon.wait_for(lambda: box(daemon).get("ready"), "the black box")
    assert daemon.incidents() == []


def test_a_machine_that_dies_in_the_calm_has_nothing_to_tell(
    start_daemon: StartDaemon, other_boot: list[str]
) -> None:
    """An incident without anything in it would be written."""
    daemon = start_daemon(CALM)
    daemon.wait_for(lambda: box(daemon).get("ready"), "the black box")
    switch_off(daemon)
    daemon.arguments += other_boot
    daemon.start().wait_until_sampling()
    daemon.wait_for(lambda: box(daemon).get("ready"), "the black box")
    assert daemon.incidents() == []
    if state_of(daemon) is BoxState.CALM:  # whatever else runs on this machine may have armed it
        assert "the last run was not stopped" in daemon.log()


def test_a_killed_daemon_is_told_once(start_daemon: StartDaemon) -> None:
    """One death would make two incidents, one of the rings and one of the box."""
    daemon = start_daemon(ARMED)
    wait_until_streaming(daemon)
    sampler = daemon.state()["sampler_pid"]
    daemon.kill()
    daemon.wait_until_dead([sampler])
    daemon.start().wait_until_sampling()
    daemon.wait_for_incident("recorder_died")
    daemon.wait_for(lambda: box(daemon).get("ready"), "the black box")
    assert [incident.facts["trigger"]["kind"] for incident in daemon.incidents()] == ["recorder_died"]


def test_a_daemon_that_was_killed_long_before_a_reboot(
    start_daemon: StartDaemon, other_boot: list[str]
) -> None:
    """The machine lived on, and would be said to have gone down."""
    daemon = start_daemon(ARMED)
    wait_until_streaming(daemon)
    sampler = daemon.state()["sampler_pid"]
    daemon.kill()
    daemon.wait_until_dead([sampler])
    assert state_of(daemon) is BoxState.ARMED
    lose_memory(daemon)
    daemon.arguments += other_boot
    daemon.start().wait_until_sampling()
    incident = daemon.wait_for_incident("recorder_died")
    assert len(list(incident.moments())) > 100
    assert daemon.incidents("machine_died") == []
    daemon.wait_for(lambda: not daemon.places.epitaph.exists(), "the note to be removed")


def test_danger_that_passes_ends_the_streaming(start_daemon: StartDaemon) -> None:
    """Once armed, a machine would go on writing until it is switched off."""
    daemon = start_daemon({**ARMED, "black_box": {"size": "4MiB", "after": "0s"}})
    wait_until_streaming(daemon)
    path = Path(daemon.arguments[daemon.arguments.index("--config") + 1])
    path.write_text(path.read_text().replace("meminfo.MemTotal > 1", "meminfo.MemTotal < 1"))
    assert daemon.cli("reload").returncode == 0
    daemon.wait_for(lambda: not box(daemon)["streaming"], "the end of the streaming")
    assert state_of(daemon) is BoxState.CALM
    assert "at rest" in daemon.cli("status").stdout.decode()


# ---- disks that will not


@pytest.fixture
def real_disk(tmp_path: Path) -> Iterator[Path]:
    """A small ext4 of our own, which can be frozen."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.ext4", "fsfreeze"))):
        pytest.skip("a file system that can be frozen needs root, mkfs.ext4 and fsfreeze")
    image, directory = tmp_path / "image", tmp_path / "state"
    directory.mkdir()
    with image.open("wb") as file:
        file.truncate(48 << 20)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(directory)]):
        result = subprocess.run(command, capture_output=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"no file system of our own here: {result.stderr.decode().strip()}")
    yield directory
    subprocess.run(["fsfreeze", "-u", str(directory)], capture_output=True, check=False)
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_disk_that_does_not_answer(real_disk: Path, start_daemon: StartDaemon) -> None:
    """The recorder would stand still with the disk, just when it matters."""
    daemon = start_daemon({**ARMED, "incidents": {**QUICK["incidents"], "after": "0s"}})
    wait_until_streaming(daemon)
    subprocess.run(["fsfreeze", "-f", str(real_disk)], check=True)
    began = daemon.state()["sampling"]
    daemon.wait_for(
        lambda: any("the disk has not answered" in each for each in daemon.state()["degraded"]),
        "the status to say so",
    )
    daemon.wait_for_ticks(400)
    now = daemon.state()["sampling"]
    ticks, missed = now["ticks"] - began["ticks"], now["missed"] - began["missed"]
    assert missed < ticks / 4, "on a busy machine ticks are missed, but not the more for the disk"
    assert daemon.status()["responding"]
    written = box(daemon)["written_bytes"]
    subprocess.run(["fsfreeze", "-u", str(real_disk)], check=True)
    daemon.wait_for(lambda: box(daemon)["written_bytes"] > written, "the black box to go on")
    daemon.wait_for(
        lambda: not any("the disk has not answered" in each for each in daemon.state()["degraded"]),
        "the status to recover",
    )
    assert daemon.stop() == 0
    assert state_of(daemon) is BoxState.CLOSED


def test_a_disk_that_is_read_only_at_the_start(small_disk: Path, start_daemon: StartDaemon) -> None:
    """The daemon would not start, or go without a black box for good."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    daemon = start_daemon(ARMED)
    daemon.wait_for(
        lambda: any("black-box: Read-only" in each for each in daemon.state()["degraded"]), "the status"
    )
    assert box(daemon)["ready"] is False
    assert "black box not there" in daemon.cli("status").stdout.decode()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    wait_until_streaming(daemon)
    assert not any("black-box" in each for each in daemon.state()["degraded"])
    assert daemon.stop() == 0


def test_a_death_that_no_disk_takes_is_told_later(
    small_disk: Path, start_daemon: StartDaemon, other_boot: list[str]
) -> None:
    """The new run would overwrite what the machine has left, before it is an incident."""
    daemon = start_daemon(ARMED)
    wait_until_streaming(daemon)
    switch_off(daemon)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    daemon.arguments += other_boot
    daemon.start().wait_until_sampling()
    incident = daemon.wait_for_incident("machine_died")
    assert incident.path.parent == daemon.places.pending
    assert daemon.stop() == 0
    # A second start finds the box as it was; what waits in memory is the same death.
    daemon.start().wait_until_sampling()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    wait_until_streaming(daemon)
    wait_for(lambda: daemon.incidents("machine_died")[0].path.parent == daemon.places.incidents, "its place")
    assert len(daemon.incidents("machine_died")) == 1
