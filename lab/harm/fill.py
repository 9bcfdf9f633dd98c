"""Fills a directory with files at a rate, until it is full; then stays.

On a tmpfs that is shared memory (nr_shmem): it belongs to no process, and to kill the one that wrote it
frees nothing.
"""

import argparse
import sys
import time
from pathlib import Path

_MIB = 1 << 20


def fill(directory: Path, rate_mib: float, limit_mib: int) -> None:
    """Write files of 16 MiB each; returns when there is no more room."""
    piece = b"\xa5" * _MIB
    began, written = time.monotonic(), 0
    while not limit_mib or written < limit_mib:
        with (directory / f"{written // 16:05}").open("ab", buffering=0) as file:
            if rate_mib:
                time.sleep(max(0.0, began + (written + 1) / rate_mib - time.monotonic()))
            try:
                file.write(piece)
            except OSError:
                return
        written += 1


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rate", type=float, default=0, help="MiB a second; 0: as fast as it can")
    parser.add_argument("--limit", type=int, default=0, help="MiB; 0: none")
    arguments = parser.parse_args()
    fill(arguments.directory, arguments.rate, arguments.limit)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    sys.exit(main())
