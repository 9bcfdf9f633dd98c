"""Choosing groups, and acting on all of one: over a /proc of files, and with children on this kernel."""

import os
import secrets
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.actions.scene import (
    FAR,
    FORKING,
    MIB,
    OBEDIENT,
    STUBBORN,
    V1,
    Child,
    S,
    Scene,
    Start,
    occasion,
    real_group,
    real_world,
)

from memwatchd.actions._victims import pack_group
from memwatchd.actions.base import Outcome, Target, Verdict, World
from memwatchd.actions.freeze import Freeze
from memwatchd.actions.kill import Kill
from memwatchd.actions.limit import Limit
from memwatchd.actions.oom_score_adj import OomScoreAdj
from memwatchd.actions.processes import choose
from memwatchd.actions.selection import Selection
from memwatchd.actions.signal import Signal
from memwatchd.kernel.cgroups import Cgroup

STORM = b"0::/system.slice/storm.service\n"
LONER = FAR + 500
BUILD = Selection(each="group", by="memory")
EITHER = Selection(each="either", by="growth", min_size_bytes=32 * MIB)


def storm(scene: Scene, count: int, rss_mib: int = 2, first: int = FAR, **more: Any) -> None:
    """Small processes in one cgroup."""
    for pid in range(first, first + count):
        scene.process(pid, b"small", rss_mib=rss_mib, cgroup=STORM, **more)


def passes(scene: Scene, *counts: int) -> None:
    """Let a storm grow, a second apart."""
    for count in counts:
        storm(scene, count)
        scene.now_ns += S
        scene.world.table.refresh()
        scene.world.groups.refresh()


# ---- who is chosen


def test_a_group_goes_by_what_it_has_together(scene: Scene) -> None:
    """The largest process would be hit, and the hundred that eat the machine be left alone."""
    storm(scene, 50)
    scene.process(LONER, b"innocent", rss_mib=60)
    choice = choose(scene.world, BUILD)
    assert choice.targets() == (Target("storm.service (50 processes)", "together 100 MiB"),)
    assert sorted(each.pid for each in choice.candidates) == list(range(FAR, FAR + 50))


def test_either_takes_the_group_that_grows(scene: Scene) -> None:
    """A database that takes a page now and then would be blamed for a fork storm."""
    for step, count in enumerate((10, 30, 50, 70)):
        scene.process(LONER, b"database", rss_mib=200 + step)
        passes(scene, count)
    (target,) = choose(scene.world, EITHER).targets()
    assert target == Target("storm.service (70 processes)", "grows by 40 MiB/s; together 140 MiB")


def test_either_takes_the_process_that_explains_its_group(scene: Scene) -> None:
    """Everybody beside a hog in its service would be hit with it."""
    for step in range(3):
        scene.process(LONER, b"hog", rss_mib=100 * (step + 1), cgroup=STORM)
        passes(scene, 5)
    choice = choose(scene.world, EITHER)
    assert choice.pack is None
    assert choice.targets() == (Target(f"hog (pid {LONER})", "grows by 100 MiB/s; oom_score 600"),)


def test_either_takes_a_hog_that_was_not_seen_before(scene: Scene) -> None:
    """What has just begun would come behind everything that grows a little."""
    scene.process(LONER, b"database", rss_mib=200)
    passes(scene, 5, 5)
    scene.process(LONER, b"database", rss_mib=201)
    scene.process(LONER + 1, b"hog", rss_mib=300, cgroup=STORM)
    passes(scene, 5)
    (target,) = choose(scene.world, EITHER).targets()
    assert target.name == f"hog (pid {LONER + 1})"


def test_either_does_not_overlook_a_hog_among_many(scene: Scene) -> None:
    """Half a dozen services that grow a little would hide what has just begun."""
    for step in range(2):
        for pid in range(LONER, LONER + 8):
            scene.process(pid, b"service", rss_mib=100 + step, cgroup=b"0::/%d.service\n" % pid)
        passes(scene, 5)
    scene.process(LONER + 9, b"hog", rss_mib=300, cgroup=b"0::/hog.service\n")
    passes(scene, 5)
    (target,) = choose(scene.world, EITHER).targets()
    assert target.name == f"hog (pid {LONER + 9})"


def test_either_takes_the_storm_beside_what_does_not_grow(scene: Scene) -> None:
    """A large process would shield every storm in its container, or die for it."""
    for step, count in enumerate((10, 30, 50)):
        scene.process(LONER, b"java", rss_mib=500, cgroup=STORM)
        scene.process(LONER + 1, b"database", rss_mib=200 + step)
        passes(scene, count)
    (target,) = choose(scene.world, EITHER).targets()
    assert target == Target("storm.service (50 processes)", "grows by 40 MiB/s; together 100 MiB")


def test_either_takes_a_process_where_no_group_is_much_larger(scene: Scene) -> None:
    """A service of a few processes would be killed for the hog beside it."""
    (scene.proc / "meminfo").write_text("MemTotal: 1048576 kB\n")
    storm(scene, 50)
    scene.process(LONER, b"hog", rss_mib=60, oom_score=900, cgroup=b"0::/\n")
    selection = Selection(each="either", min_size_bytes=MIB)
    assert [each.pid for each in choose(scene.world, selection).candidates][:1] == [LONER]
    storm(scene, 100)
    scene.now_ns += 4 * S
    assert choose(scene.world, selection).targets()[0].name == "storm.service (100 processes)"


def test_the_raised_group_comes_first_by_oom_score(scene: Scene) -> None:
    """A healthy service with many workers would die in place of the one that was found to grow."""
    (scene.proc / "meminfo").write_text("MemTotal: 524288 kB\n")
    storm(scene, 40, adj=500)
    for pid in range(LONER, LONER + 60):
        scene.process(pid, b"worker", rss_mib=2)
    (target,) = choose(scene.world, replace(BUILD, by="oom_score")).targets()
    assert target.name == "storm.service (40 processes)"


def test_the_preferred_group_comes_first(scene: Scene) -> None:
    """What may go would stay."""
    storm(scene, 3)
    for pid in (LONER, LONER + 1):
        scene.process(pid, rss_mib=100)
    choice = choose(scene.world, replace(BUILD, prefer=("storm.service",)))
    assert choice.targets() == (Target("storm.service (3 processes)", "preferred, together 6 MiB"),)


@pytest.mark.parametrize(
    ("name", "adj", "why"),
    [
        (b"postgres", 0, "is on the list of those never hit"),
        (b"sshd", -900, "is protected by an oom_score_adj of -900"),
        (b"sshd", -1000, "has an oom_score_adj of -1000"),
    ],
)
def test_who_is_to_be_spared_is_no_member(scene: Scene, name: bytes, adj: int, why: str) -> None:
    """A protected process would be hit with its neighbours, or its memory be held against them."""
    storm(scene, 3)
    scene.process(LONER, name, rss_mib=500, adj=adj, cgroup=STORM)
    pack = choose(scene.world, replace(BUILD, never=("postgres",))).pack
    assert pack is not None
    assert (len(pack.members), pack.memory_bytes) == (3, 6 * MIB)
    assert pack.alone == f"there is {name.decode()} (pid {LONER}) in it, which {why}"


def test_what_the_spared_have_is_not_held_against_the_others(scene: Scene) -> None:
    """The helpers of a database would be killed for what the database has."""
    storm(scene, 3, flags=0x400040, ppid=LONER)
    scene.process(LONER, b"postgres", rss_mib=500, cgroup=STORM)
    stat = f"anon {512 * MIB}\n"
    scene.group("/system.slice/storm.service", memory__stat=stat, memory__swap__current="0\n")
    pack = choose(scene.world, replace(BUILD, never=("postgres",))).pack
    assert pack is not None
    assert pack.memory_bytes == 12 * MIB


def test_a_group_that_is_dying_is_waited_for(scene: Scene) -> None:
    """An innocent group would be next while the kernel still frees the storm's memory."""
    storm(scene, 50, pending=1 << 8)
    for pid in (LONER, LONER + 1):
        scene.process(pid, rss_mib=20)
    outcome = Kill(select=BUILD).act(scene.world, occasion(scene.world))
    assert (outcome.verdict, outcome.detail) == (
        Verdict.DECLINED,
        "storm.service is dying already and gives 100 MiB back",
    )


# ---- what is said when nobody is chosen


def declined(scene: Scene, selection: Selection) -> str:
    return choose(scene.world, selection).nobody


def test_small_ones_together(scene: Scene) -> None:
    """Who reads the journal would be told of init, and not of the fork storm."""
    scene.process(1, b"systemd", rss_mib=8)
    storm(scene, 205)
    select = Selection(min_size_bytes=32 * MIB)
    assert declined(scene, select) == (
        "no process has 32 MiB or more; together those of storm.service have 410 MiB"
    )
    assert declined(scene, Selection(min_size_bytes=1 << 40)) == "no process has 1 TiB or more"


def test_small_ones_that_grow_together(scene: Scene) -> None:
    """A large process that stays as it is would be named as if it were the one."""
    scene.process(LONER, b"database", rss_mib=200)
    passes(scene, 10, 30, 50)
    assert declined(scene, replace(EITHER, each="process")) == (
        "no process of 32 MiB or more grows; together those of storm.service grow by 40 MiB/s"
    )


def test_no_group_is_large_enough(scene: Scene) -> None:
    """A bound that is set too high would not be found out."""
    storm(scene, 5)
    assert declined(scene, replace(BUILD, min_size_bytes=32 * MIB)) == (
        "the first group, storm.service (5 processes), has less than 32 MiB"
    )
    (scene.proc / "meminfo").write_text("MemTotal: 524288 kB\n")
    select = Selection(each="either", min_size_bytes=32 * MIB)
    assert declined(scene, select) == "no process and no group has 32 MiB or more"
    scene.process(LONER, b"sshd", rss_mib=100, adj=-1000)
    for pid in range(FAR, FAR + 5):
        scene.end(pid)
    scene.now_ns += 4 * S
    assert declined(scene, BUILD) == "all processes that match are spared, dead or dying"


# ---- acting on all of a group


def test_what_would_be_done_is_said(scene: Scene) -> None:
    """`memwatchd check` would show one process of many, or none."""
    storm(scene, 50)
    scene.process(FAR, b"small", rss_mib=2, adj=200, cgroup=STORM)
    name = "storm.service (50 processes)"
    targets = (Target(name, "together 100 MiB"),)
    assert Kill(select=BUILD).aim(scene.world).targets == targets
    assert Freeze(select=BUILD).aim(scene.world).targets == targets
    assert Signal(select=BUILD).aim(scene.world).targets == targets
    assert OomScoreAdj(select=BUILD, raise_by=300).aim(scene.world).targets == (
        Target(name, "to between 300 and 500: together 100 MiB"),
    )
    assert Limit(select=BUILD, usage_pct=100).aim(scene.world).targets == (
        Target("/system.slice/storm.service", f"of {name}: together 100 MiB"),
    )


def test_all_of_a_group_are_raised_and_noted_as_one(scene: Scene) -> None:
    """Noting a thousand changes one by one would take longer than the machine lives."""
    storm(scene, 50)
    scene.process(LONER, rss_mib=10)
    raised = OomScoreAdj(select=BUILD, raise_by=300)
    outcome = raised.act(scene.world, occasion(scene.world))
    assert outcome == Outcome(
        Verdict.HELPED,
        "50 processes of storm.service have an oom_score_adj of 300",
        {"changed": 50, "group": "storm.service", "why": "together 100 MiB"},
    )
    assert {scene.adj(pid) for pid in range(FAR, FAR + 50)} == {300}
    assert scene.adj(LONER) == 0
    (change,) = scene.world.changes.pending()
    assert OomScoreAdj.undo(scene.world, change) == Outcome(
        Verdict.HELPED,
        "50 processes of storm.service have their former oom_score_adj again",
        {"heirs": 0},
    )
    assert {scene.adj(pid) for pid in range(FAR, FAR + 50)} == {0}


@pytest.mark.parametrize("clears_first", [0, 1])
def test_a_group_and_one_of_it_in_any_order(scene: Scene, clears_first: int) -> None:
    """A process would keep what one rule gave it, because the other took it for its own."""
    storm(scene, 3)
    one = OomScoreAdj(select=Selection(by="memory"), to=600)
    for rule, action in (("all", OomScoreAdj(select=BUILD, to=300)), ("one", one)):
        action.act(scene.world, occasion(scene.world, rule=rule))
        scene.now_ns += 4 * S
    changes = scene.world.changes.pending()
    for change in (changes[clears_first], changes[1 - clears_first]):
        OomScoreAdj.undo(scene.world, change)
        scene.world.changes.forget(change)
    assert [scene.adj(FAR + number) for number in range(3)] == [0, 0, 0]


def test_those_forked_meanwhile(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child forked just before its parent's turn would be the one that the kernel spares."""
    storm(scene, 3)
    scene.world.groups.refresh()
    late, inherited, stranger = FAR + 10, FAR + 11, FAR + 12
    scene.process(late, b"small", cgroup=STORM, ppid=FAR)
    born = time.clock_gettime_ns(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK") // S + 1
    scene.process(inherited, b"small", cgroup=STORM, ppid=FAR, adj=300, start_ticks=born)
    scene.process(stranger)
    OomScoreAdj(select=BUILD, raise_by=300).act(scene.world, occasion(scene.world))
    assert [scene.adj(pid) for pid in (late, inherited, stranger)] == [300, 300, 0]
    for change in scene.world.changes.pending():
        OomScoreAdj.undo(scene.world, change)
    assert [scene.adj(pid) for pid in (FAR, late, inherited, stranger)] == [0, 0, 0, 0]


@pytest.mark.parametrize("members", [[[1, 2, 3]], [["a", 1, 2, 3]], [5], "x"], ids=repr)
def test_a_note_of_a_group_that_makes_no_sense(world: World, members: object) -> None:
    """A file written by another version would keep the daemon from starting."""
    facts = {"group": "x", "since_ticks": 1, "members": members}
    change = world.changes.note("oom_score_adj", "r", facts)
    assert OomScoreAdj.undo(world, change).verdict is Verdict.DECLINED
    change = world.changes.note("freeze", "r", {"name": "x", "members": members})
    assert Freeze.undo(world, change).verdict is Verdict.DECLINED


@dataclass
class Crowd:
    """Children in a cgroup of version 1, and a stranger beside it who bears the same name."""

    name: str
    members: list[Child]
    stranger: Child
    select: Selection


def crowd(group: Path, start: Start, count: int = 2, script: str = OBEDIENT) -> Crowd:
    name = f"mwd-{secrets.token_hex(4)}"
    members = [start(script, name).join(group) for _ in range(count)]
    select = Selection(each="group", by="memory", comm=(name,))
    return Crowd(name, members, start(comm=name), select)


def adj_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def test_a_real_group_is_raised_children_included(world: World, start: Start) -> None:
    """The OOM killer would take a stranger, or one that the group forks in the next moment stay unmarked."""
    with real_group(V1) as group:
        they = crowd(group, start, 3, FORKING)
        before = they.stranger.adj()
        outcome = OomScoreAdj(select=they.select, raise_by=300).act(world, occasion(world))
        told = f"3 processes of /{group.name} have an oom_score_adj of {before + 300}"
        assert (outcome.verdict, outcome.detail) == (Verdict.HELPED, told)
        everybody = [each.pid for each in they.members] + [they.members[0].tell()]
        assert [adj_of(pid) for pid in everybody] == [before + 300] * 4
        assert they.stranger.adj() == before
        assert [OomScoreAdj.undo(world, each).figures for each in world.changes.pending()] == [{"heirs": 1}]
        assert [adj_of(pid) for pid in everybody] == [before] * 4


def test_a_real_group_is_killed(world: World, start: Start) -> None:
    """Those of a storm that are left would fork it anew, or a stranger die with it."""
    with real_group(V1) as group:
        they = crowd(group, start, 3, FORKING)
        they.members[0].tell()
        outcome = Kill(select=they.select, signal="KILL").act(world, occasion(world))
        assert (outcome.verdict, outcome.figures["processes"]) == (Verdict.HELPED, 4)
        assert outcome.detail.endswith("; by its cgroup")
        assert [each.process.wait() for each in they.members] == [-signal.SIGKILL] * 3
        assert (group / "cgroup.procs").read_text() == ""
        assert they.stranger.process.poll() is None


def test_members_of_a_mixed_group_are_killed_one_by_one(world: World, start: Start) -> None:
    """Who is to be spared would die with its neighbours, or keep them all alive."""
    with real_group(V1) as group:
        they, spared = crowd(group, start, script=STUBBORN), start().join(group)
        kill = Kill(select=replace(they.select, never=(spared.comm,)), grace_ns=50_000_000)
        outcome = kill.act(world, occasion(world))
        assert (outcome.verdict, outcome.figures["signal"]) == (Verdict.HELPED, "SIGKILL")
        assert f"one by one, because there is {spared.comm} (pid {spared.pid}) in it" in outcome.detail
        assert [each.process.wait() for each in they.members] == [-signal.SIGKILL] * 2
        assert spared.process.poll() is None
        assert they.stranger.process.poll() is None


def test_those_forked_while_a_mixed_group_is_killed(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storm would go on by the one child that was forked at the wrong moment."""
    with real_group(V1) as group:
        they, spared = crowd(group, start, 2, FORKING), start().join(group)
        world.groups.refresh()
        child = they.members[0].tell()
        kill = Kill(select=replace(they.select, never=(spared.comm,)), signal="KILL")
        outcome = kill.act(world, occasion(world))
        assert (outcome.verdict, outcome.figures["processes"]) == (Verdict.HELPED, 2)
        path = Path(f"/proc/{child}/stat")
        assert not path.exists() or path.read_text().rpartition(")")[2].split()[0] in "ZX"
        assert (group / "cgroup.procs").read_text() == f"{spared.pid}\n"


@pytest.mark.parametrize("mixed", [False, True])
def test_a_real_group_stands_still_and_goes_on(world: World, start: Start, mixed: bool) -> None:
    """A storm would go on forking while its rule lets it hold its breath."""
    with real_group(V1) as group:
        they = crowd(group, start)
        spared = start()
        if mixed:
            spared.join(group)
        freeze = Freeze(select=replace(they.select, never=(spared.comm,)), hold=True)
        outcome = freeze.act(world, occasion(world))
        assert outcome.verdict is Verdict.HELPED, outcome
        assert [each.state() for each in (*they.members, spared, they.stranger)] == ["T", "T", "S", "S"]
        breath = replace(freeze, hold=False, duration_ns=10_000_000)
        assert breath.act(world, occasion(world)).detail.endswith("and is held by a rule")
        assert [Freeze.undo(world, each).verdict for each in world.changes.pending()] == [Verdict.HELPED]
        assert "T" not in [each.state() for each in they.members]
        assert breath.act(world, occasion(world)).detail.endswith("processes) goes on")
        assert "T" not in [each.state() for each in they.members]


def test_a_group_is_signalled(world: World, start: Start) -> None:
    """Only the first of them would hear of it."""
    with real_group(V1) as group:
        they = crowd(group, start)
        outcome = Signal(select=they.select, signal="TERM").act(world, occasion(world))
        assert outcome.figures == {"signalled": 2, "signal": "SIGTERM"}
        assert [each.process.wait() for each in they.members] == [-signal.SIGTERM] * 2
        assert they.stranger.process.poll() is None


def test_a_cgroup_goes_as_a_whole_only_where_it_is_the_group(scene: Scene) -> None:
    """Freezing one session would freeze the whole login, or cgroup.kill take what is below a slice."""
    storm(scene, 2)
    scene.group("/system.slice/storm.service", FAR, FAR + 1, cgroup__kill="")
    pack = choose(scene.world, BUILD).pack
    assert pack is not None
    whole = pack_group(scene.world, pack, [("", "cgroup.kill")])
    assert isinstance(whole, Cgroup)
    assert whole.path == "/system.slice/storm.service"
    assert pack_group(scene.world, pack, [("freezer", "freezer.state")]) == "it has no cgroup of its own"
    one = replace(pack, alone="it is only a part of its cgroup")
    assert pack_group(scene.world, one, [("", "cgroup.kill")]) == "it is only a part of its cgroup"


def test_the_limit_of_a_shared_cgroup_is_left_alone(scene: Scene) -> None:
    """Everybody in a login, or in the root, would be limited for the sake of one session."""
    for pid in (FAR, FAR + 1):
        scene.process(pid, b"small", session=FAR, cgroup=b"0::/user.slice/session-1.scope\n")
    limit = Limit(select=BUILD, usage_pct=100)
    outcome = limit.act(scene.world, occasion(scene.world))
    assert outcome == Outcome(
        Verdict.DECLINED,
        f"the session of small (pid {FAR}) (2 processes): it is only a part of its cgroup",
    )


def test_the_daemon_in_the_group_is_left_alone(tmp_path: Path, start: Start) -> None:
    """A watchdog in the same container as the storm would kill itself."""
    with real_group(V1) as group:
        ours, they = start().join(group), crowd(group, start, 1)
        world = replace(real_world(tmp_path), own_pids=lambda: frozenset({ours.pid}))
        select = replace(they.select, cgroup=(f"/{group.name}",))
        outcome = Kill(select=select, signal="KILL").act(world, occasion(world))
        assert outcome.verdict is Verdict.HELPED, outcome
        assert they.members[0].process.wait() == -signal.SIGKILL
        assert ours.process.poll() is None
        assert they.stranger.process.poll() is None
