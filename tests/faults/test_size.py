"""Machines that are small or very large: one processor, 256 of them, ten thousand processes."""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.conftest import FakeProc, Told, nothing_leaks
from tests.service.conftest import QUICK, Daemon, MakeEater, StartDaemon

from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.ring.board import Slot
from memwatchd.ring.file import open_ring
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import process_rows, stored_files

pytestmark = pytest.mark.live

CPUS = 256
PROCESSES = 10_000
# Beyond the largest pid of any kernel, so that nobody real can be meant.
FIRST_PID = 5_000_000


def test_one_cpu(make_daemon: StartDaemon, make_eater: MakeEater) -> None:
    """On the smallest machines the sampler and the service would keep each other from running."""
    cpu = min(os.sched_getaffinity(0))
    daemon = make_daemon()
    if shutil.which("taskset") is None:
        pytest.skip("there is no taskset")
    daemon.program = ["taskset", "--cpu-list", str(cpu), *daemon.program]
    daemon.start().wait_until_sampling()
    assert os.sched_getaffinity(daemon.state()["sampler_pid"]) == {cpu}
    eater = make_eater()
    os.sched_setaffinity(eater.pid, {cpu})
    with nothing_leaks(daemon):
        daemon.wait_for_ticks(200)
        eater.eat()
        assert daemon.wait_for_incident_of(eater.pid).problems == []
        figures = daemon.ring().figures()
        assert figures[Slot.TICKS] > figures[Slot.MISSED]


def zoneinfo_of(cpus: int, node: bytes) -> bytes:
    """Two nodes like this one with so many processors, as the kernel prints them since 6.7."""
    text = node + node.replace(b"Node 0,", b"Node 1,")
    processor = b"    cpu: %d\n              count:    %d\n              high:     %d\n"
    processor += b"              batch:    63\n              high_min: 814\n              high_max: 31078\n"
    processor += b"  vm stats threshold: 125\n"
    figures = random.Random(0)
    head, *zones = text.split(b"  pagesets\n")
    found = [head]
    for zone in zones:
        rows = [(cpu, figures.randrange(9999), figures.randrange(814, 31078)) for cpu in range(cpus)]
        rest = zone[zone.rindex(b"vm stats threshold") :].split(b"\n", 1)[1]
        found += [b"  pagesets\n", *(processor % row for row in rows), rest]
    return b"".join(found)


def test_256_cpus(make_daemon: StartDaemon, fake_proc: FakeProc, told: Told) -> None:
    """On a large machine one text would outgrow the ring, or its reading all of the time there is."""
    text = zoneinfo_of(CPUS, fake_proc.originals["zoneinfo"])
    assert text.count(b"    cpu: ") >= 4 * CPUS
    fake_proc.write("zoneinfo", text)
    small = {**QUICK, "ring": {"size": "1MiB", "segment": "32KiB"}}
    daemon: Daemon = make_daemon(small, *fake_proc.arguments)
    daemon.start().wait_until_sampling()
    told.check(daemon)
    with nothing_leaks(daemon):
        daemon.wait_for_ticks(300)
        incident = daemon.dump()
        *_, last = incident.moments()
        assert last.text("zoneinfo") == text
        pagesets = parse_zoneinfo(text)
        assert parse_zoneinfo(last.text("zoneinfo") or b"") == pagesets
        figures = daemon.ring().figures()
        assert (figures[Slot.OVERSIZE], figures[Slot.SOURCE_ERRORS]) == (0, 0)
        assert daemon.cli("show", incident.path.name).returncode == 0


@pytest.fixture
def crowd(fake_proc: FakeProc) -> Iterator[FakeProc]:
    """A /proc of ten thousand processes; what they have in common is one file of many names."""
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm on this machine")
    # In memory: a disk takes minutes over so many files.
    root = Path(tempfile.mkdtemp(prefix="memwatchd-test-", dir="/dev/shm"))
    common = {
        "status": b"Name:\tworker\nState:\tS (sleeping)\nTgid:\t1\nPid:\t1\nPPid:\t1\nUid:\t33\t33\t33\t33\n"
        b"VmRSS:\t2048 kB\nRssAnon:\t2000 kB\nRssFile:\t48 kB\nRssShmem:\t0 kB\nVmSwap:\t0 kB\nThreads:\t1\n",
        "comm": b"worker\n",
        "cgroup": b"0::/system.slice/app.service\n",
        "oom_score": b"600\n",
        "oom_score_adj": b"0\n",
    }
    for name, text in common.items():
        (root / name).write_bytes(text)
    crowded = FakeProc(root / "proc", fake_proc.originals)
    shutil.copytree(fake_proc.root, crowded.root)
    stat = b"%d (worker) S 1 %d %d 0 -1 4194560 9 0 1 0 30 12 0 0 20 0 1 0 1000 5000000 512 9 1 1 0 0 0\n"
    for pid in range(FIRST_PID, FIRST_PID + PROCESSES):
        home = f"{crowded.root}/{pid}"
        os.mkdir(home)
        with open(f"{home}/stat", "wb") as file:
            file.write(stat % (pid, pid, pid))
        for name in common:
            os.link(f"{root}/{name}", f"{home}/{name}")
    yield crowded
    shutil.rmtree(root)


def seen(daemon: Daemon) -> set[int]:
    """Processes in the table."""
    rows = process_rows(read_segments(open_ring(daemon.places.events)))
    return {row["pid"] for part in rows for row in part.rows}


def context_of(daemon: Daemon) -> int:
    """When the last round ended."""
    files = stored_files(read_segments(open_ring(daemon.places.events)))
    return max((file.monotonic_ns for file in files), default=0)


def test_ten_thousand_processes(start_daemon: StartDaemon, crowd: FakeProc) -> None:
    """The background table would take a core for itself, or never be done."""
    config = {
        **QUICK,
        "ring": {"size": "64MiB"},
        "census": {"period": "200ms", "budget": "20%"},
        "protect": {"enabled": True, "also": ["worker-of-nobody"]},
        "watch": [{"comm": "nobody"}],
    }
    daemon = start_daemon(config, *crowd.arguments)
    with nothing_leaks(daemon):
        daemon.wait_for(lambda: len(seen(daemon)) >= PROCESSES, "all processes to be in the table")
        now_ns = time.monotonic_ns()
        daemon.wait_for(lambda: context_of(daemon) > now_ns, "the next round")
        incident = daemon.dump()
        assert incident.problems == []
        assert daemon.cli("show", incident.path.name).returncode == 0
