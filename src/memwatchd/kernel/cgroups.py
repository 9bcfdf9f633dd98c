"""Effects on control groups: freezing, killing, limits.

A cgroup is known by its directory and its inode number. Version 2 is mounted alone or, beside version 1, as
``unified``; version 1's controllers have a directory each::

    version 2   cgroup.freeze (5.2)   cgroup.kill (5.14)   cgroup.events: frozen 1   memory.high, memory.max
    version 1   freezer.state: THAWED, FREEZING, FROZEN    memory.limit_in_bytes
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memwatchd.kernel.directory import Directory
from memwatchd.procfs.cgroup import CgroupMembership
from memwatchd.roots import Roots

_POLL_S = 0.005
# Each level holds a descriptor; whoever may make cgroups could make thousands.
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A cgroup that was there when it was looked for.

    Attributes:
        path: As in /proc/PID/cgroup; never the root.
        directory: Where it is in the file system.
        version: 1 or 2.
    """

    path: str
    directory: str
    inode: int
    version: int

    def open(self) -> Directory:
        """Take hold of it.

        Raises:
            FileNotFoundError: It is gone, or another one has its path by now.
            OSError: It is not for us.
        """
        directory = Directory.open(self.directory)
        if directory.inode != self.inode:
            directory.close()
            raise FileNotFoundError(errno.ENOENT, "another cgroup has its path by now", self.directory)
        return directory


def find_cgroup(
    roots: Roots, memberships: Iterable[CgroupMembership], controller: str, file: str
) -> Cgroup | None:
    """Find a process's cgroup in which there is a certain file.

    Args:
        roots: Where the cgroup file systems are.
        memberships: The process's, from /proc/PID/cgroup.
        controller: Version 1's controller; empty looks in version 2.
        file: Name of the file.

    Returns:
        None where the process is in the root, outside our cgroup namespace or in a removed group, or where
        there is no such file.
    """
    wanted = (controller,) if controller else ()
    for _, controllers, path in memberships:
        if set(wanted) <= set(controllers) and bool(wanted) == bool(controllers):
            return cgroup_at(roots, path, controller, file)
    return None


def cgroup_at(roots: Roots, path: str, controller: str, file: str) -> Cgroup | None:
    """Find the cgroup of a path, as `find_cgroup` does for a process."""
    names = path.strip("/").split("/")
    if names == [""] or not {"", ".", ".."}.isdisjoint(names):
        return None
    for mount in _mounts(roots, controller):
        # A removed group's path ends in " (deleted)" and is not there; one that is there may be called so.
        directory = mount.joinpath(*names)
        try:
            if directory.joinpath(file).exists():
                inode = directory.stat().st_ino
                return Cgroup(path, str(directory), inode, 1 if controller else 2)
        except OSError:
            continue  # removed while it was looked for, or a name too long for a path
    return None


def members(cgroup: Cgroup) -> list[int]:
    """Pids of all processes in it and below it; 0 stands for one outside our pid namespace.

    Raises:
        FileNotFoundError: It is gone.
        OSError: It is not for us, or there are too many levels below it.
    """
    with cgroup.open() as directory:
        try:
            return list(_members(directory, 0))
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise FileNotFoundError(errno.ENOENT, "was removed", cgroup.directory) from error
            raise


def _members(directory: Directory, depth: int) -> Iterator[int]:
    if depth > _MAX_DEPTH:
        raise OSError(errno.ELOOP, "more levels of cgroups than anybody needs")
    yield from map(int, directory.read_long("cgroup.procs").split())
    for name in directory.below():
        try:
            with Directory.open(name, directory) as child:
                yield from _members(child, depth + 1)
        except OSError as error:
            # A group that is removed just now has no members.
            if error.errno not in (errno.ENODEV, errno.ENOENT):
                raise


def set_frozen(cgroup: Cgroup, frozen: bool) -> None:
    """Ask for a group to be frozen or thawed; it becomes so a little later.

    Raises:
        FileNotFoundError: It is gone, or another one has its path by now.
        OSError: The kernel refuses.
    """
    with cgroup.open() as directory:
        if cgroup.version == 2:
            directory.write("cgroup.freeze", "1" if frozen else "0")
        else:
            directory.write("freezer.state", "FROZEN" if frozen else "THAWED")


def asked_frozen(cgroup: Cgroup) -> bool:
    """Whether a group itself has been told to be frozen, by whomever; raises as `set_frozen` does."""
    with cgroup.open() as directory:
        if cgroup.version == 2:
            return directory.read("cgroup.freeze").strip() == b"1"
        return directory.read("freezer.state").strip() != b"THAWED"


def wait_frozen(cgroup: Cgroup, until_ns: int) -> bool:
    """Wait until all of a group stands still, or until a moment of the monotonic clock; raises as above."""
    with cgroup.open() as directory:
        while not _is_frozen(directory, cgroup.version):
            if time.monotonic_ns() >= until_ns:
                return False
            # Reading the state of version 1 is what moves it on; version 2 could be polled, at no gain.
            time.sleep(_POLL_S)
    return True


def _is_frozen(directory: Directory, version: int) -> bool:
    if version == 2:
        return b"frozen 1" in directory.read("cgroup.events").splitlines()
    return directory.read("freezer.state").strip() == b"FROZEN"


def kill_all(cgroup: Cgroup) -> None:
    """Send SIGKILL to everything in a group of version 2 and below it, forks in flight included.

    Raises:
        FileNotFoundError: The group is gone, or the kernel older than 5.14.
        OSError: The kernel refuses.
    """
    with cgroup.open() as directory:
        directory.write("cgroup.kill", "1")


def read_only(roots: Roots) -> list[Path]:
    """Cgroup file systems that are mounted, and in which nothing may be written: ProtectControlGroups=yes."""
    mounts = (roots.cgroupfs, *(roots.cgroupfs / name for name in ("unified", "memory", "freezer")))
    there = (mount for mount in mounts if (mount / "cgroup.procs").exists())
    return [mount for mount in there if os.statvfs(mount).f_flag & os.ST_RDONLY]


def _mounts(roots: Roots, controller: str) -> list[Path]:
    if controller:
        return [roots.cgroupfs / controller]
    return [roots.cgroupfs / "unified", roots.cgroupfs]
