"""Who in the kernel asked for memory, or has it: by the call trace, and by the list of allocation sites.

::

    __alloc_pages_bulk+0x3e5/0x680
    svc_alloc_arg+0x81/0x1f0 [sunrpc]

    Memory allocations:
      3176243200   247900 mm/slub.c:2264 func:alloc_slab_page
      1047212032   511334 fs/xfs/xfs_icache.c:82 [xfs] func:xfs_inode_alloc
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from memwatchd.diagnosis.shortage import size
from memwatchd.oomreport.report import AllocationSite, Event

VMALLOC = "vmalloc"
SLAB = "slab"
PAGES = "pages"

_PAGE_ALLOCATOR = (
    "__alloc_pages",
    "alloc_pages",
    "__alloc_frozen_pages",
    "__get_free_pages",
    "__folio_alloc",
)
_VMALLOC = ("vmalloc", "__vmalloc", "vzalloc", "kvmalloc", "__kvmalloc", "kvzalloc")
_SLAB = (
    "kmem_cache_alloc",
    "__kmem_cache_alloc",
    "kmalloc",
    "__kmalloc",
    "krealloc",
    "kzalloc",
    "__do_kmalloc",
)
# What lies between the allocator and whoever wanted something from it.
_INNARDS = (
    *_PAGE_ALLOCATOR,
    *_VMALLOC,
    *_SLAB,
    *(
        "alloc_slab",
        "allocate_slab",
        "new_slab",
        "___slab_alloc",
        "__slab_alloc",
        "slab_alloc",
        "get_page_from",
    ),
    *(
        "cache_grow",
        "cache_alloc_refill",
        "____cache_alloc",
        "fallback_alloc",
        "get_zeroed_page",
        "folio_alloc",
    ),
    *("alloc_page", "get_free_pages", "vma_alloc_folio", "kvm_clock_read", "__raw_callee_save", "__pfx_"),
)
# Memory that these ask for is a process's, or page cache: on the lists, so nothing a counter would miss.
_OF_PROCESSES = (
    *(
        "handle_mm_fault",
        "__handle_mm_fault",
        "do_anonymous_page",
        "do_swap_page",
        "do_wp_page",
        "wp_page_copy",
    ),
    *("filemap_", "__filemap_", "pagecache_get_page", "page_cache_", "__page_cache_", "__do_page_cache_"),
    *("ondemand_readahead", "read_swap_cache", "__read_swap_cache", "swapin_", "swap_cluster", "shmem_"),
    *("do_cow_fault", "folio_prealloc", "find_or_create_page", "grab_cache_page", "__do_fault", "do_huge_"),
    *("__pte_alloc", "pte_alloc", "__pmd_alloc", "__pud_alloc", "pgd_alloc", "do_fault", "alloc_anon_folio"),
)
# Sites that hand pages on: to slab caches, or to processes and the page cache, all counted elsewhere.
_COUNTED_SITES = (
    *("mm/slub.c", "mm/slab.c", "mm/slab_common.c", "mm/memory.c", "mm/filemap.c", "mm/shmem.c"),
    *(
        "mm/readahead.c",
        "mm/swap_state.c",
        "mm/huge_memory.c",
        "mm/khugepaged.c",
        "mm/hugetlb.c",
        "mm/migrate.c",
    ),
)
# A site with less than this share of the memory looked for explains nothing.
_SITE_SHARE = 0.05
_UNSURE = re.compile(r"\? ([A-Za-z_][\w.]{1,100})\+0x[0-9a-f]{1,16}/0x", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose code asked for the memory that was not there.

    Attributes:
        function: The first in the trace that is not the allocator's own.
        way: `VMALLOC`, `SLAB` or `PAGES`: where its memory would be counted (vmalloc and pages: nowhere).
        certain: The kernel itself was sure of the trace.
    """

    function: str
    way: str
    certain: bool


def asker(event: Event) -> Asker | None:
    """Say whose code asked for the kernel itself; None for memory of processes, and without a trace."""
    names = iter(trace(event))
    if not any(name.startswith(_PAGE_ALLOCATOR) for name in names):
        return None
    way = PAGES
    for name in names:
        if name.startswith(_VMALLOC):
            way = VMALLOC
        elif name.startswith(_SLAB) and way == PAGES:
            way = SLAB
        if not name.startswith(_INNARDS):
            return None if name.startswith(_OF_PROCESSES) else Asker(name, way, bool(event.trace))
    return None


def trace(event: Event) -> tuple[str, ...]:
    """The call trace; where the kernel marks all of it as unsure (``? alloc_fdtable+0x6a/0xd8``), that."""
    if event.trace:
        return event.trace
    found = (_UNSURE.search(text) for _, text in sorted(event.texts.items()))
    return tuple(match[1] for match in found if match)


def sites(event: Event, of_kb: int) -> tuple[AllocationSite, ...]:
    """The kernel's own sites that have a good share of some memory, largest first; three at most."""
    found = (site for site in event.allocations if not site.site.startswith(_COUNTED_SITES))
    large = (site for site in found if site.size_bytes >= _SITE_SHARE * of_kb * 1024)
    return tuple(sorted(large, key=lambda site: -site.size_bytes)[:3])


def told(found: Iterable[AllocationSite]) -> str:
    """Write sites as ``999 MiB by xfs_inode_alloc (fs/xfs/xfs_icache.c:82)``."""
    return ", ".join(_told(site) for site in found)


def _told(site: AllocationSite) -> str:
    place, _, function = site.site.partition(" func:")
    amount = size(site.size_bytes / 1024)
    return f"{amount} by {function} ({place})" if function else f"{amount} by {site.site}"
