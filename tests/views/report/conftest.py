"""An incident with everything a report shows, in which every stranger's name wants to be markup."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident
from tests.views.conftest import kill_facts

from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.views.report.story import Story, tell

HOSTILE = "<img src=x onerror=alert(1)>"
# A process's name has 15 bytes.
COMM = "</script><b>x$^"
CGROUP = '/a"><script>alert(1)</script>'
TARGET = f"/srv/{HOSTILE}"
CACHE = "<i>&amp;cache"
RULE = "<script>rule"
TOTAL_KIB = 1_000_000
FROM_S, TO_S, STEP_S = -6.0, 2.0, 0.1

Report = Callable[..., list[bytes]]


def kernel_report(comm: str, sequence: int = 100) -> list[bytes]:
    """A cgroup's kill as /dev/kmsg gives it."""
    lines = [
        f"{comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        f"CPU: 0 PID: 4711 Comm: {comm} Not tainted 6.1.0 #1",
        "memory: usage 262144kB, limit 262144kB, failcnt 36",
        "Memory cgroup stats for /app:",
        "anon 267907072",
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
        f"[  4711]     0  4711    67000    65500   560000        0             0 {comm}",
        "[  4712]     0  4712     9000     2500    60000        0             0 small",
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/app,"
        f"task_memcg=/app,task={comm},pid=4711,uid=0",
        f"Memory cgroup out of memory: Killed process 4711 ({comm}) total-vm:268000kB, anon-rss:262000kB, "
        "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:560kB oom_score_adj:0",
    ]
    usec = ZERO_NS // 1000
    return [b"4,%d,%d,-;%s\n" % (sequence + i, usec + i, line.encode()) for i, line in enumerate(lines)]


def meminfo_kib(at_s: float) -> dict[str, int]:
    """Anonymous memory grows by 100,000 KiB a second and takes it from what is free; 7000 KiB are nowhere."""
    grown = round(100_000 * (min(at_s, 0.0) - FROM_S)) if at_s < 0.5 else 0
    return {
        "MemTotal": TOTAL_KIB,
        "MemFree": 770_000 - grown,
        "MemAvailable": 850_000 - grown,
        "SwapTotal": 100_000,
        "SwapFree": 90_000,
        "Active(anon)": 50_000 + grown,
        "Inactive(anon)": 20_000,
        "Active(file)": 60_000,
        "Inactive(file)": 40_000,
        "Unevictable": 0,
        "AnonPages": 60_000 + grown,
        "Shmem": 9_000,
        "Slab": 41_000,
        "SReclaimable": 30_000,
        "SUnreclaim": 11_000,
        "KernelStack": 5_000,
        "PageTables": 6_000,
        "Percpu": 1_000,
    }


def _texts(at_s: float, step: int) -> dict[str, bytes]:
    memory = meminfo_kib(at_s)
    free = memory["MemFree"] // 4
    texts = {
        "meminfo": b"".join(b"%s: %15d kB\n" % (name.encode(), kib) for name, kib in memory.items()),
        "vmstat": b"nr_free_pages %d\npgscan_direct %d\npgsteal_direct %d\npgscan_kswapd %d\npswpout %d\n"
        % (free, 500 * max(0, step - 40), 300 * max(0, step - 40), 900 * max(0, step - 20), 40 * step),
        "pressure": b"some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n"
        b"full avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n" % (20_000 * step, 5_000 * step),
        "zoneinfo": b"Node 0, zone   Normal\n  pages free     %d\n        min      4000\n"
        b"        low      5000\n        high     6000\n        spanned  250000\n        present  250000\n"
        % free,
        "buddyinfo": b"Node 0, zone   Normal %6d %6d      0      7\n" % (free % 50, step),
        "process/4711/statm": b"9000 %d 100 1 0 8000 0\n" % (1000 + 25_000 * step // 10),
        "process/4711/fdinfo/3": b"pos:\t%d\nflags:\t0100000\n" % (1_000_000 * step),
        f"cgroup/{CGROUP.strip('/')}/memory.current": b"%d\n" % ((1000 + 25 * step) * 4096),
        f"cgroup/{CGROUP.strip('/')}/memory.max": b"268435456\n",
    }
    if step % 5 == 0:
        head = b"slabinfo - version: 2.1\n# name <active_objs> ... : tunables : slabdata\n"
        line = b"%s %d %d 192 21 1 : tunables 0 0 0 : slabdata %d %d 0\n"
        sizes = ((CACHE.encode(), 10 + step), (b"dentry", 500))
        texts["slabinfo"] = head + b"".join(line % (name, n, n, n, n) for name, n in sizes)
    return texts


def _row(pid: int, comm: str, at_s: float, rss_kib: int) -> dict[str, Any]:
    return {
        "pid": pid,
        "comm": comm,
        "rss_kib": rss_kib,
        "swap_kib": 0,
        "oom_score_adj": 0,
        "start_ticks": 99,
        "cgroup": CGROUP,
        "read_ns": ZERO_NS + round(at_s * S),
    }


@pytest.fixture
def facts() -> dict[str, Any]:
    """The meta block."""
    return {
        "kills": [kill_facts(0, comm=COMM, scope="cgroup", limit_cgroup="/app")],
        "counters": {"vmstat": 1},
        "disagreements": [f"{HOSTILE} disagrees"],
        "window": {"from_ns": ZERO_NS + round(FROM_S * S), "to_ns": ZERO_NS + round(TO_S * S)},
        "host": {"hostname": HOSTILE, "os": "Debian GNU/Linux 12", "kernel": "6.1.0", "page_size": 4096},
        "program": {"name": "memwatchd", "version": "0.1.0", "python": "3.11.2"},
        "sampling": {"rate_hz": 10},
        "degraded": [f"degraded by {HOSTILE}"],
    }


@pytest.fixture
def record(tape: Tape) -> Callable[..., None]:
    """Record eight seconds; half a second of them is missing."""

    def record(*, reported: bool = True) -> None:
        tape.watch("process/4711/statm", pid=4711, comm=COMM)
        tape.watch("process/4711/fdinfo/3", pid=4711, comm=COMM, target=TARGET)
        for file in ("memory.current", "memory.max"):
            tape.watch(f"cgroup/{CGROUP.strip('/')}/{file}", cgroup=CGROUP)
        for at_s in (-5.5, -2.5):
            tape.processes(at_s, _row(4711, COMM, at_s, 90_000), _row(1, "init", at_s, 4_000))
        steps = round((TO_S - FROM_S) / STEP_S)
        for step in range(steps + 1):
            at_s = round(FROM_S + step * STEP_S, 3)
            if not -4.0 < at_s < -3.0:
                tape.sample(at_s, _texts(at_s, step), missed=9 * (at_s == -3.0))
        tape.noticed(-1.5, "rule_fire", rule=RULE, step=0, figures={"meminfo.MemAvailable": 1e8})
        tape.happened(
            -1.4, "action", rule=RULE, action="reclaim", verdict="helped", detail=HOSTILE, began_ns=1
        )
        for raw in kernel_report(COMM) if reported else ():
            tape.message(0, raw)

    return record


@pytest.fixture
def incident(record: Callable[..., None], write_incident: WriteIncident, facts: dict[str, Any]) -> Incident:
    """The incident."""
    record()
    config = f"# {HOSTILE}\nwatch: []\n</code></pre><script>alert(1)</script>\n".encode()
    path: Path = write_incident(facts, texts={"config.yaml": config})
    return open_incident(path)


@pytest.fixture
def story(incident: Incident) -> Story:
    """What the report is written from."""
    return tell(incident)
