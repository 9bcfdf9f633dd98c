"""Choosing processes, over a /proc of files."""

from pathlib import Path

import pytest
from tests.actions.scene import FAR, MIB, PF_KTHREAD, S, Scene

from memwatchd.actions.base import Outcome, Target, Verdict
from memwatchd.actions.processes import Choice, choose
from memwatchd.actions.selection import Selection, matches_cgroup, matches_comm

A, B, C, D = FAR, FAR + 1, FAR + 2, FAR + 3


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def chosen(choice: Choice) -> list[int]:
    return [process.pid for process in choice.candidates]


@pytest.mark.parametrize(
    ("by", "order", "why"),
    [
        ("oom_score", [A, B, C], "oom_score 900; rss 10 MiB, swap 5 MiB"),
        ("rss", [B, C, A], "rss 70 MiB; oom_score 800"),
        ("swap", [C, A, B], "swap 60 MiB; oom_score 700"),
        ("memory", [C, B, A], "rss and swap 80 MiB; oom_score 700"),
        ("growth", [C, B, A], "growth is not known yet; rss and swap 80 MiB"),
    ],
)
def test_who_comes_first(scene: Scene, by: str, order: list[int], why: str) -> None:
    """Another process than the one that was meant would be hit, and nobody could say why."""
    scene.process(A, oom_score=900, rss_mib=10, swap_mib=5)
    scene.process(B, oom_score=800, rss_mib=70, swap_mib=0)
    scene.process(C, oom_score=700, rss_mib=20, swap_mib=60)
    choice = choose(scene.world, Selection(by=by))
    assert chosen(choice) == order
    assert choice.targets() == (Target(f"java (pid {order[0]})", why),)


def test_the_fastest_grower_comes_first(scene: Scene) -> None:
    """The large database would be hit in place of the small process that leaks."""
    for step in range(4):
        scene.process(A, b"database", rss_mib=5000)
        scene.process(B, b"leak", rss_mib=10 + 3 * step)
        scene.process(C, b"shrinks", rss_mib=400 - step)
        scene.world.table.refresh()
        scene.now_ns += S
    choice = choose(scene.world, Selection(by="growth"))
    assert choice.targets() == (Target(f"leak (pid {B})", "grows by 2.25 MiB/s; oom_score 600"),)
    assert chosen(choice) == [B]
    assert choice.spared == ()


def test_what_is_never_chosen(scene: Scene) -> None:
    """The watchdog would kill init, itself, or what the administrator made untouchable."""
    scene.process(1, b"systemd", oom_score=999)
    scene.process(A, b"kswapd0", flags=PF_KTHREAD, rss_mib=None)
    scene.process(B, b"memwatchd", oom_score=998)
    scene.process(C, b"sshd", oom_score=0, adj=-1000)
    scene.process(D, b"dead", state="Z", rss_mib=None)
    scene.own.add(B)
    choice = choose(scene.world, Selection())
    assert chosen(choice) == []
    assert choice.declined() == Outcome(
        Verdict.DECLINED, "all 4 processes that match are spared; the largest, systemd (pid 1), is init"
    )
    assert choice.spared[:2] == (
        Target("systemd (pid 1)", "is init"),
        Target(f"memwatchd (pid {B})", "is memwatchd itself"),
    )


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(comm=("java", "no*")), [A, B]),
        (Selection(comm=("java",), unit=("app*",)), [A]),
        (Selection(comm=("c",), unit=("app*",)), []),
        (Selection(exe=("/opt/*",)), [C]),
        (Selection(cgroup=("/user.slice",)), [B]),
        (Selection(cgroup=("/user.slice/*-1.scope",)), [B]),
        (Selection(cgroup=("/",)), [C]),
        (Selection(unit=("user.slice",)), [B]),
        (Selection(uid=("33",)), [A]),
        (Selection(uid=("root", "nobod?")), [B]),
        (Selection(min_size_bytes=25 * MIB), [B, C]),
        (Selection(never=("java", "/opt/*")), [B]),
        (Selection(never=("user.slice", "/system.slice/app.service")), [C]),
    ],
    ids=repr,
)
def test_what_matches(scene: Scene, selection: Selection, found: list[int]) -> None:
    """A rule would hit, or spare, what it does not name."""
    scene.process(A, b"java", rss_mib=20, uid=33)
    scene.process(B, b"node", rss_mib=30, uid=0, cgroup=b"0::/user.slice/session-1.scope/x y\n")
    scene.process(C, b"c", rss_mib=40, uid=4321, cgroup=b"0::/\n", exe="/opt/c/bin/c (deleted)")
    assert sorted(chosen(choose(scene.world, selection))) == found


@pytest.mark.parametrize(
    ("glob", "comm", "matches"),
    [
        ("systemd-networkd", "systemd-network", True),
        ("systemd-networkd", "systemd-networ", False),
        ("systemd-networkx", "systemd-network", True),
        ("systemd-[r]*", "systemd-resolve", True),
        ("java", "Java", False),
        ("a\udcff", "a\udcff", True),
    ],
)
def test_names_longer_than_the_kernel_keeps(glob: str, comm: str, matches: bool) -> None:
    """A name that was copied from a unit would silently never match."""
    assert matches_comm(glob, comm) is matches


def test_a_group_above_matches_but_the_root_does_not() -> None:
    """A pattern for a service would miss what the service put into groups of its own."""
    assert matches_cgroup("/a/b", "/a/b/c")
    assert not matches_cgroup("/a/b", "/a/bc")
    assert not matches_cgroup("/", "/a")
    assert not matches_cgroup("*", "")


def test_the_preferred_come_before_all_others(scene: Scene) -> None:
    """The process that may go would stay, and the one that is needed go."""
    scene.process(A, b"java", oom_score=900)
    scene.process(B, b"rsync", oom_score=10)
    choice = choose(scene.world, Selection(prefer=("rsync",)))
    assert choice.targets() == (Target(f"rsync (pid {B})", "preferred, oom_score 10; rss 10 MiB"),)


def test_those_spared_are_told_when_they_are_larger(scene: Scene) -> None:
    """An administrator would ask in vain why the largest process was left alone."""
    scene.process(A, b"postgres", oom_score=900)
    scene.process(B, b"java", oom_score=500)
    scene.process(C, b"postgres", oom_score=10)
    choice = choose(scene.world, Selection(never=("postgres",)))
    assert chosen(choice) == [B]
    assert choice.spared == (Target(f"postgres (pid {A})", "is on the list of those never hit"),)


def test_the_choice_is_made_by_present_figures(scene: Scene) -> None:
    """What was largest three seconds ago would be hit although it has given its memory back."""
    scene.process(A, oom_score=900, rss_mib=900)
    scene.process(B, oom_score=500, rss_mib=500)
    scene.world.table.refresh()
    scene.process(A, oom_score=100, rss_mib=100)
    assert chosen(choose(scene.world, Selection())) == [B, A]


def test_whoever_has_the_number_now_is_not_chosen(scene: Scene) -> None:
    """A newcomer would be hit for what its predecessor had."""
    scene.process(A, oom_score=900, rss_mib=1, start_ticks=1)
    scene.process(B, oom_score=500, rss_mib=500)
    scene.world.table.refresh()
    scene.process(A, oom_score=900, rss_mib=900, start_ticks=2)
    assert chosen(choose(scene.world, Selection())) == [B]


@pytest.mark.parametrize("ends", [True, False])
def test_a_kill_that_is_under_way_is_noticed(scene: Scene, ends: bool) -> None:
    """A second process would die for memory that is about to be free."""
    scene.process(A, b"hog", oom_score=900, rss_mib=2000)
    scene.process(B, oom_score=500, rss_mib=500)
    scene.world.table.refresh()
    if ends:
        scene.end(A)
    else:
        scene.process(A, b"hog", oom_score=900, rss_mib=2000, pending=1 << 8)
    choice = choose(scene.world, Selection())
    assert choice.already_dying() == Outcome(
        Verdict.DECLINED, f"hog (pid {A}) is dying already and gives 1.95 GiB back", {"dying_pid": A}
    )
    assert choice.declined() is None


def test_a_small_process_that_ends_stops_nothing(scene: Scene) -> None:
    """Any short-lived process would keep the hog alive."""
    scene.process(A, rss_mib=200, oom_score=900)
    scene.process(B, rss_mib=500, oom_score=500)
    scene.world.table.refresh()
    scene.end(A)
    choice = choose(scene.world, Selection())
    assert (choice.already_dying(), chosen(choice)) == (None, [B])


def test_one_that_cannot_die_is_not_waited_for_without_end(scene: Scene) -> None:
    """A victim stuck in a driver would protect the hog for ever."""
    scene.process(A, rss_mib=2000, pending=1 << 8, state="D")
    scene.process(B, rss_mib=500)
    assert choose(scene.world, Selection()).already_dying() is not None
    scene.now_ns += 11 * S
    choice = choose(scene.world, Selection())
    assert (choice.already_dying(), chosen(choice)) == (None, [B])


def test_an_action_may_spare_more(scene: Scene) -> None:
    """Freezing could not leave its own terminal alone."""
    scene.process(A, oom_score=900)
    choice = choose(scene.world, Selection(), lambda process: "is ours" if process.pid == A else None)
    assert choice.nobody == f"all 1 processes that match are spared; the largest, java (pid {A}), is ours"


def test_nobody_matches(scene: Scene) -> None:
    """A rule with a slip of the pen would do nothing and not say so."""
    scene.process(A)
    choice = choose(scene.world, Selection(comm=("jva", "x*"), uid=("root",)))
    assert choice.nobody == "no process matches comm jva or x* and uid root"


def test_who_fills_a_tmpfs(scene: Scene) -> None:
    """The largest would be shot for what the smallest has written, and get nothing back by it."""
    selection = Selection(by="writes")
    for step in (0, 1):
        scene.now_ns += S
        scene.process(FAR, b"database", rss_mib=900, wrote_mib=(800 * step, 800 * step))
        scene.process(FAR + 1, b"fill", rss_mib=1, wrote_mib=(20 * step, 0))
        scene.process(FAR + 2, b"logger", rss_mib=5, wrote_mib=(step, step))
        selection.prepare(scene.world)
    choice = choose(scene.world, selection)
    assert [(each.comm, choice.why(each)) for each in choice.candidates] == [
        ("fill", "writes 20 MiB/s; oom_score 600")
    ]
    spared = choose(scene.world, Selection(by="writes", comm=("database",)))
    assert "writes little, or to disks" in spared.nobody


def test_who_has_the_most_open_files(scene: Scene) -> None:
    """The kernel's own memory would be short, and a program be blamed that holds none of it."""
    scene.process(FAR, b"database", rss_mib=900, fd_size=1024)
    scene.process(FAR + 1, b"server-a", rss_mib=5, fd_size=131072)
    scene.process(FAR + 2, b"server-b", rss_mib=5, fd_size=262144)
    choice = choose(scene.world, Selection(by="open_files", max_targets=9))
    assert [each.comm for each in choice.candidates] == ["server-b", "server-a"]
    assert choice.why(choice.candidates[0]) == "room for 262144 open files; oom_score 600"
    spared = choose(scene.world, Selection(by="open_files", comm=("database",)))
    assert "has never had 4096 files open" in spared.nobody
