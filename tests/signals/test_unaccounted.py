"""Memory that is nowhere, worked out by hand."""

from math import isnan

import pytest
from tests.signals.conftest import ZRAM, machine_texts, make_desk

KIB = 1024


def lines(**figures: int | str) -> bytes:
    """A meminfo; `_anon` stands for ``(anon)``."""
    names = {name: name.replace("_anon", "(anon)").replace("_file", "(file)") for name in figures}
    return b"".join(
        b"%s:%12s kB\n" % (names[name].encode(), str(value).encode())
        if "HugePages" not in name
        else b"%s:%8s\n" % (name.encode(), str(value).encode())
        for name, value in figures.items()
    )


LISTS = {
    "Active_anon": 100,
    "Inactive_anon": 200,
    "Active_file": 300,
    "Inactive_file": 400,
    "Unevictable": 50,
}
SMALL = {"MemTotal": 10_000, "MemFree": 1000, **LISTS}
LEFT = 10_000 - 1000 - 1050


@pytest.mark.parametrize(
    ("machine", "terms_kib"),
    [
        # All but a balloon: 865 MiB of 990 in no list, the second of the stories this is for.
        (
            "vanilla-4.4",
            (1_013_640, -26_408, -4012, -5120, -6100, -6888, -3652, -40_112, -3312, -12_044),
        ),
        # VmallocUsed and VmallocChunk are address space: only the stacks count.
        (
            "vanilla-2.6.32",
            (8_061_592, -142_380, -1_204_440, -290_136, -1_900_780, -3_520_972, -842_104, -2904, -21_340),
        ),
        # VmallocUsed is memory, the stacks are a part of it; Percpu; KReclaimable is SReclaimable.
        (
            "vanilla-5.4",
            (
                *(4_015_976, -118_944, -2_980_112, -320_112, -31_932, -82_000, -18_432),
                *(-150_112, -31_220, -30_112, -2112),
            ),
        ),
    ],
)
def test_what_is_in_no_list(machine: str, terms_kib: tuple[int, ...]) -> None:
    """Nobody would see that a balloon has taken the machine's memory."""
    desk = make_desk(machine_texts(machine))
    assert desk.read("unaccounted") == sum(terms_kib) * KIB
    assert desk.read("unaccounted_share") == sum(terms_kib) / terms_kib[0]


@pytest.mark.parametrize(
    ("figures", "left_kib"),
    [
        ({}, LEFT),
        # Parts of the lists, or of what is free, are not counted again.
        ({"Mlocked": 50, "AnonPages": 290, "Cached": 650, "Buffers": 9, "Shmem": 20, "SwapCached": 7}, LEFT),
        ({"AnonHugePages": 100, "CmaFree": 9, "Unaccepted": 7, "NFS_Unstable": 5, "Dirty": 3}, LEFT),
        ({"Balloon": 500, "VmallocTotal": 10**9, "DirectMap4k": 8000, "Zswapped": 900}, LEFT),
        ({"Slab": 700, "SReclaimable": 500, "SUnreclaim": 200}, LEFT - 700),
        ({"Slab": 700, "SReclaimable": 500, "KReclaimable": 530}, LEFT - 730),
        ({"PageTables": 11, "SecPageTables": 12, "Quicklists": 13, "Percpu": 14}, LEFT - 50),
        ({"Bounce": 1, "WritebackTmp": 2, "HardwareCorrupted": 4, "Zswap": 8}, LEFT - 15),
        ({"GPUActive": 100, "GPUReclaim": 20}, LEFT - 120),
        # Stacks alone; in vmalloc memory; beside address space.
        ({"KernelStack": 30}, LEFT - 30),
        ({"KernelStack": 30, "VmallocUsed": 0, "VmallocChunk": 0}, LEFT - 30),
        ({"KernelStack": 30, "VmallocUsed": 90, "VmallocChunk": 0}, LEFT - 90),
        ({"KernelStack": 30, "VmallocUsed": 9000, "VmallocChunk": 10**9}, LEFT - 30),
        # Huge pages, of one size and of all.
        ({"HugePages_Total": 2, "HugePages_Free": 1, "Hugepagesize": 2048}, LEFT - 4096),
        ({"HugePages_Total": 2, "Hugepagesize": 2048, "Hugetlb": 5120}, LEFT - 5120),
        # More is named than there is: figures of different moments.
        ({"Slab": 9000}, LEFT - 9000),
    ],
    ids=str,
)
def test_each_page_counts_once(figures: dict[str, int], left_kib: int) -> None:
    """What is counted twice would hide a leak, what is forgotten would look like one."""
    desk = make_desk({"meminfo": lines(**SMALL, **figures)})
    assert desk.read("unaccounted") == left_kib * KIB
    assert desk.read("unaccounted_share") == left_kib / 10_000


def test_compressed_memory_is_known() -> None:
    """Swap in compressed memory would look like a leak."""
    meminfo, zram_used = lines(**{**SMALL, "MemTotal": 10_000_000}), 281_018_368
    without = make_desk({"meminfo": meminfo}).read("unaccounted")
    one = make_desk({"meminfo": meminfo, "zram/zram0": ZRAM})
    two = make_desk({"meminfo": meminfo, "zram/zram0": ZRAM, "zram/zram3": ZRAM})
    assert one.read("unaccounted") == without - zram_used
    assert two.read("unaccounted") == without - 2 * zram_used
    one.show({"meminfo": meminfo})
    assert one.read("unaccounted") == without


@pytest.mark.parametrize("missing", list(SMALL))
def test_without_the_lists_nothing_is_said(missing: str) -> None:
    """On a kernel without these lines nearly all memory would look lost."""
    desk = make_desk({"meminfo": lines(**{name: kib for name, kib in SMALL.items() if name != missing})})
    assert isnan(desk.read("unaccounted"))
    assert isnan(desk.read("unaccounted_share"))
