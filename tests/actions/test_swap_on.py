"""A prepared swap file: what makes one fit, turning it on, and off again when that is safe."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion, real_machine

from memwatchd.actions import swap_on
from memwatchd.actions.base import Intent, Outcome, Target, Verdict
from memwatchd.actions.changes import Change
from memwatchd.actions.swap_on import SwapOn
from memwatchd.kernel import swap

MIB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")

if os.geteuid() != 0:
    pytest.skip("a swap file must be root's", allow_module_level=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = fake_machine(tmp_path)
    swaps(made)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file as mkswap leaves it, as far as anybody looks."""
    path = tmp_path / "reserve swap"
    header = bytes(PAGE - 10) + b"SWAPSPACE2"
    path.write_bytes(header + b"\1" * (MIB - PAGE))
    path.chmod(0o600)
    return path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the kernel was asked for; it agrees."""
    made: list[str] = []

    def turn_on(descriptor: int, priority: int | None) -> None:
        made.append(f"on {os.readlink(f'/proc/self/fd/{descriptor}')} {priority}")

    monkeypatch.setattr(swap, "swapon", turn_on)
    monkeypatch.setattr(swap, "swapoff", lambda path: made.append(f"off {path}"))
    return made


def swaps(machine: Machine, path: Path | None = None, used_kib: int = 0) -> None:
    """Say what is on."""
    lines = ["Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"]
    if path is not None:
        name = str(path).replace(" ", "\\040")
        lines.append(f"{name}                           file\t\t1020\t\t{used_kib}\t\t-2")
    machine.write("proc/swaps", "\n".join(lines) + "\n")


def test_it_is_turned_on_and_noted(machine: Machine, file: Path, calls: list[str]) -> None:
    """It would stay on for ever, on a disk that is far too slow for every day."""
    assert SwapOn(path=file, priority=7).act(machine.world, occasion()) == Outcome(
        Verdict.HELPED, f"1 MiB of swap added by {file}", {"added_bytes": MIB}
    )
    assert calls == [f"on {file} 7"]
    assert machine.again().changes.pending() == [Change(1, "swap_on", "slab", {"path": str(file)})]


def test_what_is_on_already_is_left_alone(machine: Machine, file: Path, calls: list[str]) -> None:
    """An administrator's own swap would be turned off when the rule clears."""
    swaps(machine, file)
    assert SwapOn(path=file).act(machine.world, occasion()).verdict is Verdict.DECLINED
    assert SwapOn(path=file).aim(machine.world) == Intent(
        f"turn {file} on", spared=(Target(str(file), "it is on already"),)
    )
    assert (calls, machine.world.changes.pending()) == ([], [])


def test_it_is_turned_off_when_there_is_room(machine: Machine, file: Path, calls: list[str]) -> None:
    """Reading back more than fits would bring the emergency back."""
    SwapOn(path=file).act(machine.world, occasion())
    (change,) = machine.world.changes.pending()
    swaps(machine, file, used_kib=250_001)
    outcome = SwapOn.undo(machine.world, change)
    assert outcome == Outcome(
        Verdict.FAILED, f"{file} stays on: 244 MiB are in it, and 488 MiB of memory available"
    )
    swaps(machine, file, used_kib=1000)
    outcome = SwapOn.undo(machine.world, change)
    assert outcome == Outcome(Verdict.HELPED, f"{file} turned off, 0.977 MiB read back")
    swaps(machine)
    assert SwapOn.undo(machine.world, change) == Outcome(Verdict.DECLINED, f"{file} is off already")
    assert calls == [f"on {file} None", f"off {file}"]


def test_a_kernel_that_has_no_room_is_a_failure_and_not_an_end(
    machine: Machine, file: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap file would be forgotten and stay on."""
    SwapOn(path=file).act(machine.world, occasion())
    (change,) = machine.world.changes.pending()
    swaps(machine, file)

    def refuse(number: int) -> None:
        def turn_off(_path: Path) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(swap, "swapoff", turn_off)

    refuse(errno.ENOMEM)
    assert SwapOn.undo(machine.world, change).verdict is Verdict.FAILED
    refuse(errno.EPERM)
    with pytest.raises(PermissionError, match="reserve swap"):
        SwapOn.undo(machine.world, change)


def test_a_refusal_leaves_no_note(
    machine: Machine, file: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swap that was never on would be turned off."""

    def refuse(_descriptor: int, _priority: int | None) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(swap, "swapon", refuse)
    with pytest.raises(PermissionError, match="reserve swap"):
        SwapOn(path=file).act(machine.world, occasion())
    assert machine.world.changes.pending() == []


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda file: file.chmod(0o644), "has mode 0644: others than root may get at it, expected 0600"),
        (lambda file: os.chown(file, 1, 0), "belongs to uid 1 and not to root"),
        (lambda file: file.write_bytes(bytes(MIB)), "has no swap signature: prepare it with mkswap"),
        (lambda file: os.truncate(file, 2 * MIB), "has holes: write it in full"),
        (lambda file: (file.unlink(), file.mkdir(), file.chmod(0o700)), "is no regular file"),
    ],
)
def test_a_file_that_is_not_fit_is_refused(
    machine: Machine, file: Path, calls: list[str], spoil: object, problem: str
) -> None:
    """Anybody could read what was swapped out, or the kernel write into a hole."""
    assert list(SwapOn(path=file).missing(machine.world)) in ([], _NO_RIGHT)
    assert callable(spoil)
    spoil(file)
    (found,) = [each for each in SwapOn(path=file).missing(machine.world) if each not in _NO_RIGHT]
    assert found.startswith(f"{file} {problem}")
    outcome = SwapOn(path=file).act(machine.world, occasion())
    assert (outcome.verdict, outcome.detail) == (Verdict.FAILED, found)
    assert calls == []


def test_a_file_that_was_reserved_and_never_written_is_fit(machine: Machine, file: Path) -> None:
    """What everybody makes swap files with, fallocate, would be said to leave holes."""
    with file.open("r+b") as opened:
        os.posix_fallocate(opened.fileno(), 0, 8 * MIB)
    assert list(SwapOn(path=file).missing(machine.world)) in ([], _NO_RIGHT)


_NO_RIGHT = ["swapon: not permitted (needs CAP_SYS_ADMIN)"]


def test_a_read_only_place_is_told(machine: Machine, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sandbox swapon would fail, for a reason that nothing had said before."""
    there = os.statvfs(file)
    fields = (*there[:8], there.f_flag | os.ST_RDONLY, there.f_namemax)
    monkeypatch.setattr(os, "fstatvfs", lambda _descriptor: os.statvfs_result(fields))
    (found,) = [each for each in SwapOn(path=file).missing(machine.world) if each not in _NO_RIGHT]
    assert found.startswith(f"{file} is on a file system that is read-only here")


def test_a_system_call_filter_is_told(machine: Machine, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The capability alone would look like enough, and the swap stay off."""
    monkeypatch.setattr(swap_on, "has_capability", lambda _number: True)
    monkeypatch.setattr(swap, "is_filtered", lambda: True)
    assert list(SwapOn(path=file).missing(machine.world)) == [
        "swapon: not permitted by the system call filter (needs SystemCallFilter=@swap)"
    ]


def test_no_file_and_links_are_missing(machine: Machine, file: Path) -> None:
    """A link that somebody else may change would decide what becomes swap."""
    link = file.with_name("link")
    link.symlink_to(file)
    assert f"{link}: Too many levels of symbolic links" in list(SwapOn(path=link).missing(machine.world))
    gone = file.with_name("gone")
    assert f"{gone}: No such file or directory" in list(SwapOn(path=gone).missing(machine.world))
    with pytest.raises(FileNotFoundError):
        SwapOn(path=gone).act(machine.world, occasion())
    with pytest.raises(FileNotFoundError):
        SwapOn(path=gone).aim(machine.world)


@pytest.fixture
def real_file(tmp_path: Path) -> Iterator[Path]:
    """A real swap file of one MiB, off again afterwards."""
    if shutil.which("mkswap") is None:
        pytest.skip("there is no mkswap")
    path = tmp_path / "real.swap"
    path.write_bytes(bytes(MIB))
    path.chmod(0o600)
    subprocess.run(["mkswap", path], check=True, capture_output=True)
    try:
        yield path
    finally:
        if str(path) in Path("/proc/swaps").read_text():
            swap.swapoff(path)


def test_on_this_kernel(tmp_path: Path, real_file: Path) -> None:
    """The kernel would not take the file, or not let go of it."""
    machine = real_machine(tmp_path)
    action = SwapOn(path=real_file, priority=3)
    problem = next(iter(action.missing(machine.world)), None)
    if problem:
        pytest.skip(problem)
    try:
        outcome = action.act(machine.world, occasion())
    except OSError as error:
        pytest.skip(f"swapon: {error.strerror} (this file system or container does not allow it)")
    assert (outcome.verdict, outcome.figures) == (Verdict.HELPED, {"added_bytes": MIB})
    assert str(real_file) in Path("/proc/swaps").read_text()
    assert action.act(machine.world, occasion()).verdict is Verdict.DECLINED
    (change,) = machine.again().changes.pending()
    assert SwapOn.undo(machine.world, change).verdict is Verdict.HELPED
    assert str(real_file) not in Path("/proc/swaps").read_text()
