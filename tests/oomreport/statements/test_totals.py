"""The machine's figures."""

import pytest

from memwatchd.oomreport.report import HugePages
from memwatchd.oomreport.statements.totals import parse_block, parse_hugepages, parse_line, parse_swap

BLOCKS: dict[str, dict[str, int] | None] = {
    "Active:30920 inactive:30757 dirty:0 free:847 slab:1464": {
        "active": 30920,
        "inactive": 30757,
        "dirty": 0,
        "free": 847,
        "slab": 1464,
    },
    "active_anon:15 inactive_anon:18 isolated_anon:0": {
        "active_anon": 15,
        "inactive_anon": 18,
        "isolated_anon": 0,
    },
    "Active:53 inactive:31 slab:12 mapped-file:1063 mapped-anon:4927 pagetables:3": {
        "active": 53,
        "inactive": 31,
        "slab": 12,
        "mapped-file": 1063,
        "mapped-anon": 4927,
        "pagetables": 3,
    },
    "free:1973 free_pcp:0 free_cma:0": {"free": 1973, "free_pcp": 0, "free_cma": 0},
    "sec_pagetables:0 bounce:0": {"sec_pagetables": 0, "bounce": 0},
    "Free swap:            0kB": None,
    "SwapSize:12892kB SystemHeap:6152kB": None,
    "RAX: 0000000000000000 RBX: 00007f1fb77fda80": None,
}


@pytest.mark.parametrize("line", BLOCKS)
def test_the_block(line: str) -> None:
    """Names vary with the era, but only these lines hold pages without a unit."""
    assert parse_block(line) == BLOCKS[line]


LINES: dict[str, dict[str, int] | None] = {
    "71 total pagecache pages": {"pagecache_pages": 71},
    "42 pages in swap cache": {"swapcache_pages": 42},
    "262014 pages RAM": {"ram_pages": 262014},
    "65536 pages of RAM": {"ram_pages": 65536},
    "0 pages HighMem/MovableOnly": {"highmem_pages": 0},
    "8149 pages reserved": {"reserved_pages": 8149},
    "1200 reserved pages": {"reserved_pages": 1200},
    "66560 pages cma reserved": {"cma_reserved_pages": 66560},
    "0 pages hwpoisoned": {"hwpoisoned_pages": 0},
    "2072 pages shared": {},
    "3 pages of bacon": None,
}


@pytest.mark.parametrize("line", LINES)
def test_the_lines_at_the_end(line: str) -> None:
    """`pages reserved` and `pages cma reserved` are two things."""
    assert parse_line(line) == LINES[line]


def test_swap() -> None:
    """A kernel without swap prints none of it; zero is another thing."""
    assert parse_swap("Free swap  = 3118172kB") == {"swap_free_kb": 3118172}
    assert parse_swap("Total swap = 0kB") == {"swap_total_kb": 0}
    assert parse_swap("Free swap:            12kB") == {"swap_free_kb": 12}
    assert parse_swap("nr_free_swap_pages: 116933") == {"swap_free_pages": 116933}
    assert parse_swap("Swap cache stats: add 245190, delete 245148, find 77026/136093") == {
        "swap_added": 245190,
        "swap_deleted": 245148,
    }
    assert parse_swap("Free swaps for all") is None


def test_hugepages() -> None:
    """They are counted in their own size."""
    line = "Node 1 hugepages_total=512 hugepages_free=12 hugepages_surp=1 hugepages_size=2048kB"
    assert parse_hugepages(line, 9) == HugePages(1, 2048, 512, 12, 1, 9)
    assert parse_hugepages("hugepages_total=5", 9) is None
