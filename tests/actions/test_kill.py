"""Killing and signalling, with our own children on this kernel."""

import os
import signal
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.actions.scene import (
    FAR,
    FORKING,
    LEADERLESS,
    MIB,
    STUBBORN,
    V1,
    V2,
    Child,
    Scene,
    Silent,
    Start,
    occasion,
    real_group,
    real_world,
)

from memwatchd.actions._victims import VANISHED
from memwatchd.actions.base import Outcome, Target, Verdict, World
from memwatchd.actions.kill import Kill
from memwatchd.actions.selection import Selection
from memwatchd.actions.signal import Signal
from memwatchd.kernel.processes import Handle

S = 1_000_000_000


def only(*victims: Child, max_targets: int = 1) -> Selection:
    return Selection(comm=tuple(child.comm for child in victims), max_targets=max_targets)


def test_one_that_ends_by_itself(world: World, start: Start) -> None:
    """The news of a death would be wrong, or come only with the deadline."""
    victim, bystander = start(), start()
    outcome = Kill(select=only(victim)).act(world, occasion(world))
    assert victim.process.wait() == -signal.SIGTERM
    assert bystander.process.poll() is None
    figures = dict(outcome.figures)
    held_bytes = figures.pop("freed_bytes")
    death_ms = figures.pop("death_ms")
    why = str(figures.pop("why"))
    assert figures == {"pid": victim.pid, "killed": 1, "signal": "SIGTERM", "freed_swap_bytes": 0}
    assert isinstance(held_bytes, int)
    assert held_bytes > MIB
    assert why.startswith("oom_score ")
    assert outcome.verdict is Verdict.HELPED
    begins = f"{victim.comm} (pid {victim.pid}) is dead by SIGTERM after {death_ms} ms; held "
    assert outcome.detail.startswith(begins)


def test_one_that_ignores_the_first_signal_gets_sigkill(world: World, start: Start) -> None:
    """A stubborn process would keep its memory until the machine stands still."""
    victim = start(STUBBORN)
    outcome = Kill(select=only(victim), grace_ns=50_000_000).act(world, occasion(world))
    assert victim.process.wait() == -signal.SIGKILL
    assert (outcome.verdict, outcome.figures["signal"]) == (Verdict.HELPED, "SIGKILL")
    assert "mrelease" in outcome.figures


def test_sigkill_at_once(world: World, start: Start) -> None:
    """The time of grace would be waited for although nothing was asked kindly."""
    victim = start()
    outcome = Kill(select=only(victim), signal="KILL", mrelease=False).act(world, occasion(world))
    assert victim.process.wait() == -signal.SIGKILL
    assert outcome.verdict is Verdict.HELPED
    assert "mrelease" not in outcome.figures


def test_one_that_is_stopped_hears_the_first_signal(world: World, start: Start) -> None:
    """A process that we or a shell have stopped would never end by itself."""
    victim = start()
    os.kill(victim.pid, signal.SIGSTOP)
    os.waitpid(victim.pid, os.WUNTRACED)
    Kill(select=only(victim)).act(world, occasion(world))
    assert victim.process.wait() == -signal.SIGTERM


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the script knows two machines")
def test_a_zombie_leader_with_living_threads(world: World, start: Start) -> None:
    """What looks dead would be passed over with all its memory."""
    victim = start(LEADERLESS)
    while victim.state() != "Z":
        os.sched_yield()
    outcome = Kill(select=only(victim), grace_ns=0).act(world, occasion(world))
    assert outcome.verdict is Verdict.HELPED
    freed_bytes = outcome.figures["freed_bytes"]
    assert isinstance(freed_bytes, int)
    assert freed_bytes > 24 * MIB


def test_several_at_once(world: World, start: Start) -> None:
    """One stubborn victim would keep the others alive, or the count be wrong."""
    first, second, spared = start(), start(STUBBORN), start()
    kill = Kill(select=only(first, second, max_targets=2), grace_ns=50_000_000)
    outcome = kill.act(world, occasion(world))
    assert first.process.wait() == -signal.SIGTERM
    assert second.process.wait() == -signal.SIGKILL
    assert spared.process.poll() is None
    assert (outcome.verdict, outcome.figures["killed"]) == (Verdict.HELPED, 2)


class Immortal:
    """A handle of a process that cannot die."""

    alive = True

    def __init__(self, handle: Handle) -> None:
        self.descriptor, self.directory = handle.descriptor, handle.directory
        self.sent: list[int] = []

    def send(self, number: int) -> None:
        self.sent.append(number)

    def state(self) -> str:
        return "D"

    def release_memory(self) -> str:
        return "its memory was busy"


def test_one_that_does_not_die_is_told_with_its_state(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process stuck in a driver would pass for killed, and nothing else be done."""
    victim = start()
    opened = Handle.open(world.roots, victim.identity)
    immortal = Immortal(opened)
    monkeypatch.setattr(Handle, "open", lambda *_: immortal)
    monkeypatch.setattr(Immortal, "close", lambda _: None, raising=False)
    monkeypatch.setattr(Immortal, "__enter__", lambda self: self, raising=False)
    monkeypatch.setattr(Immortal, "__exit__", lambda *_: None, raising=False)
    outcome = Kill(select=only(victim), grace_ns=0).act(world, occasion(world, 0.05))
    opened.close()
    assert set(immortal.sent) == {signal.SIGTERM, signal.SIGKILL}
    assert outcome.verdict is Verdict.TIMED_OUT
    assert outcome.detail == (
        f"{victim.comm} (pid {victim.pid}) did not die of SIGKILL; state D: it waits for a disk or a driver"
    )
    assert outcome.figures["killed"] == 0


def test_a_victim_that_ends_before_it_is_hit_gives_way_to_the_next(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The action would fail because of a process that is no trouble any more."""
    first, second = start(), start()
    take = Handle.open

    def late(roots: object, identity: object) -> Handle:
        if identity == first.identity:
            raise ProcessLookupError
        return take(roots, identity)  # type: ignore[arg-type]

    monkeypatch.setattr(Handle, "open", late)
    kill = Kill(select=replace(only(first, second), prefer=(first.comm,)))
    outcome = kill.act(world, occasion(world))
    assert outcome.figures["pid"] == second.pid
    assert first.process.poll() is None


def test_nobody_is_left_to_be_hit(scene: Scene) -> None:
    """A made-up success would be told; and the pid of a tree of files be taken for a real process."""
    scene.process(FAR)
    assert Kill().act(scene.world, occasion(scene.world)) == VANISHED
    assert Signal().act(scene.world, occasion(scene.world)) == VANISHED
    scene.end(FAR)
    for action in (Kill(), Signal()):
        outcome = action.act(scene.world, occasion(scene.world))
        assert outcome.verdict is Verdict.DECLINED


def test_no_second_kill_while_one_is_under_way(scene: Scene) -> None:
    """Two processes would die where one is enough."""
    scene.process(FAR, b"hog", rss_mib=2000, pending=1 << 8)
    scene.process(FAR + 1, rss_mib=100)
    for action in (Kill(), Signal()):
        outcome = action.act(scene.world, occasion(scene.world))
        assert (outcome.verdict, outcome.figures) == (Verdict.DECLINED, {"dying_pid": FAR})


def test_a_refusal_names_the_capability(world: World, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hardened unit would fail without saying what it lacks."""
    victim = start()

    def refuse(_handle: Handle, _number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Handle, "send", refuse)
    expected = Outcome(
        Verdict.FAILED, f"{victim.comm} (pid {victim.pid}): Operation not permitted (CAP_KILL)"
    )
    assert Kill(select=only(victim)).act(world, occasion(world)) == expected
    assert Signal(select=only(victim)).act(world, occasion(world)) == expected


def test_what_is_missing_is_said_beforehand(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox would be found out by the first emergency."""
    assert list(Kill().missing(scene.world)) == []
    for module in ("kill", "selection"):
        monkeypatch.setattr(f"memwatchd.actions.{module}.has_capability", lambda _number: False)
    (scene.proc / "self").unlink()
    assert list(Kill(select=Selection(never=("x",))).missing(scene.world)) == [
        f"{scene.proc}: belongs to another pid namespace: no process can be hit",
        "/proc/PID/exe: Permission denied (CAP_SYS_PTRACE): other users' programs match no path",
        "pidfd_send_signal: Operation not permitted (CAP_KILL): other users' processes cannot be hit",
    ]


def test_a_grace_without_end_is_a_problem() -> None:
    """SIGKILL would never be reached."""
    assert list(Kill(grace_ns=9 * S).problems()) == ["grace 9s leaves nothing of the deadline 5s for SIGKILL"]
    assert list(Kill(grace_ns=9 * S, signal="KILL").problems()) == []
    assert list(Kill().problems()) == []


def test_the_aim_changes_nothing(world: World, start: Start) -> None:
    """Whoever asks what would happen would make it happen."""
    victim = start()
    intent = Kill(select=only(victim)).aim(world)
    assert intent.sentence == "send SIGTERM, after 3s SIGKILL"
    assert [target.name for target in intent.targets] == [f"{victim.comm} (pid {victim.pid})"]
    assert victim.process.poll() is None


# ---- whole cgroups


@pytest.mark.parametrize("hierarchy", [V2, V1], ids=["v2", "v1"])
def test_a_whole_cgroup(world: World, start: Start, hierarchy: Path) -> None:
    """The workers of a killed service would go on eating."""
    with real_group(hierarchy) as group, ExitStack() as forked:
        below = group / "below it"
        below.mkdir()
        forked.callback(below.rmdir)
        name = "mwd-whole"
        victim, stubborn = start(FORKING, name).join(group), start(STUBBORN).join(below)
        grandchild = victim.tell()
        outside = start()
        kill = Kill(select=Selection(comm=(name,)), whole_cgroup=True, grace_ns=100_000_000)
        (target,) = kill.aim(world).targets
        assert target.name == f"/{group.name}"
        outcome = kill.act(world, occasion(world))
        assert outcome.verdict is Verdict.HELPED, outcome
        assert f"with all of /{group.name} is dead" in outcome.detail
        assert stubborn.process.wait() == -signal.SIGKILL
        assert (group / "cgroup.procs").read_text() == ""
        assert outside.process.poll() is None
        assert not Path(f"/proc/{grandchild}/status").exists() or "zombie" in Path(
            f"/proc/{grandchild}/status"
        ).read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("hierarchy", [V2, V1], ids=["v2", "v1"])
def test_a_cgroup_that_holds_the_daemon_is_not_killed(tmp_path: Path, start: Start, hierarchy: Path) -> None:
    """A watchdog in the same container as the hog would kill itself."""
    with real_group(hierarchy) as group:
        victim, ours = start().join(group), start().join(group)
        world = replace(real_world(tmp_path), own_pids=lambda: frozenset({ours.pid}))
        outcome = Kill(select=only(victim), whole_cgroup=True).act(world, occasion(world))
        assert victim.process.wait() == -signal.SIGTERM
        assert ours.process.poll() is None
        assert outcome.detail.endswith(
            f"; no more than that, because in its cgroup /{group.name} "
            f"there is {ours.comm} (pid {ours.pid}), which is memwatchd itself"
        )


def test_a_cgroup_that_holds_someone_to_be_spared_is_not_killed(world: World, start: Start) -> None:
    """What is on the list of those never hit would die with its neighbours."""
    with real_group(V2) as group:
        victim, spared = start().join(group), start().join(group)
        select = replace(only(victim), never=(spared.comm,))
        Kill(select=select, whole_cgroup=True).act(world, occasion(world))
        assert victim.process.wait() == -signal.SIGTERM
        assert spared.process.poll() is None


def test_a_process_in_the_root_group_is_killed_alone(scene: Scene) -> None:
    """Everything on the machine would be killed."""
    scene.process(FAR, cgroup=b"0::/\n")
    (scene.cgroups / "cgroup.kill").write_text("")
    (scene.cgroups / "cgroup.procs").write_text("1\n")
    (target,) = Kill(whole_cgroup=True).aim(scene.world).targets
    assert target == Target(
        f"only java (pid {FAR}), because it has no cgroup of its own",
        f"of java (pid {FAR}): oom_score 600; rss 10 MiB",
    )
    assert Kill(whole_cgroup=True).act(scene.world, occasion(scene.world)) == VANISHED
    assert (scene.cgroups / "cgroup.kill").read_text() == ""


@pytest.mark.parametrize("member", [0, 1])
def test_a_group_with_init_or_somebody_unseen_is_left_alone(scene: Scene, member: int) -> None:
    """init.scope, or a group shared with another pid namespace, would be killed."""
    scene.process(1, b"systemd")
    scene.process(FAR)
    scene.group("/system.slice/app.service", FAR, member, cgroup__kill="")
    (target,) = Kill(whole_cgroup=True).aim(scene.world).targets
    assert target.name.startswith(f"only java (pid {FAR}), because in its cgroup")


# ---- signal


def test_a_signal_is_sent_and_left_at_that(world: World, start: Start) -> None:
    """A process that was asked to drop its caches would be waited for as if it had to die."""
    victim = start(STUBBORN)
    outcome = Signal(select=only(victim), signal="TERM").act(world, occasion(world))
    assert outcome.detail.startswith(f"SIGTERM sent to {victim.comm} (pid {victim.pid}): oom_score ")
    assert (outcome.verdict, outcome.figures) == (Verdict.HELPED, {"signalled": 1, "signal": "SIGTERM"})
    assert victim.process.poll() is None
    Signal(select=only(victim), signal="USR1").act(world, occasion(world))
    assert victim.process.wait() == -signal.SIGUSR1


def test_outlets_are_not_needed(scene: Scene) -> None:
    """An action that waits for the journal would wait for a disk."""
    scene.process(FAR)
    Kill().act(scene.world, occasion(scene.world))
    assert scene.world.outlets == Silent()
