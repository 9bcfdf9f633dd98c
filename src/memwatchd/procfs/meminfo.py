"""The machine's memory, in kilobytes and by name.

Path ``/proc/meminfo``, printed by ``fs/proc/meminfo.c``, ``mm/hugetlb.c`` and ``arch/*``::

    MemTotal:       24684096 kB
    Active(anon):      17896 kB
    HugePages_Total:       0

Lines come and go: MemAvailable since 3.14 (older on RHEL), High*/Low* with CONFIG_HIGHMEM only, KReclaimable
since 4.20, Percpu since 4.19, Zswap since 5.19, SecPageTables since 6.1, Unaccepted since 6.5, Balloon since
6.16; NFS_Unstable is always 0 on recent kernels, VmallocChunk since 4.4, VmallocUsed from 4.4 to 5.2. From
95.4 GiB on a figure has nine digits and its column moves; label and figure never touch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from memwatchd.procfs._text import SAFE_DIGITS, decode_ascii, malformed, unsigned

_NAMES = """
    MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon)
    Active(file) Inactive(file) Unevictable Mlocked HighTotal HighFree LowTotal LowFree MmapCopy SwapTotal
    SwapFree Zswap Zswapped Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim
    KernelStack ShadowCallStack PageTables SecPageTables Quicklists NFS_Unstable Bounce WritebackTmp
    CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk Percpu EarlyMemtestBad HardwareCorrupted
    AnonHugePages ShmemHugePages ShmemPmdMapped FileHugePages FilePmdMapped CmaTotal CmaFree Unaccepted
    Balloon GPUActive GPUReclaim Hugepagesize Hugetlb DirectMap4k DirectMap64k DirectMap2M DirectMap4M
    DirectMap1G DirectMap2G
"""
_KNOWN = frozenset(_NAMES.split())


@dataclass(frozen=True, slots=True)
class Meminfo:
    """All lines of the file; the properties are the main figures in bytes, None where there is no such line.

    Attributes:
        bytes_by_name: Every line with the unit kB, in bytes, by the kernel's name (``Active(anon)``).
        counts_by_name: Every line without a unit (``HugePages_Total``), as it stands.
    """

    bytes_by_name: Mapping[str, int]
    counts_by_name: Mapping[str, int]

    @property
    def mem_total_bytes(self) -> int | None:
        """What the buddy allocator has to give; a balloon takes from it."""
        return self.bytes_by_name.get("MemTotal")

    @property
    def mem_free_bytes(self) -> int | None:
        """Free in all zones together, HighMem and reserves included."""
        return self.bytes_by_name.get("MemFree")

    @property
    def mem_available_bytes(self) -> int | None:
        """The kernel's estimate of what could be had without swapping; None before 3.14."""
        return self.bytes_by_name.get("MemAvailable")

    @property
    def buffers_bytes(self) -> int | None:
        """Page cache of block devices."""
        return self.bytes_by_name.get("Buffers")

    @property
    def cached_bytes(self) -> int | None:
        """Page cache of files, shared memory included, swap cache not."""
        return self.bytes_by_name.get("Cached")

    @property
    def swap_total_bytes(self) -> int | None:
        """All swap areas together; 0 means that there is none, None that the kernel was built without."""
        return self.bytes_by_name.get("SwapTotal")

    @property
    def swap_free_bytes(self) -> int | None:
        """Unused part of all swap areas."""
        return self.bytes_by_name.get("SwapFree")

    @property
    def anon_pages_bytes(self) -> int | None:
        """Anonymous pages mapped by processes."""
        return self.bytes_by_name.get("AnonPages")

    @property
    def shmem_bytes(self) -> int | None:
        """Shared memory and tmpfs."""
        return self.bytes_by_name.get("Shmem")

    @property
    def slab_bytes(self) -> int | None:
        """All slab caches."""
        return self.bytes_by_name.get("Slab")

    @property
    def s_reclaimable_bytes(self) -> int | None:
        """Slab caches with a shrinker (dentries, inodes)."""
        return self.bytes_by_name.get("SReclaimable")

    @property
    def s_unreclaim_bytes(self) -> int | None:
        """Slab caches without one."""
        return self.bytes_by_name.get("SUnreclaim")

    @property
    def page_tables_bytes(self) -> int | None:
        """Page tables of processes, the lowest level only."""
        return self.bytes_by_name.get("PageTables")

    @property
    def kernel_stack_bytes(self) -> int | None:
        """Stacks of all tasks in the kernel."""
        return self.bytes_by_name.get("KernelStack")


def parse_meminfo(text: bytes, path: str = "/proc/meminfo") -> Meminfo:
    """Parse the whole file.

    Raises:
        ParseError: A known field, or any line in kB, has no proper number.
    """
    bytes_by_name: dict[str, int] = {}
    counts_by_name: dict[str, int] = {}
    for line in decode_ascii(text).split("\n"):
        name, _, rest = line.partition(":")
        value, _, unit = rest.strip().partition(" ")
        if unit == "kB" and value.isdigit() and len(value) <= SAFE_DIGITS:
            bytes_by_name[name] = int(value) << 10
        elif rest or name in _KNOWN:
            _store_odd_line(bytes_by_name, counts_by_name, line, path)
    return Meminfo(bytes_by_name, counts_by_name)


def _store_odd_line(
    bytes_by_name: dict[str, int], counts_by_name: dict[str, int], line: str, path: str
) -> None:
    name, _, rest = line.partition(":")
    value, unit, *_ = [*rest.split(), "", ""]
    if unit == "kB":
        bytes_by_name[name] = unsigned(value, path, line, name) << 10
    elif name in _KNOWN:
        raise malformed(path, line, name, "a number of kB")
    elif name.startswith("HugePages_") or (value.isdigit() and not unit):
        counts_by_name[name] = unsigned(value, path, line, name)
