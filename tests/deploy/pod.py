"""A pod of deploy/kubernetes on this machine: what a kubelet does with its mounts, users and capabilities.

The image is this Python; its root is a tree of its own in which the files of /proc that the recorder reads
are masked, and /sys is empty, so that whoever does not go by ``--path.procfs`` and its sisters reads nothing.
The host's file systems are where the DaemonSet mounts them.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
BASE = PROJECT / "deploy/kubernetes/base"
NEEDED = ("unshare", "nsenter", "setpriv", "mount", "chroot")
# Read through other paths, or not at all.
_MASKED = ("meminfo", "vmstat", "buddyinfo", "zoneinfo", "slabinfo", "pressure/memory", "loadavg", "swaps")
_IMAGE = ("/usr", "/bin", "/lib", "/lib64", "/etc")
_DEVICES = ("null", "zero", "urandom", "random")


def daemonset() -> dict[str, Any]:
    """The DaemonSet, as it is in its file."""
    document: dict[str, Any] = yaml.safe_load((BASE / "daemonset.yaml").read_text())
    return document


def pod_spec() -> dict[str, Any]:
    """What each node gets."""
    spec: dict[str, Any] = daemonset()["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    """One of its containers."""
    (found,) = [each for each in pod_spec()["containers"] if each["name"] == name]
    return dict(found)


def missing() -> str:
    """Why no pod can be made here; empty where one can."""
    if os.geteuid() != 0:
        return "mounting takes root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"there is no {', '.join(absent)}"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "the kernel makes no mount namespace here"


@dataclass
class Pod:
    """A pod whose containers are processes of this machine.

    Attributes:
        directory: For its root and for what its nodes keep.
    """

    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Where the root is mounted, for those who are within."""
        return self.directory / "root"

    @property
    def state(self) -> Path:
        """The node's directory for incidents."""
        return self.directory / "state"

    @property
    def log(self) -> str:
        """What all containers have said."""
        return (self.directory / "log").read_text(errors="replace")

    def seen(self, path: str) -> Path:
        """A path of the pod, as it can be opened from outside."""
        return Path(f"/proc/{self.processes[0].pid}/root{path}")

    def start_recorder(self) -> subprocess.Popen[bytes]:
        """Mount everything and start the first container."""
        for path in (self.root, self.state):
            path.mkdir()
        (self.directory / "config").mkdir()
        shutil.copy(BASE / "memwatchd.yaml", self.directory / "config")
        # What kubelet gives to a critical pod, before the container has lost the right to give it to itself.
        adjusted = "echo -997 2>/dev/null > /proc/self/oom_score_adj || true"
        entered = ["exec", "chroot", str(self.root), *_as_user(container("recorder"), command("recorder"))]
        script = "\n".join(["set -eu", *self._mounts(), adjusted, shlex.join(entered)])
        return self._start(["unshare", "--mount", "--propagation=private", "sh", "-c", script])

    def start_exporter(self, *, listen: str) -> subprocess.Popen[bytes]:
        """Start the second container beside it, at another address than that of a pod."""
        (pid,) = (str(process.pid) for process in self.processes)
        words = [word for word in command("exporter") if not word.startswith("--listen=")]
        inside = _as_user(container("exporter"), [*words, f"--listen={listen}"])
        return self._start(["nsenter", f"--target={pid}", "--mount", "--root", "--wd", *inside])

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of memwatchd within, as ``kubectl exec`` does."""
        pid = self.processes[0].pid
        inside = ["nsenter", f"--target={pid}", "--mount", "--root", "--wd", *_program(), *words]
        return subprocess.run(inside, capture_output=True, env=_environment(), timeout=60, check=False)

    def end(self) -> None:
        """End whatever is left of it."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
            )
        self.processes.append(process)
        return process

    def _mounts(self) -> list[str]:
        """Commands that make the image's file system, then what the DaemonSet mounts into it."""
        root = self.root
        lines = [f"mount -t tmpfs tmpfs {root}"]
        image = [*_IMAGE, sys.prefix, sys.base_prefix, str(PROJECT)]
        for path in dict.fromkeys(each for each in image if Path(each).exists()):
            lines += _bound(path, f"{root}{path}")
        lines += [f"mkdir -p {root}/proc {root}/sys {root}/dev {root}/tmp", f"mount -t proc proc {root}/proc"]
        lines += [f"touch {root}/dev/{name}; mount --bind /dev/{name} {root}/dev/{name}" for name in _DEVICES]
        lines += [
            f"mount --bind /dev/null {root}/proc/{name}" for name in _MASKED if Path(f"/proc/{name}").exists()
        ]
        spec = {volume["name"]: volume for volume in pod_spec()["volumes"]}
        for mount in container("recorder")["volumeMounts"]:
            lines += self._volume(spec[mount["name"]], mount)
        return lines

    def _volume(self, volume: dict[str, Any], mount: dict[str, Any]) -> list[str]:
        target = f"{self.root}{mount['mountPath']}"
        if "emptyDir" in volume:
            assert volume["emptyDir"]["medium"] == "Memory"
            size = volume["emptyDir"]["sizeLimit"].removesuffix("i")
            return [f"mkdir -p {target}", f"mount -t tmpfs -o mode=0777,size={size} tmpfs {target}"]
        if "configMap" in volume:
            return _bound(str(self.directory / "config"), target)
        source = volume["hostPath"]["path"]
        own = {"/var/lib/memwatchd": str(self.state)}
        return _bound(own.get(source, source), target, read_only=mount.get("readOnly", False))


def command(name: str) -> list[str]:
    """The very command and arguments of a container."""
    spec = container(name)
    assert spec["command"] == ["memwatchd"]
    return [*_program(), *spec["args"]]


def _program() -> list[str]:
    return [sys.executable, "-m", "memwatchd"]


def _as_user(spec: dict[str, Any], words: list[str]) -> list[str]:
    """As the container's user, with its capabilities and no others."""
    context = spec["securityContext"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["allowPrivilegeEscalation"] is False
    kept = ",".join(["-all", *(f"+{name.lower()}" for name in context["capabilities"].get("add", []))])
    options = [f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}", "--clear-groups"]
    return ["setpriv", *options, f"--bounding-set={kept}", "--inh-caps=-all", "--no-new-privs", *words]


def _bound(source: str, target: str, *, read_only: bool = True) -> list[str]:
    if Path(source).is_dir():
        lines = [f"mkdir -p {target}"]
    else:
        lines = [f"mkdir -p {Path(target).parent}", f"touch {target}"]
    lines.append(f"mount --rbind {source} {target}")
    return [*lines, f"mount -o remount,bind,ro {target}"] if read_only else lines


def _environment() -> dict[str, str]:
    # Runtimes set HOME for users that nobody knows.
    own = {"HOME": "/", "PYTHONPATH": str(PROJECT / "src"), "MALLOC_ARENA_MAX": "1"}
    return {"PATH": os.environ["PATH"], **own}
