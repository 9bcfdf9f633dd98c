"""A small incident with a bit of everything in it."""

from typing import Any

import pytest
from tests.conftest import (
    ZERO_NS,
    S,
    Tape,
    WriteIncident,
    meminfo,
    pressure,
    slabinfo,
    vmstat,
    zoneinfo,
)

from memwatchd.incidents.reader import Incident, open_incident

RATE_HZ = 2
HOST = {"hostname": "vm1", "os": "Debian GNU/Linux 12", "kernel": "6.1.0", "page_size": 4096}


def eater_row(rss_kib: int, read_s: float, **changed: Any) -> dict[str, Any]:
    """A row of the process table."""
    return {
        "pid": 4711,
        "comm": "eater",
        "rss_kib": rss_kib,
        "swap_kib": 0,
        "oom_score_adj": 0,
        "start_ticks": 99,
        "cgroup": "/user.slice",
        "read_ns": ZERO_NS + round(read_s * S),
        **changed,
    }


def kill_facts(at_s: float, **changed: Any) -> dict[str, Any]:
    """A kill as the ledger puts it into an incident."""
    return {
        "monotonic_ns": ZERO_NS + round(at_s * S),
        "pid": 4711,
        "comm": "eater",
        "scope": "global",
        "limit_cgroup": None,
        "task_cgroup": "/user.slice",
        "amounts_kib": {"total-vm": 4000, "anon-rss": 3072},
        "sequence": 17,
        "timestamp_usec": 60_000_000,
        **changed,
    }


@pytest.fixture
def facts() -> dict[str, Any]:
    """The meta block of the incident."""
    return {
        "kills": [kill_facts(0)],
        "counters": {"vmstat": 1},
        "disagreements": [],
        "window": {"from_ns": ZERO_NS - 3 * S, "to_ns": ZERO_NS + 1 * S},
        "host": HOST,
        "program": {"name": "memwatchd", "version": "0.1.0", "python": "3.11.2"},
        "sampling": {"rate_hz": RATE_HZ},
        "degraded": [],
    }


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident, facts: dict[str, Any]) -> Incident:
    """MemAvailable falls from 600 to 0 MiB, dentry grows, and the eater is killed at zero."""
    tape.processes(-2.9, eater_row(1024, -2.9), eater_row(500, -2.9, pid=1, comm="init", start_ticks=1))
    for step in range(-6, 3):
        if step == -3:
            continue  # a tick that did not happen
        fallen = step + 6 if step <= 0 else 0
        tape.sample(
            step / 2,
            {
                "meminfo": meminfo(MemAvailable=102_400 * (6 - fallen), Slab=2048),
                "vmstat": vmstat(pswpout=1000 * max(0, step + 6), oom_kill=int(step > 0)),
                "pressure": pressure(250_000 * (step + 6)),
                "zoneinfo": zoneinfo(100 - 10 * fallen, 50),
                "slabinfo": slabinfo(dentry=10 * (fallen + 1), inode=5, shrunk=9 - fallen),
            },
            missed=int(step == -2),
        )
    tape.noticed(-1, "missed", ticks=1, lag_ns=7)
    tape.noticed(-0.5, "armed", reason="MemAvailable reaches zero in 0.5 s")
    tape.noticed(0.001, "oom_kill", source="vmstat", rise=1, count=1)
    tape.processes(
        -0.1, eater_row(4096, -0.1, swap_kib=1024), eater_row(400, -0.1, pid=1, comm="init", start_ticks=1)
    )
    tape.happened(0.5, "kmsg_lost", records=3)
    return open_incident(write_incident(facts))
