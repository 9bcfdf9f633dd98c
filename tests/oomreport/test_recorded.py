"""An event made of the kernel's files."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import FIXTURES

from memwatchd.diagnosis.case import Case
from memwatchd.oomreport.recorded import recorded_event
from memwatchd.oomreport.report import GLOBAL, RECORDED, Event, HugePages, Node, SlabCache, Task, Totals, Zone

FILES = ("meminfo", "vmstat", "zoneinfo", "slabinfo")
MEMINFO = b"""MemTotal:         400000 kB
MemFree:            4000 kB
MemAvailable:       8000 kB
Active(anon):        400 kB
Inactive(anon):   300000 kB
SwapTotal:          2000 kB
SwapFree:            100 kB
HugePages_Total:       2
HugePages_Free:        1
HugePages_Surp:        0
Hugepagesize:       2048 kB
KernelStack:        1600 kB
"""
ZONEINFO = b"""Node 0, zone   Normal
  per-node stats
      nr_shmem     25
  pages free     1000
        min      100
        low      125
        high     150
        spanned  110000
        present  110000
        managed  100000
        protection: (0, 7)
  pagesets
    cpu: 0
              count: 3
    cpu: 1
              count: 4
Node 0, zone   Movable
  pages free     0
        min      0
        low      0
        high     0
        spanned  0
        present  0
        managed  0
        protection: (0, 0)
"""
SLABINFO = (
    b"slabinfo - version: 2.1\n"
    b"dentry 40 42 192 21 1 : tunables 0 0 0 : slabdata 2 2 0\n"
    b"empty 0 0 192 21 1 : tunables 0 0 0 : slabdata 0 0 0\n"
)
ROW = {"pid": 17, "uid": 5, "comm": "eater", "rss_kib": 4000, "anon_kib": 3000, "swap_kib": 40, "read_ns": 1}


def made(texts: dict[str, bytes], *rows: dict[str, Any]) -> Event:
    event = recorded_event(texts, rows, 4096, read_s=[0.5] * len(rows), reason="why")
    assert event is not None
    return event


def test_meminfo_has_more_than_the_zones() -> None:
    """A machine of which the host gives a part (virtio-mem) would have more available than it has."""
    proc = FIXTURES / "debian12-6.18/proc"
    texts = {name: (proc / name).read_bytes() for name in ("meminfo", "vmstat", "zoneinfo")}
    case = Case(made(texts))
    assert case.ram_kb == 24684096
    assert case.event.totals.available_kb == 24161828
    # A balloon takes from both.
    texts["meminfo"] = texts["meminfo"].replace(b"24684096", b" 9267416")
    assert Case(made(texts)).ram_kb == 9267416


def test_a_whole_event() -> None:
    """A finding would rest on a figure, or quote a line, that was not recorded."""
    event = made({"meminfo": MEMINFO, "vmstat": b"nr_isolated_anon 3\n", "zoneinfo": ZONEINFO}, ROW)
    assert event == Event(
        RECORDED,
        GLOBAL,
        reason="why",
        complete=True,
        first_line=1,
        last_line=17,
        zones=(
            Zone(
                0,
                "Normal",
                {"free": 4000, "min": 400, "low": 500, "high": 600, "present": 440000, "managed": 400000},
                lowmem_reserve_pages=(0, 7),
                block_kb=4,
                line=14,
                reserve_line=15,
            ),
        ),
        nodes=(Node(None, {"kernel_stack": 1600}, line=12), Node(0, {"shmem": 100}, line=17)),
        totals=Totals(
            {"free": 1000, "active_anon": 100, "inactive_anon": 75000, "isolated_anon": 3, "free_pcp": 7},
            ram_pages=110000,
            reserved_pages=10000,
            swap_total_kb=2000,
            swap_free_kb=100,
            available_kb=8000,
            lines={
                "ram_pages": 1,
                "free": 2,
                "available_kb": 3,
                "active_anon": 4,
                "inactive_anon": 5,
                "swap_total_kb": 6,
                "swap_free_kb": 7,
                "isolated_anon": 13,
            },
        ),
        hugepages=(HugePages(None, 2048, 2, 1, 0, 8),),
        tasks=(Task(17, 5, 17, "eater", None, 1000, 750, None, None, None, 10, line=16),),
        tasks_listed=True,
        texts=event.texts,
    )
    assert [event.texts[line] for line in (5, 13, 14, 16, 17)] == [
        "/proc/meminfo: Inactive(anon): 300000 kB",
        "/proc/vmstat: nr_isolated_anon 3",
        "/proc/zoneinfo: Node 0, zone Normal: pages free 1000 min 100 low 125 high 150 present 110000 "
        "managed 100000",
        "process 17 eater: rss_kib 4000, anon_kib 3000, swap_kib 40, read 0.5 s before",
        "/proc/zoneinfo: Node 0: nr_shmem 25",
    ]


def test_caches() -> None:
    """A cache would have its objects' size instead of its slabs', or empty ones would fill the list."""
    event = made({"meminfo": MEMINFO, "slabinfo": SLABINFO})
    assert event.slabs == (SlabCache("dentry", 7, 8, 13),)


def test_giant_pages_are_huge_pages() -> None:
    """A pool of 1 GiB pages would be in no counter, and a driver be blamed for it."""
    event = made({"meminfo": MEMINFO + b"Hugetlb: %d kB\n" % (4096 + (3 << 20))})
    assert event.hugepages[1:] == (HugePages(None, 1 << 20, 3, 0, 0, 13),)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"zoneinfo": ZONEINFO}, id="only zones"),
        pytest.param({"meminfo": b"MemFree: many kB\n"}, id="damaged"),
        pytest.param({"meminfo": b"MemTotal: 100 kB\nMemFree: 50 kB\n"}, id="not what is used"),
    ],
)
def test_too_little_is_no_event(texts: dict[str, bytes]) -> None:
    """What nobody counted would be called memory that is in no counter."""
    assert recorded_event(texts, (), 4096) is None


def test_what_is_missing_is_said() -> None:
    """The verdict would be as sure without the watermarks."""
    assert made({"vmstat": b"nr_free_pages 5\nnr_active_anon 6\n"}).missing == ("zones", "totals")


@pytest.mark.parametrize("machine", ["vanilla-2.6.32", "vanilla-3.2-i386-pae", "debian12-6.18"])
def test_real_machines(machine: str, kernel_text: Callable[[str, str], bytes]) -> None:
    """What a kernel calls otherwise would be missing from the sum of memory."""
    texts = {name: kernel_text(machine, f"proc/{name}") for name in FILES[:3]}
    case = Case(made(texts))
    assert (case.event.missing, case.page_kb) == ((), 4)
    assert case.ram_kb and case.anon_kb is not None and case.file_kb is not None and case.slab_kb is not None
    assert case.unaccounted_kb is not None
    assert case.unaccounted_kb < 0.1 * case.ram_kb
