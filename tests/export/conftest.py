"""A death with something of everything in it, to be exported."""

import pytest
from tests.conftest import Tape, WriteIncident, meminfo, slabinfo, vmstat, zoneinfo

from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorded import Recorded, from_incident

HOSTILE = '/a,"b"\n=cmd.service'
KILL = b"3,7,59990000,-;Out of memory: Killed process 4711 (eat\\x1ber) total-vm:9kB, anon-rss:900kB\n"


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident) -> Incident:
    """Four samples around a kill; of slabinfo two were read."""
    tape.watch("cgroup/x/memory.current", cgroup=HOSTILE)
    tape.watch("cgroup/x/memory.max", cgroup=HOSTILE)
    tape.processes(-1.5, _row(1, "init", 900), _row(4711, "eat\x1ber", 100))
    tape.noticed(-1.2, "rule_fire", rule="leak", step=0, figures={"meminfo.MemFree": 4096})
    for number, at_s in enumerate((-1.0, -0.5, 0.0, 0.5)):
        texts = {
            "meminfo": meminfo(MemFree=1000 - 300 * number, SwapTotal=0),
            "vmstat": vmstat(oom_kill=number // 2, pgscan_direct=10 * number),
            "zoneinfo": zoneinfo(free=90 - 20 * number, high=30),
        }
        if number % 2 == 0:
            texts["slabinfo"] = slabinfo(dentry=10 * (number + 1))
        tape.sample(at_s, texts)
    tape.processes(-0.1, _row(1, "init", 900), _row(4711, "eat\x1ber", 900))
    tape.message(0.0, KILL)
    tape.message(0.1, b"14,8,60000000,-;a program says it killed pid 1\n")
    facts = {
        "kills": [
            {
                "monotonic_ns": 60_000_000_000,
                "pid": 4711,
                "comm": "eat\x1ber",
                "scope": "global",
                "limit_cgroup": None,
                "task_cgroup": HOSTILE,
                "amounts_kib": {"anon-rss": 900},
            }
        ],
        "counters": {"vmstat": 1},
        "host": {"hostname": "db1", "kernel": "6.1.0", "machine": "x86_64", "page_size": 4096},
        "program": {"version": "0.1.0"},
    }
    return open_incident(write_incident(facts))


@pytest.fixture
def recorded(incident: Incident) -> Recorded:
    """The same, to be exported."""
    return from_incident(incident)


def _row(pid: int, comm: str, rss_kib: int) -> dict[str, object]:
    return {"pid": pid, "start_ticks": 5, "comm": comm, "rss_kib": rss_kib, "swap_kib": 0, "cgroup": HOSTILE}
