"""What a cgroup's path says about who made it, and where its limit is set.

::

    /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f2e_3c.slice/cri-containerd-9192cb33.scope
    /docker/34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6
    /user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4711.scope
    /lxc.payload.web01/system.slice/mariadb.service
"""

import re
import shlex
from dataclasses import dataclass, replace

from memwatchd.units import printable

_SHORT_ID = 12
_MAX_PATH_CHARS = 160
_MAX_NAME_CHARS = 64


@dataclass(frozen=True, slots=True)
class Owner:
    """Who made a cgroup.

    Attributes:
        words: What it is, for a sentence: "the container 34186d9bd077 of Docker".
        raise_limit: How its limit is changed, a sentence.
        is_container: Whether it is one container, whose first process takes all others with it.
    """

    words: str
    raise_limit: str
    is_container: bool = False


_ID = r"[0-9a-f]{12,64}"
_POD = re.compile(r"(?:^|-)pod([0-9a-fA-F][0-9a-fA-F_-]{5,63}?)(?:\.slice)?$", re.ASCII)
_CONTAINER_SCOPE = re.compile(
    rf"(?P<kind>cri-containerd|crio|docker|libpod|nerdctl|buildkit|podman)-(?:conmon-)?(?P<id>{_ID})(?:\.scope)?$",
    re.ASCII,
)
_BARE_ID = re.compile(rf"{_ID}$", re.ASCII)
_LXC = re.compile(r"^/(?:lxc/|lxc\.payload[./])(?P<name>[^/]+)(?:/ns)?$")
_LXC_INSIDE = re.compile(r"^/(?:lxc/|lxc\.payload[./])(?P<name>[^/]+)/")
_USER = re.compile(r"^user-(?P<uid>\d{1,10})\.slice$", re.ASCII)
_USER_MANAGER = re.compile(r"^user@(?P<uid>\d{1,10})\.service$", re.ASCII)
_SLURM = re.compile(r"/job_(?P<job>\d{1,12})(?:/|$)", re.ASCII)
_RUNTIMES = {
    "cri-containerd": "containerd",
    "crio": "CRI-O",
    "docker": "Docker",
    "libpod": "Podman",
    "podman": "Podman",
    "nerdctl": "nerdctl",
    "buildkit": "BuildKit",
}


def shown(path: str) -> str:
    """A path made safe for a terminal, and cut in its middle to a readable length."""
    text = printable(path)
    if len(text) <= _MAX_PATH_CHARS:
        return text
    half = _MAX_PATH_CHARS // 2
    return f"{text[:half]}…{text[-half:]}"


def service_of(path: str | None) -> str | None:
    """The innermost service of systemd in a path, which keeps its name over restarts; None without one."""
    parts = reversed((path or "").split("/"))
    return next((part for part in parts if part.endswith(".service")), None)


def owner_of(path: str) -> Owner:
    """Say what a cgroup is, by its path."""
    found = _LXC.search(path)
    if found:
        return _lxc(printable(found["name"])[:_MAX_NAME_CHARS])
    inside = _LXC_INSIDE.search(path)
    if inside is None:
        return _plain(path)
    inner = _plain(path[inside.end() - 1 :])
    who = printable(inside["name"])[:_MAX_NAME_CHARS]
    return replace(inner, words=f"{inner.words}, within the LXC container {who}")


def _plain(path: str) -> Owner:
    name = path.rstrip("/").rpartition("/")[2]
    owner = _kubernetes(path, name) or _container(path, name) or _systemd(path, name) or _other(path)
    return owner or Owner(f"the cgroup {shown(path)}", _by_file(path))


def _kubernetes(path: str, name: str) -> Owner | None:
    if "/kubepods" not in path:
        return None
    if name in ("kubepods", "kubepods.slice"):
        return Owner(
            f"{shown(path)}, all pods of this Kubernetes node together (node allocatable)",
            "give the pods memory limits that fit the node, so that the sum of them stays below node"
            " allocatable; kubeReserved, systemReserved and evictionHard of the kubelet's configuration"
            " set it",
        )
    pod = _POD.search(name)
    if pod:
        return Owner(
            f"the pod {pod[1].replace('_', '-')} of Kubernetes, all of its containers together",
            "raise resources.limits.memory of the pod's containers; volumes of emptyDir with medium Memory"
            " count",
        )
    if "burstable" in name or "besteffort" in name or "guaranteed" in name:
        kind = next(each for each in ("burstable", "besteffort", "guaranteed") if each in name)
        return Owner(
            f"{shown(path)}, all {kind} pods of this Kubernetes node together",
            "give the pods memory requests and limits; the kubelet's qosReserved and reservations set this"
            " one",
        )
    container = _CONTAINER_SCOPE.search(name) or _BARE_ID.search(name)
    if container is None:
        return None
    pods = [found for part in path.split("/") if (found := _POD.search(part))]
    of_pod = f" in the pod {pods[-1][1].replace('_', '-')}" if pods else ""
    identity = container[2] if container.lastindex else container[0]
    return Owner(
        f"the container {identity[:_SHORT_ID]}{of_pod} of Kubernetes",
        "raise resources.limits.memory of this container in its pod's specification",
        is_container=True,
    )


def _container(path: str, name: str) -> Owner | None:
    found = _CONTAINER_SCOPE.search(name)
    if found is None and not (_BARE_ID.search(name) and "/docker" in path):
        return None
    kind = found["kind"] if found else "docker"
    identity = (found["id"] if found else name)[:_SHORT_ID]
    tool = "podman" if kind in ("libpod", "podman") else "docker"
    change = (
        f"raise it with `{tool} update --memory 1g {identity}`"
        if kind in ("docker", "libpod", "podman")
        else f"raise the memory limit of the container {identity}"
    )
    return Owner(f"the container {identity} of {_RUNTIMES[kind]}", change, is_container=True)


def _lxc(who: str) -> Owner:
    return Owner(
        f"the LXC container {who}",
        "raise lxc.cgroup2.memory.max (lxc.cgroup.memory.limit_in_bytes on cgroup v1) of the container;"
        f" `pct set {shlex.quote(who)} --memory MIB` on Proxmox,"
        f" `lxc config set {shlex.quote(who)} limits.memory 2GiB` on LXD",
        is_container=True,
    )


def _systemd(path: str, name: str) -> Owner | None:
    user = _USER.search(name)
    manager = _USER_MANAGER.search(name)
    unit = shlex.quote(printable(name)[:_MAX_PATH_CHARS])
    if user or manager:
        uid = (user or manager)["uid"]  # type: ignore[index]  # one of the two matched
        words = f"all sessions of the user {uid}" if user else f"the service manager of the user {uid}"
    elif not name.endswith((".service", ".scope", ".slice", ".mount", ".socket")):
        return None
    elif "/user@" in path:
        return Owner(
            f"the unit {printable(name)[:_MAX_NAME_CHARS]} of a user's service manager",
            f"raise it with `systemctl --user set-property {unit} MemoryMax=2G` as that user",
        )
    elif path.startswith("/machine.slice/"):
        words = f"the machine {printable(name)[:_MAX_NAME_CHARS]}"
    elif name.startswith("session-"):
        words = f"the login {printable(name)[:_MAX_NAME_CHARS]}"
    else:
        kind = name.rpartition(".")[2]
        words = f"the {kind} {printable(name)[:_MAX_NAME_CHARS]} of systemd"
    return Owner(
        words, f"raise it with `systemctl set-property {unit} MemoryMax=2G`, or MemoryMax= in its unit"
    )


def _other(path: str) -> Owner | None:
    job = _SLURM.search(path)
    if job and "slurm" in path:
        return Owner(
            f"the Slurm job {job['job']}", f"ask for more with `sbatch --mem` for the job {job['job']}"
        )
    if path == "/":
        return Owner("the root cgroup", "look for the limit on /, which only cgroup v1 can have")
    return None


def _by_file(path: str) -> str:
    quoted_path = shlex.quote(f"/sys/fs/cgroup{shown(path)}/memory.max")
    return (
        f"raise it in {quoted_path} (memory.limit_in_bytes below /sys/fs/cgroup/memory on cgroup v1),"
        " by whatever made that cgroup"
    )
