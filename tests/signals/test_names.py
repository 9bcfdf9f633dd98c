"""Names of signals, taken apart and put together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.errors import UnknownSignalError
from memwatchd.signals.names import join_name, split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("unaccounted", ("unaccounted",)),
        ("meminfo.Active(anon)", ("meminfo", "Active(anon)")),
        ("meminfo.Inactive(file)", ("meminfo", "Inactive(file)")),
        ("slab.kmalloc-64.bytes", ("slab", "kmalloc-64", "bytes")),
        ("slab.:t-0000032.bytes", ("slab", ":t-0000032", "bytes")),
        ("process.user@1000.rss", ("process", "user@1000", "rss")),
        (
            'cgroup."/system.slice/foo.service".usage',
            ("cgroup", "/system.slice/foo.service", "usage"),
        ),
        (
            r'cgroup."/system-systemd\x2dfsck.slice".usage',
            ("cgroup", r"/system-systemd\x2dfsck.slice", "usage"),
        ),
        (
            'slab."dentry(31:my job : tunables x.slice)".bytes',
            ("slab", "dentry(31:my job : tunables x.slice)", "bytes"),
        ),
        ('process."a ""b""".rss', ("process", 'a "b"', "rss")),
        ('process."".rss', ("process", "", "rss")),
        ('process."a--b".rss', ("process", "a--b", "rss")),
        ('process."-x".rss', ("process", "-x", "rss")),
    ],
)
def test_a_name_and_its_parts(name: str, parts: tuple[str, ...]) -> None:
    """A rule would watch another cache or cgroup than it says, or none."""
    assert split_name(name) == parts
    assert join_name(parts) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        'a."b',
        'a.b"',
        "a b",
        "a.b/c",
        "a.(anon)",
        "a.Active(anon",
        'a."b"c',
        "é",
        "a\n",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    """A typing error would be taken for a signal that is never there."""
    with pytest.raises(UnknownSignalError, match="expected names with dots between them"):
        split_name(name)


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_parts_come_back(parts: list[str]) -> None:
    """A process or cgroup with an odd name could be listed, but not asked for."""
    assert split_name(join_name(parts)) == tuple(parts)
