"""Memory cgroups with a small limit, and a process that eats until the kernel kills it there.

Nothing outside can be harmed: the limit is 64 MiB without swap, and the kernel looks for a victim in this
cgroup only.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memwatchd.procfs.cgroup import parse_flat_keyed
from memwatchd.roots import Roots

_LIMIT_BYTES = 64 << 20
_REMOVE_S = 5.0
# Slowly enough that the recorder sees it coming, as with a real leak: a MiB every 5 ms.
_EATER = """
import pathlib, sys, time
pathlib.Path(sys.argv[1], "cgroup.procs").write_text("0")
eaten = []
while True:
    eaten.append(bytearray(b"\\1") * (1 << 20))
    time.sleep(0.005)
"""


@contextmanager
def limited_cgroup(what: str = "eater") -> Iterator[Path]:
    """Make a cgroup below the root of the tree and remove it afterwards; v2, or v1 where memory is there.

    Args:
        what: Goes into its name; one benchmark may have several.

    Raises:
        OSError: Not permitted, or there is no memory controller.
    """
    root = Roots().cgroupfs
    name = f"memwatchd-bench-{os.getpid()}-{what}"
    if (root / "cgroup.controllers").is_file():
        if "memory" not in (root / "cgroup.subtree_control").read_text().split():
            (root / "cgroup.subtree_control").write_text("+memory")
        path, limits = root / name, {"memory.max": _LIMIT_BYTES, "memory.swap.max": 0}
    elif (root / "memory" / "memory.limit_in_bytes").is_file():
        path = root / "memory" / name
        limits = {"memory.limit_in_bytes": _LIMIT_BYTES, "memory.swappiness": 0}
    else:
        raise FileNotFoundError(f"{root}: no memory controller is mounted")
    path.mkdir()
    try:
        for file, value in limits.items():
            # memory.swap.max is not there on kernels without swap accounting.
            if (path / file).exists():
                (path / file).write_text(str(value))
        yield path
    finally:
        remove(path)


def usage_bytes(cgroup: Path) -> int:
    """What is charged to it."""
    current = cgroup / "memory.current"
    return int((current if current.is_file() else cgroup / "memory.usage_in_bytes").read_bytes())


def limit_hits(cgroup: Path) -> int:
    """How often its limit was in the way, so that something had to be reclaimed first."""
    events = cgroup / "memory.events"
    if events.is_file():
        return parse_flat_keyed(events.read_bytes())["max"]
    return int((cgroup / "memory.failcnt").read_bytes())


@contextmanager
def eater(cgroup: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that joins the cgroup and eats; it is gone afterwards, whoever killed it."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _EATER, str(cgroup)], stdin=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def remove(path: Path, patience_s: float = _REMOVE_S) -> None:
    """Remove the cgroup; one that has just lost its last process may be busy for a moment."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            path.rmdir()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return
