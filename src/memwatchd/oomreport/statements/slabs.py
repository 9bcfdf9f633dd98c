"""What the kernel itself had allocated: unreclaimable slab caches, and code sites.

::

    Unreclaimable slab info:                                since 4.15, when it is more than all of the LRU
    Name                      Used          Total
    kmalloc-2k               352KB        352KB
    Memory allocations:                                     since 6.10, with CONFIG_MEM_ALLOC_PROFILING
      3176243200   247900 mm/slub.c:2264 func:alloc_slab_page
         127MiB    31168 1:mm/page_ext.c:270 func:alloc_page_ext
"""

import re

from memwatchd.oomreport.report import AllocationSite, SlabCache
from memwatchd.oomreport.statements._amounts import DIGITS

_CACHE = re.compile(rf"(\S(?:.{{0,62}}\S)?)\s+({DIGITS})KB\s+({DIGITS})KB")
_SITE = re.compile(rf"({DIGITS}(?:\.\d{{1,6}})?) ?([KMGTP]i?B|B)?\s+({DIGITS}) (\S.{{0,300}}:\d.{{0,300}})")
_UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}


def is_slab_head(text: str) -> bool:
    """Whether slab caches follow."""
    return text.startswith("Unreclaimable slab info:")


def is_slab_columns(text: str) -> bool:
    """Whether it is the caches' table head."""
    return text.split() == ["Name", "Used", "Total"]


def is_allocations_head(text: str) -> bool:
    """Whether code sites follow."""
    return text.startswith(("Memory allocations:", "Memory allocations ("))


def parse_cache(text: str, line: int) -> SlabCache | None:
    """Read one cache."""
    found = _CACHE.fullmatch(text)
    return None if found is None else SlabCache(found[1], int(found[2]), int(found[3]), line)


def parse_site(text: str, line: int) -> AllocationSite | None:
    """Read one code site."""
    found = _SITE.fullmatch(text)
    if found is None:
        return None
    size_bytes = int(float(found[1]) * _UNITS[(found[2] or "")[:1]])
    return AllocationSite(size_bytes, int(found[3]), found[4], line)
