"""Slab: how much, which caches, and what to do about them."""

from dataclasses import replace

import pytest
from tests.diagnosis.machines import GFP_KERNEL, case, zone

from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import SLAB, Grower, History, RuleAction
from memwatchd.diagnosis.slab_caches import culprit
from memwatchd.diagnosis.slab_leak import examine
from memwatchd.oomreport.report import AllocationSite, SlabCache


def cache(name: str, mib: float) -> SlabCache:
    return SlabCache(name, used_kb=round(mib * 1024), total_kb=round(mib * 1024), line=0)


def test_the_largest_caches_are_named_with_what_to_do() -> None:
    """A reader would learn that slab is large, and not which cache, nor what to do."""
    found = examine(
        case(1000, slab=700, slabs=(cache("filp", 20), cache("nf_conntrack", 200), cache("kmalloc-64", 400)))
    )
    assert isinstance(found, Finding)
    assert found.summary == (
        "The kernel's own objects (slab) have 700 MiB of 0.977 GiB of RAM (70 %), practically all of it "
        "unreclaimable; the largest of the unreclaimable caches: kmalloc-64 400 MiB, nf_conntrack 200 MiB."
    )
    assert found.weight == 0.7
    assert found.advice.now == ("`conntrack -F`",)
    assert found.advice.change[1].startswith(
        "nf_conntrack holds connections the firewall keeps track of: `conntrack -C`"
    )
    assert [quote.text for quote in found.evidence][-2:] == ["slab kmalloc-64", "slab nf_conntrack"]


def test_reclaimable_slab_can_be_dropped() -> None:
    """The one command that helps at once would not be named, or would be for slab that it cannot free."""
    reclaimable = examine(case(1000, slab=700, slab_reclaimable=600))
    unreclaimable = examine(case(1000, slab=700, slab_reclaimable=10))
    assert isinstance(reclaimable, Finding)
    assert isinstance(unreclaimable, Finding)
    assert (
        "counts only 100 MiB (14 %) as unreclaimable: the rest was in use, or kept from reclaim by a cgroup's"
        " memory.min"
    ) in reclaimable.summary
    assert "echo 2 > /proc/sys/vm/drop_caches" in reclaimable.advice.now[0]
    assert unreclaimable.advice.now == ()
    assert reclaimable.confidence < unreclaimable.confidence


def test_the_list_of_allocations_names_the_code() -> None:
    """Reclaimable caches are never listed, but the code that fills them is."""
    sites = (
        AllocationSite(690 << 20, 200000, "mm/slub.c:2264 func:alloc_slab_page", 1),
        AllocationSite(400 << 20, 400000, "fs/xfs/xfs_icache.c:82 [xfs] func:xfs_inode_alloc", 2),
    )
    found = examine(case(1000, slab=700, allocations=sites))
    assert isinstance(found, Finding)
    assert "names 400 MiB by xfs_inode_alloc (fs/xfs/xfs_icache.c:82 [xfs])." in found.summary


@pytest.mark.parametrize(("slab", "is_found"), [(190, False), (210, True)])
def test_from_a_fifth_on_it_is_a_finding(slab: float, is_found: bool) -> None:
    """The dentries of every file server would be called a leak."""
    found = examine(case(1000, slab=slab))
    assert isinstance(found, Finding if is_found else Dismissal)


def test_a_small_machine_needs_its_slab() -> None:
    """What the kernel has just after start would be a leak wherever memory is small."""
    found = examine(case(56, slab=13))
    assert isinstance(found, Dismissal)
    assert found.reason.endswith("13 MiB of 56 MiB of RAM (23 %), no more than any kernel needs.")


def test_low_memory_full_of_slab_is_told_of_its_zone() -> None:
    """Half a gigabyte of slab is nothing on 32 GiB, but fills the low memory of 32 bits."""
    low = zone("Normal", 870, slab_reclaimable=500, slab_unreclaimable=16)
    high = zone("HighMem", 31000, free=560, slab_reclaimable=0, slab_unreclaimable=0)
    found = examine(
        case(31870, zones=(low, high), file=30000, slab=516, slab_reclaimable=500, gfp=GFP_KERNEL)
    )
    assert isinstance(found, Finding)
    assert "have 516 MiB of 870 MiB of Normal (59 %)" in found.summary
    assert found.weight == pytest.approx(0.593, abs=0.001)


def test_much_slab_beside_free_memory_asks_no_question() -> None:
    """Caches of an idle file server would be the cause of whatever failed."""
    assert examine(case(1000, slab=400, free=300)) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nfs_inode_cache", "NFS"),
        ("ext4_inode_cache", "cached inodes"),
        ("xfs_inode", "cached inodes"),
        ("proc_inode_cache", "/proc"),
        ("dentry", "names of files"),
        ("kmalloc-rnd-05-192", "without a cache of their own"),
        ("skbuff_head_cache", "network packets"),
        ("task_struct", "each process and thread"),
        ("btrfs_extent_map", "btrfs"),
        ("TCPv6", "TCP sockets"),
    ],
)
def test_known_caches_are_explained(name: str, word: str) -> None:
    """A name out of the kernel's source would be all that the reader gets."""
    known = culprit(name)
    assert known is not None
    assert word in known.holds


def test_an_unknown_cache_is_not_guessed_at() -> None:
    """A driver's cache would be explained by one whose name begins alike."""
    assert culprit("zswap_entry") is None
    assert culprit("my_driver_cache") is None


def test_the_recording_names_the_cache_that_a_report_never_lists() -> None:
    """Inodes are reclaimable, so the kernel's list leaves them out; the recording has seen them grow."""
    nfs = Grower(SLAB, "nfs_inode_cache", None, 40 << 20, 600 << 20, -12.0, 0.0, 46e6)
    recorded = replace(
        case(1000, slab=720, slab_reclaimable=700), history=History(from_s=-30.0, growers=(nfs,))
    )
    found = examine(recorded)
    assert isinstance(found, Finding)
    assert (
        "Of it the slab cache nfs_inode_cache had 600 MiB, having grown from 40 MiB in the last 12.0 s."
        in (found.summary)
    )
    assert any("nfs_inode_cache" in sentence for sentence in found.advice.change)


def test_who_holds_what_could_not_be_dropped_is_told() -> None:
    """The caches would be named, and not the program that keeps them in use."""
    detail = (
        "dentry and inode caches gave back 0 B; 540 MiB stayed: of 900412 open files server (pid 271) 450102"
    )
    earlier = RuleAction(
        -20.0, "zone-slab", "drop_caches", "helped", "dentry and inode caches gave back 9 MiB"
    )
    dropped = RuleAction(-7.2, "slab-leak", "drop_caches", "no effect", detail)
    declined = RuleAction(-1.0, "slab-leak", "drop_caches", "declined", "an earlier write has not come back")
    history = History(from_s=-30.0, actions=(earlier, dropped, declined))
    found = examine(replace(case(1000, slab=720, slab_reclaimable=700), history=history))
    assert isinstance(found, Finding)
    assert found.summary.endswith(f". Rule slab-leak dropped what it could 7.2 s before: {detail}.")


def test_a_small_cache_that_grew_is_not_blamed() -> None:
    """Something always grows."""
    small = Grower(SLAB, "filp", None, 1 << 20, 2 << 20, -12.0, 0.0, 1e5)
    recorded = replace(
        case(1000, slab=720, slab_reclaimable=700), history=History(from_s=-30.0, growers=(small,))
    )
    found = examine(recorded)
    assert isinstance(found, Finding)
    assert "filp" not in found.summary


def test_slab_is_in_the_zones_for_it() -> None:
    """Since 4.8 zones do not count it; beside a Movable zone a leak would go unseen."""
    low, high = zone("Normal", 1000), zone("Movable", 3000, free=2000)
    found = examine(case(4000, zones=(low, high), slab=700, gfp=GFP_KERNEL))
    assert isinstance(found, Finding)
    assert found.weight == 0.7
    assert "700 MiB of 0.977 GiB of Normal (70 %)" in found.summary
