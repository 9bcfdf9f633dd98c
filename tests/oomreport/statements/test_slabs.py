"""What the kernel itself had allocated."""

from memwatchd.oomreport.report import AllocationSite, SlabCache
from memwatchd.oomreport.statements.slabs import parse_cache, parse_site


def test_caches() -> None:
    """A long name pushes the columns to the right."""
    assert parse_cache("kmalloc-2k               352KB        360KB", 3) == SlabCache(
        "kmalloc-2k", 352, 360, 3
    )
    assert parse_cache("ext4_groupinfo_4k_and_more 12KB 13KB", 3) == SlabCache(
        "ext4_groupinfo_4k_and_more", 12, 13, 3
    )
    assert parse_cache("Name                      Used          Total", 3) is None


def test_code_sites() -> None:
    """Sizes are bytes, or carry a unit."""
    assert parse_site("3176243200   247900 mm/slub.c:2264 func:alloc_slab_page", 4) == AllocationSite(
        3176243200, 247900, "mm/slub.c:2264 func:alloc_slab_page", 4
    )
    assert parse_site("127MiB    31168 1:mm/page_ext.c:270 func:alloc_page_ext", 4) == AllocationSite(
        127 << 20, 31168, "1:mm/page_ext.c:270 func:alloc_page_ext", 4
    )
    assert parse_site("12 apples", 4) is None
