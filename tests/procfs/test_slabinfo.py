"""slabinfo 2.x: SLAB with statistics in vanilla-2.6.32, SLUB in the others, memcg caches in el7-3.10."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.slabinfo import SlabCache, Slabinfo, parse_slabinfo

KernelText = Callable[[str, str], bytes]
HEADING = b"slabinfo - version: 2.1\n# name      <active_objs> : tunables <limit> : slabdata <x>\n"
DENTRY = (
    b"dentry      105630 105651    192   21    1 : tunables    0    0    0 : slabdata   5030   5031      0"
)


def test_whole_object() -> None:
    """If this fails, two of the seven figures are mixed up."""
    cache = SlabCache("dentry", 105630, 105651, 192, 21, 1, 5030, 5031)
    assert parse_slabinfo(HEADING + DENTRY + b"\n") == Slabinfo("2.1", (cache,))


def test_size_counts_pages_and_not_objects() -> None:
    """If this fails, the growth of a cache misses what is lost in half-empty slabs."""
    cache = SlabCache("x", 1, 30, 1072, 30, pages_per_slab=8, active_slabs=1, num_slabs=3)
    assert cache.size_bytes(4096) == 3 * 8 * 4096


def test_statistics_are_not_taken_for_slabs(kernel_text: KernelText) -> None:
    """If this fails, kernels with SLAB debugging are misread."""
    info = parse_slabinfo(kernel_text("vanilla-2.6.32", "proc/slabinfo"))
    assert info.version == "2.1"
    assert info.caches[0] == SlabCache("nfs_inode_cache", 402, 424, 1000, 4, 1, 101, 106)
    assert [cache.name for cache in info.caches][3:] == ["size-4096(DMA)", "size-64", "kmem_cache"]


def test_names_given_by_cgroups(kernel_text: KernelText) -> None:
    """If this fails, a cgroup can hide its caches, or break the file, by its name."""
    caches = parse_slabinfo(kernel_text("el7-3.10", "proc/slabinfo")).caches
    assert [cache.name for cache in caches][1:] == [
        "dentry(2:docker-3f.scope)",
        "dentry(31:my job : tunables x.slice)",
        "dentry",
        ":A-0000064",
    ]
    assert caches[2] == SlabCache("dentry(31:my job : tunables x.slice)", 42, 42, 192, 21, 1, 2, 2)


def test_names_are_bytes() -> None:
    """If this fails, a name that is not UTF-8 stops the parser."""
    (cache,) = parse_slabinfo(HEADING + DENTRY.replace(b"dentry", b"d\xe9 1 2")).caches
    assert (cache.name, cache.active_objs) == ("d\udce9 1 2", 105630)


def test_wide_figures(kernel_text: KernelText) -> None:
    """If this fails, caches of hundreds of millions of objects are misread."""
    caches = parse_slabinfo(kernel_text("vanilla-5.14-numa-1536gib", "proc/slabinfo")).caches
    assert caches[1].num_objs == 120334116


def test_captured_file_is_taken_whole(kernel_text: KernelText) -> None:
    """If this fails, a cache of a running kernel is missing."""
    text = kernel_text("debian12-6.18", "proc/slabinfo")
    info = parse_slabinfo(text)
    assert len(info.caches) == text.count(b"\n") - 2
    assert len({cache.name for cache in info.caches}) == len(info.caches)


@pytest.mark.parametrize("addition", [b" 12", b" : reclaim 1", b" : globalstat 1 2 : cpustat 3 4"])
def test_additions_to_a_line_are_ignored(addition: bytes) -> None:
    """If this fails, one more column in a future kernel blinds the daemon."""
    assert parse_slabinfo(DENTRY + addition).caches == parse_slabinfo(DENTRY).caches != ()


def test_without_heading_the_version_is_unknown() -> None:
    """If this fails, caches are refused for want of a heading."""
    assert parse_slabinfo(b"") == Slabinfo("", ())


@pytest.mark.parametrize(
    ("good", "bad", "item"),
    [
        (b"105651", b"1056x1", "num_objs"),
        (b"5031", b"-5031", "num_slabs"),
        (b"  5031      0", b"", "cache"),
        (b"105630 105651", b"105630", "cache"),
        (b"dentry      105630 105651    192   21    1", b"", "cache"),
        (b": slabdata", b": slabs", "cache"),
        (b"105630", b"9" * 30, "active_objs"),
    ],
)
def test_broken_caches_are_named(good: bytes, bad: bytes, item: str) -> None:
    """If this fails, a damaged line passes for a small cache."""
    with pytest.raises(ParseError) as raised:
        parse_slabinfo(HEADING + DENTRY.replace(good, bad))
    assert raised.value.item == item
    assert raised.value.line == DENTRY.replace(good, bad).decode()


def test_other_versions_are_refused() -> None:
    """If this fails, columns of slabinfo 1.x are taken for those of 2.x."""
    with pytest.raises(ParseError):
        parse_slabinfo(b"slabinfo - version: 1.1 (SMP)\n")
