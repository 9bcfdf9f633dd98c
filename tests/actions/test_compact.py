"""Compaction: which file is written, and how room for large blocks is counted."""

from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion, real_machine, when_written

from memwatchd.actions import compact as module
from memwatchd.actions.base import Intent, Outcome, Target, Verdict
from memwatchd.actions.compact import Compact

_NODE_1 = "Node 1, zone   Normal    9    9    9    0    0    0\n"
BEFORE = "Node 0, zone   Normal   64   32   16    4    1    0\n" + _NODE_1
AFTER = "Node 0, zone   Normal    8    4    0    0    0    3\n" + _NODE_1


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose memory is compacted when it is told to."""
    made = fake_machine(tmp_path)
    made.write("proc/buddyinfo", BEFORE)
    file = made.write("proc/sys/vm/compact_memory", "")
    monkeypatch.setattr(module, "write_value", when_written(file, lambda: _compact(made)))
    return made


def _compact(machine: Machine) -> None:
    machine.write("proc/buddyinfo", AFTER)


def test_fewer_but_larger_blocks_are_more_room(machine: Machine) -> None:
    """Merging five blocks into three larger ones would be told as a loss."""
    assert Compact().act(machine.world, occasion()) == Outcome(
        Verdict.HELPED,
        "room for 12 blocks of order 3, 6 before",
        {"room_before": 6, "room_after": 12, "largest_order_before": 4, "largest_order_after": 5},
    )
    assert machine.read("proc/sys/vm/compact_memory") == "1"


def test_zones_that_hide_the_lack_do_not_count(machine: Machine) -> None:
    """An untouched DMA zone would have room for hundreds of blocks, and any success be a drop in it."""
    others = [f"Node 0, zone {name} 0    0    0    0    0    60\n" for name in ("DMA", "HighMem")]
    machine.write("proc/buddyinfo", "".join(others) + BEFORE)
    (first, second) = Compact().aim(machine.world).targets
    assert (first.name, second.name) == ("node 0, zone Normal", "node 1, zone Normal")


def test_no_more_room_is_no_effect(machine: Machine) -> None:
    """It would be tried again and again."""
    machine.write("proc/buddyinfo", AFTER)
    assert Compact().act(machine.world, occasion()).verdict is Verdict.NO_EFFECT
    assert Compact().act(machine.world, occasion(until_ns=0)).verdict is Verdict.TIMED_OUT


def test_one_node_has_a_file_of_its_own(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole machine would be stopped for the sake of one node, or another node's blocks be counted."""
    file = machine.write("sys/devices/system/node/node1/compact", "")
    monkeypatch.setattr(module, "write_value", when_written(file, lambda: _compact(machine)))
    outcome = Compact(node=1, order=2).act(machine.world, occasion())
    assert (outcome.verdict, outcome.figures["room_before"]) == (Verdict.NO_EFFECT, 9)
    assert file.read_text() == "1"


def test_it_says_what_it_would_do_and_what_is_missing(machine: Machine) -> None:
    """A kernel without compaction would be noticed at the first emergency."""
    assert Compact().aim(machine.world) == Intent(
        f"write 1 to {machine.root}/proc/sys/vm/compact_memory",
        (
            Target("node 0, zone Normal", "room for 6 of order 3"),
            Target("node 1, zone Normal", "room for 0 of order 3"),
        ),
    )
    assert list(Compact().missing(machine.world)) == []
    (problem,) = Compact(node=7).missing(machine.world)
    assert "node7/compact: No such file or directory" in problem
    with pytest.raises(FileNotFoundError):
        Compact(node=7).act(machine.world, occasion())


def test_on_this_kernel(tmp_path: Path) -> None:
    """The kernel would not take what is written."""
    machine = real_machine(tmp_path)
    problem = next(iter(Compact().missing(machine.world)), None)
    if problem:
        pytest.skip(problem)
    outcome = Compact(order=5).act(machine.world, occasion())
    assert outcome.verdict in (Verdict.HELPED, Verdict.NO_EFFECT)
    assert isinstance(outcome.figures["largest_order_after"], int)
