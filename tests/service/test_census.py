"""The process table, over a /proc of files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import S

from memwatchd.actions.table import list_pids
from memwatchd.ring.file import RingMap
from memwatchd.ring.format import Stream
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import ProcessRows, process_rows
from memwatchd.roots import Roots
from memwatchd.service.census import COLUMNS, Census
from memwatchd.service.eventring import EventRing

PF_KTHREAD = 0x00200000


@dataclass
class Proc:
    """A /proc made of files."""

    directory: Path

    def process(
        self,
        pid: int,
        comm: bytes = b"java",
        *,
        flags: int = 4194560,
        start_ticks: int = 1000,
        cgroup: bytes = b"0::/system.slice/app.service\n",
        rss_kib: int = 2048,
        adj: int = 0,
    ) -> None:
        """Add a process, or change one."""
        home = self.directory / str(pid)
        home.mkdir(exist_ok=True)
        (home / "stat").write_bytes(
            b"%d (%s) S 1 %d %d 0 -1 %d 9 0 1 0 30 12 0 0 20 0 7 0 %d 5000000 512 184467440737 1 1 0 0 0\n"
            % (pid, comm, pid, pid, flags, start_ticks)
        )
        (home / "status").write_bytes(
            b"Name:\t%s\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\nPPid:\t1\nUid:\t33\t33\t33\t33\n"
            b"VmRSS:\t%d kB\nRssAnon:\t%d kB\nRssFile:\t48 kB\nRssShmem:\t0 kB\nVmSwap:\t16 kB\nThreads:\t7\n"
            % (comm.replace(b"\n", b"\\n"), pid, pid, rss_kib, rss_kib - 48)
        )
        (home / "oom_score_adj").write_bytes(b"%d\n" % adj)
        (home / "cgroup").write_bytes(cgroup)

    def end(self, pid: int) -> None:
        """Remove a process."""
        for path in (self.directory / str(pid)).iterdir():
            path.unlink()
        (self.directory / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    directory = tmp_path / "proc"
    directory.mkdir()
    for name in ("self", "sys", "1a", "meminfo"):
        (directory / name).mkdir()
    return Proc(directory)


@pytest.fixture
def census(proc: Proc, make_ring: Callable[..., RingMap]) -> Census:
    ring = EventRing(make_ring(16, 65536, Stream.EVENTS))
    return Census(Roots(procfs=proc.directory), ring, S, 0.02)


def parts(census: Census) -> list[ProcessRows]:
    return list(process_rows(read_segments(census.events.ring)))


def rows(census: Census) -> list[dict[str, Any]]:
    """All rows so far, without the time."""
    return [{**row, "read_ns": None} for part in parts(census) for row in part.rows]


def test_a_row_for_each_process(proc: Proc, census: Census) -> None:
    """The table would not say who held the memory."""
    proc.process(4711, b"java", adj=-500, start_ticks=77)
    assert census.slice()
    assert rows(census) == [
        {
            "pid": 4711,
            "ppid": 1,
            "uid": 33,
            "comm": "java",
            "state": "S",
            "rss_kib": 2048,
            "anon_kib": 2000,
            "file_kib": 48,
            "shmem_kib": 0,
            "swap_kib": 16,
            "oom_score_adj": -500,
            "threads": 7,
            "start_ticks": 77,
            "cpu_ticks": 42,
            "cgroup": "/system.slice/app.service",
            "read_ns": None,
        }
    ]
    assert list(rows(census)[0]) == COLUMNS
    assert parts(census)[0].rows[0]["read_ns"] > 0


@pytest.mark.parametrize(
    "comm",
    [b"foo) Z ", b"a\nb", b"\xff\xfe", b"caf\xc3\xa9", b"", b"((", b"\x1b[31m", b") R 1 2 3 4 5 6"],
    ids=repr,
)
def test_hostile_names(proc: Proc, census: Census, comm: bytes) -> None:
    """A process could hide, pass for another, or end the table."""
    proc.process(4711, comm)
    proc.process(4712, b"next")
    assert census.slice()
    found = sorted(rows(census), key=lambda row: int(row["pid"]))
    assert [row["pid"] for row in found] == [4711, 4712]
    assert found[0]["comm"].encode("utf-8", "surrogateescape") == comm
    assert (found[0]["ppid"], found[0]["state"]) == (1, "S")


def test_kernel_threads_are_left_out_and_not_looked_at_again(proc: Proc, census: Census) -> None:
    """Hundreds of rows without memory would push real processes out of the ring."""
    proc.process(2, b"kthreadd", flags=PF_KTHREAD | 0x40)
    proc.process(4711)
    census.slice()
    (proc.directory / "2" / "stat").unlink()
    census.slice()
    assert [row["pid"] for row in rows(census)] == [4711, 4711]


def test_a_kernel_threads_pid_may_become_a_process(proc: Proc, census: Census) -> None:
    """The process that has it next would never be in the table."""
    proc.process(2, b"kworker/0:1", flags=PF_KTHREAD)
    census.slice()
    proc.end(2)
    census.slice()
    proc.process(2, b"hog")
    census.slice()
    assert [row["comm"] for row in rows(census)] == ["hog"]


@pytest.mark.parametrize("gone", ["stat", "status", "oom_score_adj", "cgroup"])
def test_a_process_that_ends_while_it_is_read(proc: Proc, census: Census, gone: str) -> None:
    """One short-lived process would end the thread that keeps the table."""
    for pid in (10, 11, 12):
        proc.process(pid)
    (proc.directory / "11" / gone).unlink()
    assert census.slice()
    assert sorted(row["pid"] for row in rows(census)) == [10, 12]


@pytest.mark.parametrize(
    ("name", "text"), [("stat", b""), ("stat", b"11 (x"), ("status", b"Name:\tx\n"), ("cgroup", b"x:\n0:\n")]
)
def test_a_file_that_makes_no_sense_costs_its_row(proc: Proc, census: Census, name: str, text: bytes) -> None:
    """An odd kernel would end the thread that keeps the table."""
    for pid in (10, 11):
        proc.process(pid)
    (proc.directory / "11" / name).write_bytes(text)
    assert census.slice()
    assert [row["pid"] for row in rows(census)] == [10]


@pytest.mark.parametrize(
    ("text", "cgroup"),
    [
        (b"0::/user.slice\n", "/user.slice"),
        (b"4:cpu,cpuacct:/a\n3:memory:/docker/34\n1:name=systemd:/x\n", "/docker/34"),
        (b"4:cpu:/a\n3:blkio,memory:/b\n", "/b"),
        (b"12:memory:/v1\n0::/v2\n", "/v1"),
        (b"1:name=systemd:/x\n0::/hybrid\n", "/hybrid"),
        (b"3:memory:/\n", "/"),
        (b"1:name=systemd:/x\n", ""),
        (b"", ""),
        (b"0::/a:b (deleted)\n", "/a:b (deleted)"),
        (b"0::/\xff\x1b\n", "/\udcff\x1b"),
    ],
)
def test_the_memory_cgroup(proc: Proc, census: Census, text: bytes, cgroup: str) -> None:
    """A process would be charged to another container than the kernel charges it to."""
    proc.process(4711, cgroup=text)
    census.slice()
    assert rows(census)[0]["cgroup"] == cgroup


def test_the_cgroup_is_remembered_for_a_process_and_not_for_its_pid(proc: Proc, census: Census) -> None:
    """The next process of this pid would be shown in the container of the last one."""
    proc.process(4711, start_ticks=1, cgroup=b"0::/first\n")
    census.slice()
    proc.process(4711, start_ticks=2, cgroup=b"0::/second\n")
    census.slice()
    assert [row["cgroup"] for row in rows(census)] == ["/first", "/second"]


def test_a_pass_takes_several_slices_when_the_budget_is_small(proc: Proc, census: Census) -> None:
    """On a machine with very many processes the table would take a whole core."""
    for pid in range(1, 41):
        proc.process(pid)
    census.budget_share = 0.0
    done = [census.slice() for _ in range(40)]
    assert done == [False] * 40
    assert census.slice()
    assert sorted(row["pid"] for row in rows(census)) == list(range(1, 41))


def test_processes_that_end_between_slices_are_passed_over(proc: Proc, census: Census) -> None:
    """The list of a pass is as old as its first slice."""
    for pid in (1, 2, 3):
        proc.process(pid)
    census.budget_share = 0.0
    census.slice()
    for pid in list_pids(census.roots):
        proc.end(pid)
    while not census.slice():
        pass
    assert len(rows(census)) == 1


def test_many_rows_come_in_several_records(proc: Proc, census: Census) -> None:
    """A machine with ten thousand processes would need a record larger than a segment."""
    for pid in range(1, 251):
        proc.process(pid, b"%015d" % pid)
    census.budget_share = 1.0
    while not census.slice():
        pass
    assert [len(part.rows) for part in parts(census)] == [100, 100, 50]
    assert census.events.oversize == 0
