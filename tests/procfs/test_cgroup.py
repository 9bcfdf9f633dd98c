"""Memory files of both versions (el7-3.10 and vanilla-5.4) and /proc/PID/cgroup."""

from collections.abc import Callable

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.cgroup import (
    CgroupMembership,
    parse_cgroup_memberships,
    parse_flat_keyed,
    parse_value,
)

KernelText = Callable[[str, str], bytes]
V1 = "sys/fs/cgroup/memory/system.slice/app.service/"
V2 = "sys/fs/cgroup/user.slice/"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"max\n", None),
        (b"0\n", 0),
        (b"2147483648", 2147483648),
        (b"9223372036854771712\n", None),  # 4 KiB pages
        (b"9223372036854710272\n", None),  # 64 KiB pages
        (b"9223372036854775807\n", None),  # before 3.19
        (b"18446744073709551615\n", None),
        (b"8796093018112\n", None),  # 32 bits
        (b"8796093022208\n", 2**43),
    ],
)
def test_values_and_no_limit(text: bytes, value: int | None) -> None:
    """If this fails, a group without a limit seems to have an enormous one, and never to come near it."""
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("machine", "name", "value"),
    [
        ("el7-3.10", V1 + "memory.limit_in_bytes", None),
        ("el7-3.10", V1 + "memory.usage_in_bytes", 2431090688),
        ("vanilla-5.4", V2 + "memory.max", None),
        ("vanilla-5.4", V2 + "memory.high", 2147483648),
    ],
)
def test_files_of_both_versions(kernel_text: KernelText, machine: str, name: str, value: int | None) -> None:
    """If this fails, limits of one version of control groups are misread."""
    assert parse_value(kernel_text(machine, name), path=name) == value


@pytest.mark.parametrize("text", [b"", b"\n", b"maximum", b"-1", b"1 2", b"1\n2\n"])
def test_broken_values(text: bytes) -> None:
    """If this fails, an empty or damaged file is taken for a limit."""
    with pytest.raises(ParseError) as raised:
        parse_value(text, path="memory.high")
    assert raised.value.path == "memory.high"


def test_flat_keyed_files(kernel_text: KernelText) -> None:
    """If this fails, events or statistics of a group are lost."""
    assert parse_flat_keyed(kernel_text("vanilla-5.4", V2 + "memory.events")) == {
        "low": 0,
        "high": 4112,
        "max": 0,
        "oom": 0,
        "oom_kill": 0,
    }
    assert parse_flat_keyed(kernel_text("vanilla-5.4", V2 + "memory.stat"))["slab_reclaimable"] == 12582912
    assert parse_flat_keyed(kernel_text("el7-3.10", V1 + "memory.stat"))["total_swap"] == 308473856
    assert parse_flat_keyed(kernel_text("el7-3.10", V1 + "memory.oom_control")) == {
        "oom_kill_disable": 0,
        "under_oom": 0,
    }


def test_broken_statistic_is_named() -> None:
    """If this fails, a cut-off memory.stat passes for a whole one."""
    with pytest.raises(ParseError) as raised:
        parse_flat_keyed(b"anon 12\nfile", path="/x/memory.stat")
    assert (raised.value.path, raised.value.item) == ("/x/memory.stat", "file")


def test_memberships_of_version_1(kernel_text: KernelText) -> None:
    """If this fails, the memory group of a process is not found where controllers share a hierarchy."""
    memberships = parse_cgroup_memberships(kernel_text("el7-3.10", "proc/2412/cgroup"))
    assert memberships[1:3] == (
        CgroupMembership(10, ("memory",), "/system.slice/app.service"),
        CgroupMembership(9, ("cpuacct", "cpu"), "/system.slice"),
    )
    assert memberships[-1].controllers == ("name=systemd",)


def test_membership_of_version_2(kernel_text: KernelText) -> None:
    """If this fails, version 2's line without controllers is refused."""
    assert parse_cgroup_memberships(kernel_text("vanilla-5.4", "proc/2412/cgroup")) == (
        (0, (), "/user.slice/user-1000.slice/session-2.scope"),
    )


def test_hostile_group_names() -> None:
    """If this fails, a group's name can cut itself short or stop the parser."""
    text = b"0::/a:b,c: \xff\xc3\xa9 (deleted)\n1:memory:/../x\n\nunknown line\n"
    assert parse_cgroup_memberships(text) == (
        (0, (), "/a:b,c: \udcffé (deleted)"),
        (1, ("memory",), "/../x"),
    )


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("0:", "path"),
        ("0::", "path"),
        ("3:memory", "path"),
        ("3:memory:x", "path"),
        ("x:memory:/", "hierarchy"),
    ],
)
def test_broken_memberships(line: str, item: str) -> None:
    """If this fails, an action is aimed at a group of which only half the name was read."""
    with pytest.raises(ParseError) as raised:
        parse_cgroup_memberships(line.encode())
    assert (raised.value.line, raised.value.item) == (line, item)
