"""The process table, over a /proc of files."""

from pathlib import Path

import pytest
from tests.actions.scene import FAR, MIB, PF_EXITING, PF_KTHREAD, S, Scene

from memwatchd.actions.table import Process, ProcessTable
from memwatchd.kernel.processes import Identity
from memwatchd.procfs.cgroup import CgroupMembership


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def one(scene: Scene, pid: int = FAR) -> Process:
    found = {process.pid: process for process in scene.world.table.processes(-1)}
    return found[pid]


def test_everything_is_said_of_a_process(scene: Scene, tmp_path: Path) -> None:
    """A victim would be chosen by a wrong figure, or a process pass for another."""
    accounts = tmp_path / "passwd"
    accounts.write_text("root:x:0:0::/:\n# a remark\nbroken\nwww-data:x:33:33::/:\n")
    scene.process(FAR, b"rs) Z 1", rss_mib=7, swap_mib=2, oom_score=812, adj=-5, exe="/usr/bin/rs (deleted)")
    table = ProcessTable(scene.world.roots, lambda: scene.now_ns, accounts)
    assert table.processes(0) == (
        Process(
            identity=Identity(FAR, 1000),
            comm="rs) Z 1",
            state="S",
            ppid=1,
            session=FAR,
            threads=1,
            uid=33,
            user="www-data",
            rss_bytes=7 * MIB,
            swap_bytes=2 * MIB,
            private_bytes=9 * MIB,
            forked=False,
            oom_score=812,
            oom_score_adj=-5,
            memberships=(CgroupMembership(0, (), "/system.slice/app.service"),),
            exe="/usr/bin/rs",
            dying=False,
            fd_size=64,
            growth_bytes_per_s=None,
            read_ns=scene.now_ns,
        ),
    )


@pytest.mark.parametrize("comm", [b"foo) R 1", b"a\nb", b"\xff\xfe", b"", b"((", b"\x1b[31m"], ids=repr)
def test_hostile_names(scene: Scene, comm: bytes) -> None:
    """A process could hide from the table, or write to the administrator's terminal."""
    scene.process(FAR, comm)
    found = one(scene)
    assert found.comm.encode("utf-8", "surrogateescape") == comm
    assert found.name.isprintable()


def test_the_table_is_read_anew_only_when_it_is_too_old(scene: Scene) -> None:
    """A pass over /proc at the moment of acting would cost the time that is left."""
    scene.process(FAR)
    table = scene.world.table
    first = table.processes(3 * S)
    scene.process(FAR + 1)
    scene.now_ns += 3 * S
    assert table.processes(3 * S) is first
    scene.now_ns += 1
    assert [process.pid for process in table.processes(3 * S)] == [FAR, FAR + 1]


def test_kernel_threads_are_not_in_it_and_their_pids_are_not_lost(scene: Scene) -> None:
    """The process that has a kernel thread's number next could never be chosen."""
    scene.process(FAR, b"kworker/0:1", flags=PF_KTHREAD, rss_mib=None)
    assert scene.world.table.processes(-1) == ()
    scene.end(FAR)
    assert scene.world.table.processes(-1) == ()
    scene.process(FAR, b"hog")
    assert one(scene).comm == "hog"


@pytest.mark.parametrize("gone", ["stat", "status", "oom_score", "oom_score_adj", "cgroup"])
def test_what_ends_or_makes_no_sense_costs_its_row(scene: Scene, gone: str) -> None:
    """One short-lived process would keep the action from being done."""
    for pid in (FAR, FAR + 1, FAR + 2):
        scene.process(pid)
    (scene.proc / str(FAR) / gone).unlink()
    (scene.proc / str(FAR + 1) / gone).write_bytes(b"x:\n0:\n")
    assert [process.pid for process in scene.world.table.processes(-1)] == [FAR + 2]


def test_growth_is_that_of_the_last_seconds(scene: Scene) -> None:
    """What leaked yesterday would be taken before what leaks now."""
    growth = []
    for rss_mib in (500, 500, 500, 510, 520, 530, 540, 550, 560, 570):
        scene.process(FAR, rss_mib=rss_mib, swap_mib=rss_mib)
        growth.append(one(scene).growth_bytes_per_s)
        scene.now_ns += S
    assert growth[:3] == [None, 0, 0]
    assert growth[-1] == 20 * MIB


def test_growth_is_known_after_a_calm(scene: Scene) -> None:
    """While all is well passes are far apart, and at the first alarm nobody would be known to grow."""
    growth = []
    for step, rss_mib in enumerate((100, 130, 132, 132)):
        scene.process(FAR, rss_mib=rss_mib)
        growth.append(one(scene).growth_bytes_per_s)
        scene.now_ns += (15 * S, S, S // 100, S)[step]
    assert growth == [None, 2 * MIB, 2 * MIB, pytest.approx(2 * MIB / 1.01)]


def test_what_goes_to_disks_is_not_counted_as_written(scene: Scene) -> None:
    """A database would be taken for the one that fills a tmpfs; nobody's is known before it is asked for."""
    for step in range(3):
        scene.process(FAR, b"fill", wrote_mib=(100 * step, 0))
        scene.process(FAR + 1, b"database", wrote_mib=(300 * step, 299 * step))
        found = [process.writes_bytes_per_s for process in scene.world.table.processes(-1)]
        assert found == [[None, None], [None, None], [100 * MIB, MIB]][step]
        scene.world.table.want_writes()
        scene.now_ns += S


def test_what_may_not_be_told_is_left_out(scene: Scene) -> None:
    """On a kernel without I/O accounting there would be no process table."""
    scene.world.table.want_writes()
    scene.process(FAR)
    (scene.proc / str(FAR) / "io").unlink()
    assert one(scene).writes_bytes_per_s is None


def test_growth_is_the_processes_own(scene: Scene) -> None:
    """A process that has a large one's number now would seem to shrink."""
    scene.process(FAR, rss_mib=500, start_ticks=1)
    one(scene)
    scene.now_ns += S
    scene.process(FAR, rss_mib=1, start_ticks=2)
    assert one(scene).growth_bytes_per_s is None


def test_a_zombie_leader_has_what_its_threads_have(scene: Scene) -> None:
    """The largest process of the machine would look empty."""
    scene.process(FAR, state="Z", threads=3, rss_mib=None, flags=PF_EXITING)
    scene.thread(FAR, FAR, 0)
    scene.thread(FAR, FAR + 9, 900)
    found = one(scene)
    assert (found.rss_bytes, found.dying) == (900 * MIB, False)


@pytest.mark.parametrize(
    ("facts", "dying"),
    [
        ({"state": "Z", "rss_mib": None}, True),
        ({"state": "X", "rss_mib": None, "threads": 0}, True),
        ({"flags": PF_EXITING}, True),
        ({"flags": PF_EXITING, "threads": 2}, False),
        ({"pending": 1 << 8, "state": "D"}, True),
        ({"pending": 1 << 14}, False),
        ({}, False),
    ],
    ids=repr,
)
def test_who_is_dying(scene: Scene, facts: dict[str, object], dying: bool) -> None:
    """A second process would be killed while the memory of the first is on its way."""
    scene.process(FAR, **facts)  # type: ignore[arg-type]
    assert one(scene).dying is dying


def test_how_long_it_has_been_dying(scene: Scene) -> None:
    """One that cannot die would be waited for in vain for ever."""
    scene.process(FAR, pending=1 << 8)
    one(scene)
    scene.now_ns += 7 * S
    assert scene.world.table.dying_for_ns(one(scene)) == 7 * S


def test_reading_again_does_not_take_another_for_it(scene: Scene) -> None:
    """The number's next owner would be hit for what the last one had."""
    scene.process(FAR, start_ticks=1)
    before = one(scene)
    scene.process(FAR, start_ticks=2)
    assert scene.world.table.again(before) is None
    scene.process(FAR, start_ticks=1, rss_mib=99)
    now = scene.world.table.again(before)
    assert now is not None
    assert now.rss_bytes == 99 * MIB
    scene.end(FAR)
    assert scene.world.table.again(before) is None


def test_the_program_is_read_anew_after_an_exec(scene: Scene) -> None:
    """A shell that has become a server would not be known by its program."""
    scene.process(FAR, b"sh", exe="/bin/sh")
    assert one(scene).exe == "/bin/sh"
    scene.process(FAR, b"sh", exe="/bin/other")
    assert one(scene).exe == "/bin/sh"
    scene.process(FAR, b"mysqld", exe="/usr/sbin/mysqld")
    assert one(scene).exe == "/usr/sbin/mysqld"


@pytest.mark.parametrize(
    ("cgroup", "memory", "units"),
    [
        (
            b"0::/user.slice/user-0.slice/session-1.scope\n",
            None,
            ("user.slice", "user-0.slice", "session-1.scope"),
        ),
        (
            b"9:name=systemd:/system.slice/a.service\n4:memory:/x\n0::/y\n",
            "/x",
            ("system.slice", "a.service"),
        ),
        (b"4:memory:/docker/1\n", "/docker/1", ()),
        (b"0::/\n", "/", ()),
        (b"", "", ()),
    ],
)
def test_cgroups_and_units(scene: Scene, cgroup: bytes, memory: str | None, units: tuple[str, ...]) -> None:
    """A process would be taken for part of another service."""
    scene.process(FAR, cgroup=cgroup)
    found = one(scene)
    assert found.units == units
    assert memory is None or found.cgroup == memory
