"""Watches the machine's memory 20 times a second, whatever the daemon: when it was in danger, when relieved.

Started by the conductor; real-time, locked, not to be killed. Keeps its samples in memory that it has from
the beginning, and writes them as lines of JSON when it is told to end (SIGTERM). With `--stream` every sample
also goes to the host at once, so that it is known how far a machine came that was switched off.

A sample: seconds, late by, MemTotal, MemAvailable, MemFree, SwapFree (KiB), the smallest free/low of a zone,
the smallest free/min, oom_kill, drop_pagecache, drop_slab.
"""

import argparse
import json
import os
import re
import signal
import sys
import time
from array import array
from pathlib import Path

from lab.inside import body
from lab.inside.port import Port

FIELDS = (
    *("at", "late", "total_kib", "available_kib", "free_kib", "swap_free_kib", "worst_low", "worst_min"),
    *("oom_kill", "drop_pagecache", "drop_slab"),
)
_PRIORITY = 5  # below memwatchd's sampler, above everything ordinary
_MEMINFO = re.compile(rb"(MemTotal|MemAvailable|MemFree|SwapFree): +(\d+)")
_ZONE = re.compile(
    rb"pages free +(\d+)(?:\n +boost +\d+)?\n +min +(\d+)\n +low +(\d+)\n.*?managed +(\d+)", re.DOTALL
)
_VMSTAT = re.compile(rb"\n(oom_kill|drop_pagecache|drop_slab) (\d+)")
_ABSENT = -1.0


class Files:
    """The kernel's files, opened once."""

    def __init__(self) -> None:
        names = ("meminfo", "zoneinfo", "vmstat")
        self._fds = {name: os.open(f"/proc/{name}", os.O_RDONLY) for name in names}
        self._buffer = bytearray(256 * 1024)

    def read(self, name: str) -> bytes:
        """One file's text as it is now."""
        pieces, offset = [], 0
        while piece := os.pread(self._fds[name], len(self._buffer), offset):
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)


def look(files: Files) -> list[float]:
    """What the kernel says now, in the order of FIELDS from the third on."""
    info = {name: float(value) for name, value in _MEMINFO.findall(files.read("meminfo"))}
    zones = [tuple(map(float, zone)) for zone in _ZONE.findall(files.read("zoneinfo"))]
    counts = {name: float(value) for name, value in _VMSTAT.findall(files.read("vmstat"))}
    low = min((free / low for free, _, low, managed in zones if managed and low), default=_ABSENT)
    least = min(
        (free / minimum for free, minimum, _, managed in zones if managed and minimum), default=_ABSENT
    )
    available = info.get(b"MemAvailable", _ABSENT)
    figures = [info[b"MemTotal"], available, info[b"MemFree"], info.get(b"SwapFree", 0.0), low, least]
    return [*figures, *(counts.get(name, _ABSENT) for name in (b"oom_kill", b"drop_pagecache", b"drop_slab"))]


def watch(seconds: float, rate_hz: float, target: Path, port: Port | None) -> None:
    """Sample until told to end, or until the room is used up; then write."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    width = len(FIELDS)
    room = int(seconds * rate_hz)
    samples = array("d", bytes(8 * width * room))
    files, period, used = Files(), 1 / rate_hz, 0
    look(files)
    body.lock_memory()
    body.go_first(_PRIORITY)
    (target.parent / "sampler.ready").touch()
    due = time.monotonic()
    while not ended and used < room:
        due += period
        while (left := due - time.monotonic()) > 0 and not ended:
            time.sleep(left)
        at = time.monotonic()
        values = [at, at - due, *look(files)]
        samples[used * width : (used + 1) * width] = array("d", values)
        used += 1
        if port is not None:
            port.write(b"%.4f %d %d\n" % (at, values[3], time.clock_gettime_ns(time.CLOCK_BOOTTIME)))
        due = max(due, time.monotonic() - period)
    with target.open("w") as file:
        file.write(json.dumps(FIELDS) + "\n")
        for index in range(used):
            file.write(
                json.dumps([round(value, 4) for value in samples[index * width : (index + 1) * width]]) + "\n"
            )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--stream", metavar="PORT")
    arguments = parser.parse_args()
    body.set_name("lab-sampler")
    watch(
        arguments.seconds,
        arguments.rate,
        arguments.target,
        Port(arguments.stream) if arguments.stream else None,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
