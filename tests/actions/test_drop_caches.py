"""Dropping caches: which number is written, how the effect is told, and once on this kernel."""

import errno
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion, real_machine, when_written

from memwatchd.actions import drop_caches as module
from memwatchd.actions._open_files import find_holders
from memwatchd.actions.base import Intent, Outcome, Target, Verdict
from memwatchd.actions.drop_caches import DropCaches, What
from memwatchd.roots import Roots

FILE = "proc/sys/vm/drop_caches"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = fake_machine(tmp_path)
    made.write(FILE, "0\n")
    return made


@pytest.fixture
def kernel(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Say what happens to the machine when the file is written."""

    def set_change(change: Callable[[], None]) -> None:
        monkeypatch.setattr(module, "write_value", when_written(machine.root / FILE, change))

    return set_change


@pytest.mark.parametrize(("what", "number"), [("pagecache", "1"), ("slab", "2"), ("both", "3")])
def test_each_kind_of_cache_has_its_number(machine: Machine, what: What, number: str) -> None:
    """The page cache would go instead of the dentries that fill the zone."""
    DropCaches(what=what).act(machine.world, occasion())
    assert machine.read(FILE) == number


def test_what_came_free_is_measured(machine: Machine, kernel: Callable[[Callable[[], None]], None]) -> None:
    """Nobody would know whether it was worth it."""
    kernel(lambda: machine.meminfo(free=3000, slab=1000))
    outcome = DropCaches().act(machine.world, occasion())
    assert outcome == Outcome(
        Verdict.HELPED,
        "dentry and inode caches gave back 3.91 MiB",
        {
            "freed_bytes": 4000 << 10,
            "free_before_bytes": 1000 << 10,
            "free_after_bytes": 3000 << 10,
            "cached_before_bytes": 9000 << 10,
            "cached_after_bytes": 9000 << 10,
            "slab_reclaimable_before_bytes": 5000 << 10,
            "slab_reclaimable_after_bytes": 1000 << 10,
            "took_ns": 1_000_000,
        },
    )


def test_caches_that_meminfo_does_not_know_count_by_what_is_free(
    machine: Machine, kernel: Callable[[Callable[[], None]], None]
) -> None:
    """With ZFS, gigabytes given back would be told as no effect."""
    kernel(lambda: machine.meminfo(free=9000))
    assert DropCaches().act(machine.world, occasion()).figures["freed_bytes"] == 8000 << 10


def test_little_is_no_effect(machine: Machine, kernel: Callable[[Callable[[], None]], None]) -> None:
    """The rule would go on dropping caches every few seconds, for nothing."""
    kernel(lambda: machine.meminfo(free=1100))
    outcome = DropCaches(worth_bytes=101 << 10).act(machine.world, occasion())
    assert (outcome.verdict, outcome.figures["freed_bytes"]) == (Verdict.NO_EFFECT, 100 << 10)
    kernel(lambda: machine.meminfo(free=1200))
    assert DropCaches(worth_bytes=100 << 10).act(machine.world, occasion()).verdict is Verdict.HELPED


def test_a_write_that_came_back_too_late_is_told_so_with_its_figures(
    machine: Machine, kernel: Callable[[Callable[[], None]], None]
) -> None:
    """A write of ten seconds would look like a success in time."""

    def slowly() -> None:
        machine.clock[0] = 10_000_000_000
        machine.meminfo(slab=1000)

    kernel(slowly)
    outcome = DropCaches().act(machine.world, occasion(until_ns=5_000_000_000))
    assert outcome.verdict is Verdict.TIMED_OUT
    assert outcome.detail == "dentry and inode caches gave back 3.91 MiB, but only after the deadline"
    assert outcome.figures["freed_bytes"] == 4000 << 10


def test_what_comes_free_after_the_write_counts(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inodes come free in portions, for up to a second: 18 of 55 MiB were told in a guest."""
    portions = iter([(2000, 4000), (2000, 4000), (4500, 1500), (4400, 1500)])

    def wait(_seconds: float) -> None:
        free, slab = next(portions, (4000, 1900))
        machine.meminfo(free=free, slab=slab)

    monkeypatch.setattr(time, "sleep", wait)
    outcome = DropCaches(worth_bytes=4096).act(machine.world, occasion())
    assert (outcome.verdict, outcome.figures["freed_bytes"]) == (Verdict.HELPED, 3500 << 10)
    assert outcome.figures["slab_reclaimable_after_bytes"] == 1500 << 10


def _process(machine: Machine, pid: int, comm: str, room: int, count: int | None) -> None:
    machine.write(f"proc/{pid}/status", f"Name:\t{comm}\nUmask:\t0022\nFDSize:\t{room}\nThreads:\t1\n")
    if count is not None:
        machine.write(f"proc/{pid}/fd", "x" * count)  # its size is what stat(2) says of the directory


def test_who_holds_what_stayed_is_told(machine: Machine) -> None:
    """Nobody would know whom to end when all caches are in use."""
    machine.write("proc/sys/fs/file-nr", "50123\t0\t9223372036854775807\n")
    _process(machine, 41, "big\\nname", 65536, 40_000)
    _process(machine, 7, "java", 32768, 9000)
    _process(machine, 8, "was-large", 131072, 12)
    _process(machine, 9, "small", 256, 200)
    outcome = DropCaches(worth_bytes=4 << 20).act(machine.world, occasion())
    assert (outcome.verdict, outcome.detail) == (
        Verdict.NO_EFFECT,
        "dentry and inode caches gave back 0 B; 4.88 MiB stayed: of 50123 open files "
        "big\\nname (pid 41) 40000, java (pid 7) 9000",
    )
    told = {name: outcome.figures[name] for name in ("open_files", "holder", "holder_open_files")}
    assert told == {"open_files": 50123, "holder": "big\\nname (pid 41)", "holder_open_files": 40_000}


def test_before_6_2_the_size_of_the_table_has_to_do(machine: Machine) -> None:
    """A number would be told that nobody has counted; or listing them would fill the caches even more."""
    machine.write("proc/sys/fs/file-nr", "50123\t0\t90000\n")
    _process(machine, 41, "java", 65536, None)
    outcome = DropCaches(worth_bytes=4 << 20).act(machine.world, occasion())
    assert outcome.detail.endswith("4.88 MiB stayed: of 50123 open files java (pid 41) up to 65536")
    assert outcome.figures["holder_open_files"] is None


def test_that_nobody_holds_it_is_told_too(machine: Machine) -> None:
    """One would look among programs for what a file system or a cgroup's protection keeps."""
    machine.write("proc/sys/fs/file-nr", "900\t0\t90000\n")
    _process(machine, 9, "small", 256, 200)
    outcome = DropCaches(worth_bytes=4 << 20).act(machine.world, occasion())
    assert outcome.detail.endswith("4.88 MiB stayed, and no process has many files open")
    assert "holder" not in outcome.figures


def test_nobody_is_sought_when_most_came_free(
    machine: Machine, kernel: Callable[[Callable[[], None]], None]
) -> None:
    """Each success would be told with a list of the innocent."""
    machine.write("proc/sys/fs/file-nr", "50123\t0\t90000\n")
    _process(machine, 41, "java", 65536, 40_000)
    kernel(lambda: machine.meminfo(slab=2000))
    outcome = DropCaches(worth_bytes=4096).act(machine.world, occasion())
    assert outcome.detail == "dentry and inode caches gave back 2.93 MiB"


def test_open_files_of_this_kernel_are_counted() -> None:
    """The figure would be that of no kernel there is."""
    highest = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 18) - 1
    with open("/dev/null", "rb") as file:
        os.dup2(file.fileno(), highest)
        try:
            holders = {each.pid: each for each in find_holders(Roots(), time.monotonic_ns, 1)}
            count = len(list(Path("/proc/self/fd").iterdir())) - 1  # not the one that lists
        finally:
            os.close(highest)
    mine = holders.get(os.getpid())
    if mine is None:
        pytest.skip("three processes have larger tables than this one may have")
    assert mine.room > highest
    assert mine.count in (None, count)


def test_never_two_at_once(machine: Machine, kernel: Callable[[Callable[[], None]], None]) -> None:
    """A write that does not come back would be followed by another and another."""
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        go_on.wait(60)

    kernel(hang)
    first = threading.Thread(target=lambda: DropCaches().act(machine.world, occasion()))
    first.start()
    try:
        assert inside.wait(60)
        second = DropCaches(what="both").act(machine.world, occasion())
    finally:
        go_on.set()
        first.join()
    assert second == Outcome(Verdict.DECLINED, "an earlier write to drop_caches has not come back yet")
    kernel(lambda: machine.meminfo(slab=1000))
    assert DropCaches().act(machine.world, occasion()).verdict is Verdict.HELPED


def test_a_refusal_is_an_error_and_leaves_the_way_free(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal would block all further ones."""

    def refuse(path: Path, _text: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(module, "write_value", refuse)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            DropCaches().act(machine.world, occasion())


def test_it_says_what_it_would_do_and_what_is_missing(machine: Machine) -> None:
    """A dry run would drop caches; a sandbox would be noticed at the first emergency."""
    file = machine.root / FILE
    assert DropCaches().aim(machine.world) == Intent(
        f"write 2 to {file}", (Target("SReclaimable", "4.88 MiB now"),)
    )
    assert [target.name for target in DropCaches(what="both").aim(machine.world).targets] == [
        "Cached",
        "Buffers",
        "SReclaimable",
    ]
    assert (list(DropCaches().problems()), list(DropCaches().missing(machine.world))) == ([], [])
    assert machine.read(FILE) == "0\n"
    file.unlink()
    (problem,) = DropCaches().missing(machine.world)
    assert problem.startswith(f"{file}: No such file or directory (needs uid 0")


@pytest.mark.parametrize("what", ["pagecache", "slab", "both"])
def test_on_this_kernel(tmp_path: Path, what: What) -> None:
    """The kernel would not take what is written."""
    machine = real_machine(tmp_path)
    action = DropCaches(what=what, worth_bytes=1)
    problem = next(iter(action.missing(machine.world)), None)
    if problem:
        pytest.skip(problem)
    (tmp_path / "file").write_bytes(os.urandom(4 << 20))
    os.sync()
    outcome = action.act(machine.world, occasion())
    assert outcome.verdict in (Verdict.HELPED, Verdict.NO_EFFECT)
    if what != "slab":
        assert outcome.verdict is Verdict.HELPED
