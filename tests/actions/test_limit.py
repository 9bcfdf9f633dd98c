"""Limits of cgroups and processes, and putting them back."""

import re
import resource
from pathlib import Path

import pytest
from tests.actions.scene import FAR, MIB, V1, Scene, Start, occasion, real_group

from memwatchd.actions.base import Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.actions.limit import Limit
from memwatchd.actions.selection import Selection


def undo_all(world: World) -> list[Outcome]:
    return [Limit.undo(world, change) for change in world.changes.pending()]


def web(scene: Scene, high: str = "max\n") -> Path:
    """A cgroup of version 2 that uses 100 MiB."""
    scene.process(FAR, cgroup=b"0::/web site\n")
    return scene.group("/web site", FAR, memory__high=high, memory__current=f"{100 * MIB}\n")


def test_high_of_a_group(scene: Scene) -> None:
    """A backup would push everything else out of memory, or stay slow for ever."""
    high = web(scene) / "memory.high"
    limit = Limit(cgroup="/web site", usage_pct=80.0)
    assert limit.aim(scene.world).targets == (Target("/web site", "as configured"),)
    assert limit.aim(scene.world).sentence == "set high to 80 % of its use"
    assert limit.act(scene.world, occasion(scene.world)) == Outcome(
        Verdict.HELPED,
        "memory.high of /web site is 80 MiB, 100 MiB used",
        {"used_bytes": 100 * MIB, "limit_bytes": 80 * MIB, "before_bytes": None},
    )
    assert high.read_text() == str(80 * MIB)
    assert undo_all(scene.world) == [Outcome(Verdict.HELPED, "memory.high of /web site is max again")]
    assert high.read_text() == "max"


def test_the_group_of_the_chosen_process(scene: Scene) -> None:
    """Another group than that of the hog would be limited."""
    web(scene)
    limit = Limit(to_bytes=64 * MIB + 77)
    assert limit.aim(scene.world).targets == (
        Target("/web site", f"of java (pid {FAR}): oom_score 600; rss 10 MiB"),
    )
    outcome = limit.act(scene.world, occasion(scene.world))
    assert (outcome.verdict, outcome.figures["limit_bytes"]) == (Verdict.HELPED, 64 * MIB)


def test_a_limit_is_never_made_higher(scene: Scene) -> None:
    """An administrator's lower limit would be lifted by a rule."""
    high = web(scene, f"{50 * MIB}\n") / "memory.high"
    outcome = Limit(cgroup="/web site", to_bytes=64 * MIB).act(scene.world, occasion(scene.world))
    assert outcome == Outcome(Verdict.DECLINED, "/web site has a limit of 50 MiB already")
    assert high.read_text() == f"{50 * MIB}\n"


def test_what_somebody_else_has_set_since_is_left_alone(scene: Scene) -> None:
    """An administrator's decision would be undone."""
    high = web(scene) / "memory.high"
    Limit(cgroup="/web site", to_bytes=64 * MIB).act(scene.world, occasion(scene.world))
    high.write_text("12345")
    (outcome,) = undo_all(scene.world)
    assert outcome.verdict is Verdict.DECLINED
    assert high.read_text() == "12345"


def test_two_rules(scene: Scene) -> None:
    """The group would keep the first rule's limit when both have cleared."""
    high = web(scene) / "memory.high"
    for size in (64, 32):
        Limit(cgroup="/web site", to_bytes=size * MIB).act(scene.world, occasion(scene.world))
    for change in reversed(scene.world.changes.pending()):
        Limit.undo(scene.world, change)
    assert high.read_text() == "max"


def test_another_group_of_the_same_path(scene: Scene) -> None:
    """A container made anew would lose its own limit."""
    high = web(scene) / "memory.high"
    Limit(cgroup="/web site", to_bytes=64 * MIB).act(scene.world, occasion(scene.world))
    (change,) = scene.world.changes.pending()
    other = Change(1, "limit", "r", {**change.facts, "inode": change.facts["inode"] + 1})
    assert Limit.undo(scene.world, other) == Outcome(Verdict.DECLINED, "/web site is gone")
    assert high.read_text() == str(64 * MIB)


def test_a_group_that_holds_the_daemon(scene: Scene) -> None:
    """The watchdog would be slowed down by itself."""
    web(scene)
    scene.own.add(FAR)
    outcome = Limit(cgroup="/web site", to_bytes=64 * MIB).act(scene.world, occasion(scene.world))
    assert outcome == Outcome(Verdict.DECLINED, "/web site is left alone: memwatchd itself is in it")


@pytest.mark.parametrize("cgroup", ["/not there", "/", "/../web site"])
def test_no_such_group(scene: Scene, cgroup: str) -> None:
    """A slip of the pen would be told as a failure of the kernel."""
    web(scene)
    outcome = Limit(cgroup=cgroup, to_bytes=MIB).act(scene.world, occasion(scene.world))
    assert outcome == Outcome(Verdict.DECLINED, f"{cgroup} is no cgroup with a memory limit")


def test_problems() -> None:
    """A configuration that cannot work would be found out in an emergency."""
    assert list(Limit(what="as", cgroup="/a").problems()) == [
        "as is a limit of processes; a cgroup has high and max"
    ]
    assert list(Limit(cgroup="/").problems()) == ["the root cgroup has no limits"]
    assert list(Limit(what="files", to_bytes=MIB).problems()) == [
        "a size is no number of files; files are limited with of_usage"
    ]


def test_a_real_group_of_version_1(world: World, start: Start) -> None:
    """The limit that is written would not be the one that is put back."""
    with real_group(V1) as group:
        victim = start().join(group)
        file = group / "memory.limit_in_bytes"
        before = file.read_text()
        limit = Limit(what="max", select=Selection(comm=(victim.comm,)), to_bytes=64 * MIB + 1)
        outcome = limit.act(world, occasion(world))
        assert outcome.verdict is Verdict.HELPED, outcome
        assert outcome.figures["limit_bytes"] == 64 * MIB
        assert int(file.read_text()) == 64 * MIB
        assert [each.verdict for each in undo_all(world)] == [Verdict.HELPED]
        assert file.read_text() == before


def test_version_1_has_no_high(world: World) -> None:
    """A rule would seem to work on a machine where it cannot."""
    with real_group(V1) as group:
        outcome = Limit(cgroup=f"/{group.name}", to_bytes=64 * MIB).act(world, occasion(world))
    assert outcome == Outcome(
        Verdict.DECLINED, f"/{group.name} is a cgroup of version 1, which has no memory.high"
    )
    assert "memory.high: No such file or directory: the memory controller is version 1 here" in list(
        Limit().missing(world)
    )


@pytest.mark.parametrize(("what", "which"), [("as", resource.RLIMIT_AS), ("data", resource.RLIMIT_DATA)])
def test_a_process(world: World, start: Start, what: str, which: int) -> None:
    """A leak would go on, or the process be limited for the rest of its life."""
    victim = start()
    before = resource.prlimit(victim.pid, which)
    limit = Limit(what=what, select=Selection(comm=(victim.comm,)), usage_pct=150.0)
    outcome = limit.act(world, occasion(world))
    assert outcome.verdict is Verdict.HELPED
    new = outcome.figures["limit_bytes"]
    assert resource.prlimit(victim.pid, which) == (new, before[1])
    assert limit.act(world, occasion(world)).verdict is Verdict.DECLINED
    name = f"{victim.comm} (pid {victim.pid})"
    assert undo_all(world) == [Outcome(Verdict.HELPED, f"{name} has its former limit again")]
    assert resource.prlimit(victim.pid, which) == before
    victim.process.kill()
    victim.process.wait()
    assert undo_all(world) == [Outcome(Verdict.DECLINED, f"{name} is gone")]


def test_open_files(world: World, start: Start) -> None:
    """One that opens sockets without end would fill low memory, whatever is set to its own memory."""
    victim = start()
    before = resource.prlimit(victim.pid, resource.RLIMIT_NOFILE)
    room = int(re.findall(r"FDSize:\t(\d+)", Path(f"/proc/{victim.pid}/status").read_text())[0])
    limit = Limit(what="files", select=Selection(comm=(victim.comm,)), usage_pct=50.0)
    name = f"{victim.comm} (pid {victim.pid})"
    assert limit.act(world, occasion(world)) == Outcome(
        Verdict.HELPED,
        f"RLIMIT_NOFILE of {name} is {room // 2} files, {room} files used",
        {"pid": victim.pid, "used_files": room, "limit_files": room // 2},
    )
    assert resource.prlimit(victim.pid, resource.RLIMIT_NOFILE) == (room // 2, before[1])
    assert undo_all(world) == [Outcome(Verdict.HELPED, f"{name} has its former limit again")]
    assert resource.prlimit(victim.pid, resource.RLIMIT_NOFILE) == before


def test_a_process_that_has_given_up_more_since(world: World, start: Start) -> None:
    """What the kernel does not let us put back would end the thread that puts back, and the service."""
    victim = start()
    limit = Limit(what="data", select=Selection(comm=(victim.comm,)), usage_pct=150.0)
    new = limit.act(world, occasion(world)).figures["limit_bytes"]
    assert isinstance(new, int)
    resource.prlimit(victim.pid, resource.RLIMIT_DATA, (new, new))
    (outcome,) = undo_all(world)
    assert outcome.verdict is Verdict.DECLINED
    assert "somebody else has changed the limit" in outcome.detail


@pytest.mark.parametrize("facts", [{}, {"directory": 1}, {"pid": 1}], ids=repr)
def test_a_note_that_makes_no_sense(world: World, facts: dict[str, object]) -> None:
    """A file written by another version would keep the daemon from starting."""
    assert Limit.undo(world, Change(1, "limit", "r", facts)).verdict is Verdict.DECLINED
