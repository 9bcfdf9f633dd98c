"""How the machine feels to a program that wants little: how long small things take, 20 times a second.

An ordinary program (no real-time) that cannot be killed and is locked in memory, so that what it waits for is
the machine and not its own code. Every 50 ms it takes and touches 64 KiB; every half second it reads a page
of a file that is not cached; every second it starts /bin/true and waits for it. A step counts from when it
was due to when it was done, so that waiting for a processor counts, too.

Writes, when told to end (SIGTERM), every step that took longer than a tenth of a second, and a histogram.
"""

import argparse
import json
import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path

from lab.inside import body

PERIOD_S = 0.05
_SLOW_S = 0.1
_KEPT = 4000
_PIECE = 64 * 1024
_PAGE = 4096
_EVERY = {"read": 10, "exec": 20}
# Upper bounds in milliseconds.
BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 10**9)


class Steps:
    """The small things."""

    def __init__(self, file: Path) -> None:
        self._fd = os.open(file, os.O_RDONLY)
        self._pages = os.fstat(self._fd).st_size // _PAGE
        self._random = random.Random(7)

    def allocate(self) -> None:
        """Take memory, touch it, give it back."""
        with mmap.mmap(-1, _PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            for place in range(0, _PIECE, _PAGE):
                memory[place] = 1

    def read(self) -> None:
        """Read a page that is on disk only."""
        place = self._random.randrange(self._pages) * _PAGE
        os.posix_fadvise(self._fd, place, _PAGE, os.POSIX_FADV_DONTNEED)
        os.pread(self._fd, _PAGE, place)

    def exec(self) -> None:
        """Start a program and wait for its end."""
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


class Record:
    """What was measured."""

    def __init__(self) -> None:
        self.slow: list[tuple[float, float, str]] = []
        self.histogram = {kind: [0] * len(BOUNDS_MS) for kind in ("allocate", "read", "exec")}

    def add(self, kind: str, due: float, done: float) -> None:
        """Note one step."""
        took = done - due
        place = next(index for index, bound in enumerate(BOUNDS_MS) if took * 1000 <= bound)
        self.histogram[kind][place] += 1
        if took > _SLOW_S and len(self.slow) < _KEPT:
            self.slow.append((round(due, 4), round(took, 4), kind))

    def write(self, target: Path) -> None:
        """Write it down."""
        target.write_text(
            json.dumps({"bounds_ms": BOUNDS_MS, "histogram": self.histogram, "slow": self.slow})
        )


def probe(target: Path, file: Path) -> None:
    """Take steps until told to end."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    steps, record = Steps(file), Record()
    doing = {"allocate": steps.allocate, "read": steps.read, "exec": steps.exec}
    for action in doing.values():
        action()
    body.lock_memory()
    (target.parent / "probe.ready").touch()
    due, count = time.monotonic(), 0
    while not ended:
        due, count = due + PERIOD_S, count + 1
        while (left := due - time.monotonic()) > 0 and not ended:
            time.sleep(left)
        began = due
        for kind, action in doing.items():
            if count % _EVERY.get(kind, 1) == 0:
                action()
                record.add(kind, began, time.monotonic())
                began = time.monotonic()
        # What one stall delayed is not counted again for those that were due meanwhile.
        due = max(due, time.monotonic() - PERIOD_S)
    record.write(target)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    body.set_name("lab-probe")
    probe(arguments.target, arguments.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
