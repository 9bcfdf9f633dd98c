"""Processes of the daemon that stand still for a while: one of them, or all at once as when a machine pauses.

How long is said by MEMWATCHD_STOP_S, three seconds by default; 30 takes as long and finds the same.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.faults.conftest import FakeProc, belongings, ends_well, nothing_leaks
from tests.service.conftest import QUICK, Daemon, MakeEater, StartDaemon

from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident
from memwatchd.ring.board import Slot
from memwatchd.ring.file import open_ring
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import events

pytestmark = pytest.mark.live

STOP_S = float(os.environ.get("MEMWATCHD_STOP_S", "3"))
RATE_HZ = 200
CONFIG = {**QUICK, "ring": {"size": f"{4 + round(STOP_S)}MiB"}}


@contextmanager
def stopped(*pids: int) -> Iterator[int]:
    """Have processes stand still for a while; gives the moment at which they did."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    since_ns = time.monotonic_ns()
    try:
        yield since_ns
        while time.monotonic_ns() - since_ns < STOP_S * 1e9:
            time.sleep(0.05)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def noticed(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    """Events of this name that the sampler recorded."""
    return [event for event in events(read_segments(daemon.ring())) if event["event"] == name]


def done(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    """Events of this name that the service recorded."""
    segments = read_segments(open_ring(daemon.places.events))
    return [event for event in events(segments) if event["event"] == name]


def seconds_before(incident: Incident, moment_ns: int) -> float:
    """How far an incident's samples reach back from a moment."""
    first = next(incident.moments())
    return (moment_ns - first.sample.monotonic_ns) / 1e9


def test_a_stopped_service(start_daemon: StartDaemon, make_eater: MakeEater) -> None:
    """A service that hangs would cost samples, or the kill that happens meanwhile its story."""
    eater = make_eater()
    daemon = start_daemon(CONFIG)
    daemon.wait_for_ticks(4 * RATE_HZ)
    with nothing_leaks(daemon):
        figures = daemon.ring().figures()
        with stopped(daemon.pid) as since_ns:
            eater.eat()
        sampled = daemon.ring().figures()[Slot.TICKS] - figures[Slot.TICKS]
        assert sampled > STOP_S * RATE_HZ / 2
        incident = daemon.wait_for_incident_of(eater.pid)
        (rise,) = noticed(daemon, "oom_kill")[:1]
        # The incident is about the moment of the kill, and not about the one at which it was heard of.
        assert abs(incident.trigger_ns - rise["monotonic_ns"]) < 1e9
        assert seconds_before(incident, rise["monotonic_ns"]) > 3
        (kill,) = [kill for kill in incident.meta["kills"] if kill["pid"] == eater.pid]
        assert since_ns < kill["monotonic_ns"] < since_ns + STOP_S * 1e9
        assert incident.meta["disagreements"] == []
        assert daemon.dump().complete


def test_what_a_rule_wanted_while_the_service_stood_still(
    start_daemon: StartDaemon, fake_proc: FakeProc
) -> None:
    """What was right half a minute ago would be done now, to a machine that has recovered."""
    step = {"deadline": "50ms", "message": "it is short"}
    rule = {"when": "meminfo.MemFree < 1MiB", "actions": [{"log": step}]}
    daemon = start_daemon({**CONFIG, "rules": {"short": rule}}, *fake_proc.arguments)
    plenty = fake_proc.originals["meminfo"]
    with nothing_leaks(daemon):
        with stopped(daemon.pid):
            fake_proc.write("meminfo", b"MemTotal: 1000000 kB\nMemFree: 10 kB\nMemAvailable: 900000 kB\n")
            daemon_ticks(daemon, RATE_HZ // 2)
            fake_proc.write("meminfo", plenty)
        daemon.wait_for(lambda: done(daemon, "action"), "the step to be answered for")
        (answer,) = done(daemon, "action")
        assert (answer["verdict"], "the chain has gone on" in answer["detail"]) == ("declined", True)
        daemon.wait_for(lambda: not daemon.state()["rules"][0]["active"], "the rule to be over")


def daemon_ticks(daemon: Daemon, count: int) -> None:
    """Wait for ticks while the service cannot say anything."""
    board = daemon.ring()
    wanted = board.figures()[Slot.TICKS] + count
    while board.figures()[Slot.TICKS] < wanted:
        time.sleep(0.02)


def test_all_stopped(start_daemon: StartDaemon, make_eater: MakeEater) -> None:
    """A machine that paused would be taken for one in danger, or the recorder run after the clock."""
    eater = make_eater()
    daemon = start_daemon(CONFIG, exporter=True)
    daemon.wait_for_ticks(3 * RATE_HZ)
    with nothing_leaks(daemon):
        state, before = daemon.state(), daemon.ring().figures()
        with stopped(state["pid"], state["sampler_pid"], state["exporter_pid"]) as since_ns:
            eater.eat()
        incident = daemon.wait_for_incident_of(eater.pid)
        longest = max(noticed(daemon, "missed"), key=lambda event: int(event["ticks"]))
        after = daemon.ring().figures()
        passed = (after[Slot.HEARTBEAT_NS] - before[Slot.HEARTBEAT_NS]) / 1e9 * RATE_HZ
        made = after[Slot.TICKS] - before[Slot.TICKS]
        missed = after[Slot.MISSED] - before[Slot.MISSED]
        # Every tick of the clock was made or is known to be missed; none was made up for.
        assert abs(made + missed - passed) <= 2
        assert longest["ticks"] >= (STOP_S - 1) * RATE_HZ
        assert since_ns < longest["monotonic_ns"]
        assert seconds_before(incident, since_ns) > 2
        assert any(each["event"] == "missed" for each in events(incident.segments(BlockType.SAMPLES)))
    assert daemon.state() == {}


def test_a_stopped_exporter(start_daemon: StartDaemon) -> None:
    """A metrics server that hangs would hold up the recorder, or outlive it and keep the port."""
    daemon = start_daemon(QUICK, exporter=True)
    before = belongings(daemon)
    os.kill(daemon.state()["exporter_pid"], signal.SIGSTOP)
    daemon.wait_for_ticks(RATE_HZ)
    assert daemon.dump().complete
    assert belongings(daemon) == before
    ends_well(daemon)
