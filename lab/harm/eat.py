"""Takes anonymous memory at a rate and touches all of it, up to a limit or for ever; then holds it."""

import argparse
import mmap
import sys
import time

_MIB = 1 << 20
_PIECE_MIB = 4


def eat(rate_mib: float, limit_mib: float, huge: bool) -> list[mmap.mmap]:
    """Take memory; 0 means as fast as it can, and without limit."""
    pattern = b"\x5a" * (_PIECE_MIB * _MIB)
    held: list[mmap.mmap] = []
    began = time.monotonic()
    while not limit_mib or len(held) * _PIECE_MIB < limit_mib:
        if rate_mib:
            due = began + (len(held) + 1) * _PIECE_MIB / rate_mib
            time.sleep(max(0.0, due - time.monotonic()))
        piece = mmap.mmap(-1, _PIECE_MIB * _MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if not huge:
            piece.madvise(mmap.MADV_NOHUGEPAGE)
        piece.write(pattern)
        held.append(piece)
    return held


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0, help="MiB a second; 0: as fast as it can")
    parser.add_argument("--limit", type=float, default=0, help="MiB; 0: none")
    parser.add_argument("--huge", action="store_true", help="allow huge pages")
    arguments = parser.parse_args()
    held = eat(arguments.rate, arguments.limit, arguments.huge)
    while held:
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
