"""Processes taken together, over a /proc of files."""

import pytest
from tests.actions.scene import FAR, MIB, S, Scene

from memwatchd.actions.groups import GroupKey, own_bytes
from memwatchd.actions.table import Process

A, B, C, D = FAR, FAR + 1, FAR + 2, FAR + 3
FORKED = 0x400040
LOGIN = b"0::/user.slice/user-0.slice/session-3.scope\n"


def found(scene: Scene) -> dict[str, list[int]]:
    """Names of the groups, and who is in them."""
    groups = scene.world.groups.groups(-1)
    return {group.name: [process.pid for process in group.processes] for group in groups}


@pytest.mark.parametrize(
    ("cgroup", "key"),
    [
        (b"0::/system.slice/a.service\n", GroupKey("/system.slice/a.service", None)),
        (b"0::/system.slice/a.service/below\n", GroupKey("/system.slice/a.service/below", None)),
        (b"0::/docker/0123\n", GroupKey("/docker/0123", None)),
        (b"0::/\n", GroupKey("/", A)),
        (b"", GroupKey("", A)),
        (b"0::/system.slice\n", GroupKey("/system.slice", A)),
        (LOGIN, GroupKey("/user.slice/user-0.slice/session-3.scope", A)),
        (b"4:memory:/\n1:name=systemd:/system.slice/a.service\n", GroupKey("/system.slice/a.service", None)),
        (b"4:memory:/system.slice\n1:name=systemd:/system.slice/a.service\n0::/\n",
         GroupKey("/system.slice/a.service", None)),
        (b"4:memory:/lxc/one\n1:name=systemd:/\n0::/\n", GroupKey("/lxc/one", None)),
    ],
    ids=repr,
)  # fmt: skip
def test_what_a_group_is(scene: Scene, cgroup: bytes, key: GroupKey) -> None:
    """A whole system slice, or every login, would be blamed for one of them."""
    scene.process(A, cgroup=cgroup)
    (group,) = scene.world.groups.groups(-1)
    assert group.key == key


def test_names(scene: Scene) -> None:
    """An administrator would not know who is meant."""
    scene.process(A, b"bash", cgroup=LOGIN)
    scene.process(B, b"gcc", session=A, cgroup=LOGIN)
    scene.process(C, b"lost", session=D, cgroup=b"0::/\n")
    scene.process(D + 1, b"web", cgroup=b"0::/kubepods/a b\x1b[1m\n")
    scene.process(D + 2, b"java", cgroup=b"0::/system.slice/app.service\n")
    assert found(scene) == {
        f"the session of bash (pid {A})": [A, B],
        f"session {D}": [C],
        "/kubepods/a b\\x1b[1m": [D + 1],
        "app.service": [D + 2],
    }


def test_the_daemons_own_cgroup_is_told_apart_by_session(scene: Scene) -> None:
    """In a container that holds the watchdog, too, no group could ever be hit."""
    for pid, session in ((A, A), (B, B), (C, B)):
        scene.process(pid, session=session, cgroup=b"0::/box\n")
    scene.own.add(A)
    assert sorted(found(scene).values()) == [[A], [B, C]]


def process(scene: Scene, pid: int, rss_mib: int, ppid: int, *, forked: bool = True) -> Process:
    scene.process(pid, rss_mib=rss_mib, ppid=ppid, flags=FORKED if forked else 0x400000)
    read = scene.world.table.read(pid)
    assert read is not None
    return read


def test_what_is_shared_since_a_fork_counts_once(scene: Scene) -> None:
    """A web server with fifty children of one program would seem to have fifty times its memory."""
    parent = process(scene, A, 100, 1, forked=False)
    children = [process(scene, B, 103, A), process(scene, C, 90, A)]
    assert own_bytes([parent, *children]) == 103 * MIB
    exec_ed = process(scene, D, 50, A, forked=False)
    assert own_bytes([parent, *children, exec_ed]) == 153 * MIB


def test_children_that_have_lost_their_parent(scene: Scene) -> None:
    """A storm would grow a hundredfold at the moment the kernel kills the one that forked it."""
    assert own_bytes([process(scene, A + number, 100 + number, 1) for number in range(3)]) == 103 * MIB
    assert own_bytes([process(scene, A, 7, 1)]) == 7 * MIB


def test_a_group_grows_by_its_newcomers(scene: Scene) -> None:
    """Hundreds of processes that hold still, each of them, would not be seen to eat the machine."""
    scene.process(A, rss_mib=1)
    for second in range(4):
        for number in range(second * 5):
            scene.process(B + number, ppid=A, rss_mib=2)
        (group,) = scene.world.groups.groups(0)
        scene.now_ns += S
    assert group.growth_bytes_per_s == 10 * MIB


def test_a_group_that_was_not_there_before_has_grown(scene: Scene) -> None:
    """The storm would have to be looked at twice, and there is no time for that."""
    scene.process(A, rss_mib=1)
    scene.world.groups.refresh()
    scene.now_ns += 15 * S
    scene.process(B, rss_mib=30, cgroup=b"0::/system.slice/storm.service\n")
    growth = {group.name: group.growth_bytes_per_s for group in scene.world.groups.groups(0)}
    assert growth == {"app.service": 0, "storm.service": 2 * MIB}


def test_growth_is_not_known_at_first(scene: Scene) -> None:
    """All that a machine has would pass for growth when the daemon starts."""
    scene.process(A, rss_mib=1000)
    (group,) = scene.world.groups.groups(0)
    assert group.growth_bytes_per_s is None


@pytest.mark.parametrize(
    ("files", "expected_mib"),
    [
        ({"memory__stat": f"anon {70 * MIB}\nfile 5\n", "memory__swap__current": f"{MIB}\n"}, 71),
        ({"memory__stat": f"anon {70 * MIB}\n"}, 70),
        ({"memory__stat": "rubbish\n", "memory__swap__current": "0\n"}, 12),
        ({}, 12),
    ],
    ids=repr,
)
def test_after_forks_the_cgroup_is_asked(scene: Scene, files: dict[str, str], expected_mib: int) -> None:
    """Children that have written to what was their parent's would seem to have nothing."""
    scene.process(A, rss_mib=10)
    scene.process(B, rss_mib=12, ppid=A, flags=FORKED)
    scene.group("/system.slice/app.service", A, B, **files)
    (group,) = scene.world.groups.groups(-1)
    assert group.memory_bytes == expected_mib * MIB


def test_version_1_is_asked_for_rss_and_swap(scene: Scene) -> None:
    """On an older host every storm would seem to be a fifth of what it is."""
    cgroup = b"4:memory:/storm\n1:name=systemd:/\n"
    scene.process(A, cgroup=cgroup)
    scene.process(B, ppid=A, flags=FORKED, cgroup=cgroup)
    home = scene.cgroups / "memory" / "storm"
    home.mkdir(parents=True)
    (home / "memory.stat").write_text(f"cache 1\nrss {50 * MIB}\nswap {2 * MIB}\ntotal_rss 1\n")
    (group,) = scene.world.groups.groups(-1)
    assert group.memory_bytes == 52 * MIB
