"""The kernel's caches: odd names, and the largest without taking every line apart."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import slabinfo
from tests.signals.conftest import machine_texts, make_desk

from memwatchd.errors import ParseError
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.slabinfo import largest_caches


def test_a_cache_whose_name_goes_on_like_another() -> None:
    """The figures of a container's cache would be taken for those of the machine's."""
    line = b"%s %d %d 192 21 1 : tunables 0 0 0 : slabdata %d %d 0\n"
    names = [b"dentry 5", b"dentry(1:a b)", b"dentry 1 2 : tunables", b"dentry", b"dentry2"]
    text = slabinfo() + b"".join(line % (name, n, n, n, n) for n, name in enumerate(names, 1))
    desk = make_desk({"slabinfo": text})
    for n, name in enumerate(names, 1):
        assert desk.read(f'slab."{name.decode()}".bytes') == n * 4096, name
    assert isnan(desk.read("slab.dentr.bytes"))
    assert desk.read("slab.top.bytes") == 5 * 4096


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**12), max_size=6), min_size=1, max_size=6
    )
)
def test_the_largest_cache_is_found_whatever_changes(tables: list[dict[str, int]]) -> None:
    """A cache that grows past a million slabs, or comes anew, would not be the largest."""
    desk = make_desk({"slabinfo": b""})
    read = find_signal("slab.top.bytes").bind(desk.recording)
    for slabs in (*tables, *tables):
        desk.show({"slabinfo": slabinfo(**slabs)})
        largest = read()
        assert largest == max(slabs.values()) * 4096 if slabs else isnan(largest)


def test_columns_that_move_within_a_line_are_noticed() -> None:
    """Half a number would be read when one column grows while its neighbour shrinks."""
    line = b"a 1 1 192 21 2 : tunables 0 0 0 : slabdata %6d %6d %6d\n"
    desk = make_desk({"slabinfo": b""})
    read = find_signal("slab.top.bytes").bind(desk.recording)
    for active, slabs, shared in (
        (1, 2, 3),
        (10**7, 12_345, 0),
        (1, 10**7, 4),
        (10**6, 10**6, 5),
        (1, 7, 10**8),
    ):
        desk.show({"slabinfo": b"slabinfo - version: 2.1\n" + line % (active, slabs, shared)})
        assert read() == slabs * 2 * 4096


def test_the_largest_caches_by_name() -> None:
    """A report would name a cache that is not among the largest."""
    text = slabinfo(dentry=100, nfs_inode_cache=7000, small=1)
    assert largest_caches(text, 4096, 2) == [("nfs_inode_cache", 7000 * 4096), ("dentry", 100 * 4096)]
    assert largest_caches(slabinfo(), 4096, 5) == []
    assert largest_caches(machine_texts("el7-3.10")["slabinfo"], 4096, 1) == [
        ("nfs_inode_cache", 79672 * 8 * 4096)
    ]
    with pytest.raises(ParseError):
        largest_caches(text.replace(b"192", b"many"), 4096, 2)
