"""Takes memory and locks it, at a rate, up to a limit or for ever; then holds it.

What mlock() holds is on no list that reclaim looks at (nr_mlock, nr_unevictable): swap does not help,
everybody else is pushed out instead.
"""

import argparse
import ctypes
import mmap
import os
import sys
import time

_MIB = 1 << 20
_PIECE_MIB = 4


def lock(rate_mib: float, limit_mib: int) -> list[mmap.mmap]:
    """Take and lock memory; 0 means as fast as it can, and without limit."""
    libc = ctypes.CDLL(None, use_errno=True)
    held: list[mmap.mmap] = []
    began = time.monotonic()
    while not limit_mib or len(held) * _PIECE_MIB < limit_mib:
        if rate_mib:
            due = began + (len(held) + 1) * _PIECE_MIB / rate_mib
            time.sleep(max(0.0, due - time.monotonic()))
        piece = mmap.mmap(-1, _PIECE_MIB * _MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        place = ctypes.addressof(ctypes.c_char.from_buffer(piece))
        if libc.mlock(ctypes.c_void_p(place), ctypes.c_size_t(len(piece))) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), "mlock")
        held.append(piece)
    return held


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0, help="MiB a second; 0: as fast as it can")
    parser.add_argument("--limit", type=int, default=0, help="MiB; 0: none")
    arguments = parser.parse_args()
    held = lock(arguments.rate, arguments.limit)
    while held:
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
