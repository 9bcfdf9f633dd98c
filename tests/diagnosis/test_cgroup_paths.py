"""What a cgroup's path says."""

import pytest

from memwatchd.diagnosis.cgroup_paths import owner_of, shown

ID = "34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6"
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda5d8fdd1_1369_469e.slice"


@pytest.mark.parametrize(
    ("path", "words", "container"),
    [
        (f"/docker/{ID}", "the container 34186d9bd077 of Docker", True),
        (f"/system.slice/docker-{ID}.scope", "the container 34186d9bd077 of Docker", True),
        (f"/machine.slice/libpod-{ID}.scope", "the container 34186d9bd077 of Podman", True),
        (
            "/kubepods.slice",
            "/kubepods.slice, all pods of this Kubernetes node together (node allocatable)",
            False,
        ),
        ("/kubepods", "/kubepods, all pods of this Kubernetes node together (node allocatable)", False),
        (
            "/kubepods.slice/kubepods-besteffort.slice",
            "/kubepods.slice/kubepods-besteffort.slice, all besteffort pods of this Kubernetes node together",
            False,
        ),
        (POD, "the pod a5d8fdd1-1369-469e of Kubernetes, all of its containers together", False),
        (
            "/kubepods/burstable/poda5d8fdd1-1369-469e",
            "the pod a5d8fdd1-1369-469e of Kubernetes, all of its containers together",
            False,
        ),
        (
            f"{POD}/cri-containerd-{ID}.scope",
            "the container 34186d9bd077 in the pod a5d8fdd1-1369-469e of Kubernetes",
            True,
        ),
        (
            f"/kubepods/burstable/poda5d8fdd1-1369-469e/{ID}",
            "the container 34186d9bd077 in the pod a5d8fdd1-1369-469e of Kubernetes",
            True,
        ),
        ("/lxc/39004", "the LXC container 39004", True),
        ("/lxc.payload.web01", "the LXC container web01", True),
        (
            "/lxc.payload.web01/system.slice/mariadb.service",
            "the service mariadb.service of systemd, within the LXC container web01",
            False,
        ),
        (
            f"/lxc/39004/ns/docker/{ID}",
            "the container 34186d9bd077 of Docker, within the LXC container 39004",
            True,
        ),
        ("/user.slice/user-1000.slice", "all sessions of the user 1000", False),
        ("/user.slice/user-0.slice/session-12.scope", "the login session-12.scope", False),
        ("/user.slice/user-1000.slice/user@1000.service", "the service manager of the user 1000", False),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-4711.scope",
            "the unit app-firefox-4711.scope of a user's service manager",
            False,
        ),
        ("/system.slice/mariadb.service", "the service mariadb.service of systemd", False),
        ("/system.slice", "the slice system.slice of systemd", False),
        ("/slurm/uid_1000/job_4711/step_0", "the Slurm job 4711", False),
        ("/leaker", "the cgroup /leaker", False),
        ("/", "the root cgroup", False),
        ("/a\x1b[2J\udcff", "the cgroup /a\\x1b[2J\\xff", False),
    ],
)
def test_who_made_it(path: str, words: str, container: bool) -> None:
    """The reader would look for the limit in the wrong place."""
    owner = owner_of(path)
    assert (owner.words, owner.is_container) == (words, container)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        (f"/docker/{ID}", "`docker update --memory 1g 34186d9bd077`"),
        ("/lxc/39004", "`pct set 39004 --memory MIB` on Proxmox"),
        ("/system.slice/mariadb.service", "`systemctl set-property mariadb.service MemoryMax=2G`"),
        ("/leaker", "/sys/fs/cgroup/leaker/memory.max"),
        ("/it's; reboot", "'/sys/fs/cgroup/it'\"'\"'s; reboot/memory.max'"),
    ],
)
def test_how_its_limit_is_raised(path: str, command: str) -> None:
    """A stranger's name could run as a command when it is pasted."""
    assert command in owner_of(path).raise_limit


@pytest.mark.parametrize("path", ["", "/" * 100_000, "/" + "a-pod" * 20_000, "/lxc/" + "x" * 100_000])
def test_hostile_paths_end(path: str) -> None:
    """A name of megabytes would hang or flood a report."""
    assert len(owner_of(path).words) < 2000


def test_long_paths_are_cut_in_the_middle() -> None:
    """The end of a path is what tells."""
    assert shown("/" + "a" * 500 + "/end.scope").endswith("/end.scope")
