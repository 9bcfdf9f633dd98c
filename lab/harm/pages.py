"""Needs the pages of files: maps one, and reads all of it again and again, in an order of its own.

A program and its libraries are such files: what of them is not in memory is read from the disk when it is
needed, without the program knowing. With `--write` it changes what it reads, too, so that the pages are dirty
and must be written before they can be dropped.
"""

import argparse
import mmap
import os
import random
import sys
import time
from pathlib import Path

_MIB = 1 << 20


def provide(file: Path, size_mib: int) -> None:
    """Make the file, unless it is there."""
    if file.exists() and file.stat().st_size == size_mib * _MIB:
        return
    # Several may be started at once with the same file.
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    with beside.open("wb", buffering=0) as target:
        for number in range(size_mib):
            target.write(bytes([number & 0xFF]) * _MIB)
    beside.replace(file)


def use(file: Path, pages_per_s: float, write: bool) -> None:
    """Read a page here and a page there, for ever; 0 means as fast as it can."""
    random_, seen = random.Random(3), 0
    # As a program's code is mapped: such pages the kernel is loth to drop.
    how = mmap.PROT_READ | (mmap.PROT_WRITE if write else mmap.PROT_EXEC)
    with file.open("r+b") as source, mmap.mmap(source.fileno(), 0, prot=how) as pages:
        began, done = time.monotonic(), 0
        while True:
            place = random_.randrange(len(pages) // mmap.PAGESIZE) * mmap.PAGESIZE
            seen += pages[place]
            if write:
                pages[place] = seen & 0xFF
            done += 1
            if pages_per_s and done % 64 == 0:
                time.sleep(max(0.0, began + done / pages_per_s - time.monotonic()))
                # What was late is not caught up with.
                if time.monotonic() > began + done / pages_per_s + 1:
                    began, done = time.monotonic(), 0


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=int, default=64, help="MiB of the file")
    parser.add_argument("--rate", type=float, default=0, help="pages a second; 0: as fast as it can")
    parser.add_argument("--write", action="store_true", help="change the pages, too")
    arguments = parser.parse_args()
    provide(arguments.file, arguments.size)
    use(arguments.file, arguments.rate, arguments.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
