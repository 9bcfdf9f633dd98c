"""An innocent, something like `make -j`: many short processes with memory of their own, and files.

A compile job reads sources, takes some tens of MiB, computes, writes an object file and ends; after every
round of them a link job reads all objects and takes as much as several compilers. Between them run small
programs, as a shell's do.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

_MIB = 1 << 20
_SOURCE = b"".join(b"int function_%d(int a) { return a * %d; }\n" % (n, n) for n in range(4000))


def work(sources: list[Path], target: Path, memory_mib: int) -> None:
    """Be a compiler or a linker."""
    held = [bytearray(bytes([number & 0xFF]) * _MIB) for number in range(memory_mib)]
    text = b"".join(source.read_bytes() for source in sources)
    target.write_bytes(zlib.compress(text, 6) + bytes(held[0][: 256 << 10]))


def start(sources: list[Path], target: Path, memory_mib: int) -> int:
    """Start a job as a process of its own."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(sources, target, memory_mib)
            status = 0
        finally:
            os._exit(status)
    return pid


def build(directory: Path, jobs: int, units: int, compile_mib: int, link_mib: int) -> int:
    """Build once; returns the number of jobs that failed."""
    sources = [directory / f"{number}.c" for number in range(units)]
    for source in sources:
        source.write_bytes(_SOURCE)
    running: set[int] = set()
    failed = 0
    for source in sources:
        subprocess.run(["/bin/true"], check=False)
        if len(running) >= jobs:
            pid, status = os.wait()
            running.discard(pid)
            failed += status != 0
        running.add(start([source], source.with_suffix(".o"), compile_mib))
    for pid in running:
        failed += os.waitpid(pid, 0)[1] != 0
    objects = [source.with_suffix(".o") for source in sources]
    failed += os.waitpid(start(objects, directory / "program", link_mib), 0)[1] != 0
    return failed


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--units", type=int, default=24, help="source files")
    parser.add_argument("--compile", type=int, default=24, help="MiB of a compile job")
    parser.add_argument("--link", type=int, default=96, help="MiB of a link job")
    parser.add_argument("--seconds", type=float, default=120)
    arguments = parser.parse_args()
    arguments.directory.mkdir(exist_ok=True)
    end, builds, failed = time.monotonic() + arguments.seconds, 0, 0
    while time.monotonic() < end:
        failed += build(
            arguments.directory, arguments.jobs, arguments.units, arguments.compile, arguments.link
        )
        builds += 1
    print(f"{builds} builds, {failed} jobs failed", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
