"""A fork storm: forks children that hold a little memory of their own and stay; then holds still.

For each child the kernel needs a task, a stack and page tables beside the pages that the child writes to:
nr_anon_pages, nr_page_table_pages, nr_kernel_stack and slab all rise, and no process of them is large.
Children that were killed meanwhile are replaced, as a fork bomb does, until so many have been forked in all
that the guest can be ended.
"""

import argparse
import mmap
import os
import signal
import sys
import time


def child(hold_kib: int) -> None:
    """Hold some memory and wait."""
    own = mmap.mmap(-1, hold_kib << 10, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for place in range(0, len(own), mmap.PAGESIZE):
        own[place] = 1
    while True:
        signal.pause()


def storm(alive: int, total: int, hold_kib: int) -> None:
    """Fork until `alive` children live at once, or `total` have been forked."""
    living = forked = 0
    while forked < total:
        while living and os.waitpid(-1, os.WNOHANG)[0]:
            living -= 1
        if living >= alive:
            time.sleep(0.1)
            continue
        try:
            pid = os.fork()
        except OSError:  # no more tasks, or no memory for one: as a bomb does, try again
            time.sleep(0.01)
            continue
        if pid == 0:
            child(hold_kib)
        living, forked = living + 1, forked + 1


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alive", type=int, default=2000, help="children at once")
    parser.add_argument("--total", type=int, default=3000, help="children in all")
    parser.add_argument("--hold", type=int, default=128, help="KiB of each child")
    arguments = parser.parse_args()
    storm(arguments.alive, arguments.total, arguments.hold)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    sys.exit(main())
