"""Changing settings of the kernel: within bounds, noted first, put back unless somebody else did."""

import errno
import os
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion, real_machine

from memwatchd.actions import _knob
from memwatchd.actions.base import Intent, Occasion, Outcome, Target, Verdict
from memwatchd.actions.changes import Change
from memwatchd.actions.sysctl import Sysctl
from memwatchd.errors import ParseError

FILE = "proc/sys/vm/swappiness"
SET_10 = Sysctl(setting="vm.swappiness", value=10)
SET_5 = Sysctl(setting="vm.swappiness", value=5)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = fake_machine(tmp_path)
    made.write(FILE, "60\n")
    return made


def put_back(machine: Machine, change: Change) -> Outcome:
    outcome = Sysctl.undo(machine.world, change)
    machine.world.changes.forget(change)
    return outcome


def test_it_is_set_and_noted(machine: Machine) -> None:
    """Nobody could put it back."""
    assert SET_10.act(machine.world, occasion()) == Outcome(
        Verdict.HELPED, "vm.swappiness is 10, was 60", {"before": 60, "after": 10}
    )
    assert machine.read(FILE) == "10"
    facts = {"setting": "vm.swappiness", "old": 60, "new": 10}
    assert machine.world.changes.pending() == [Change(1, "sysctl", "slab", facts)]


def test_it_is_put_back_also_after_a_crash(machine: Machine) -> None:
    """The machine would keep emergency settings for ever."""
    SET_10.act(machine.world, occasion())
    world = machine.again()
    (change,) = world.changes.pending()
    assert Sysctl.undo(world, change) == Outcome(Verdict.HELPED, "vm.swappiness put back from 10 to 60")
    assert machine.read(FILE) == "60"
    assert Sysctl.undo(world, change) == Outcome(Verdict.DECLINED, "vm.swappiness is 60 again already")


def test_what_somebody_else_has_set_stays(machine: Machine) -> None:
    """An administrator's own setting would be undone behind their back."""
    SET_10.act(machine.world, occasion())
    machine.write(FILE, "33\n")
    (change,) = machine.world.changes.pending()
    assert Sysctl.undo(machine.world, change) == Outcome(
        Verdict.DECLINED, "vm.swappiness is 33 by now and not the 10 set here: left alone"
    )
    assert machine.read(FILE) == "33\n"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_rules_end_with_the_value_from_before_both(machine: Machine, order: tuple[int, int]) -> None:
    """The first rule's emergency value would be taken for the normal one, and stay."""
    SET_10.act(machine.world, occasion())
    SET_5.act(machine.world, Occasion("other", "because", 10**18))
    changes = machine.world.changes.pending()
    for number in order:
        put_back(machine, changes[number])
    assert machine.read(FILE) == "60"
    assert machine.world.changes.pending() == []


def test_a_value_from_outside_between_two_rules_is_the_one_to_go_back_to(machine: Machine) -> None:
    """An administrator's setting would be replaced by an older one."""
    SET_10.act(machine.world, occasion())
    machine.write(FILE, "33\n")
    SET_5.act(machine.world, Occasion("other", "because", 10**18))
    for change in machine.world.changes.pending():
        put_back(machine, change)
    assert machine.read(FILE) == "33"


def test_a_refused_value_leaves_no_note(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that was never changed would be put back."""

    def refuse(path: Path, _text: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))

    monkeypatch.setattr(_knob, "write_value", refuse)
    with pytest.raises(OSError, match="Invalid argument"):
        SET_10.act(machine.world, occasion())
    assert machine.world.changes.pending() == []


def test_what_cannot_be_noted_is_not_changed(machine: Machine) -> None:
    """After a crash nobody would know what to put back."""
    (machine.root / "changes.json.new").mkdir()
    with pytest.raises(IsADirectoryError):
        SET_10.act(machine.world, occasion())
    assert machine.read(FILE) == "60\n"


@pytest.mark.parametrize("facts", [{}, {"setting": "kernel.panic"}, {"setting": "vm.swappiness"}])
def test_a_note_that_makes_no_sense_is_left_alone(machine: Machine, facts: dict[str, object]) -> None:
    """A damaged file would have any file below /proc/sys written, or end the worker."""
    outcome = Sysctl.undo(machine.world, Change(1, "sysctl", "slab", facts))
    assert (outcome.verdict, machine.read(FILE)) == (Verdict.DECLINED, "60\n")


def test_what_is_no_number_is_an_error_to_tell(machine: Machine) -> None:
    """A worker would end with a traceback."""
    machine.write(FILE, "many\n")
    with pytest.raises(ParseError, match=r"vm\.swappiness: expected a number, got 'many'"):
        SET_10.act(machine.world, occasion())


def test_unwise_changes_are_declined(machine: Machine) -> None:
    """min_free_kbytes could take all memory; a ratio would switch a limit in bytes off for good."""
    huge = Sysctl(setting="vm.min_free_kbytes", value=50_001)
    machine.write("proc/sys/vm/min_free_kbytes", "1024\n")
    sentence = "vm.min_free_kbytes of 50001 is more than 5 % of memory, 50000"
    assert huge.act(machine.world, occasion()) == Outcome(Verdict.DECLINED, sentence, {"before": 1024})
    assert list(huge.missing(machine.world)) == [sentence]
    fitting = Sysctl(setting="vm.min_free_kbytes", value=50_000)
    assert list(fitting.missing(machine.world)) == []
    assert fitting.act(machine.world, occasion()).verdict is Verdict.HELPED
    machine.write("proc/sys/vm/dirty_ratio", "0\n")
    ratio = Sysctl(setting="vm.dirty_ratio", value=5)
    assert "vm.dirty_bytes is in force" in ratio.act(machine.world, occasion()).detail
    same = Sysctl(setting="vm.swappiness", value=60)
    assert same.act(machine.world, occasion()).detail == "vm.swappiness is 60 already"


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("kernel.panic", 1, "setting: expected one of vm.min_free_kbytes, "),
        ("vm.overcommit_memory", 2, "setting: expected one of vm.min_free_kbytes, "),
        ("vm.swappiness", 201, "value: expected vm.swappiness from 0 to 200; got 201"),
        ("vm.vfs_cache_pressure", 0, "value: expected vm.vfs_cache_pressure from 1 to 10000; got 0"),
    ],
)
def test_only_known_settings_within_bounds(setting: str, value: int, problem: str) -> None:
    """A rule could stop the machine with one number."""
    (found,) = Sysctl(setting=setting, value=value).problems()
    assert found.startswith(problem)
    assert list(SET_10.problems()) == []


def test_it_says_what_it_would_do_and_what_is_missing(machine: Machine) -> None:
    """A read-only /proc/sys would be noticed at the first emergency."""
    assert SET_10.aim(machine.world) == Intent(
        "set vm.swappiness to 10", (Target("vm.swappiness", "is 60 now"),)
    )
    assert (list(SET_10.missing(machine.world)), machine.read(FILE)) == ([], "60\n")
    (machine.root / FILE).unlink()
    (problem,) = SET_10.missing(machine.world)
    assert "swappiness: No such file or directory" in problem


def test_on_this_kernel(tmp_path: Path) -> None:
    """The kernel would not take what is written, or keep it."""
    machine = real_machine(tmp_path)
    present = int(Path("/proc/sys/vm/vfs_cache_pressure").read_text())
    action = Sysctl(setting="vm.vfs_cache_pressure", value=present + 1)
    problem = next(iter(action.missing(machine.world)), None)
    if problem:
        pytest.skip(problem)
    try:
        assert action.act(machine.world, occasion()).verdict is Verdict.HELPED
        assert int(Path("/proc/sys/vm/vfs_cache_pressure").read_text()) == present + 1
        (change,) = machine.again().changes.pending()
        assert Sysctl.undo(machine.world, change).verdict is Verdict.HELPED
    finally:
        assert int(Path("/proc/sys/vm/vfs_cache_pressure").read_text()) == present
