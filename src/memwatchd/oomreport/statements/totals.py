"""The machine's figures: the block after ``Mem-Info:`` and the lines at its end.

::

    Active:30920 inactive:30757 dirty:0 writeback:0 unstable:0 free:847 slab:1464 …             until 2.6.27
    active_anon:15 inactive_anon:18 isolated_anon:0
     active_file:7 inactive_file:8 isolated_file:0
     unevictable:0 dirty:3 writeback:26 unstable:0
     free:1973 free_pcp:0 free_cma:0
    71 total pagecache pages
    42 pages in swap cache                                  in 2.6: 215 pages swap cached
    Swap cache stats: add 245190, delete 245148, find 77026/136093
    nr_free_swap_pages: 116933                              2.6.9
    Free swap  = 3118172kB
    Total swap = 3334140kB
    262014 pages RAM                                        in 2.6: 65536 pages of RAM
    0 pages HighMem/MovableOnly                             in 2.6: 0 pages of HIGHMEM
    8149 pages reserved                                     in 2.6: 1200 reserved pages
    0 pages cma reserved
    0 pages hwpoisoned
    Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB
"""

import re

from memwatchd.oomreport.report import HugePages
from memwatchd.oomreport.statements._amounts import DIGITS, counts, integer

# What a line of the block may begin with; anything else with colons and numbers is somebody else's.
_BLOCK_HEADS = frozenset(
    (
        "active",
        "active_anon",
        "active_file",
        "dirty",
        "free",
        "free_cma",
        "free_pcp",
        "inactive",
        "inactive_anon",
        "inactive_file",
        "isolated_anon",
        "isolated_file",
        "kernel_misc_reclaimable",
        "mapped",
        "pagetables",
        "sec_pagetables",
        "shmem",
        "slab_reclaimable",
        "slab_unreclaimable",
        "unevictable",
        "writeback",
    )
)
_HEAD = re.compile(r"([A-Za-z_]{4,24}):\d")
_LINES = {
    "total pagecache pages": "pagecache_pages",
    "pages in swap cache": "swapcache_pages",
    "pages swap cached": "swapcache_pages",
    "pages RAM": "ram_pages",
    "pages of RAM": "ram_pages",
    "pages HighMem/MovableOnly": "highmem_pages",
    "pages HighMem": "highmem_pages",
    "pages of HIGHMEM": "highmem_pages",
    "pages reserved": "reserved_pages",
    "reserved pages": "reserved_pages",
    "pages cma reserved": "cma_reserved_pages",
    "pages hwpoisoned": "hwpoisoned_pages",
    # Said by old kernels; what they say stands elsewhere, or nobody needs it.
    "pages shared": "",
    "pages non-shared": "",
    "free pages": "",
    "slab pages": "",
    "pages slab": "",
    "pages dirty": "",
    "pages writeback": "",
    "pages mapped": "",
    "pages pagetables": "",
    "pages in pagetable cache": "",
    "pages in page table cache": "",
}
_LINE = re.compile(rf"({DIGITS}) +([A-Za-z][A-Za-z/ -]{{3,30}}?)\s*")
_SWAP = re.compile(rf"(Free|Total) swap *[=:] *({DIGITS})kB")
_SWAP_PAGES = re.compile(rf"nr_free_swap_pages: ({DIGITS})")
_SWAP_CACHE = re.compile(rf"Swap cache(?: stats)?: add ({DIGITS}), delete ({DIGITS})")
_HUGE = re.compile(
    rf"(?:Node (?P<node>\d{{1,5}}) )?hugepages_total=(?P<total>{DIGITS}) hugepages_free=(?P<free>{DIGITS}) "
    rf"hugepages_surp=(?P<surplus>{DIGITS}) hugepages_size=(?P<size>{DIGITS})kB"
)


def parse_block(text: str) -> dict[str, int] | None:
    """Read a line of the Mem-Info block: pages by the kernel's names."""
    head = _HEAD.match(text)
    if head is None or head[1].lower() not in _BLOCK_HEADS:
        return None
    return counts(text) or None


def parse_line(text: str) -> dict[str, int] | None:
    """Read one of the lines at the end: figures of `Totals` by name; empty for one that is not kept."""
    found = _LINE.fullmatch(text)
    if found is None or found[2] not in _LINES:
        return None
    name = _LINES[found[2]]
    return {name: int(found[1])} if name else {}


def parse_swap(text: str) -> dict[str, int] | None:
    """Read the lines about swap: figures of `Totals` by name, or ``swap_free_pages``."""
    if found := _SWAP.match(text):
        return {f"swap_{found[1].lower()}_kb": int(found[2])}
    if found := _SWAP_CACHE.match(text):
        return {"swap_added": int(found[1]), "swap_deleted": int(found[2])}
    if found := _SWAP_PAGES.match(text):
        return {"swap_free_pages": int(found[1])}
    return None


def parse_hugepages(text: str, line: int) -> HugePages | None:
    """Read the huge pages of one size on one node."""
    found = _HUGE.search(text)
    if found is None:
        return None
    return HugePages(
        integer(found["node"]),
        int(found["size"]),
        int(found["total"]),
        int(found["free"]),
        int(found["surplus"]),
        line,
    )
