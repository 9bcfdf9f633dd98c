"""Signals of watched control groups."""

from math import inf, isnan

import pytest
from tests.conftest import FIXTURES
from tests.signals.conftest import Desk, make_desk

from memwatchd.procfs.cgroup import parse_flat_keyed
from memwatchd.signals.catalogue import list_signals

V2 = "vanilla-5.4/sys/fs/cgroup/user.slice", "/user.slice"
V1 = "el7-3.10/sys/fs/cgroup/memory/system.slice/app.service", "/system.slice/app.service"


def watched(directory: str, cgroup: str, **more: bytes) -> Desk:
    """The files of a fixture, and others by their names without ``memory.``."""
    files = {path.name: path.read_bytes() for path in (FIXTURES / directory).iterdir()}
    files |= {f"memory.{name.replace('__', '.')}": text for name, text in more.items()}
    texts = {f"cgroup/{cgroup.strip('/')}/{name}": text for name, text in files.items()}
    return make_desk(texts, entries={name: {"name": name, "cgroup": cgroup} for name in texts})


@pytest.mark.parametrize(("directory", "cgroup"), [V2, V1])
def test_every_line_of_memory_stat(directory: str, cgroup: str) -> None:
    """A figure of the group would be another than the kernel's."""
    desk = watched(directory, cgroup)
    text = (FIXTURES / directory / "memory.stat").read_bytes()
    expected = {f'cgroup."{cgroup}".stat.{name}': value for name, value in parse_flat_keyed(text).items()}
    values = {signal.name: signal.bind(desk.recording)() for signal in list_signals(desk.recording)}
    assert {name: value for name, value in values.items() if ".stat." in name} == expected


def test_version_2() -> None:
    """A limit would be missed, or swap be charged to memory."""
    unlimited = watched(*V2)
    name = 'cgroup."/user.slice"'
    assert unlimited.read(f"{name}.usage") == 1_931_120_640
    assert unlimited.read(f"{name}.limit") == inf
    assert unlimited.read(f"{name}.headroom") == inf
    assert unlimited.read(f"{name}.usage_share") == 0
    assert unlimited.read(f"{name}.oom_kill") == 0
    assert unlimited.read(f"{name}.pressure.full") == pytest.approx(36.120334)
    assert unlimited.read(f"{name}.pressure.some.avg60") == pytest.approx(0.3012)
    assert isnan(unlimited.read(f"{name}.swap"))
    limited = watched(
        *V2, max=b"2147483648\n", swap__current=b"4096\n", swap__max=b"8192\n", events=b"oom_kill 7\n"
    )
    assert limited.read(f"{name}.limit") == 1 << 31
    assert limited.read(f"{name}.usage_share") == 1_931_120_640 / (1 << 31)
    assert limited.read(f"{name}.headroom") == (1 << 31) - 1_931_120_640
    assert limited.read(f"{name}.swap") == 4096
    assert limited.read(f"{name}.swap_limit") == 8192
    assert limited.read(f"{name}.oom_kill") == 7


def test_version_1() -> None:
    """The same names would mean something else on another machine."""
    name = 'cgroup."/system.slice/app.service"'
    unlimited = watched(*V1)
    assert unlimited.read(f"{name}.usage") == 2_431_090_688
    assert unlimited.read(f"{name}.limit") == inf
    assert isnan(unlimited.read(f"{name}.oom_kill"))  # not in this kernel's memory.oom_control
    limited = watched(
        *V1,
        limit_in_bytes=b"3000000000\n",
        memsw__usage_in_bytes=b"2431090788\n",
        memsw__limit_in_bytes=b"4000000000\n",
        oom_control=b"oom_kill_disable 0\nunder_oom 0\noom_kill 17\n",
    )
    assert limited.read(f"{name}.headroom") == 3_000_000_000 - 2_431_090_688
    assert limited.read(f"{name}.swap") == 100
    assert limited.read(f"{name}.swap_limit") == 1_000_000_000
    assert limited.read(f"{name}.oom_kill") == 17
    no_swap_limit = watched(*V1, memsw__limit_in_bytes=b"9223372036854771712\n", limit_in_bytes=b"1\n")
    assert no_swap_limit.read(f"{name}.swap_limit") == inf


def test_a_limit_of_nothing() -> None:
    """A group whose limit is 0 would end the sampler."""
    desk = watched(*V2, max=b"0\n")
    assert isnan(desk.read('cgroup."/user.slice".usage_share'))
    assert desk.read('cgroup."/user.slice".headroom') == -1_931_120_640


def test_the_path_may_be_written_with_and_without_slashes() -> None:
    """A trailing slash in the configuration would make a rule blind."""
    desk = watched(*V2)
    assert desk.read('cgroup."user.slice/".usage') == desk.read('cgroup."/user.slice".usage')
    assert isnan(desk.read('cgroup."/other".usage'))
