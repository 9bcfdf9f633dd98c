"""A loop that only sleeps from deadline to deadline, as the sampler does, at its rate and priority.

What it misses the machine itself did not give: its processors were elsewhere (a virtual machine's host had
them, or the kernel did not let go of them). The sampler can do no better.

Run by its path, so that it imports nothing of ours: ``python -I -S soak/sleeper.py BOARD RATE PRIORITY``.
BOARD is a file of three 64-bit words: ticks, missed ticks, longest lag in nanoseconds.
"""

import ctypes
import gc
import mmap
import os
import sys
import time


def main() -> None:
    """Sleep until the parent has ended."""
    path, rate_hz, priority = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    with open(path, "r+b") as file:
        board = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
    if priority:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    ctypes.CDLL(None).mlockall(3)  # refused, it may fault; so would the sampler
    gc.disable()
    _sleep(board, round(1e9 / rate_hz), os.getppid())


def _sleep(board: memoryview, period_ns: int, parent: int) -> None:
    """The sampler's own way of waiting, see `memwatchd.sampling.loop.Loop.run`."""
    now, sleep = time.monotonic_ns, time.sleep
    deadline_ns = now() + period_ns
    while True:
        wait_ns = deadline_ns - now()
        if wait_ns > 0:
            sleep(wait_ns * 1e-9)
        lag_ns = max(0, now() - deadline_ns)
        missed = lag_ns // period_ns
        deadline_ns += (1 + missed) * period_ns
        board[0] += 1
        board[1] += missed
        board[2] = max(board[2], lag_ns)
        if board[0] % 200 == 0 and os.getppid() != parent:
            return


if __name__ == "__main__":
    main()
