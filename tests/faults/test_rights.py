"""Rights that are refused: locking memory, and real-time priority."""

import os
from pathlib import Path

import pytest
from tests.faults.conftest import Told, ends_well, without_rights
from tests.service.conftest import Daemon, MakeEater, StartDaemon

pytestmark = pytest.mark.live


def locked_kib(pid: int) -> int:
    """VmLck of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmLck:"))


def policy(pid: int) -> int:
    """How a process is scheduled."""
    return os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK


def records_a_kill(daemon: Daemon, make_eater: MakeEater) -> None:
    """See that it does what it is for."""
    eater = make_eater()
    daemon.wait_for_ticks(100)
    eater.eat()
    assert daemon.wait_for_incident_of(eater.pid).problems == []


def test_mlock_refused(make_daemon: StartDaemon, make_eater: MakeEater, told: Told) -> None:
    """Where nothing may be locked there would be no recorder, or one that nobody knows may be swapped out."""
    daemon = make_daemon()
    daemon.program = [*without_rights("ipc_lock", limits=("--memlock=0:0",)), *daemon.program]
    daemon.start().wait_until_sampling()
    told.check(daemon)
    assert [locked_kib(pid) for pid in (daemon.pid, daemon.state()["sampler_pid"])] == [0, 0]
    records_a_kill(daemon, make_eater)
    ends_well(daemon)


def test_real_time_refused(make_daemon: StartDaemon, make_eater: MakeEater, told: Told) -> None:
    """In most containers there would be no recorder, or one of which nobody knows that it may be late."""
    daemon = make_daemon()
    prefix = without_rights("sys_nice", limits=("--rtprio=0:0", "--nice=0:0"))
    daemon.program = [*prefix, *daemon.program]
    daemon.start().wait_until_sampling()
    told.check(daemon)
    pids = (daemon.pid, daemon.state()["sampler_pid"])
    assert [policy(pid) for pid in pids] == [os.SCHED_OTHER, os.SCHED_OTHER]
    records_a_kill(daemon, make_eater)
    ends_well(daemon)
