"""meminfo; lines that come and go are in vanilla-2.6.32 up to debian12-6.18, see their NOTE files."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.meminfo import Meminfo, parse_meminfo

KernelText = Callable[[str, str], bytes]
KB = 1024


def test_whole_object() -> None:
    """If this fails, units, signs of the column or the two kinds of lines are mixed up."""
    text = (
        b"MemTotal:       24684096 kB\n"
        b"Active(anon):      17896 kB\n"
        b"SecPageTables:\t       8 kB\n"
        b"VmallocTotal:   34359738367 kB\n"
        b"HugePages_Total:      16\n"
    )
    assert parse_meminfo(text) == Meminfo(
        {
            "MemTotal": 24684096 * KB,
            "Active(anon)": 17896 * KB,
            "SecPageTables": 8 * KB,
            "VmallocTotal": 34359738367 * KB,
        },
        {"HugePages_Total": 16},
    )


def test_main_figures(kernel_text: KernelText) -> None:
    """If this fails, a property reads another line than its name says."""
    info = parse_meminfo(kernel_text("vanilla-5.4", "proc/meminfo"))
    figures = {
        "mem_total_bytes": 4015976,
        "mem_free_bytes": 118944,
        "mem_available_bytes": 90112,
        "buffers_bytes": 2104,
        "cached_bytes": 204112,
        "swap_total_bytes": 1048572,
        "swap_free_bytes": 0,
        "anon_pages_bytes": 3201120,
        "shmem_bytes": 80112,
        "slab_bytes": 150112,
        "s_reclaimable_bytes": 40112,
        "s_unreclaim_bytes": 110000,
        "page_tables_bytes": 30112,
        "kernel_stack_bytes": 9120,
    }
    assert {name: getattr(info, name) for name in figures} == {name: kb * KB for name, kb in figures.items()}


def test_absent_is_none(kernel_text: KernelText) -> None:
    """If this fails, an old kernel seems to have nothing available, or one without swap to have run out."""
    assert parse_meminfo(kernel_text("vanilla-2.6.32", "proc/meminfo")).mem_available_bytes is None
    info = parse_meminfo(kernel_text("vanilla-4.19", "proc/meminfo"))
    assert (info.swap_total_bytes, info.swap_free_bytes) == (None, None)
    assert parse_meminfo(b"").mem_total_bytes is None


def test_swap_of_size_zero_is_zero(kernel_text: KernelText) -> None:
    """If this fails, a machine without swap cannot be told from a kernel without it."""
    assert parse_meminfo(kernel_text("vanilla-6.12", "proc/meminfo")).swap_total_bytes == 0


def test_highmem(kernel_text: KernelText) -> None:
    """If this fails, the low memory of a 32-bit machine is invisible."""
    named = parse_meminfo(kernel_text("vanilla-3.2-i386-pae", "proc/meminfo")).bytes_by_name
    assert named["LowTotal"] + named["HighTotal"] == named["MemTotal"] == 33132244 * KB
    assert named["LowFree"] == 11684 * KB


def test_figures_wider_than_their_column(kernel_text: KernelText) -> None:
    """If this fails, machines above 95 GiB are misread, where figures have nine digits and more."""
    info = parse_meminfo(kernel_text("vanilla-5.14-numa-1536gib", "proc/meminfo"))
    assert info.mem_total_bytes == 1584820112 * KB
    assert info.counts_by_name["HugePages_Total"] == 131072


@pytest.mark.parametrize(
    ("machine", "name", "kilobytes"),
    [
        ("el7-3.10", "VmallocChunk", 34350544956),
        ("vanilla-4.4", "VmallocUsed", 0),
        ("vanilla-5.4", "KReclaimable", 40112),
        ("vanilla-6.1", "Zswapped", 301220),
        ("vanilla-6.1", "SecPageTables", 2048),
        ("vanilla-6.12", "Unaccepted", 2097152),
        ("vanilla-2.6.32", "HardwareCorrupted", 0),
    ],
)
def test_lines_of_single_kernels(kernel_text: KernelText, machine: str, name: str, kilobytes: int) -> None:
    """If this fails, a line that only some kernels print has been lost."""
    assert parse_meminfo(kernel_text(machine, "proc/meminfo")).bytes_by_name[name] == kilobytes * KB


def test_captured_file_is_taken_whole(kernel_text: KernelText) -> None:
    """If this fails, a line of a running kernel has no place in either mapping."""
    text = kernel_text("debian12-6.18", "proc/meminfo")
    info = parse_meminfo(text)
    assert len(info.bytes_by_name) + len(info.counts_by_name) == text.count(b"\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Mem:  1050001408 1012793344 37208064 0 1490944 1003520",
        b"        total:    used:    free:",
        b"Vendor: yes",
        b"no colon 12 kB",
        b"Vendor: 12 MB",
        b"",
    ],
)
def test_unknown_lines_are_ignored(line: bytes) -> None:
    """If this fails, a vendor's extra line blinds the daemon."""
    assert parse_meminfo(b"MemFree: 1 kB\n" + line + b"\n") == Meminfo({"MemFree": KB}, {})


def test_unknown_names_are_kept() -> None:
    """If this fails, a line of a future kernel is lost although it is in kB."""
    info = parse_meminfo(b"Frobnicated:       7 kB\nThings:       3\nMemFree: 1 kB estimated\n")
    assert info == Meminfo({"Frobnicated": 7 * KB, "MemFree": KB}, {"Things": 3})


@pytest.mark.parametrize(
    "line",
    [
        "MemTotal:       2468409",
        "MemTotal:       24684096 MB",
        "MemTotal:       -1 kB",
        "MemTotal:       1_000 kB",
        "MemTotal:",
        "MemTotal",
        "Frobnicated:    x kB",
        "HugePages_Total:  many",
        "MemFree:  99999999999999999999 kB",
    ],
)
def test_broken_figures_are_named(line: str) -> None:
    """If this fails, a cut-off or damaged figure is taken for a true one."""
    with pytest.raises(ParseError) as raised:
        parse_meminfo(b"Buffers: 1 kB\n" + line.encode() + b"\n", path="/other/meminfo")
    assert (raised.value.path, raised.value.line) == ("/other/meminfo", line)
