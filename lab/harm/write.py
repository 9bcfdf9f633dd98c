"""Writes one large file at a rate, as rsync and backups do: page cache grows."""

import argparse
import os
import sys
import time
from pathlib import Path

_PIECE = 256 << 10


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--rate", type=float, default=4, help="MiB a second")
    parser.add_argument("--limit", type=int, default=256, help="MiB; then it begins again from the start")
    parser.add_argument("--name", help="what it is called in the table of processes")
    arguments = parser.parse_args()
    if arguments.name:
        Path("/proc/self/comm").write_text(arguments.name)
    piece = b"\x5a" * _PIECE
    out = os.open(arguments.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    began, written = time.monotonic(), 0
    while True:
        time.sleep(max(0.0, began + written / (arguments.rate * (1 << 20)) - time.monotonic()))
        if os.lseek(out, 0, os.SEEK_CUR) >= arguments.limit << 20:
            os.lseek(out, 0, os.SEEK_SET)
        written += os.write(out, piece)


if __name__ == "__main__":
    sys.exit(main())
