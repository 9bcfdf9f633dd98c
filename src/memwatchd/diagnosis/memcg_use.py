"""What the memory charged to a cgroup is, from memory.stat as v1 and v2 print it.

::

    Memory cgroup stats for /docker/34..: cache:108KB rss:197168KB rss_huge:0KB mapped_file:4KB dirty:0KB ...
    Memory cgroup stats for /kubepods.slice:
    anon 7601418240
    file 24576
    kernel 1605632
"""

from collections.abc import Mapping
from dataclasses import dataclass

from memwatchd.oomreport.report import Memcg

# Kernel memory of cgroup v2 before 5.18, which has `kernel` as their sum.
_KERNEL_PARTS = ("slab", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "vmalloc")


@dataclass(frozen=True, slots=True)
class Use:
    """A cgroup's memory by kind, in kB; None where the statistics do not tell.

    Attributes:
        anon_kb: Processes' own memory.
        shmem_kb: Shared memory and tmpfs.
        file_kb: Page cache of files, without shared memory.
        unwritten_kb: What of it is dirty or being written.
        kernel_kb: Kernel memory: slab, stacks, page tables, per-CPU data.
        slab_kb: What of it is slab.
        sock_kb: Buffers of sockets.
        zswap_kb: Compressed swap that is kept in memory.
    """

    anon_kb: int | None = None
    shmem_kb: int | None = None
    file_kb: int | None = None
    unwritten_kb: int | None = None
    kernel_kb: int | None = None
    slab_kb: int | None = None
    sock_kb: int | None = None
    zswap_kb: int | None = None

    def parts(self) -> tuple[tuple[str, int], ...]:
        """The kinds with their words, largest first, nothing counted twice."""
        found = (
            ("processes' own memory", self.anon_kb),
            ("shared memory and tmpfs", self.shmem_kb),
            ("page cache", self.file_kb),
            ("kernel memory", self.kernel_kb),
            ("socket buffers", self.sock_kb),
            ("compressed swap", self.zswap_kb),
        )
        known = ((words, amount_kb) for words, amount_kb in found if amount_kb)
        return tuple(sorted(known, key=lambda each: -each[1]))


def is_v2(memcg: Memcg) -> bool | None:
    """Whether the figures are of cgroup v2; None where nothing tells."""
    if "anon" in memcg.statistics or memcg.swap_limit_kb is not None:
        return True
    if "rss" in memcg.statistics or memcg.memsw_limit_kb is not None or memcg.kmem_limit_kb is not None:
        return False
    return None


def use_of(memcg: Memcg) -> Use:
    """Say what the memory is."""
    if "anon" in memcg.statistics:
        return _use_v2(memcg.statistics)
    if "rss" in memcg.statistics or "total_rss" in memcg.statistics:
        return _use_v1(memcg)
    return Use(kernel_kb=memcg.kmem_usage_kb)


def _use_v2(statistics: Mapping[str, int]) -> Use:
    def kb(name: str) -> int | None:
        return statistics[name] // 1024 if name in statistics else None

    shmem_kb = kb("shmem")
    file_kb = kb("file")
    kernel_parts = [each for name in _KERNEL_PARTS if (each := kb(name)) is not None]
    slab_kb = kb("slab")
    if slab_kb is None and "slab_unreclaimable" in statistics:
        slab_kb = (kb("slab_reclaimable") or 0) + (kb("slab_unreclaimable") or 0)
        kernel_parts.append(slab_kb)
    kernel_kb = kb("kernel")
    if kernel_kb is None and kernel_parts:
        kernel_kb = sum(kernel_parts)
    return Use(
        anon_kb=kb("anon"),
        shmem_kb=shmem_kb,
        file_kb=None if file_kb is None else max(0, file_kb - (shmem_kb or 0)),
        unwritten_kb=_sum(kb("file_dirty"), kb("file_writeback")),
        kernel_kb=kernel_kb,
        slab_kb=slab_kb,
        sock_kb=kb("sock"),
        zswap_kb=kb("zswap"),
    )


def _use_v1(memcg: Memcg) -> Use:
    statistics = memcg.statistics

    def kb(name: str) -> int | None:
        # total_ is with all cgroups below, which are charged here, too.
        amount = statistics.get(f"total_{name}", statistics.get(name))
        return None if amount is None else amount // 1024

    anon_kb, shmem_kb, cache_kb = kb("rss"), kb("shmem"), kb("cache")
    if shmem_kb is None and anon_kb is not None:
        # Until 4.16 shared memory is not counted, but it is on the lists of anonymous pages, and `rss` has
        # none of it.
        lists_kb = _sum(kb("active_anon"), kb("inactive_anon"))
        shmem_kb = None if lists_kb is None else min(max(0, lists_kb - anon_kb), cache_kb or 0)
    return Use(
        anon_kb=anon_kb,
        shmem_kb=shmem_kb,
        file_kb=None if cache_kb is None else max(0, cache_kb - (shmem_kb or 0)),
        unwritten_kb=_sum(kb("dirty"), kb("writeback")),
        kernel_kb=memcg.kmem_usage_kb,
    )


def _sum(*amounts_kb: int | None) -> int | None:
    known = [each for each in amounts_kb if each is not None]
    return sum(known) if known else None
