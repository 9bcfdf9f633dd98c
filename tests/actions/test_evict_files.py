"""Dropping the page cache of chosen trees: which files are hit, and where the next call goes on."""

import ctypes
import mmap
import os
import socket
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion, real_machine

from memwatchd.actions import evict_files as module
from memwatchd.actions.base import Intent, Target, Verdict
from memwatchd.actions.evict_files import EvictFiles
from memwatchd.kernel.pagecache import evict_file

MIB = 1 << 20


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return fake_machine(tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Directories with six files, and with everything that is none."""
    tree = tmp_path / "tree"
    for name in ("a/1", "a/2", "a/b/3", "c/4", "c/5", "6"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"x")
    os.mkfifo(tree / "fifo")
    (tree / "loop").symlink_to(tree)
    (tree / "link").symlink_to(tree / "6")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
    return tree


@pytest.fixture
def hit(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were hit, in order."""
    paths: list[str] = []

    def evict(path: str, device: int) -> bool:
        paths.append(Path(path).name)
        return evict_file(path, device)

    monkeypatch.setattr(module, "evict_file", evict)
    monkeypatch.setattr(module, "_GONE_THROUGH", {})
    return paths


def resident_pages(path: Path) -> int:
    """Count a file's pages in the page cache, by mincore(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = path.stat().st_size
    with path.open("r+b") as file, mmap.mmap(file.fileno(), size) as mapping:
        pages = (ctypes.c_ubyte * (size // mmap.PAGESIZE))()
        anchor = ctypes.c_char.from_buffer(mapping)
        result = libc.mincore(ctypes.c_void_p(ctypes.addressof(anchor)), ctypes.c_size_t(size), pages)
        del anchor
        assert result == 0
        return sum(page & 1 for page in pages)


def test_regular_files_and_nothing_else(machine: Machine, tree: Path, hit: list[str]) -> None:
    """It would hang on a FIFO, go in circles, or leave the tree by a link."""
    outcome = EvictFiles(paths=(str(tree),)).act(machine.world, occasion())
    assert sorted(hit) == ["1", "2", "3", "4", "5", "6"]
    assert (outcome.figures["files"], outcome.verdict) == (6, Verdict.NO_EFFECT)


def test_the_next_call_goes_on_where_the_last_one_ended(machine: Machine, tree: Path, hit: list[str]) -> None:
    """A large tree's end would never be reached."""
    action = EvictFiles(paths=(str(tree),), max_files=4)
    action.act(machine.world, occasion())
    action.act(machine.world, occasion())
    assert sorted(hit) == ["1", "2", "3", "4", "5", "6"]
    action.act(machine.world, occasion())
    assert hit[6:] == hit[:4]


def test_it_ends_at_the_deadline_and_goes_on_later(
    machine: Machine, tree: Path, hit: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree of millions of files would hold up the rule's next step."""
    action = EvictFiles(paths=(str(tree),))

    def evict_slowly(path: str, _device: int) -> bool:
        hit.append(path)
        machine.clock[0] = 10**9
        return True

    monkeypatch.setattr(module, "evict_file", evict_slowly)
    assert action.act(machine.world, occasion(until_ns=10**9)).verdict is Verdict.TIMED_OUT
    assert len(hit) == 1
    action.act(machine.world, occasion(until_ns=10**18))
    assert len(hit) == len(set(hit)) == 6


def test_who_cannot_reach_new_files_in_time_begins_anew(machine: Machine, tree: Path, hit: list[str]) -> None:
    """It would be stuck for ever behind the files it has been through."""
    action = EvictFiles(paths=(str(tree),), max_files=4)
    action.act(machine.world, occasion())
    action.act(machine.world, occasion(until_ns=0))
    action.act(machine.world, occasion())
    assert hit[4:] == hit[:4]


def test_a_file_that_was_exchanged_is_left_alone(tree: Path) -> None:
    """Root would open a stranger's device or wait at a stranger's FIFO."""
    device = tree.stat().st_dev
    assert evict_file(str(tree / "6"), device)
    assert not evict_file(str(tree / "fifo"), device)
    assert not evict_file(str(tree / "link"), device)
    assert not evict_file(str(tree / "gone"), device)
    assert not evict_file(str(tree / "6"), device + 1)
    assert not evict_file("/dev/null", device)


def test_other_file_systems_are_not_entered(machine: Machine, hit: list[str]) -> None:
    """Naming / would walk through /proc and every network share."""
    if os.lstat("/proc").st_dev == os.lstat("/").st_dev:
        pytest.skip("there is no /proc mounted")
    below: list[str] = []
    assert list(module._entries("/proc", os.lstat("/").st_dev, below)) == below == []


def test_it_says_what_it_would_do_and_what_is_missing(machine: Machine, tree: Path, hit: list[str]) -> None:
    """A misspelt path would look like a tree without effect."""
    action = EvictFiles(paths=(str(tree), "/no/such\ntree"))
    assert action.aim(machine.world) == Intent(
        "drop the cached pages of up to 10000 files",
        (Target(str(tree), "named"),),
        (Target("/no/such\\x0atree", "No such file or directory"),),
    )
    assert list(action.missing(machine.world)) == ["/no/such\\x0atree: No such file or directory"]
    outcome = EvictFiles(paths=("/no/such/tree",)).act(machine.world, occasion())
    assert (outcome.verdict, hit) == (Verdict.DECLINED, [])
    assert list(EvictFiles(paths=("srv", "/a/../b")).problems()) == [
        "paths: expected an absolute path without ..; got 'srv'",
        "paths: expected an absolute path without ..; got '/a/../b'",
    ]
    assert list(EvictFiles(paths=()).problems()) == ["paths: expected at least one directory"]


def test_on_this_kernel(tmp_path: Path, hit: list[str]) -> None:
    """The pages would stay where they are, and nobody would know."""
    machine = real_machine(tmp_path)
    file = tmp_path / "tree" / "data"
    file.parent.mkdir()
    file.write_bytes(os.urandom(8 * MIB))
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    if resident_pages(file) != 8 * MIB // mmap.PAGESIZE:
        pytest.skip(f"{tmp_path} does not keep its files in the page cache")
    before_atime_ns = file.stat().st_atime_ns
    outcome = EvictFiles(paths=(str(file.parent),)).act(machine.world, occasion())
    assert file.stat().st_atime_ns == before_atime_ns
    assert resident_pages(file) == 0
    assert (hit, outcome.figures["files"]) == (["data"], 1)
