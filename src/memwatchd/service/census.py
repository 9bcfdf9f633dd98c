"""The process table, kept in the background so that nobody has to walk /proc at the moment of a kill.

About once a period every process is read once. On a machine with very many processes a pass takes longer than
a period rather than more CPU time than its budget; every row says when it was read.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from memwatchd.actions.table import list_pids, memory_cgroup
from memwatchd.errors import ParseError
from memwatchd.procfs.cgroup import parse_cgroup_memberships
from memwatchd.procfs.process import parse_stat, parse_status
from memwatchd.roots import Roots
from memwatchd.service.eventring import EventRing

COLUMNS = [
    "pid",
    "ppid",
    "uid",
    "comm",
    "state",
    "rss_kib",
    "anon_kib",
    "file_kib",
    "shmem_kib",
    "swap_kib",
    "oom_score_adj",
    "threads",
    "start_ticks",
    "cpu_ticks",
    "cgroup",
    "read_ns",
]
_ROWS_PER_RECORD = 100
_READ_BYTES = 8192


@dataclass(slots=True)
class Census:
    """Reads the processes of a machine in slices.

    Args:
        budget_share: Share of one core it may take, 0..1.
    """

    roots: Roots
    events: EventRing
    period_ns: int
    budget_share: float
    _pending: Iterator[int] | None = None
    _rows: list[list[Any]] = field(default_factory=list)
    _kernel_threads: set[int] = field(default_factory=set)

    def slice(self) -> bool:
        """Read processes for as long as one period's budget lasts; True when a pass is done with it."""
        until_ns = time.thread_time_ns() + int(self.period_ns * self.budget_share)
        if self._pending is None:
            self._pending = iter(list_pids(self.roots))
        for pid in self._pending:
            if pid not in self._kernel_threads:
                self._take(pid)
            if time.thread_time_ns() >= until_ns:
                return False
        self._pending = None
        self._flush()
        self._forget()
        return True

    def _take(self, pid: int) -> None:
        try:
            row = self._row(pid)
        except (OSError, ParseError):
            return  # it ended while it was read
        if row is not None:
            self._rows.append(row)
            if len(self._rows) >= _ROWS_PER_RECORD:
                self._flush()

    def _row(self, pid: int) -> list[Any] | None:
        directory = f"{self.roots.procfs}/{pid}/"
        stat = parse_stat(read_small(directory + "stat"))
        if stat.is_kernel_thread:
            self._kernel_threads.add(pid)
            return None
        status = parse_status(read_small(directory + "status"))
        return [
            pid,
            stat.ppid,
            status.uid,
            stat.comm,
            stat.state,
            _kib(status.vm_rss_bytes),
            _kib(status.rss_anon_bytes),
            _kib(status.rss_file_bytes),
            _kib(status.rss_shmem_bytes),
            _kib(status.vm_swap_bytes),
            int(read_small(directory + "oom_score_adj")),
            stat.num_threads,
            stat.starttime_ticks,
            stat.utime_ticks + stat.stime_ticks,
            memory_cgroup(parse_cgroup_memberships(read_small(directory + "cgroup"))),
            time.monotonic_ns(),
        ]

    def _flush(self) -> None:
        if self._rows:
            self.events.processes(time.monotonic_ns(), COLUMNS, self._rows)
            self._rows = []

    def _forget(self) -> None:
        """Drop what is remembered of processes that are gone."""
        self._kernel_threads &= set(list_pids(self.roots))


def read_small(path: str) -> bytes:
    """Read a small kernel file in one go.

    Raises:
        OSError: It is gone, or not for us.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _READ_BYTES)
    finally:
        os.close(descriptor)


def _kib(size_bytes: int | None) -> int | None:
    return None if size_bytes is None else size_bytes >> 10
