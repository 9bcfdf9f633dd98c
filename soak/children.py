"""Cgroups and processes that come and go: some watched, some not, some to be killed.

Every child ends with this program, however that ends: each looks whether its parent is still there.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.cgroup import remove

from memwatchd.roots import Roots
from soak.activity import Trouble

_REMOVE_S = 10.0
_LIMIT_BYTES = 48 << 20

# argv: the cgroup's files, name in hex, MiB to eat, MiB a second (0: as fast as it can), seconds to stay.
_CHILD = """
import os, sys, time
*groups, name, most, rate, stay = sys.argv[1:]
parent = os.getppid()
for group in groups:
    open(group, "w").write("0")
open("/proc/self/comm", "wb").write(bytes.fromhex(name))
file = open(sys.executable, "rb")
eaten, began = [], time.monotonic()
print("ready", flush=True)
while len(eaten) < int(most):
    eaten.append(bytearray(b"\\1") * (1 << 20))
    if float(rate):
        time.sleep(max(0, began + len(eaten) / float(rate) - time.monotonic()))
until = time.monotonic() + float(stay)
while time.monotonic() < until and os.getppid() == parent:
    file.seek(len(eaten))
    time.sleep(0.05)
"""


def memory_root() -> Path:
    """Where memory cgroups are made, v2 or v1.

    Raises:
        OSError: None can be made here.
    """
    root = Roots().cgroupfs
    if (root / "cgroup.controllers").is_file():
        if "memory" not in (root / "cgroup.subtree_control").read_text().split():
            (root / "cgroup.subtree_control").write_text("+memory")
        return root
    if not (root / "memory" / "memory.limit_in_bytes").is_file():
        raise FileNotFoundError(f"{root}: no memory controller is mounted")
    return root / "memory"


@contextmanager
def cgroup(name: str, *, limit_bytes: int | None = None) -> Iterator[Path]:
    """Make a cgroup and remove it afterwards.

    Args:
        name: Path below the root of the tree.
        limit_bytes: At which the kernel kills; None for no limit.

    Raises:
        OSError: Not permitted.
    """
    path = memory_root() / name.lstrip("/")
    path.mkdir()
    try:
        if limit_bytes is not None:
            limits = {"memory.max": limit_bytes, "memory.swap.max": 0}
            limits |= {"memory.limit_in_bytes": limit_bytes, "memory.swappiness": 0}
            for file, value in limits.items():
                if (path / file).exists():
                    (path / file).write_text(str(value))
        yield path
    finally:
        remove(path, _REMOVE_S)


@contextmanager
def limited_cgroup(name: str) -> Iterator[Path]:
    """Make a cgroup in which the kernel soon kills."""
    with cgroup(name, limit_bytes=_LIMIT_BYTES) as path:
        yield path


@contextmanager
def child(
    *groups: Path, comm: bytes = b"soak-child", most_mib: int = 0, mib_per_s: float = 0, stay_s: float = 60
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a child that joins cgroups, eats, and stays; it is gone afterwards, whoever killed it.

    Raises:
        Trouble: It did not start.
    """
    files = [str(group / "cgroup.procs") for group in groups]
    words = [*files, comm.hex(), str(most_mib), str(mib_per_s), str(stay_s)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CHILD, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Nobody freezes what is in his own session, and Ctrl-C is not for it.
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline() != b"ready\n":
            raise Trouble(f"a child did not start: status {process.wait()}")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def sweep(prefix: str) -> None:
    """Remove the cgroups of this prefix that are still there, and end what is in them."""
    for path in memory_root().glob(f"{prefix.lstrip('/')}*"):
        for pid in (path / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        remove(path, _REMOVE_S)


def is_root() -> bool:
    """Whether cgroups can be made at all."""
    return os.geteuid() == 0
