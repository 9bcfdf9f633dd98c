"""An innocent: writes large files and reads them back, again and again; the page cache is always full.

Heavy for the disk and for reclaim, and healthy: every page of it can be dropped at once or after it is
written.
"""

import argparse
import os
import sys
import time
from pathlib import Path

_MIB = 1 << 20


def write(file: Path, size_mib: int) -> None:
    """Write a file anew and have it on disk."""
    piece = os.urandom(_MIB)
    with file.open("wb", buffering=0) as target:
        for _ in range(size_mib):
            target.write(piece)
        os.fsync(target.fileno())


def read(file: Path) -> None:
    """Read a file from one end to the other."""
    buffer = bytearray(_MIB)
    with file.open("rb", buffering=0) as source:
        while source.readinto(buffer):
            pass


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--size", type=int, default=256, help="MiB of each")
    parser.add_argument("--seconds", type=float, default=120)
    arguments = parser.parse_args()
    arguments.directory.mkdir(exist_ok=True)
    files = [arguments.directory / f"file-{number}" for number in range(arguments.files)]
    end, rounds = time.monotonic() + arguments.seconds, 0
    while time.monotonic() < end:
        write(files[rounds % len(files)], arguments.size)
        for file in files[: rounds + 1]:
            read(file)
        rounds += 1
    print(f"{rounds} rounds", flush=True)
    for file in files:
        file.unlink(missing_ok=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    sys.exit(main())
