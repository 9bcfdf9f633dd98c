"""Takes anonymous memory at a rate and touches all of it, up to a limit or for ever; then holds it.

With `--use` it works on what it has while it takes more, and afterwards: a page here and a page there, so
that whatever of it was swapped out must come back. With `--noise` so much of each page does not compress.
"""

import argparse
import mmap
import os
import random
import sys
import time

_MIB = 1 << 20
_PIECE_MIB = 4
_USED_AT_ONCE = 64


def pattern(noise: float) -> bytes:
    """What is written to memory: so much of each page is noise."""
    random_bytes = int(mmap.PAGESIZE * noise)
    pages = _PIECE_MIB * _MIB // mmap.PAGESIZE
    plain = b"\x5a" * (mmap.PAGESIZE - random_bytes)
    return b"".join(os.urandom(random_bytes) + plain for _ in range(pages))


def eat(rate_mib: float, limit_mib: float, huge: bool, content: bytes, use: bool) -> list[mmap.mmap]:
    """Take memory; 0 means as fast as it can, and without limit."""
    held: list[mmap.mmap] = []
    random_ = random.Random(5)
    began = time.monotonic()
    while not limit_mib or len(held) * _PIECE_MIB < limit_mib:
        if rate_mib:
            due = began + (len(held) + 1) * _PIECE_MIB / rate_mib
            while use and held and time.monotonic() < due:
                work(held, random_)
            time.sleep(max(0.0, due - time.monotonic()))
        piece = mmap.mmap(-1, _PIECE_MIB * _MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if not huge:
            piece.madvise(mmap.MADV_NOHUGEPAGE)
        piece.write(content)
        held.append(piece)
    return held


def work(held: list[mmap.mmap], random_: random.Random) -> None:
    """Use some pages of what it has."""
    for _ in range(_USED_AT_ONCE):
        piece = held[random_.randrange(len(held))]
        place = random_.randrange(len(piece) // mmap.PAGESIZE) * mmap.PAGESIZE
        piece[place] = (piece[place] + 1) & 0xFF
    time.sleep(0.002)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0, help="MiB a second; 0: as fast as it can")
    parser.add_argument("--limit", type=float, default=0, help="MiB; 0: none")
    parser.add_argument("--huge", action="store_true", help="allow huge pages")
    parser.add_argument("--use", action="store_true", help="work on what it has, all the time")
    parser.add_argument("--noise", type=float, default=0, help="share of each page that does not compress")
    arguments = parser.parse_args()
    content = pattern(arguments.noise)
    held = eat(arguments.rate, arguments.limit, arguments.huge, content, arguments.use)
    random_ = random.Random(6)
    while held:
        if arguments.use:
            work(held, random_)
        else:
            time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
