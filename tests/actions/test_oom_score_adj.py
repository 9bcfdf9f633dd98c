"""Changing oom_score_adj and putting it back, over files and with our own children."""

import os
import time
from pathlib import Path

import pytest
from tests.actions.scene import FAR, FORKING, Child, Scene, Start, occasion

from memwatchd.actions.base import Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change, Changes
from memwatchd.actions.oom_score_adj import OomScoreAdj, now_ticks
from memwatchd.actions.selection import Selection
from memwatchd.kernel.processes import CAP_SYS_RESOURCE, has_capability

S = 1_000_000_000


def only(victim: Child) -> Selection:
    return Selection(comm=(victim.comm,))


def undo_all(world: World) -> list[Outcome]:
    return [OomScoreAdj.undo(world, change) for change in world.changes.pending()]


def test_raised_and_put_back(world: World, start: Start) -> None:
    """The OOM killer would take the wrong process, now or for the rest of its life."""
    victim = start()
    before = victim.adj()
    outcome = OomScoreAdj(select=only(victim), raise_by=300).act(world, occasion(world))
    name = f"{victim.comm} (pid {victim.pid})"
    assert (outcome.verdict, outcome.detail, outcome.figures["changed"]) == (
        Verdict.HELPED,
        f"{name} has {before + 300} instead of {before}",
        1,
    )
    assert victim.adj() == before + 300
    assert undo_all(world) == [Outcome(Verdict.HELPED, f"{name} has {before} again", {"heirs": 0})]
    assert victim.adj() == before


def test_raised_twice_by_one_rule(world: World, start: Start) -> None:
    """Its own second change would be told as a stranger's."""
    victim = start()
    before = victim.adj()
    action = OomScoreAdj(select=only(victim), raise_by=300)
    assert [action.act(world, occasion(world)).verdict for _ in range(2)] == [Verdict.HELPED] * 2
    assert victim.adj() == before + 600
    again = Outcome(Verdict.HELPED, f"{victim.comm} (pid {victim.pid}) has {before} again", {"heirs": 0})
    assert undo_all(world) == [again, again]


def test_children_get_it_back_too(world: World, start: Start) -> None:
    """What the process has started meanwhile would be killed first for ever."""
    victim = start(FORKING)
    before = victim.adj()
    OomScoreAdj(select=only(victim), raise_by=300).act(world, occasion(world))
    child = Path(f"/proc/{victim.tell()}/oom_score_adj")
    assert int(child.read_text()) == before + 300
    (outcome,) = undo_all(world)
    assert outcome.figures == {"heirs": 1}
    assert int(child.read_text()) == before


def test_a_child_that_lost_its_parent_gets_it_back(world: World, start: Start) -> None:
    """A process that dies while it is raised would leave its children raised."""
    victim = start(FORKING)
    before = victim.adj()
    OomScoreAdj(select=only(victim), raise_by=300).act(world, occasion(world))
    child = Path(f"/proc/{victim.tell()}/oom_score_adj")
    victim.process.kill()
    victim.process.wait()
    (outcome,) = undo_all(world)
    name = f"{victim.comm} (pid {victim.pid})"
    assert outcome == Outcome(Verdict.HELPED, f"{name} is gone; so have 1 descendants", {"heirs": 1})
    assert int(child.read_text()) == before


def test_what_somebody_else_has_changed_since_is_left_alone(world: World, start: Start) -> None:
    """An administrator's decision would be undone."""
    victim = start()
    OomScoreAdj(select=only(victim), raise_by=300).act(world, occasion(world))
    Path(f"/proc/{victim.pid}/oom_score_adj").write_text("777")
    (outcome,) = undo_all(world)
    assert outcome.verdict is Verdict.DECLINED
    assert victim.adj() == 777


def test_two_rules_in_any_order(scene: Scene) -> None:
    """A process would keep what the first rule gave it, because the second one took it for its own."""
    for clears_first in (0, 1):
        scene.process(FAR, adj=0)
        for rule, value in (("one", 300), ("two", 600)):
            OomScoreAdj(select=Selection(), to=value).act(scene.world, occasion(scene.world, rule=rule))
            scene.now_ns += 4 * S
        changes = scene.world.changes.pending()
        for change in (changes[clears_first], changes[1 - clears_first]):
            OomScoreAdj.undo(scene.world, change)
            scene.world.changes.forget(change)
        assert scene.adj(FAR) == 0


def test_after_a_crash(tmp_path: Path, scene: Scene) -> None:
    """The next start would not know what the last run has raised."""
    scene.process(FAR, adj=5)
    OomScoreAdj(raise_by=2000).act(scene.world, occasion(scene.world, rule="hog"))
    assert scene.adj(FAR) == 1000
    (change,) = Changes(tmp_path / "changes").pending()
    assert (change.action, change.rule, change.facts["old"], change.facts["new"]) == (
        "oom_score_adj",
        "hog",
        5,
        1000,
    )
    OomScoreAdj.undo(scene.world, change)
    assert scene.adj(FAR) == 5


def test_whoever_has_the_number_now_is_left_alone(scene: Scene) -> None:
    """A newcomer, and its children, would get a stranger's value."""
    scene.process(FAR, start_ticks=1)
    OomScoreAdj(to=500).act(scene.world, occasion(scene.world))
    scene.process(FAR, start_ticks=2, adj=500)
    scene.process(FAR + 1, ppid=FAR, start_ticks=now_ticks() + 1, adj=500)
    (outcome,) = undo_all(scene.world)
    assert outcome == Outcome(Verdict.DECLINED, f"java (pid {FAR}) is gone", {"heirs": 0})
    assert [scene.adj(pid) for pid in (FAR, FAR + 1)] == [500, 500]


def test_who_has_inherited_it_and_who_has_not(scene: Scene) -> None:
    """An older child, a stranger, or one with a value of its own would be changed."""
    later = now_ticks() + 100
    scene.process(FAR)
    OomScoreAdj(to=500).act(scene.world, occasion(scene.world))
    scene.process(FAR + 1, ppid=FAR, start_ticks=later, adj=500)
    scene.process(FAR + 2, ppid=FAR + 1, start_ticks=later, adj=500)
    scene.process(FAR + 3, ppid=1, session=FAR, start_ticks=later, adj=500)
    scene.process(FAR + 4, ppid=FAR, start_ticks=10, adj=500)
    scene.process(FAR + 5, ppid=FAR, start_ticks=later, adj=400)
    scene.process(FAR + 6, ppid=1, start_ticks=later, adj=500)
    (outcome,) = undo_all(scene.world)
    assert outcome.figures == {"heirs": 3}
    assert [scene.adj(FAR + number) for number in range(7)] == [0, 0, 0, 0, 500, 400, 500]


@pytest.mark.parametrize(
    ("action", "adj", "new"),
    [
        (OomScoreAdj(raise_by=300), 900, 1000),
        (OomScoreAdj(lower_by=300), 100, -200),
        (OomScoreAdj(lower_by=2000), 0, -999),
        (OomScoreAdj(to=-5), 0, -5),
    ],
    ids=repr,
)
def test_values(scene: Scene, action: OomScoreAdj, adj: int, new: int) -> None:
    """A process would be made unkillable, or the kernel refuse the value."""
    scene.process(FAR, adj=adj)
    (target,) = action.aim(scene.world).targets
    why = "growth is not known yet; rss and swap 10 MiB"
    assert target == Target(f"java (pid {FAR})", f"from {adj} to {new}: {why}")
    action.act(scene.world, occasion(scene.world))
    assert scene.adj(FAR) == new


def test_nothing_to_change(scene: Scene) -> None:
    """A change would be noted that is none, and told as a success."""
    scene.process(FAR, adj=1000)
    outcome = OomScoreAdj(raise_by=1).act(scene.world, occasion(scene.world))
    assert (outcome.verdict, outcome.detail) == (Verdict.DECLINED, f"java (pid {FAR}) has 1000 already")
    assert scene.world.changes.pending() == []


def test_a_refused_change_is_not_noted(world: World, start: Start) -> None:
    """What was never changed would be put back."""
    if has_capability(CAP_SYS_RESOURCE):
        pytest.skip("with CAP_SYS_RESOURCE nothing is refused; without it is what is tested")
    victim = start()
    with pytest.raises(PermissionError):
        OomScoreAdj(select=only(victim), to=-900).act(world, occasion(world))
    assert world.changes.pending() == []


def test_lowering_below_the_first_value(world: World, start: Start) -> None:
    """The service that is needed would be killed although a rule wanted to keep it."""
    if not has_capability(CAP_SYS_RESOURCE):
        pytest.skip("needs CAP_SYS_RESOURCE: root of a machine of its own")
    victim = start()
    OomScoreAdj(select=only(victim), to=-900).act(world, occasion(world))
    assert victim.adj() == -900
    undo_all(world)
    assert victim.adj() == 0


def test_what_is_missing_is_said(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule would be found to have no rights when it is needed."""
    monkeypatch.setattr("memwatchd.actions.oom_score_adj.has_capability", lambda _number: False)
    dac = "/proc/PID/oom_score_adj: Permission denied (CAP_DAC_OVERRIDE): other users' stay as they are"
    low = (
        "/proc/PID/oom_score_adj: Permission denied (CAP_SYS_RESOURCE): "
        "none can be lowered below the value it began with"
    )
    assert list(OomScoreAdj(raise_by=1).missing(scene.world)) == [dac]
    assert list(OomScoreAdj(lower_by=1).missing(scene.world)) == [dac, low]


def test_ticks_are_those_of_start_times(start: Start) -> None:
    """Children born before the change would be taken for heirs."""
    before = now_ticks()
    child = start()
    time.sleep(1 / os.sysconf("SC_CLK_TCK"))
    assert before <= child.identity.starttime_ticks <= now_ticks()


@pytest.mark.parametrize("facts", [{}, {"pid": 1, "starttime_ticks": "x"}], ids=repr)
def test_a_note_that_makes_no_sense(world: World, facts: dict[str, object]) -> None:
    """A file written by another version would keep the daemon from starting."""
    assert OomScoreAdj.undo(world, Change(1, "oom_score_adj", "r", facts)).verdict is Verdict.DECLINED
