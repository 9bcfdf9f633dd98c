"""Kernel files that vanish, turn to garbage, or never were there."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.conftest import FakeProc, Told, ends_well, nothing_leaks, private_mounts
from tests.faults.test_standstill import done, noticed
from tests.service.conftest import QUICK, Daemon, MakeEater, StartDaemon

from memwatchd.sampling.plan import SOURCE_PATHS

pytestmark = pytest.mark.live

NOISE = bytes(range(256)) * 20
GARBAGE = {
    "nothing": b"",
    "noise": NOISE,
    "no line end": b"MemFree",
    "numbers without end": b"MemFree: %s kB\nnr_free_pages %s\n" % (b"9" * 400, b"9" * 400),
    "no numbers": b"MemFree: much kB\nMemTotal:\n: :\nnr_free_pages\nNode 0, zone\n",
    "another file": b"%d (cat) R 1 2 3\n" * 40,
}
SHORT = b"MemTotal: 1000000 kB\nMemFree: 10 kB\nMemAvailable: 900000 kB\n"


def fires(when: str) -> dict[str, Any]:
    """A rule that only tells."""
    return {"when": when, "actions": ["log"], "cooldown": "100ms", "max_per_hour": 3600}


@pytest.fixture
def mortal() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def reads(daemon: Daemon, source: str) -> int:
    """How often a source has been read."""
    count: int = daemon.state()["sampling"]["sources"][source]["reads"]
    return count


def test_a_file_that_vanishes(
    make_daemon: StartDaemon, fake_proc: FakeProc, mortal: subprocess.Popen[bytes]
) -> None:
    """One file that is taken away would silence all the others, or fill the log 200 times a second."""
    # What belongs to a process goes with it, also for whoever has it open.
    for source, name in (("vmstat", "statm"), ("slabinfo", "status")):
        fake_proc.path(source).unlink()
        fake_proc.path(source).symlink_to(f"/proc/{mortal.pid}/{name}")
    daemon: Daemon = make_daemon(
        {**QUICK, "rules": {"short": fires("meminfo.MemFree < 1MiB")}}, *fake_proc.arguments
    )
    daemon.start().wait_until_sampling()
    with nothing_leaks(daemon):
        mortal.kill()
        mortal.wait()
        daemon.wait_for(lambda: len(noticed(daemon, "source_error")) == 2, "both to be noticed, once each")
        assert {event["source"] for event in noticed(daemon, "source_error")} == {"vmstat", "slabinfo"}
        assert {event["error"] for event in noticed(daemon, "source_error")} == {"No such process"}
        daemon.wait_for(lambda: daemon.state()["sampling"]["source_errors"] > 100, "the errors to be counted")
        before = reads(daemon, "meminfo")
        daemon.wait_for(lambda: reads(daemon, "meminfo") > before, "the others to go on")
        fake_proc.write("meminfo", SHORT)
        daemon.wait_for(lambda: done(daemon, "action"), "the rules to go on")
        incident = daemon.dump()
        assert incident.problems == []
        *_, last = incident.moments()
        assert last.text("meminfo") == SHORT
        read = {last.sources[number]["name"] for number in last.sample.read}
        assert ("meminfo" in read, read & {"vmstat", "slabinfo"}) == (True, set())


def test_garbage(start_daemon: StartDaemon, fake_proc: FakeProc) -> None:
    """A kernel that prints nonsense, or a file bound over another, would fire rules or end the recorder."""
    rules = {
        "short": fires("meminfo.MemFree < 1MiB"),
        "pages": fires("vmstat.nr_free_pages < 10pages"),
        "zone": fires("zone.worst.free < 1% of zone.worst.min"),
        "slab": fires("slab.top.bytes > 900GiB"),
        "blocks": fires("buddy.any.largest_order < 0"),
    }
    daemon = start_daemon({**QUICK, "rules": rules}, *fake_proc.arguments)
    with nothing_leaks(daemon):
        for garbage in GARBAGE.values():
            for source in SOURCE_PATHS:
                fake_proc.write(source, garbage)
            daemon.wait_for_ticks(20)
        incident = daemon.dump()
        assert incident.problems == []
        assert set(GARBAGE.values()) <= {moment.text("meminfo") for moment in incident.moments()}
        shown = daemon.cli("show", incident.path.name)
        assert (shown.returncode, shown.stderr) == (0, b"")
        assert [rule["fired"] for rule in daemon.state()["rules"]] == [0] * len(rules)
        for source in SOURCE_PATHS:
            fake_proc.restore(source)
        fake_proc.write("meminfo", SHORT)
        daemon.wait_for(lambda: done(daemon, "action"), "the rules to see what is true")
        assert {event["rule"] for event in done(daemon, "action")} == {"short"}
        assert daemon.state()["sampling"]["restarts"] == 0


def test_garbage_from_the_start(
    make_daemon: StartDaemon, make_eater: MakeEater, tmp_path: Path, told: Told
) -> None:
    """A container whose /proc is masked would have no recorder, or one that believes what it reads there."""
    eater = make_eater()
    (tmp_path / "noise").write_bytes(NOISE)
    (tmp_path / "nothing").touch()
    masks = {"meminfo": "noise", "zoneinfo": "noise", "slabinfo": "noise", "buddyinfo": "nothing"}
    mounts = [f"mount --bind {tmp_path}/{mask} /proc/{name}" for name, mask in masks.items()]
    rule = fires("meminfo.MemFree < 1GiB")
    daemon: Daemon = make_daemon({**QUICK, "rules": {"short": rule}})
    daemon.program = [*private_mounts(*mounts), *daemon.program]
    daemon.start().wait_until_sampling()
    told.check(daemon)
    eater.eat()
    incident = daemon.wait_for_incident_of(eater.pid)
    assert incident.problems == []
    *_, last = incident.moments()
    assert (last.text("meminfo"), last.text("buddyinfo")) == (NOISE, b"")
    assert (last.text("vmstat") or b"").startswith(b"nr_free_pages ")
    shown = daemon.cli("show", incident.path.name)
    assert (shown.returncode, shown.stderr) == (0, b"")
    ends_well(daemon)


def test_no_pressure(make_daemon: StartDaemon, fake_proc: FakeProc, told: Told) -> None:
    """On a kernel without PSI there would be no recorder, or rules that wait for ever."""
    fake_proc.path("pressure").unlink()
    fake_proc.path("pressure").parent.rmdir()
    rules = {
        "stall": fires("rate(pressure.full, 1s) > 5%"),
        "rests": {**fires("rate(pressure.some, 1s) > 5%"), "optional": True},
        "short": fires("meminfo.MemFree < 1MiB"),
    }
    daemon: Daemon = make_daemon({**QUICK, "rules": rules}, *fake_proc.arguments)
    daemon.start().wait_until_sampling()
    told.check(daemon)
    assert not any("rule rests" in sentence for sentence in daemon.state()["degraded"])
    with nothing_leaks(daemon):
        fake_proc.write("meminfo", SHORT)
        daemon.wait_for(lambda: done(daemon, "action"), "the other rules to fire")
        assert {event["rule"] for event in done(daemon, "action")} == {"short"}
        assert "pressure" not in daemon.state()["sampling"]["sources"]
