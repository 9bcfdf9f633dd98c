"""A zram device: swap or a disk in compressed memory.

Path ``/sys/block/zramN/mm_stat``, printed by ``mm_stat_show`` in ``drivers/block/zram/zram_drv.c``::

     1073741824 268435456 281018368        0 301989888    12044        0      311      311

Since 4.1; the eighth figure since 4.19, the ninth since 5.16. Sizes are bytes, the last four are pages.
"""

from dataclasses import dataclass

from memwatchd.procfs._text import malformed, unsigned

COLUMNS = (
    "orig_data_size",
    "compr_data_size",
    "mem_used_total",
    "mem_limit",
    "mem_used_max",
    "same_pages",
    "pages_compacted",
    "huge_pages",
    "huge_pages_since",
)
_REQUIRED = 7


@dataclass(frozen=True, slots=True)
class MmStat:
    """The one line of the file.

    Attributes:
        mem_used_total_bytes: What the device takes from the machine, the allocator's waste included.
        mem_limit_bytes: None where there is no limit (the kernel prints 0).
        same_pages: Pages of one repeated word, which take no memory.
        pages_compacted: Pages freed by compaction so far.
        huge_pages: Pages that would not compress; None before 4.19.
        huge_pages_since: The same, counted since the device was set up; None before 5.16.
    """

    orig_data_bytes: int
    compr_data_bytes: int
    mem_used_total_bytes: int
    mem_limit_bytes: int | None
    mem_used_max_bytes: int
    same_pages: int
    pages_compacted: int
    huge_pages: int | None
    huge_pages_since: int | None


def parse_mm_stat(text: bytes, path: str = "/sys/block/zramN/mm_stat") -> MmStat:
    """Parse the whole file.

    Raises:
        ParseError: Fewer than seven figures, or a broken one.
    """
    words = text.split()
    if len(words) < _REQUIRED:
        raise malformed(path, text, "mm_stat", "seven figures or more")
    figures = [unsigned(word, path, text, item) for word, item in zip(words, COLUMNS, strict=False)]
    orig, compressed, used, limit, used_max, same, compacted, *rest = figures
    huge, since, *_ = [*rest, None, None]
    return MmStat(orig, compressed, used, limit or None, used_max, same, compacted, huge, since)
