"""Freezing and thawing, with our own children and cgroups on this kernel."""

import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.actions.scene import (
    FAR,
    FREEZER,
    V2,
    Child,
    Scene,
    Start,
    occasion,
    real_group,
    real_world,
)

from memwatchd.actions._standstill import StoppedProcess
from memwatchd.actions.base import Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change, Changes
from memwatchd.actions.freeze import Freeze
from memwatchd.actions.kill import Kill
from memwatchd.actions.limit import Limit
from memwatchd.actions.selection import Selection
from memwatchd.actions.thaw import Thaw

S = 1_000_000_000
MS = 1_000_000


def only(victim: Child) -> Selection:
    return Selection(comm=(victim.comm,))


def wait_for(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def frozen(group: Path) -> bool:
    if (group / "freezer.state").exists():
        return (group / "freezer.state").read_text() == "FROZEN\n"
    return "frozen 1" in (group / "cgroup.events").read_text()


def test_what_is_held_already_is_not_blamed_on_others(world: World, start: Start) -> None:
    """A reader of the journal would look for whoever else stops processes."""
    victim = start()
    hold = Freeze(select=only(victim), how="process", hold=True)
    hold.act(world, occasion(world))
    outcome = hold.act(world, occasion(world))
    (change,) = world.changes.pending()
    assert Freeze.undo(world, change).verdict is Verdict.HELPED
    assert outcome.verdict is Verdict.DECLINED
    assert outcome.detail.endswith("stands still already, and is held by a rule")


def test_a_process_stands_still_for_a_breath(world: World, start: Start) -> None:
    """A process would stay stopped, or go on before anybody else got anything done."""
    victim = start()
    freeze = Freeze(select=only(victim), how="process", duration_ns=30 * MS)
    began_ns = time.monotonic_ns()
    outcome = freeze.act(world, occasion(world))
    assert time.monotonic_ns() - began_ns >= 30 * MS
    name = f"{victim.comm} (pid {victim.pid})"
    assert (outcome.verdict, outcome.detail) == (
        Verdict.HELPED,
        f"{name} stands still; then {name} goes on",
    )
    assert outcome.figures["frozen"] == name
    assert victim.state() != "T"
    assert world.changes.pending() == []


def test_it_is_noted_before_it_stands_still(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that dies in between would leave a process frozen for ever."""
    victim = start()
    noted: list[Change] = []
    begin = StoppedProcess.begin

    def look(self: StoppedProcess, world: World) -> None:
        noted.extend(Changes(world.changes._path).pending())
        assert victim.state() != "T"
        begin(self, world)

    monkeypatch.setattr(StoppedProcess, "begin", look)
    Freeze(select=only(victim), how="process", hold=True).act(world, occasion(world, rule="thrashing"))
    facts = {
        "pid": victim.pid,
        "starttime_ticks": victim.identity.starttime_ticks,
        "name": f"{victim.comm} (pid {victim.pid})",
    }
    assert noted == [Change(1, "freeze", "thrashing", facts)] == world.changes.pending()


def test_held_until_the_rule_clears(world: World, start: Start) -> None:
    """A held process would go on by itself, or not when the rule clears."""
    victim = start()
    outcome = Freeze(select=only(victim), how="process", hold=True).act(world, occasion(world))
    assert outcome.verdict is Verdict.HELPED
    assert victim.state() == "T"
    (change,) = world.changes.pending()
    name = f"{victim.comm} (pid {victim.pid})"
    assert Freeze.undo(world, change) == Outcome(Verdict.HELPED, f"{name} goes on")
    wait_for(lambda: victim.state() != "T")
    assert Freeze.undo(world, change) == Outcome(Verdict.DECLINED, f"{name} was thawed by somebody else")


def test_the_deadline_ends_it_whatever_was_asked(world: World, start: Start) -> None:
    """A process would be frozen longer than the action may take."""
    victim = start()
    freeze = Freeze(select=only(victim), how="process", duration_ns=600 * S)
    freeze.act(world, occasion(world, 0.05))
    assert victim.state() != "T"


def test_undone_meanwhile(world: World, start: Start) -> None:
    """On stop a process would be thawed twice, or stay frozen for the rest of its time."""
    victim = start()
    freeze = Freeze(select=only(victim), how="process", duration_ns=19 * S)
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(freeze.act(world, occasion(world))))
    thread.start()
    wait_for(lambda: victim.state() == "T")
    thawed = Thaw(rule="test").act(world, occasion(world))
    assert thawed.verdict is Verdict.HELPED
    wait_for(lambda: victim.state() != "T")
    victim.process.kill()  # which is what the action waits for
    thread.join()
    assert outcomes[0].detail.endswith("; then it was thawed meanwhile")


def test_what_somebody_else_has_stopped_is_left_to_him(world: World, start: Start) -> None:
    """A process stopped by an administrator would be let go on by us."""
    victim = start()
    os.kill(victim.pid, signal.SIGSTOP)
    wait_for(lambda: victim.state() == "T")
    outcome = Freeze(select=only(victim), how="process").act(world, occasion(world))
    name = f"{victim.comm} (pid {victim.pid})"
    assert (outcome.verdict, outcome.detail) == (
        Verdict.DECLINED,
        f"{name} stands still already, by somebody else's will",
    )
    assert victim.state() == "T"
    assert world.changes.pending() == []


_DAEMON = """
import sys
from pathlib import Path
from tests.actions.scene import real_world, occasion
from memwatchd.actions.freeze import Freeze
from memwatchd.actions.selection import Selection
world = real_world(Path(sys.argv[1]))
freeze = Freeze(select=Selection(comm=(sys.argv[2],)), duration_ns=60 * 10**9)
freeze.act(world, occasion(world, 100))
"""


@pytest.mark.parametrize("hierarchy", [None, V2, FREEZER], ids=["process", "v2", "v1"])
def test_thawed_at_the_next_start_after_kill_9(tmp_path: Path, start: Start, hierarchy: Path | None) -> None:
    """What a daemon froze before it was killed would stand still until the next boot."""

    def check(group: Path | None) -> None:
        victim = start()
        if group is not None:
            victim.join(group)
        command = [sys.executable, "-c", _DAEMON, str(tmp_path), victim.comm]
        root = Path(__file__).resolve().parents[2]
        daemon = subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
        try:
            wait_for(lambda: frozen(group) if group is not None else victim.state() == "T")
        finally:
            daemon.kill()
            daemon.wait()
        assert frozen(group) if group is not None else victim.state() == "T"
        world = real_world(tmp_path)
        (change,) = world.changes.pending()
        assert Freeze.undo(world, change).verdict is Verdict.HELPED
        wait_for(lambda: not frozen(group) if group is not None else victim.state() != "T")

    if hierarchy is None:
        check(None)
    else:
        with real_group(hierarchy) as group:
            check(group)


def test_nobody_else_is_ever_thawed(world: World, start: Start) -> None:
    """Another process of the same number, stopped by somebody else, would be let go on."""
    victim = start()
    os.kill(victim.pid, signal.SIGSTOP)
    wait_for(lambda: victim.state() == "T")
    facts = {"pid": victim.pid, "starttime_ticks": victim.identity.starttime_ticks - 1, "name": "x (pid 1)"}
    assert Freeze.undo(world, Change(1, "freeze", "r", facts)) == Outcome(
        Verdict.DECLINED, "x (pid 1) is gone"
    )
    assert victim.state() == "T"


@pytest.mark.parametrize("facts", [{}, {"pid": "1", "starttime_ticks": 2}, {"path": 1}], ids=repr)
def test_a_note_that_makes_no_sense(world: World, facts: dict[str, object]) -> None:
    """A file written by another version would keep the daemon from starting."""
    outcome = Freeze.undo(world, Change(1, "freeze", "r", facts))
    assert outcome.verdict is Verdict.DECLINED


# ---- cgroups


@pytest.mark.parametrize("hierarchy", [V2, FREEZER], ids=["v2", "v1"])
def test_a_cgroup_is_preferred_to_a_signal(world: World, start: Start, hierarchy: Path) -> None:
    """A shell's job control would be upset although there is a better way."""
    with real_group(hierarchy) as group:
        victim = start().join(group)
        (target,) = Freeze(select=only(victim)).aim(world).targets
        assert target.name == f"cgroup /{group.name}"
        outcome = Freeze(select=only(victim), hold=True).act(world, occasion(world))
        assert outcome.verdict is Verdict.HELPED, outcome
        assert frozen(group)
        assert victim.state() != "T"
        again = Freeze(select=only(victim)).act(world, occasion(world))
        assert again.verdict is Verdict.DECLINED
        assert Thaw().act(world, occasion(world)) == Outcome(
            Verdict.HELPED, f"cgroup /{group.name} goes on", {"thawed": 1}
        )
        assert not frozen(group)
        assert world.changes.pending() == []


def test_a_cgroup_for_a_breath(world: World, start: Start) -> None:
    """A service would stay frozen after its time."""
    with real_group(V2) as group:
        victim = start().join(group)
        outcome = Freeze(select=only(victim), duration_ns=20 * MS).act(world, occasion(world))
        assert outcome.detail == f"cgroup /{group.name} stands still; then cgroup /{group.name} goes on"
        assert not frozen(group)


def test_another_cgroup_of_the_same_path_is_never_thawed(world: World, start: Start) -> None:
    """A container that was made anew, and frozen by its owner, would be let go on."""
    with real_group(V2) as group:
        victim = start().join(group)
        Freeze(select=only(victim), hold=True).act(world, occasion(world))
        (change,) = world.changes.pending()
        facts = {**change.facts, "inode": change.facts["inode"] + 1}
        outcome = Freeze.undo(world, replace(change, facts=facts))
        assert outcome == Outcome(Verdict.DECLINED, f"cgroup /{group.name} is gone")
        assert frozen(group)


def test_a_cgroup_that_holds_the_daemon_is_never_frozen(tmp_path: Path, start: Start) -> None:
    """The watchdog would freeze itself, and nobody could thaw it."""
    with real_group(V2) as group:
        below = group / "below"
        below.mkdir()
        victim, ours = start().join(group), start().join(below)
        world = replace(real_world(tmp_path), own_pids=lambda: frozenset({ours.pid}))
        freeze = Freeze(select=only(victim), duration_ns=10 * MS)
        assert freeze.act(world, occasion(world)).figures["frozen"] == f"{victim.comm} (pid {victim.pid})"
        outcome = replace(freeze, how="cgroup").act(world, occasion(world))
        assert outcome.verdict is Verdict.DECLINED
        assert "which is memwatchd itself" in outcome.detail
        assert not frozen(group)
        ours.process.kill()
        ours.process.wait()
        below.rmdir()


def test_our_own_session_is_left_alone(scene: Scene) -> None:
    """An administrator who tries it out would freeze his own terminal."""
    scene.process(FAR, session=os.getsid(0))
    scene.process(FAR + 1, state="t")
    outcome = Freeze().act(scene.world, occasion(scene.world))
    assert outcome.verdict is Verdict.DECLINED
    scene.process(FAR + 2, b"hog")
    (target,) = Freeze().aim(scene.world).targets if scene.world.table.processes(-1) else ()
    assert target == Target(f"hog (pid {FAR + 2})", "oom_score 600; rss 10 MiB")


def test_the_root_group_is_never_frozen(scene: Scene) -> None:
    """The machine would stand still."""
    scene.process(FAR, cgroup=b"5:freezer:/\n0::/\n")
    (scene.cgroups / "cgroup.freeze").write_text("0")
    freeze = Freeze(how="cgroup")
    outcome = freeze.act(scene.world, occasion(scene.world))
    assert outcome.verdict is Verdict.DECLINED
    assert (scene.cgroups / "cgroup.freeze").read_text() == "0"


def test_cgroups_that_may_not_be_written_to_are_said_beforehand(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under ProtectControlGroups=yes the first emergency would find out."""
    assert list(Freeze().missing(scene.world)) == []
    (scene.cgroups / "unified").mkdir()
    (scene.cgroups / "unified/cgroup.procs").touch()
    flags = types.SimpleNamespace(f_flag=os.ST_RDONLY | os.ST_NOSUID)
    monkeypatch.setattr(os, "statvfs", lambda _path: flags)
    said = (
        f"{scene.cgroups}/unified: Read-only file system (ProtectControlGroups=no): "
        "its cgroups cannot be changed"
    )
    for action in (Freeze(), Kill(whole_cgroup=True), Limit()):
        assert list(action.missing(scene.world)) == [said]
    for action in (Freeze(how="process"), Kill(), Limit(what="as")):
        assert said not in list(action.missing(scene.world))


def test_longer_than_the_deadline_is_a_problem() -> None:
    """Half of the time that was asked for would be cut off without a word."""
    assert list(Freeze(duration_ns=9 * S).problems()) == ["for 9s is not over by the deadline 5s"]
    assert list(Freeze(duration_ns=9 * S, hold=True).problems()) == []


def test_thawing_when_nothing_is_frozen(world: World) -> None:
    """A rule that clears would report a success that was none."""
    assert Thaw().act(world, occasion(world)) == Outcome(Verdict.DECLINED, "nothing was frozen")
    world.changes.note("sysctl", "other", {})
    assert Thaw().aim(world).targets == ()
