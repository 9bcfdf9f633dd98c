"""stat, status, statm, fdinfo; vanilla-4.4 has a hostile name, vanilla-5.15 a kernel thread."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.process import (
    Fdinfo,
    ProcessStat,
    ProcessStatus,
    Statm,
    parse_fdinfo,
    parse_stat,
    parse_statm,
    parse_status,
)

KernelText = Callable[[str, str], bytes]
KB = 1024


def test_stat_of_an_old_kernel(kernel_text: KernelText) -> None:
    """If this fails, the fields of stat are counted wrongly."""
    assert parse_stat(kernel_text("vanilla-2.6.32", "proc/2412/stat")) == ProcessStat(
        pid=2412,
        comm="rsync",
        state="D",
        ppid=2401,
        pgrp=2412,
        session=2398,
        flags=4202496,
        minflt=1204,
        majflt=31,
        utime_ticks=8210,
        stime_ticks=120433,
        nice=0,
        num_threads=1,
        starttime_ticks=417233,
        vsize_bytes=12648448,
        rss_pages=801,
        rt_priority=0,
        policy=0,
    )


def test_stat_with_a_hostile_name(kernel_text: KernelText) -> None:
    """If this fails, a process can forge its state or parent by its name, and be killed or spared wrongly."""
    stat = parse_stat(kernel_text("vanilla-4.4", "proc/2412/stat"))
    assert (stat.comm, stat.state, stat.ppid) == ("a\\b\nc) x", "S", 1)
    assert (stat.nice, stat.rt_priority, stat.policy) == (-5, 50, 1)
    forged = parse_stat(b"7 (x) Z 1 (\xff) R 5 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0")
    assert (forged.comm, forged.state, forged.ppid) == ("x) Z 1 (\udcff", "R", 5)


def test_stat_may_end_early() -> None:
    """If this fails, kernels that print fewer fields are refused, or absent fields are taken for 0."""
    text = b"7 (x) R 5 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0"
    assert (parse_stat(text).rt_priority, parse_stat(text).policy) == (None, None)
    assert (parse_stat(text + b" 0" * 15 + b" 99").rt_priority, parse_stat(text + b" 0" * 17).policy) == (
        99,
        0,
    )


def test_kernel_thread(kernel_text: KernelText) -> None:
    """If this fails, kernel threads cannot be told from processes, or their missing sizes are 0."""
    assert parse_stat(kernel_text("vanilla-5.15", "proc/2412/stat")).flags & 0x00200000
    assert parse_status(kernel_text("vanilla-5.15", "proc/2412/status")) == ProcessStatus(
        name="kworker/u8:2+events_unbound",
        state="I",
        tgid=2412,
        pid=2412,
        ppid=2,
        uid=0,
        vm_rss_bytes=None,
        rss_anon_bytes=None,
        rss_file_bytes=None,
        rss_shmem_bytes=None,
        vm_swap_bytes=None,
        vm_lck_bytes=None,
        vm_size_bytes=None,
        vm_pte_bytes=None,
        threads=1,
        fd_size=64,
    )


def test_status_of_a_process(kernel_text: KernelText) -> None:
    """If this fails, two of the sizes are mixed up, or not in bytes."""
    assert parse_status(kernel_text("el7-3.10", "proc/2412/status")) == ProcessStatus(
        name="java",
        state="S",
        tgid=2412,
        pid=2412,
        ppid=1,
        uid=998,
        vm_rss_bytes=2011008 * KB,
        rss_anon_bytes=1990112 * KB,
        rss_file_bytes=20896 * KB,
        rss_shmem_bytes=0,
        vm_swap_bytes=301244 * KB,
        vm_lck_bytes=0,
        vm_size_bytes=6198844 * KB,
        vm_pte_bytes=4820 * KB,
        threads=87,
        fd_size=512,
    )


def test_status_name_is_unescaped(kernel_text: KernelText) -> None:
    """If this fails, stat and status name the same process differently."""
    status = parse_status(kernel_text("vanilla-4.4", "proc/2412/status"))
    assert status.name == "a\\b\nc"
    assert (status.rss_anon_bytes, status.vm_lck_bytes) == (None, 3652 * KB)


def test_statm_and_fdinfo(kernel_text: KernelText) -> None:
    """If this fails, the unused columns of statm are counted, or a position beyond 32 bits is lost."""
    assert parse_statm(kernel_text("vanilla-2.6.32", "proc/2412/statm")) == Statm(3088, 801, 402, 92, 276)
    assert parse_fdinfo(kernel_text("vanilla-2.6.32", "proc/2412/fdinfo/4")) == Fdinfo(
        53687091200, 0o100000, None, None
    )
    assert parse_fdinfo(kernel_text("vanilla-4.4", "proc/2412/fdinfo/3")) == Fdinfo(0, 0o2004002, 10, None)
    assert parse_fdinfo(kernel_text("vanilla-5.15", "proc/2412/fdinfo/5")) == Fdinfo(
        4096, 0o100001, 29, 1315112
    )


def test_captured_processes(kernel_text: KernelText) -> None:
    """If this fails, a running kernel is not understood."""
    stat = parse_stat(kernel_text("debian12-6.18", "proc/2/stat"))
    assert (stat.pid, stat.comm, stat.rss_pages) == (2, "kthreadd", 0)
    assert parse_statm(kernel_text("debian12-6.18", "proc/2/statm")) == Statm(0, 0, 0, 0, 0)
    status = parse_status(kernel_text("debian12-6.18", "proc/self/status"))
    assert None not in (status.vm_rss_bytes, status.vm_pte_bytes, status.rss_shmem_bytes, status.threads)
    assert parse_status(kernel_text("debian12-6.18", "proc/2/status")).vm_rss_bytes is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"7 x R 5 5 5",
        b"7 (x R 5 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0",
        b"7 (x) R 5 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0",
        b"7 (x) R 5 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0x0",
        b"-7 (x) R 5 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0",
    ],
)
def test_broken_stat(text: bytes) -> None:
    """If this fails, a cut-off stat yields a process that does not exist."""
    with pytest.raises(ParseError):
        parse_stat(text, path="/proc/7/stat")


STATUS = b"Name:\tx\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t1\nUid:\t5\t6\t7\t8\nVmRSS:\t    12 kB\n"


def test_status_keeps_the_first_of_two_lines() -> None:
    """If this fails, whatever follows can overwrite what the kernel prints first."""
    status = parse_status(STATUS + b"VmRSS: 99 kB\nName: other\nNew: line\nno colon\n")
    assert (status.name, status.vm_rss_bytes, status.uid, status.threads) == ("x", 12 * KB, 5, None)


@pytest.mark.parametrize(
    ("good", "bad", "item"),
    [
        (b"Pid:\t7\nPPid", b"PPid", "Pid"),
        (b"S (sleeping)", b"", "State"),
        (b"Uid:\t5\t6", b"Uid:\tx\t6", "Uid"),
        (b"Uid:\t5\t6\t7\t8", b"Uid:", "Uid"),
        (b"12 kB", b"12 MB", "VmRSS"),
        (b"12 kB", b"12", "VmRSS"),
        (b"12 kB", b"-12 kB", "VmRSS"),
    ],
)
def test_broken_status(good: bytes, bad: bytes, item: str) -> None:
    """If this fails, a damaged line passes for a small or absent size."""
    with pytest.raises(ParseError) as raised:
        parse_status(STATUS.replace(good, bad), path="/proc/7/status")
    assert (raised.value.path, raised.value.item) == ("/proc/7/status", item)


@pytest.mark.parametrize("text", [b"", b"1 2 3 4 5", b"1 2 x 4 5 6 7"])
def test_broken_statm(text: bytes) -> None:
    """If this fails, a cut-off statm is read."""
    with pytest.raises(ParseError):
        parse_statm(text)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        (b"", "pos"),
        (b"pos:\t1\n", "flags"),
        (b"pos:\t1\nflags:\t0100008\n", "flags"),
        (b"pos:\tx\nflags:\t0\n", "pos"),
        (b"pos:\t1\nflags:\t0\nmnt_id:\t-\n", "mnt_id"),
        (b"pos:\t1\nflags:\t0\nino:\n", "ino"),
    ],
)
def test_broken_fdinfo(text: bytes, item: str) -> None:
    """If this fails, a wrong file position is recorded."""
    with pytest.raises(ParseError) as raised:
        parse_fdinfo(text)
    assert raised.value.item == item


def test_negative_position() -> None:
    """If this fails, files such as /dev/mem, whose positions may be negative, are refused."""
    assert parse_fdinfo(b"pos:\t-4096\nflags:\t02\n") == Fdinfo(-4096, 2, None, None)
