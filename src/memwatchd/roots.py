"""Where the kernel's file systems are found.

In a container the host's /proc is often mounted elsewhere; in tests it is a fake tree; for an incident it is
a tree written out by ``memwatchd procfs``. Nothing else in the package opens files there by another name, but
for a process's own ``/proc/self``.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Roots:
    """Mount points, as given by ``--path.procfs``, ``--path.sysfs`` and ``--path.cgroupfs``."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    cgroupfs: Path = Path("/sys/fs/cgroup")
    kmsg: Path = Path("/dev/kmsg")
