"""The three clocks and the name of this boot."""

import time
import uuid

from memwatchd.ring.writer import Clocks
from memwatchd.roots import Roots


def read_clocks() -> Clocks:
    """Read the three clocks one right after the other."""
    return Clocks(time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())


def read_boot_id(roots: Roots) -> bytes:
    """Read this boot's random id, 16 bytes; zeros where the kernel does not say.

    Source: /proc/sys/kernel/random/boot_id.
    """
    try:
        return uuid.UUID((roots.procfs / "sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return bytes(16)
