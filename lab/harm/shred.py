"""Breaks free memory into small pieces: no block of 64 KiB is left in most of it, although much is free.

Fills memory with pages in turn of two kinds and gives back all but every eighth: what stays is anonymous
memory, which the kernel can move out of the way (compaction), and pages in pipes, which it cannot. Then
holds still. Shows in buddyinfo, not in meminfo.
"""

import argparse
import fcntl
import mmap
import os
import sys
import time
from pathlib import Path

_PAGE = mmap.PAGESIZE
_PIPE_PAGES = 256
_EVERY = 8
_F_SETPIPE_SZ = 1031


def free_pages() -> int:
    """How many pages are free now."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemFree:"):
            return int(line.split()[1]) * 1024 // _PAGE
    return 0


def shred_movable(pages: int) -> mmap.mmap:
    """Take pages, and give back all but every eighth."""
    region = mmap.mmap(-1, pages * _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.madvise(mmap.MADV_NOHUGEPAGE)
    for place in range(0, len(region), _PAGE):
        region[place] = 1
    for place in range(0, pages // _EVERY * _EVERY * _PAGE, _EVERY * _PAGE):
        region.madvise(mmap.MADV_DONTNEED, place + _PAGE, (_EVERY - 1) * _PAGE)
    return region


def shred_fixed(pages: int) -> list[tuple[int, int]]:
    """Take pages by pipes that are filled in turn, and empty all but every eighth pipe."""
    pipes = [os.pipe() for _ in range(pages // _PIPE_PAGES // _EVERY * _EVERY)]
    for _, end in pipes:
        fcntl.fcntl(end, _F_SETPIPE_SZ, _PIPE_PAGES * _PAGE)
    page = bytes(_PAGE)
    for _ in range(_PIPE_PAGES):
        for _, end in pipes:
            os.write(end, page)
    for index, ends in enumerate(pipes):
        if index % _EVERY:
            for end in ends:
                os.close(end)
    return pipes[::_EVERY]


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.9, help="of the free memory")
    parser.add_argument("--fixed", type=float, default=0.25, help="share of these in pipes")
    arguments = parser.parse_args()
    pages = int(free_pages() * arguments.share)
    pipes = shred_fixed(int(pages * arguments.fixed))
    region = shred_movable(int(pages * (1 - arguments.fixed)))
    kept = len(pipes), len(region) // _PAGE // _EVERY
    print(f"shredded {pages} pages; {kept[0]} pipes and {kept[1]} pages stay", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    sys.exit(main())
