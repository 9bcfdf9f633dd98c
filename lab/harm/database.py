"""An innocent: a database with a large buffer pool of its own memory, on which it works all the time.

It fills the pool at a rate, as one that reads its tables in, then reads and changes pages all over it, and
appends to a log that it has on disk at once. It never takes more than it was told to.
"""

import argparse
import mmap
import os
import random
import sys
import time
from pathlib import Path

_MIB = 1 << 20
_PAGE = 8192
_CHANGES = 500


def warm_up(pool: mmap.mmap, rate_mib: float) -> None:
    """Fill the pool."""
    piece = b"\x3c" * _MIB
    for number in range(len(pool) // _MIB):
        began = time.monotonic()
        pool[number * _MIB : (number + 1) * _MIB] = piece
        # What was late is not caught up with: it waits for its disk.
        time.sleep(max(0.0, began + 1 / rate_mib - time.monotonic()))


def transact(pool: mmap.mmap, log: int, random_: random.Random) -> None:
    """Change pages, and write down that they were."""
    for _ in range(_CHANGES):
        place = random_.randrange(len(pool) // _PAGE) * _PAGE
        pool[place] = (pool[place] + 1) & 0xFF
    os.write(log, bytes(16 << 10))
    os.fdatasync(log)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--pool", type=int, required=True, help="MiB")
    parser.add_argument("--rate", type=float, default=20, help="MiB a second while it warms up")
    arguments = parser.parse_args()
    pool = mmap.mmap(-1, arguments.pool * _MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    log = os.open(arguments.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    random_ = random.Random(1)
    warm_up(pool, arguments.rate)
    print("warm", flush=True)
    while True:
        transact(pool, log, random_)
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
