"""Where the daemon keeps its files."""

import os
from pathlib import Path

import pytest

from memwatchd.places import Places, find_places, is_memory

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:22 / /run rw,nosuid,nodev - tmpfs tmpfs rw,size=400000k,mode=755
25 24 0:23 / /run/lock rw - tmpfs tmpfs rw
26 24 254:1 / /run/disk rw - xfs /dev/vdb rw
27 22 0:24 / /dev rw - devtmpfs devtmpfs rw
28 27 0:25 / /dev/shm rw - tmpfs tmpfs rw
29 22 0:26 / /mnt/a\040b rw - tmpfs tmpfs rw
30 22 0:27 / /mnt/over rw - ext4 /dev/vdc rw
31 22 0:28 / /mnt/over rw master:1 propagate_from:2 - ramfs ramfs rw
short line
32 22 0:29 / /mnt/noseparator rw
"""


@pytest.mark.parametrize(
    ("path", "memory"),
    [
        ("/run/memwatchd", True),
        ("/run", True),
        ("/run/disk/memwatchd", False),
        ("/running/memwatchd", False),
        ("/var/lib/memwatchd", False),
        ("/", False),
        ("/dev/memwatchd", False),
        ("/dev/shm/memwatchd", True),
        ("/mnt/a b/x", True),
        ("/mnt/over/x", True),  # what was mounted last lies on top
        ("/mnt/noseparator/x", False),
    ],
)
def test_what_lies_in_memory(path: str, memory: bool) -> None:
    """The ring would be put on a disk, and the loop wait for it."""
    assert is_memory(Path(path), MOUNTINFO) == memory


@pytest.mark.parametrize("name", ["caf\udce9", "café", "\udcff\udcfe", "a\x01b"])
def test_odd_mount_points_do_no_harm(name: str) -> None:
    """Somebody's USB stick would keep the daemon and every command from starting."""
    line = f"40 22 0:30 / /media/{name} rw - tmpfs tmpfs rw\n"
    assert is_memory(Path("/run/x"), MOUNTINFO + line)
    assert is_memory(Path(f"/media/{name}/x"), MOUNTINFO + line)


def test_no_mounts_at_all() -> None:
    """A container without /proc/self/mountinfo's contents would be a traceback."""
    assert not is_memory(Path("/run"), "")


def test_the_names_of_the_files() -> None:
    """The command line would look where the daemon does not write."""
    places = Places(Path("/r"), Path("/s"))
    assert [str(path) for path in (places.ring, places.events, places.state, places.control)] == [
        "/r/ring",
        "/r/events",
        "/r/state.json",
        "/r/control.sock",
    ]
    assert (str(places.pending), str(places.incidents)) == ("/r/pending", "/s/incidents")


NAMES = ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_what_was_asked_for_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """--runtime-dir would be ignored under systemd."""
    for name in NAMES:
        monkeypatch.setenv(name, "/wrong")
    assert find_places(Path("/r"), Path("/s")) == Places(Path("/r"), Path("/s"))


def test_what_systemd_says_comes_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's directories would not be used, which are the only ones it may write to."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/memwatchd:/run/second")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/memwatchd:/x")
    assert find_places() == Places(Path("/run/memwatchd"), Path("/var/lib/memwatchd"))


def test_other_users_have_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two users could not run it side by side."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/u/state")
    assert find_places() == Places(Path("/run/user/1000/memwatchd"), Path("/home/u/state/memwatchd"))
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert find_places() == Places(
        Path("/dev/shm/memwatchd-1000/memwatchd"), Path("/home/u/.local/state/memwatchd")
    )


def test_a_user_whom_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, where users have numbers only, each command would end in a traceback."""
    monkeypatch.setattr(os, "geteuid", lambda: 10973)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert find_places(Path("/run/x")).state_dir.name == "state"


def test_root_has_the_usual_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """`memwatchd status` would not find the daemon that the package has installed."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    places = find_places()
    assert str(places.runtime_dir) in ("/run/memwatchd", "/dev/shm/memwatchd")
    assert places.state_dir == Path("/var/lib/memwatchd")
