"""Real kills by the real kernel, recorded by the real daemon."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.service.conftest import Daemon, Eater, MakeEater, StartDaemon

from memwatchd.incidents.format import BlockType
from memwatchd.incidents.moment import moment_at
from memwatchd.incidents.reader import open_incident
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.ring.file import open_ring
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import messages, process_rows
from memwatchd.roots import Roots

pytestmark = pytest.mark.live

_RATE_HZ = 200


@pytest.fixture
def kernel_said() -> Callable[[int], list[bytes]]:
    """What the kernel prints from now on about the end of a process, as this test reads it for itself."""
    try:
        reader = KmsgReader.open(Roots().kmsg, backlog=False)
    except OSError as error:
        pytest.skip(f"the kernel's log cannot be read here: {error}")

    def said(pid: int) -> list[bytes]:
        needle = b"Killed process %d " % pid
        return [raw for raw, _ in reader.read(100_000) if needle in raw]

    return said


def in_process_table(daemon: Daemon, eater: Eater) -> bool:
    segments = read_segments(open_ring(daemon.places.events))
    rows = (row for part in process_rows(segments) for row in part.rows)
    return any((row["pid"], row["cgroup"]) == (eater.pid, eater.cgroup_name) for row in rows)


def test_a_kill_is_recorded_whole(
    start_daemon: StartDaemon,
    make_eater: MakeEater,
    kernel_said: Callable[[int], list[bytes]],
    tmp_path: Path,
) -> None:
    """The one thing the program is for: who was killed, by whose limit, and what memory did before."""
    eater = make_eater(b"it ate)too (much")
    daemon = start_daemon({})
    daemon.wait_for(lambda: in_process_table(daemon, eater), "the process table to name the eater")
    daemon.wait_for_ticks(3 * _RATE_HZ)
    eater.eat()
    incident = daemon.wait_for_incident_of(eater.pid)

    (kill,) = [kill for kill in incident.meta["kills"] if kill["pid"] == eater.pid]
    assert kill["comm"] == "it ate)too (muc"  # the kernel keeps 15 bytes of a name
    assert (kill["scope"], kill["limit_cgroup"], kill["task_cgroup"]) == (
        "cgroup",
        eater.cgroup_name,
        eater.cgroup_name,
    )
    assert kill["amounts_kib"]["anon-rss"] > 32 << 10
    assert incident.meta["trigger"]["kind"] == "kernel_kill"
    assert incident.meta["counters"]["vmstat"] >= 1
    assert incident.meta["disagreements"] == []
    assert (incident.complete, incident.meta["complete"], incident.problems) == (True, True, [])

    taken_ns = [moment.sample.monotonic_ns for moment in incident.moments()]
    before_ns = [at_ns for at_ns in taken_ns if at_ns <= incident.trigger_ns]
    expected = (incident.trigger_ns - taken_ns[0]) / 1e9 * _RATE_HZ
    assert expected > 3 * _RATE_HZ
    assert len(before_ns) >= 0.95 * expected
    assert taken_ns[-1] >= incident.trigger_ns + 4.5e9  # the aftermath is five seconds

    (said,) = kernel_said(eater.pid)
    assert said in [message.raw for message in messages(incident.segments(BlockType.EVENTS))]
    rows = [row for part in process_rows(incident.segments(BlockType.EVENTS)) for row in part.rows]
    assert {row["comm"] for row in rows if row["pid"] == eater.pid} == {"it ate)too (muc"}
    assert daemon.pid in {row["pid"] for row in rows}

    moment = moment_at(incident, incident.trigger_ns)
    shown = daemon.cli("show", incident.path.name)
    assert (shown.returncode, shown.stderr) == (0, b"")
    for word in (str(eater.pid), kill["comm"], eater.cgroup_name):
        assert word in shown.stdout.decode()
    summary = json.loads(daemon.cli("show", "--json", incident.path.name).stdout)
    assert eater.pid in [each["pid"] for each in summary["kills"]]
    assert summary["samples"]["count"] >= 0.95 * expected
    for source in ("meminfo", "vmstat", "buddyinfo", "zoneinfo", "slabinfo"):
        raw = daemon.cli("raw", incident.path.stem, "--source", source)
        assert (raw.returncode, raw.stdout) == (0, moment.text(source))
    assert len(parse_slabinfo(moment.text("slabinfo") or b"").caches) > 20

    tree = tmp_path / "tree"
    assert daemon.cli("procfs", incident.path.name, tree).returncode == 0
    assert (tree / "meminfo").read_bytes() == moment.text("meminfo")
    assert (tree / "loadavg").read_text().count(" ") == 4

    listed = json.loads(daemon.cli("incidents", "--json").stdout)
    (entry,) = [each for each in listed if each["name"] == incident.path.name]
    assert (entry["kind"], entry["complete"]) == ("kernel_kill", True)
    assert entry["kills"] >= 1
    assert daemon.status()["kills"]["cgroup"] >= 1


@pytest.mark.parametrize("name", [b"\x1b[1m\\ (a\nb)", b"\xff\xe9t\xe9 \x7f"])
def test_a_victim_of_a_strange_name(start_daemon: StartDaemon, make_eater: MakeEater, name: bytes) -> None:
    """A process could hide by its name, or get its bytes onto the administrator's terminal."""
    eater = make_eater(name)
    daemon = start_daemon()
    daemon.wait_for(lambda: in_process_table(daemon, eater), "the process table to name the eater")
    eater.eat()
    incident = daemon.wait_for_incident_of(eater.pid)
    (kill,) = [kill for kill in incident.meta["kills"] if kill["pid"] == eater.pid]
    rows = [row for part in process_rows(incident.segments(BlockType.EVENTS)) for row in part.rows]
    wanted = name.decode("utf-8", "surrogateescape")
    assert {row["comm"] for row in rows if row["pid"] == eater.pid} == {wanted}
    assert kill["comm"] == wanted
    for command in (["show", incident.path.name], ["incidents"], ["status"]):
        result = daemon.cli(*command)
        assert result.returncode == 0, result.stderr
        assert result.stdout.decode().replace("\n", "").isprintable()
    assert json.loads(daemon.cli("show", "--json", incident.path.name).stdout)["kills"][-1]["comm"] == wanted


def test_kills_in_a_row_are_one_incident_until_the_limit(
    start_daemon: StartDaemon, make_eater: MakeEater
) -> None:
    """A storm would fill the disk with files of the same seconds, or one file would grow without end."""
    windows = {"before": "2s", "after": "4s", "merge_limit": "4s"}
    first, second, late = make_eater(b"first"), make_eater(b"second"), make_eater(b"late")
    daemon = start_daemon({"ring": {"size": "4MiB"}, "incidents": windows})
    first.eat()
    begun = daemon.wait_for(lambda: daemon.incident_of(first.pid, complete=False), "the first incident")
    daemon.wait_for(
        lambda: time.monotonic_ns() > begun.trigger_ns + 1.5e9, "a second kill to be a further one"
    )
    second.eat()
    daemon.wait_for(lambda: time.monotonic_ns() > begun.trigger_ns + 4.1e9, "the merge limit to pass")
    late.eat()

    both = daemon.wait_for_incident_of(second.pid)
    other = daemon.wait_for(
        lambda: [each for each in daemon.incidents() if each.complete][1:], "the other one"
    )[0]
    assert both.path == begun.path
    assert other.path != both.path
    # The late kill may still be within the aftermath of the others, and then both tell of it.
    assert [kill["pid"] for kill in both.meta["kills"]][:2] == [first.pid, second.pid]
    assert f"pid {late.pid}" in other.meta["trigger"]["detail"]
    taken_ns = [moment.sample.monotonic_ns for moment in both.moments()]
    assert taken_ns[-1] >= both.meta["kills"][1]["monotonic_ns"]


def test_a_kill_while_the_daemon_was_dead_is_told_afterwards(
    start_daemon: StartDaemon, make_eater: MakeEater, kernel_said: Callable[[int], list[bytes]]
) -> None:
    """The kill that took the machine's last hope with it would have no kernel message beside its samples."""
    eater = make_eater()
    daemon = start_daemon()
    sampler_pid = daemon.state()["sampler_pid"]
    daemon.kill()
    daemon.wait_until_dead([sampler_pid])
    eater.eat()
    daemon.start().wait_until_sampling()
    incident = daemon.wait_for_incident("recorder_died")
    assert eater.pid in [kill["pid"] for kill in incident.meta["kills"]]
    (said,) = kernel_said(eater.pid)
    assert said in open_incident(incident.path).texts()["kmsg-backlog"]
    assert str(eater.pid) in daemon.cli("show", incident.path.name).stdout.decode()
