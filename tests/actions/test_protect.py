"""The standing list, over a /proc of files and with our own children."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.actions.scene import FAR, FORKING, PF_KTHREAD, Scene, Start, real_world

from memwatchd.actions.base import World
from memwatchd.actions.changes import Change, Changes
from memwatchd.actions.oom_score_adj import OomScoreAdj, now_ticks
from memwatchd.actions.protect import RULE, Protect, Protector
from memwatchd.kernel.directory import Directory
from memwatchd.kernel.processes import CAP_SYS_RESOURCE, has_capability

A, B, C, D, E = range(FAR, FAR + 5)
SSH = b"0::/system.slice/ssh.service\n"
CRON = b"0::/system.slice/cron.service\n"
SESSION = b"0::/user.slice/user-0.slice/session-3.scope\n"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    found = Scene(tmp_path)
    found.process(1, b"systemd", ppid=0, start_ticks=1, uid=0, cgroup=b"0::/init.scope\n")
    return found


def values(scene: Scene, *pids: int) -> list[int]:
    return [scene.adj(pid) for pid in pids]


def sshd(scene: Scene, pid: int = A, **more: Any) -> None:
    facts: dict[str, Any] = {"cgroup": SSH, "uid": 0, **more}
    scene.process(pid, b"sshd", **facts)


def test_a_listed_service_is_protected_and_put_back_on_stop(scene: Scene) -> None:
    """The machine could not be logged in to after the OOM killer; or the value stay for ever."""
    sshd(scene, adj=7)
    scene.process(B, b"java", adj=7)
    protector = Protector(Protect())
    protector.round(scene.world)
    assert values(scene, A, B, 1) == [-900, 7, 0]
    (change,) = scene.world.changes.pending(RULE)
    assert (change.action, change.facts["old"], change.facts["new"]) == ("oom_score_adj", 7, -900)
    protector.round(scene.world)
    assert scene.world.changes.pending() == [change]
    protector.stop(scene.world)
    assert values(scene, A, B) == [7, 7]
    assert scene.world.changes.pending() == []


def test_put_back_after_a_crash(tmp_path: Path, scene: Scene) -> None:
    """A daemon that was killed would leave everything protected for ever."""
    sshd(scene)
    Protector(Protect()).round(scene.world)
    (change,) = Changes(tmp_path / "changes").pending()
    OomScoreAdj.undo(scene.world, change)
    assert scene.adj(A) == 0


def test_a_restarted_service_is_protected_again(scene: Scene) -> None:
    """After its first restart sshd would be as good a victim as any."""
    sshd(scene)
    protector = Protector(Protect())
    protector.round(scene.world)
    scene.end(A)
    sshd(scene, B, start_ticks=now_ticks())
    protector.round(scene.world)
    assert scene.adj(B) == -900
    assert [change.facts["pid"] for change in scene.world.changes.pending()] == [B]


def test_a_pid_that_is_another_service_now(scene: Scene) -> None:
    """Whatever took the number would be taken for protected already, or be protected for nothing."""
    sshd(scene, start_ticks=10)
    protector = Protector(Protect())
    protector.round(scene.world)
    scene.process(A, b"java", start_ticks=20)
    protector.round(scene.world)
    assert scene.adj(A) == 0
    sshd(scene, start_ticks=30)
    protector.round(scene.world)
    assert scene.adj(A) == -900


def test_a_process_that_becomes_one_by_exec(scene: Scene) -> None:
    """A service is a shell or systemd's own child before it is itself."""
    scene.process(A, b"(sshd)", uid=0, cgroup=b"0::/\n")
    protector = Protector(Protect())
    protector.round(scene.world)
    assert scene.adj(A) == 0
    sshd(scene)
    protector.round(scene.world)
    assert scene.adj(A) == -900
    scene.process(A, b"bash", uid=0, cgroup=SSH, adj=-900)
    protector.round(scene.world)
    assert scene.adj(A) == 0


def test_a_name_that_changes_late_is_noticed_within_ten_rounds(scene: Scene) -> None:
    """A long-lived shell that becomes a service would never be protected."""
    scene.process(A, b"bash", uid=0, cgroup=SSH)
    protector = Protector(Protect())
    for _ in range(12):
        protector.round(scene.world)
    sshd(scene)
    for _ in range(10):
        protector.round(scene.world)
    assert scene.adj(A) == -900


def test_a_value_that_was_changed_is_set_again_and_a_lower_one_kept(scene: Scene) -> None:
    """A service that resets its own value would lose its protection; one at -1000 be made killable."""
    sshd(scene, adj=0)
    scene.process(B, b"cron", cgroup=CRON, uid=0, adj=-1000)
    scene.process(C, b"dbus-daemon", cgroup=CRON, uid=100, adj=-900)
    protector = Protector(Protect())
    protector.round(scene.world)
    (scene.proc / str(A) / "oom_score_adj").write_text("0")
    protector.round(scene.world)
    assert values(scene, A, B, C) == [-900, -1000, -900]
    (scene.proc / str(A) / "oom_score_adj").write_text("-1000")
    protector.round(scene.world)
    protector.stop(scene.world)
    assert values(scene, A, B, C) == [-1000, -1000, -900]


# ---- what descends from them


def test_sessions_and_jobs_get_their_former_value_back(scene: Scene) -> None:
    """A user's hog would be protected because he logged in by sshd."""
    sshd(scene, adj=5)
    scene.process(B, b"cron", cgroup=CRON, uid=0)
    protector = Protector(Protect())
    protector.round(scene.world)
    later = now_ticks() + 100
    sshd(scene, C, ppid=A, start_ticks=later, adj=-900, cgroup=SESSION)
    scene.process(D, b"bash", ppid=C, start_ticks=later, adj=-900, cgroup=SESSION)
    scene.process(E, b"backup", ppid=B, start_ticks=later, adj=-900, cgroup=CRON)
    protector.round(scene.world)
    assert values(scene, A, B, C, D, E) == [-900, -900, 5, 5, 0]
    scene.process(E + 1, b"hog", ppid=D, start_ticks=later, adj=5, cgroup=SESSION)
    protector.round(scene.world)
    assert scene.adj(E + 1) == 5


def test_a_session_stays_one_when_its_service_is_restarted(scene: Scene) -> None:
    """Orphaned sessions would be protected as if they were services."""
    sshd(scene)
    sshd(scene, B, ppid=A, start_ticks=2000)
    protector = Protector(Protect())
    protector.round(scene.world)
    scene.end(A)
    sshd(scene, B, ppid=1, start_ticks=2000)
    protector.round(scene.world)
    assert scene.adj(B) == 0


def test_the_session_program_is_not_the_service(scene: Scene) -> None:
    """The part of sshd that runs for one login would be protected."""
    sshd(scene, exe="/usr/sbin/sshd")
    scene.process(B, b"sshd-session", ppid=A, cgroup=SSH, uid=0, exe="/usr/lib/openssh/sshd-session")
    scene.process(C, b"sshd-session", ppid=1, cgroup=SSH, uid=0, exe="/usr/lib/openssh/sshd-session")
    Protector(Protect()).round(scene.world)
    assert values(scene, A, B, C) == [-900, 0, 0]


def test_orphans_in_the_services_own_group(scene: Scene) -> None:
    """What containerd starts leaves its family by a double fork, and would stay protected."""
    unit = b"0::/system.slice/containerd.service\n"
    scene.process(A, b"containerd", cgroup=unit, uid=0)
    protector = Protector(Protect())
    protector.round(scene.world)
    later = now_ticks() + 100
    scene.process(B, b"containerd-shim", ppid=1, start_ticks=later, adj=-900, cgroup=unit, uid=0)
    payload = b"0::/system.slice/docker-1.scope\n"
    scene.process(C, b"payload", ppid=B, start_ticks=later, adj=-900, cgroup=payload, uid=0)
    protector.round(scene.world)
    assert values(scene, A, B, C) == [-900, 0, 0]


def test_whoever_did_not_inherit_keeps_his_value(scene: Scene) -> None:
    """A service to which somebody gave the same value would lose it."""
    sshd(scene)
    scene.process(B, b"helper", ppid=A, start_ticks=5, adj=-900, cgroup=SSH)
    protector = Protector(Protect())
    protector.round(scene.world)
    later = now_ticks() + 100
    scene.process(C, b"other", ppid=1, start_ticks=later, adj=-900)
    scene.process(D, b"child", ppid=A, start_ticks=later, adj=-500, cgroup=SSH)
    protector.round(scene.world)
    assert values(scene, B, C, D) == [-900, -900, -500]


# ---- who is on the list


@pytest.mark.parametrize(
    ("facts", "protected"),
    [
        ({}, True),
        ({"cgroup": b"0::/system.slice/system-ssh.slice/ssh@1.service\n"}, True),
        ({"cgroup": b"0::/system.slice/ssh.service/udev\n"}, True),
        ({"cgroup": b"0::/\n"}, True),
        ({"cgroup": b""}, True),
        ({"cgroup": b"9:name=systemd:/system.slice/ssh.service\n4:memory:/x\n"}, True),
        ({"cgroup": b"0::/openrc.sshd\n"}, True),
        ({"cgroup": b"0::/\n", "uid": 1000}, False),
        ({"cgroup": SESSION}, False),
        ({"cgroup": b"0::/user.slice/user@0.service/app.slice/sshd.service\n"}, False),
        ({"cgroup": b"0::/system.slice/docker-1.scope\n"}, False),
        ({"cgroup": b"0::/system.slice/docker-1.scope/system.slice/sshd.service\n"}, False),
        ({"cgroup": b"0::/system.slice/pod.service/libpod-payload-1\n"}, False),
        ({"cgroup": b"0::/docker/1\n"}, False),
        ({"cgroup": b"0::/../system.slice/ssh.service\n"}, False),
        ({"flags": PF_KTHREAD}, False),
    ],
    ids=repr,
)
def test_a_name_alone_protects_nobody(scene: Scene, facts: dict[str, Any], protected: bool) -> None:
    """Any user or container could keep its hog alive by calling it sshd."""
    sshd(scene, **facts)
    Protector(Protect()).round(scene.world)
    assert scene.adj(A) == (-900 if protected else 0)


@pytest.mark.parametrize(
    ("also", "protected"),
    [
        (("java",), True),
        (("/opt/java/*",), True),
        (("session-3.scope",), True),
        (("user.slice",), False),
        (("/opt",), False),
        (("jav",), False),
    ],
    ids=repr,
)
def test_what_the_administrator_adds_is_taken_at_its_word(
    scene: Scene, also: tuple[str, ...], protected: bool
) -> None:
    """A service that is not in system.slice could not be protected at all."""
    scene.process(A, b"java", uid=1000, cgroup=SESSION, exe="/opt/java/bin/java")
    Protector(Protect(also=also)).round(scene.world)
    assert scene.adj(A) == (-900 if protected else 0)


def test_the_daemon_and_init_are_left_alone(scene: Scene) -> None:
    """The daemon's own value, and init's, are not for the list to set."""
    scene.process(A, b"cron", cgroup=CRON, uid=0)
    scene.own.add(A)
    Protector(Protect(names=("*",))).round(scene.world)
    assert values(scene, 1, A) == [0, 0]


def test_hostile_names(scene: Scene) -> None:
    """One process with an odd name would end the protection of all others."""
    for number, comm in enumerate((b"a) S 1", b"\xff\n", b"", b"[", b"cron")):
        scene.process(A + number, comm, cgroup=CRON, uid=0)
    Protector(Protect()).round(scene.world)
    assert values(scene, *range(A, A + 5)) == [0, 0, 0, 0, -900]


def test_a_new_list_takes_effect_at_the_next_round(scene: Scene) -> None:
    """A reload would protect what is listed no more, or with the former value."""
    sshd(scene, adj=5)
    scene.process(B, b"cron", cgroup=CRON, uid=0)
    protector = Protector(Protect())
    protector.round(scene.world)
    protector.section = replace(protector.section, names=("sshd",), oom_score_adj=-500)
    protector.round(scene.world)
    assert values(scene, A, B) == [-500, 0]
    protector.section = replace(protector.section, enabled=False)
    protector.round(scene.world)
    assert values(scene, A, B) == [5, 0]
    assert scene.world.changes.pending() == []


# ---- refusals


def test_a_refusal_is_said_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal would be filled with one line a second, or the lack go unsaid."""
    sshd(scene)
    scene.process(B, b"cron", cgroup=CRON, uid=0)
    writes: list[str] = []

    def refuse(_directory: Directory, name: str, _text: str) -> None:
        writes.append(name)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Directory, "write", refuse)
    protector = Protector(Protect())
    for _ in range(5):
        protector.round(scene.world)
    assert writes == ["oom_score_adj"] * 2
    assert protector.problem == (
        f"oom_score_adj -900 of sshd (pid {A}): Permission denied (CAP_SYS_RESOURCE): "
        "the OOM killer may take what should be protected"
    )
    assert scene.world.changes.pending() == []


def test_a_real_refusal(world: World, start: Start) -> None:
    """On a machine without the right the daemon would fail in place of saying so."""
    if has_capability(CAP_SYS_RESOURCE):
        pytest.skip("with CAP_SYS_RESOURCE nothing is refused; without it is what is tested")
    victim = start()
    protector = Protector(Protect(names=(), also=(victim.comm,)))
    protector.round(world)
    assert protector.problem is not None
    assert "Permission denied (CAP_SYS_RESOURCE)" in protector.problem
    assert world.changes.pending() == []


def test_a_process_that_ends_meanwhile(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One short-lived cron job would end the protection of all others."""
    sshd(scene)
    scene.process(B, b"cron", cgroup=CRON, uid=0)
    monkeypatch.setattr("memwatchd.actions.protect.list_pids", lambda _roots: [A, B, C])
    protector = Protector(Protect())
    protector.round(scene.world)
    scene.end(A)
    protector.round(scene.world)
    assert scene.adj(B) == -900
    assert protector.problem is None


# ---- on this kernel, with values that may be set without CAP_SYS_RESOURCE


def test_a_real_service_and_its_child(world: World, start: Start) -> None:
    """What holds over files would not hold with the kernel's own inheritance."""
    victim = start(FORKING)
    Path(f"/proc/{victim.pid}/oom_score_adj").write_text("500")
    protector = Protector(Protect(names=(), also=(victim.comm,), oom_score_adj=200))
    protector.round(world)
    assert victim.adj() == 200
    child = Path(f"/proc/{victim.tell()}/oom_score_adj")
    assert int(child.read_text()) == 200
    protector.round(world)
    assert (victim.adj(), int(child.read_text())) == (200, 500)
    protector.stop(world)
    assert (victim.adj(), int(child.read_text())) == (500, 500)
    assert world.changes.pending() == []


def test_a_real_crash(tmp_path: Path, world: World, start: Start) -> None:
    """The next start would find what the last one has set and take it for the former value."""
    victim = start()
    Path(f"/proc/{victim.pid}/oom_score_adj").write_text("500")
    Protector(Protect(names=(), also=(victim.comm,), oom_score_adj=200)).round(world)
    after = real_world(tmp_path)
    changes: list[Change] = after.changes.pending()
    assert [OomScoreAdj.undo(after, change).verdict for change in changes] == ["helped"]
    assert victim.adj() == 500


def test_a_really_low_value(world: World, start: Start) -> None:
    """The default would never have been tried on a kernel."""
    if not has_capability(CAP_SYS_RESOURCE):
        pytest.skip("needs CAP_SYS_RESOURCE: root of a machine of its own")
    victim = start()
    protector = Protector(Protect(names=(), also=(victim.comm,)))
    protector.round(world)
    assert (victim.adj(), protector.problem) == (-900, None)
    protector.stop(world)
    assert victim.adj() == 0
