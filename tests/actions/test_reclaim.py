"""Reclaiming from cgroups: in steps, the largest first, bounded by amount and deadline."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion, real_machine

from memwatchd.actions import reclaim as module
from memwatchd.actions.base import Intent, Outcome, Target, Verdict
from memwatchd.actions.reclaim import Reclaim

MIB = 1 << 20


class Kernel:
    """cgroups that give memory back until only their floor is left."""

    def __init__(self, machine: Machine, **mib: tuple[int, int]) -> None:
        self.floors = {name: floor for name, (_, floor) in mib.items()}
        self.asked: list[tuple[str, int]] = []
        self.machine = machine
        for name, (present, _) in mib.items():
            machine.write(f"cgroup/system.slice/{name}/memory.reclaim", "")
            self.set(name, present * MIB)

    def set(self, name: str, size: int) -> None:
        """Set what a group uses."""
        self.machine.write(f"cgroup/system.slice/{name}/memory.current", f"{size}\n")

    def get(self, name: str) -> int:
        """Read what a group uses."""
        return int(self.machine.read(f"cgroup/system.slice/{name}/memory.current"))

    def write(self, path: Path, text: str) -> None:
        """Stand in for `write_value`."""
        name, wanted = path.parent.name, int(text)
        self.asked.append((name, wanted // MIB))
        given = min(wanted, self.get(name) - self.floors[name] * MIB)
        self.set(name, self.get(name) - given)
        if given < wanted:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return fake_machine(tmp_path)


@pytest.fixture
def kernel(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Kernel]:
    def make(**mib: tuple[int, int]) -> Kernel:
        made = Kernel(machine, **mib)
        monkeypatch.setattr(module, "write_value", made.write)
        return made

    return make


ALL = ("/system.slice/*",)


def test_the_largest_gives_first_and_no_more_than_was_asked_for(
    machine: Machine, kernel: Callable[..., Kernel]
) -> None:
    """A small service would be squeezed for a large one's memory, or everything be taken."""
    made = kernel(a=(100, 0), b=(80, 0))
    outcome = Reclaim(cgroups=ALL, amount_bytes=40 * MIB).act(machine.world, occasion())
    assert made.asked == [("a", 16), ("a", 16), ("b", 8)]
    assert outcome == Outcome(
        Verdict.HELPED,
        "40 MiB reclaimed of 40 MiB",
        {"reclaimed_bytes": 40 * MIB, "asked_bytes": 40 * MIB, "cgroups": 2},
    )


def test_who_has_nothing_left_is_not_asked_again(machine: Machine, kernel: Callable[..., Kernel]) -> None:
    """The kernel would scan the same pages until the deadline."""
    made = kernel(a=(100, 80), b=(20, 20))
    outcome = Reclaim(cgroups=ALL).act(machine.world, occasion())
    assert made.asked == [("a", 16), ("a", 16), ("b", 16)]
    assert (outcome.verdict, outcome.figures["reclaimed_bytes"]) == (Verdict.HELPED, 20 * MIB)
    outcome = Reclaim(cgroups=ALL).act(machine.world, occasion())
    assert (outcome.verdict, outcome.figures["reclaimed_bytes"]) == (Verdict.NO_EFFECT, 0)


def test_it_ends_at_the_deadline(machine: Machine, kernel: Callable[..., Kernel]) -> None:
    """Writing to swap would hold the next step up for minutes."""
    made = kernel(a=(100, 0))
    outcome = Reclaim(cgroups=ALL).act(machine.world, occasion(until_ns=0))
    assert (outcome.verdict, made.asked) == (Verdict.TIMED_OUT, [])


def test_any_other_error_is_a_failure(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal would be told as no effect."""
    Kernel(machine, a=(100, 0))

    def refuse(path: Path, _text: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    monkeypatch.setattr(module, "write_value", refuse)
    with pytest.raises(PermissionError):
        Reclaim(cgroups=ALL).act(machine.world, occasion())


def test_children_are_not_counted_beside_their_parents(
    machine: Machine, kernel: Callable[..., Kernel]
) -> None:
    """The same memory would be counted twice."""
    kernel(a=(100, 0))
    machine.write("cgroup/system.slice/a/child/memory.current", "5\n")
    targets = Reclaim(cgroups=("/system.slice/*", "/system.slice/a/*")).aim(machine.world).targets
    assert targets == (Target(f"{machine.root}/cgroup/system.slice/a", "uses 100 MiB"),)


def test_version_1_is_declined_with_a_reason(machine: Machine) -> None:
    """Everything would be taken from the group, or nobody know why nothing happens."""
    machine.write("cgroup/memory/system.slice/a/memory.usage_in_bytes", "5\n")
    outcome = Reclaim(cgroups=ALL).act(machine.world, occasion())
    assert outcome.verdict is Verdict.DECLINED
    assert "cgroup version 1" in outcome.detail
    assert list(Reclaim(cgroups=ALL).missing(machine.world)) == [outcome.detail]
    gone = Reclaim(cgroups=("/b",)).act(machine.world, occasion())
    assert gone == Outcome(Verdict.DECLINED, "there is no such cgroup now")


def test_it_says_what_is_missing(machine: Machine, kernel: Callable[..., Kernel]) -> None:
    """A kernel before 5.19 would be noticed at the first emergency."""
    kernel(a=(100, 0))
    assert list(Reclaim(cgroups=ALL).missing(machine.world)) == []
    (machine.root / "cgroup/system.slice/a/memory.reclaim").unlink()
    (problem,) = Reclaim(cgroups=ALL).missing(machine.world)
    assert "memory.reclaim: No such file or directory (needs cgroup v2" in problem
    assert Reclaim(cgroups=("/b",)).aim(machine.world) == Intent("reclaim up to 256 MiB")


@pytest.mark.parametrize("path", ["system.slice", "/", "/a/../b", "//a", "/a/", "/./a"])
def test_a_path_that_leads_elsewhere_is_a_problem(path: str) -> None:
    """A pattern could lead out of the cgroup tree."""
    (problem,) = Reclaim(cgroups=(path,)).problems()
    assert repr(path) in problem
    assert list(Reclaim(cgroups=()).problems()) == ["cgroups: expected at least one path"]
    assert list(Reclaim(cgroups=("/a/*/b?.service",)).problems()) == []


def test_on_this_kernel(tmp_path: Path) -> None:
    """The kernel would not take what is written."""
    machine = real_machine(tmp_path)
    path = "/init.scope" if Path("/sys/fs/cgroup/init.scope/memory.reclaim").exists() else None
    if path is None:
        pytest.skip("there is no cgroup v2 with memory.reclaim here")
    outcome = Reclaim(cgroups=(path,), amount_bytes=MIB).act(machine.world, occasion())
    assert outcome.verdict in (Verdict.HELPED, Verdict.NO_EFFECT)
