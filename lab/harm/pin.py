"""Makes the kernel hold objects for it that nothing can drop: open sockets or pipes.

Its own memory stays small: a socket costs the kernel about 2 KiB (sock_inode_cache, UNIX, dentry, filp), in
low memory where there is HighMem, and the process a number. What rises is slab; the caches of inodes and
dentries are counted as reclaimable (SReclaimable) all the same, although these are in use and stay.
fs.file-max and the limit of open files must allow so many (see the scenarios).
"""

import argparse
import ctypes
import resource
import sys
import time

_BATCH = 256


def pin(kind: str, limit: int, rate: float) -> list[int]:
    """Open until the limit, or what the kernel still gives; what it refuses is asked for again later."""
    libc = ctypes.CDLL(None, use_errno=True)
    pair = (ctypes.c_int * 2)()
    held: list[int] = []
    began = time.monotonic()
    while len(held) < limit:
        if rate:
            time.sleep(max(0.0, began + len(held) / rate - time.monotonic()))
        for _ in range(_BATCH):
            refused = libc.socketpair(1, 1, 0, pair) if kind == "sockets" else libc.pipe(pair)
            if refused:
                time.sleep(0.2)
                break
            held += pair
    return held


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("sockets", "pipes"), default="sockets")
    parser.add_argument("--limit", type=int, default=1_000_000, help="descriptors")
    parser.add_argument("--rate", type=float, default=0, help="descriptors a second; 0: as fast as it can")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.limit + 100, arguments.limit + 100))
    held = pin(arguments.kind, arguments.limit, arguments.rate)
    while held:
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
