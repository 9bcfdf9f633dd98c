"""Finding cgroups and what is in them, over a tree of directories."""

import errno
from pathlib import Path

import pytest
from tests.actions.scene import Scene

from memwatchd.kernel.cgroups import Cgroup, cgroup_at, find_cgroup, members, set_frozen
from memwatchd.procfs.cgroup import parse_cgroup_memberships


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("name", ["plain", "two words", "gone (deleted)", "new\nline", "\udcff", "a:b", "…"])
def test_names_may_be_anything(scene: Scene, name: str) -> None:
    """A group could get out of reach by its name."""
    directory = scene.group(f"/top/{name}", 7, cgroup__freeze="0")
    found = cgroup_at(scene.world.roots, f"/top/{name}", "", "cgroup.freeze")
    assert found == Cgroup(f"/top/{name}", str(directory), directory.stat().st_ino, 2)
    assert members(found) == [7]


@pytest.mark.parametrize(
    "path", ["/", "", "/..", "/../outside", "/top/../top", "/top//sub", "/not/there", "/" + "x" * 300]
)
def test_the_root_and_what_lies_outside_are_never_found(scene: Scene, path: str) -> None:
    """Freezing the root would stop the machine."""
    scene.group("/top", 7, cgroup__freeze="0")
    (scene.cgroups / "cgroup.freeze").write_text("0")
    assert cgroup_at(scene.world.roots, path, "", "cgroup.freeze") is None


def test_a_removed_group_is_not_found(scene: Scene) -> None:
    """The living group of the dead one's name would be hit."""
    scene.group("/web", 7, cgroup__freeze="0")
    lines = parse_cgroup_memberships(b"0::/web (deleted)\n")
    assert find_cgroup(scene.world.roots, lines, "", "cgroup.freeze") is None


def test_each_version_is_looked_for_in_its_place(scene: Scene) -> None:
    """A path of one hierarchy would be taken for the same path of another."""
    (scene.cgroups / "unified/x").mkdir(parents=True)
    (scene.cgroups / "unified/x/cgroup.freeze").write_text("0")
    (scene.cgroups / "freezer/y").mkdir(parents=True)
    (scene.cgroups / "freezer/y/freezer.state").write_text("THAWED\n")
    lines = parse_cgroup_memberships(b"5:freezer:/y\n4:memory:/z\n0::/x\n")
    roots = scene.world.roots
    first = find_cgroup(roots, lines, "", "cgroup.freeze")
    second = find_cgroup(roots, lines, "freezer", "freezer.state")
    assert [(each.path, each.version) for each in (first, second) if each] == [("/x", 2), ("/y", 1)]
    assert find_cgroup(roots, lines, "memory", "memory.limit_in_bytes") is None
    assert find_cgroup(roots, lines, "pids", "cgroup.procs") is None


def test_another_group_of_the_same_path_is_refused(scene: Scene) -> None:
    """A container that was restarted would be thawed, or limited, in place of its predecessor."""
    scene.group("/web", 7, cgroup__freeze="0")
    found = cgroup_at(scene.world.roots, "/web", "", "cgroup.freeze")
    assert found is not None
    other = Cgroup(found.path, found.directory, found.inode + 1, 2)
    with pytest.raises(FileNotFoundError):
        set_frozen(other, True)
    assert (scene.cgroups / "web/cgroup.freeze").read_text() == "0"


def test_members_are_those_below_too(scene: Scene) -> None:
    """A group that holds the daemon further down would be frozen."""
    scene.group("/top", 1, cgroup__freeze="0")
    scene.group("/top/a/b", 3)
    (scene.cgroups / "top/a/cgroup.procs").write_text("2\n")
    (scene.cgroups / "top/loop").symlink_to(scene.cgroups / "top")
    found = cgroup_at(scene.world.roots, "/top", "", "cgroup.freeze")
    assert found is not None
    assert sorted(members(found)) == [1, 2, 3]


def test_groups_nested_without_end_are_an_error_and_no_crash(scene: Scene) -> None:
    """Whoever may make cgroups could end a worker thread, or use up its descriptors."""
    scene.group("/top", 1, cgroup__freeze="0")
    at = scene.cgroups / "top"
    for _ in range(60):
        (at / "cgroup.procs").write_text("")
        at = at / "d"
        at.mkdir()
    (at / "cgroup.procs").write_text("")
    found = cgroup_at(scene.world.roots, "/top", "", "cgroup.freeze")
    assert found is not None
    with pytest.raises(OSError, match="more levels") as raised:
        members(found)
    assert raised.value.errno == errno.ELOOP
