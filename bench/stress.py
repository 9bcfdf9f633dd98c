"""Load that is like a machine in trouble and harms nobody: busy processors, and a cgroup that must reclaim.

The processes have ordinary priority, and sessions of their own as services have: where the kernel shares out
time by session (CONFIG_SCHED_AUTOGROUP), a nice value counts for nothing between two of them. They end with
the benchmark, however that ends.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""
# Holds 24 MiB and goes through a file four times as large as the cgroup's limit, in pieces as cp does: the
# kernel takes back the file's pages all the time, and all of the rest again and again. With pieces of 1 MiB a
# kernel that does not preempt itself (PREEMPT_NONE) kept even SCHED_FIFO waiting for 25 ms.
_HOG = """
import os, pathlib, sys
pathlib.Path(sys.argv[1], "cgroup.procs").write_text("0")
parent, file = os.getppid(), os.open(sys.argv[2], os.O_RDONLY)
while os.getppid() == parent:
    held = bytearray(b"\\1") * (24 << 20)
    for at in range(0, 256 << 20, 128 << 10):
        os.pread(file, 128 << 10, at)
    del held
"""
_FILE_BYTES = 256 << 20
# Where temporary files are never in memory: pages of a tmpfs cannot be reclaimed.
_DISK = Path("/var/tmp")


@contextmanager
def stress(cgroup: Path) -> Iterator[None]:
    """Keep all processors busy, and one process of this cgroup allocating, freeing and reclaiming.

    Raises:
        OSError: No process or file could be made.
    """
    with ExitStack() as stack, tempfile.NamedTemporaryFile(dir=_DISK, prefix="memwatchd-bench-") as file:
        file.truncate(_FILE_BYTES)
        for _ in range(os.cpu_count() or 1):
            stack.enter_context(_running(_BUSY))
        stack.enter_context(_running(_HOG, str(cgroup), file.name))
        yield


@contextmanager
def _running(program: str, *arguments: str) -> Iterator[None]:
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()
