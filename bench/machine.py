"""The machine the figures are from, and the clocks and gauges they are read from."""

import ctypes
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

_libc = ctypes.CDLL(None)


def machine_facts() -> dict[str, Any]:
    """Gather what a later reader has to know to compare the figures with others."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": f"{os.uname().release} {os.uname().machine}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": list(os.getloadavg()),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "root": os.geteuid() == 0,
    }


def machine_lines(facts: dict[str, Any]) -> list[str]:
    """Write those facts as text."""
    return [
        f"machine  {facts['cpu']}, {facts['cores']} cores, {facts['memory_bytes'] / 2**30:.1f} GiB",
        f"kernel   {facts['kernel']}",
        f"python   {facts['python']}{'' if facts['root'] else ', not root'}",
        f"load     {load_line(facts['load_average'])} at {facts['time']}",
    ]


def load_line(averages: Sequence[float]) -> str:
    """Write load averages; this benchmark itself adds to them."""
    return " ".join(f"{value:.2f}" for value in averages)


def cpu_time_ns(pid: int) -> int:
    """Read the CPU time of a process, all of its threads, those that have ended too.

    It is the clock that the process itself calls CLOCK_PROCESS_CPUTIME_ID: what the scheduler has counted, in
    nanoseconds, not in jiffies as in /proc/PID/stat.

    Raises:
        ProcessLookupError: It is gone.
    """
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise ProcessLookupError(f"pid {pid} is gone")
    return time.clock_gettime_ns(clock.value)


def stolen_ns() -> int:
    """Time for which a virtual machine's host has had its processors do something else; 0 if it does not say.

    While they are away nothing runs here, whatever its priority.
    """
    return round(psutil.cpu_times().steal * 1e9)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return platform.machine()
