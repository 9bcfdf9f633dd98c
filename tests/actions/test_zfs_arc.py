"""Making ZFS's cache smaller, on a made-up ZFS: nobody here has a real one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion

from memwatchd.actions import _knob, zfs_arc
from memwatchd.actions.base import Intent, Outcome, Target, Verdict
from memwatchd.actions.zfs_arc import ZfsArc
from memwatchd.errors import ParseError

MIB = 1 << 20
FILE = "sys/module/zfs/parameters/zfs_arc_max"


def stats(machine: Machine, size: int, least: int = 100, most: int = 4000) -> None:
    """Write the cache's own figures, in MiB."""
    lines = ["9 1 0x01 123 33456 4203829145 8216373474", "name                            type data"]
    figures = {"hits": 7, "c": size * MIB, "c_min": least * MIB, "c_max": most * MIB, "size": size * MIB}
    lines += [f"{name:<32}4    {value}" for name, value in figures.items()]
    machine.write("proc/spl/kstat/zfs/arcstats", "\n".join(lines) + "\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = fake_machine(tmp_path)
    stats(made, 2000)
    made.write(FILE, "0\n")
    monkeypatch.setattr(zfs_arc, "_POLL_S", 0.001)
    return made


@pytest.fixture
def shrinking(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the cache shrink to so many MiB when its limit is written."""

    def set_end(size: int) -> None:
        def write(path: Path, text: str) -> None:
            path.write_text(text)
            stats(machine, size)

        monkeypatch.setattr(_knob, "write_value", write)

    return set_end


def test_it_shrinks_to_a_share_of_its_size(machine: Machine, shrinking: Callable[[int], None]) -> None:
    """Memory would stay where the page cache's own pressure does not reach it."""
    shrinking(1000)
    assert ZfsArc(share_pct=50.0).act(machine.world, occasion()) == Outcome(
        Verdict.HELPED,
        "ZFS's cache gave back 0.977 GiB",
        {
            "freed_bytes": 1000 * MIB,
            "limit_bytes": 1000 * MIB,
            "size_before_bytes": 2000 * MIB,
            "size_after_bytes": 1000 * MIB,
        },
    )
    assert machine.read(FILE) == str(1000 * MIB)


def test_zfs_own_choice_is_put_back_as_the_number_it_chose(
    machine: Machine, shrinking: Callable[[int], None]
) -> None:
    """ZFS does not take 0 while it runs, so the emergency limit would stay."""
    shrinking(500)
    ZfsArc(to_bytes=500 * MIB).act(machine.world, occasion())
    (change,) = machine.again().changes.pending()
    assert change.facts == {"setting": "zfs_arc_max", "old": 4000 * MIB, "new": 500 * MIB}
    assert ZfsArc.undo(machine.world, change).verdict is Verdict.HELPED
    assert machine.read(FILE) == str(4000 * MIB)


def test_it_waits_for_the_cache_until_the_deadline(
    machine: Machine, shrinking: Callable[[int], None]
) -> None:
    """A cache that does not shrink would be told as a success, or hold the rule up for ever."""
    shrinking(2000)
    outcome = ZfsArc(share_pct=50.0).act(machine.world, occasion(until_ns=20_000_000))
    assert (outcome.verdict, outcome.figures["freed_bytes"]) == (Verdict.NO_EFFECT, 0)


def test_a_limit_that_zfs_would_ignore_is_raised(machine: Machine) -> None:
    """ZFS ignores what is below 64 MiB or c_min without a word."""
    assert ZfsArc(to_bytes=64 * MIB).aim(machine.world) == Intent(
        f"set zfs_arc_max to {100 * MIB + 1}", (Target("ZFS cache", "holds 1.95 GiB"),)
    )
    stats(machine, 2000, least=1)
    assert ZfsArc(share_pct=1.0).aim(machine.world).sentence == f"set zfs_arc_max to {64 * MIB}"


def test_a_small_cache_is_left_alone(machine: Machine) -> None:
    """The limit would be raised in an emergency."""
    stats(machine, 500)
    outcome = ZfsArc(to_bytes=500 * MIB).act(machine.world, occasion())
    assert outcome == Outcome(Verdict.DECLINED, "the cache holds no more than 500 MiB")
    assert machine.world.changes.pending() == []


def test_without_zfs_it_says_so(machine: Machine) -> None:
    """It would be noticed at the first emergency."""
    assert list(ZfsArc(share_pct=50.0).missing(machine.world)) == []
    (machine.root / FILE).unlink()
    (problem,) = ZfsArc(share_pct=50.0).missing(machine.world)
    assert problem.endswith("zfs_arc_max: No such file or directory (needs ZFS, uid 0 and a writable /sys)")
    machine.write("proc/spl/kstat/zfs/arcstats", "name type data\n")
    with pytest.raises(ParseError, match="size: expected a line of this name"):
        ZfsArc(share_pct=50.0).aim(machine.world)


def test_it_must_be_clear_how_large() -> None:
    """Nobody would know which of two wishes counts."""
    assert list(ZfsArc().problems()) == ["expected either to or share"]
    assert list(ZfsArc(to_bytes=MIB, share_pct=5.0).problems()) == ["expected either to or share"]
    assert list(ZfsArc(share_pct=5.0).problems()) == []
