"""Watched processes, their open files, and watched cgroups, recorded beside the machine's own figures."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.service.conftest import QUICK, Daemon, MakeEater, StartDaemon

from memwatchd.incidents.reader import Incident
from memwatchd.ring.board import MAX_SOURCES
from memwatchd.sampling.plan import FIRST_WATCH_ID

pytestmark = pytest.mark.live

_POSITION = re.compile(rb"^pos:\t(\d+)$", re.MULTILINE)

_WRITER = """
import sys, time
with open("/proc/self/comm", "w") as comm:
    comm.write(sys.argv[1])
with open(sys.argv[2], "wb", buffering=0) as target:
    while True:
        target.write(b"x" * 1000)
        time.sleep(0.02)
"""

StartWriter = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start_writer(tmp_path: Path) -> Iterator[StartWriter]:
    """Start processes of a given name that write a file slowly."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        target, null = tmp_path / f"written-{len(started)}", subprocess.DEVNULL
        command = [sys.executable, "-I", "-S", "-c", _WRITER, name, str(target)]
        process = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def name() -> str:
    """A name no other process on this machine has."""
    return f"mwt-{os.getpid()}"


def watched(daemon: Daemon) -> set[str]:
    """Those of them that the configuration watches."""
    return {name for name in sources(daemon) if name.startswith(("process/", "cgroup/"))}


def sources(daemon: Daemon) -> set[str]:
    """Names of all that was sampled in the newest sample."""
    moment = daemon.last_moment()
    if moment is None:
        return set()
    return {entry["name"] for number, entry in moment.sources.items() if number in moment.sample.texts}


def files_of(daemon: Daemon, pid: int) -> set[str]:
    return {source for source in sources(daemon) if source.startswith(f"process/{pid}/fdinfo/")}


def statm_of(pid: int) -> str:
    return f"process/{pid}/statm"


def positions(incident: Incident, source: str) -> list[int]:
    """Position in the file, in each sample that has one."""
    texts = [text for moment in incident.moments() if (text := moment.text(source)) is not None]
    return [int(found[1]) for text in texts if (found := _POSITION.search(text)) is not None]


def test_a_process_and_its_files_are_followed(
    start_daemon: StartDaemon, start_writer: StartWriter, name: str
) -> None:
    """After the crash, nobody could say how far the copying had come, or how large the process had grown."""
    config = {**QUICK, "watch": [{"comm": name, "fds": True}]}
    writer = start_writer(name)
    daemon = start_daemon(config)
    (file,) = daemon.wait_for(lambda: files_of(daemon, writer.pid), "the writer's file to be sampled")
    daemon.wait_for(lambda: statm_of(writer.pid) in sources(daemon), "the writer to be sampled")
    daemon.wait_for_ticks(200)
    incident = daemon.dump()
    found = positions(incident, file)
    assert len(set(found)) > 10
    assert found == sorted(found)
    *_, last = incident.moments()
    assert len((last.text(statm_of(writer.pid)) or b"").split()) == 7
    assert (last.text(f"process/{writer.pid}/status") or b"").startswith(f"Name:\t{name}\n".encode())
    (entry,) = [entry for entry in last.sources.values() if entry["name"] == file]
    assert entry["target"].endswith("/written-0")
    assert (entry["pid"], entry["comm"]) == (writer.pid, name)
    # The machine's own figures are not disturbed by the newcomer, in not a single sample.
    assert all(moment.text("meminfo") for moment in incident.moments())
    raw = daemon.cli("raw", incident.path.name, "--source", file, "--at", "-0.2s")
    assert (raw.returncode, raw.stdout[:5]) == (0, b"pos:\t")


def test_processes_come_and_go(start_daemon: StartDaemon, start_writer: StartWriter, name: str) -> None:
    """A restarted job would not be watched any more, or a dead one for ever."""
    daemon = start_daemon({**QUICK, "watch": [{"comm": name, "fds": True}]})
    assert not any(source.startswith("process/") for source in sources(daemon))
    first = start_writer(name)
    daemon.wait_for(lambda: files_of(daemon, first.pid), "the first process's file")
    daemon.wait_for_ticks(60)
    first.kill()
    first.wait()
    daemon.wait_for(
        lambda: not any(source.startswith(f"process/{first.pid}/") for source in sources(daemon)),
        "the dead process to be forgotten",
    )
    second, third = start_writer(name), start_writer(name)
    wanted = {statm_of(second.pid), statm_of(third.pid)}
    daemon.wait_for(lambda: wanted <= sources(daemon), "both new processes")
    assert daemon.state()["sampling"]["restarts"] == 0
    # What was sampled of the dead is still in the ring.
    incident = daemon.dump()
    assert len(set(positions(incident, next(iter(incident_files(incident, first.pid)))))) > 2


def incident_files(incident: Incident, pid: int) -> set[str]:
    prefix = f"process/{pid}/fdinfo/"
    return {
        entry["name"]
        for moment in incident.moments()
        for entry in moment.sources.values()
        if entry["name"].startswith(prefix)
    }


def test_a_new_sampler_is_given_all_that_is_watched(
    start_daemon: StartDaemon, start_writer: StartWriter, name: str
) -> None:
    """After one crash of the sampler, nothing would be watched any more."""
    writer = start_writer(name)
    daemon = start_daemon({**QUICK, "watch": [{"comm": name, "fds": True}]})
    daemon.wait_for(lambda: files_of(daemon, writer.pid), "the writer's file")
    old = daemon.state()["sampler_pid"]
    os.kill(old, 9)
    daemon.wait_for(lambda: daemon.state()["sampling"]["restarts"] == 1, "another sampler")
    daemon.wait_for_ticks(20)
    daemon.wait_for(lambda: files_of(daemon, writer.pid), "the writer's file, again")
    daemon.wait_for(lambda: statm_of(writer.pid) in sources(daemon), "the writer, again")


def test_by_pid_and_pid_file(
    start_daemon: StartDaemon, start_writer: StartWriter, name: str, tmp_path: Path
) -> None:
    """A service that is named by its pid file would not be watched."""
    first, second = start_writer(name), start_writer(name)
    pid_file = tmp_path / "pid"
    pid_file.write_text("rubbish\n")
    daemon = start_daemon({**QUICK, "watch": [{"pid": first.pid}, {"pid_file": str(pid_file)}]})
    daemon.wait_for(lambda: statm_of(first.pid) in sources(daemon), "the process named by its pid")
    pid_file.write_text(f"{second.pid}\n")
    daemon.wait_for(lambda: statm_of(second.pid) in sources(daemon), "the process named by a file")
    assert not files_of(daemon, first.pid)  # they were not asked for


def test_a_cgroup_is_followed_and_its_kills_counted(start_daemon: StartDaemon, make_eater: MakeEater) -> None:
    """A container's own memory and its own kill counter would be missing beside the machine's."""
    eater = make_eater()
    daemon = start_daemon({**QUICK, "watch": [{"cgroup": eater.cgroup_name}]})
    prefix = f"cgroup{eater.cgroup_name}/"
    version_2 = (eater.cgroup / "memory.current").exists()
    usage, counter = (
        ("memory.current", "memory.events") if version_2 else ("memory.usage_in_bytes", "memory.oom_control")
    )
    daemon.wait_for(lambda: {prefix + usage, prefix + counter} <= sources(daemon), "the cgroup's files")
    eater.eat()
    incident = daemon.wait_for_incident_of(eater.pid)
    used = [int(text) for moment in incident.moments() if (text := moment.text(prefix + usage)) is not None]
    assert max(used) > 48 << 20
    counted = [text for moment in incident.moments() if (text := moment.text(prefix + counter)) is not None]
    assert b"oom_kill 0\n" in counted[0]
    assert b"oom_kill 1\n" in counted[-1]
    assert incident.meta["counters"]["vmstat"] >= 1
    assert incident.meta["counters"][prefix + counter] == 1
    assert incident.meta["disagreements"] == []


def test_a_cgroup_comes_and_goes(start_daemon: StartDaemon, make_eater: MakeEater) -> None:
    """A container that is started again would not be watched any more."""
    eater = make_eater()
    daemon = start_daemon({**QUICK, "watch": [{"cgroup": eater.cgroup_name}]})
    prefix = f"cgroup{eater.cgroup_name}/"

    def sampled() -> bool:
        return any(source.startswith(prefix) for source in sources(daemon))

    daemon.wait_for(sampled, "the cgroup to be sampled")
    eater.eat()
    daemon.wait_for(lambda: removed(eater.cgroup), "the cgroup to be removable")
    daemon.wait_for(lambda: not sampled(), "the cgroup to be forgotten")
    eater.cgroup.mkdir()
    daemon.wait_for(sampled, "the new cgroup to be sampled")
    assert daemon.state()["sampling"]["restarts"] == 0


def removed(cgroup: Path) -> bool:
    try:
        cgroup.rmdir()
    except OSError:
        return False
    return True


def test_more_processes_than_there_is_room_for(
    start_daemon: StartDaemon, start_writer: StartWriter, name: str
) -> None:
    """A fork bomb of the watched name would stop the sampler, or silently watch some and not others."""
    writers = [start_writer(name) for _ in range(48)]  # three sources each
    daemon = start_daemon({**QUICK, "watch": [{"comm": name, "fds": True}]})
    room = MAX_SOURCES - FIRST_WATCH_ID
    daemon.wait_for(lambda: len(watched(daemon)) == room, "the sampler to be full")
    daemon.wait_for(
        lambda: any("watch" in each for each in daemon.state()["degraded"]), "the status to say so"
    )
    for writer in writers[:24]:
        writer.kill()
        writer.wait()
    alive = {statm_of(writer.pid) for writer in writers[24:]}
    daemon.wait_for(lambda: alive <= sources(daemon), "those that are left to get the room")
    assert daemon.state()["sampling"]["restarts"] == 0
    assert all(moment.text("meminfo") for moment in daemon.dump().moments())
