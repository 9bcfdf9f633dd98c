"""Units of signals, which the kernel's files do not tell."""

import pytest

from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.signal import Unit


@pytest.mark.parametrize(
    ("name", "unit", "counter"),
    [
        ("meminfo.MemFree", Unit.BYTES, False),
        ("meminfo.HugePages_Free", Unit.COUNT, False),
        ("meminfo.Hugepagesize", Unit.BYTES, False),
        ("swap.used_share", Unit.RATIO, False),
        ("unaccounted", Unit.BYTES, False),
        ("unaccounted_share", Unit.RATIO, False),
        ("vmstat.nr_free_pages", Unit.PAGES, False),
        ("vmstat.nr_dirtied", Unit.PAGES, True),
        ("vmstat.nr_vmscan_write", Unit.PAGES, True),
        ("vmstat.nr_kernel_stack", Unit.COUNT, False),
        ("vmstat.nr_anon_transparent_hugepages", Unit.COUNT, False),
        ("vmstat.nr_tlb_remote_flush", Unit.COUNT, True),
        ("vmstat.workingset_nodes", Unit.COUNT, False),
        ("vmstat.workingset_refault_file", Unit.PAGES, True),
        ("vmstat.pgscan_direct_normal", Unit.PAGES, True),
        ("vmstat.pswpout", Unit.PAGES, True),
        ("vmstat.pgmajfault", Unit.COUNT, True),
        ("vmstat.pgpgin", Unit.BYTES, True),
        ("vmstat.slabs_scanned", Unit.COUNT, True),
        ("vmstat.oom_kill", Unit.COUNT, True),
        ("vmstat.allocstall_normal", Unit.COUNT, True),
        ("pressure.some", Unit.SECONDS, True),
        ("pressure.full.avg60", Unit.RATIO, False),
        ("zone.Normal.free", Unit.BYTES, False),
        ("zone.worst.margin", Unit.BYTES, False),
        ("zone.worst.ratio", Unit.RATIO, False),
        ("zone.0.DMA.nr_free_pages", Unit.PAGES, False),
        ("zone.Normal.numa_hit", Unit.COUNT, True),
        ("zone.Normal.all_unreclaimable", Unit.COUNT, False),
        ("zone.Normal.scanned", Unit.PAGES, False),
        ("zone.Normal.reserved_highatomic", Unit.PAGES, False),
        ("node.nr_active_anon", Unit.PAGES, False),
        ("node.1.pgdemote_kswapd", Unit.PAGES, True),
        ("buddy.Normal.order3", Unit.COUNT, False),
        ("buddy.any.largest_order", Unit.COUNT, False),
        ("buddy.any.unusable_order9", Unit.RATIO, False),
        ("slab.dentry.bytes", Unit.BYTES, False),
        ("slab.dentry.objects", Unit.COUNT, False),
        ("zram.0.used", Unit.BYTES, False),
        ("zram.0.huge_pages", Unit.PAGES, False),
        ("zram.0.pages_compacted", Unit.PAGES, True),
        ("arc.size", Unit.BYTES, False),
        ("arc.anon_size", Unit.BYTES, False),
        ("arc.memory_available_bytes", Unit.BYTES, False),
        ("arc.l2_read_bytes", Unit.BYTES, True),
        ("arc.hits", Unit.COUNT, True),
        ("arc.hash_elements", Unit.COUNT, False),
        ("process.rsync.rss", Unit.BYTES, False),
        ("process.rsync.count", Unit.COUNT, False),
        ('cgroup."/a".usage', Unit.BYTES, False),
        ('cgroup."/a".usage_share', Unit.RATIO, False),
        ('cgroup."/a".oom_kill', Unit.COUNT, True),
        ('cgroup."/a".stat.anon', Unit.BYTES, False),
        ('cgroup."/a".stat.pgscan', Unit.PAGES, True),
        ('cgroup."/a".stat.total_pgmajfault', Unit.COUNT, True),
        ('cgroup."/a".pressure.some', Unit.SECONDS, True),
        ("recorder.lag", Unit.SECONDS, False),
        ("recorder.missed", Unit.COUNT, False),
    ],
)
def test_unit_and_growth(name: str, unit: Unit, counter: bool) -> None:
    """`rate(x) > 20MiB/s` would be refused or believed where it means nothing."""
    signal = find_signal(name)
    assert (signal.name, signal.unit, signal.counter) == (name, unit, counter)
