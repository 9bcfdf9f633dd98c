"""Units of systemd by their cgroups, without asking systemd: it may be as stuck as everything else."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_V2 = Path("/sys/fs/cgroup")
_V1_SYSTEMD = Path("/sys/fs/cgroup/systemd")


def root() -> Path:
    """Where the hierarchy is in which systemd keeps its units."""
    return _V2 if (_V2 / "cgroup.controllers").exists() else _V1_SYSTEMD


def cgroup_of(unit: str) -> Path | None:
    """A running unit's cgroup, in whichever slice it is; None when it does not run."""
    for path in (
        root() / "system.slice" / unit,
        *root().glob(f"*.slice/{unit}"),
        *root().glob(f"*.slice/*.slice/{unit}"),
    ):
        if path.is_dir():
            return path
    return None


def pids(cgroup: Path) -> list[int]:
    """Processes of a cgroup and of those below it."""
    found = []
    for directory, _, _ in os.walk(cgroup):
        with suppress(OSError):
            found += [int(line) for line in Path(directory, "cgroup.procs").read_text().split()]
    return found


def alive(unit: str) -> list[int]:
    """Processes of a unit that are there and no zombies."""
    cgroup = cgroup_of(unit)
    return [pid for pid in pids(cgroup) if _runs(pid)] if cgroup else []


def end(unit: str) -> None:
    """Kill all processes of a unit at once."""
    cgroup = cgroup_of(unit)
    if cgroup is None:
        return
    with suppress(OSError):
        (cgroup / "cgroup.kill").write_text("1")
        return
    for pid in pids(cgroup):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def hold(unit: str) -> None:
    """Have all processes of a unit pause, where the kernel can do that."""
    cgroup = cgroup_of(unit)
    if cgroup is not None:
        with suppress(OSError):
            (cgroup / "cgroup.freeze").write_text("1")


def everybody() -> Iterator[tuple[int, str]]:
    """Every process of a unit, with the unit's name."""
    for slice_ in root().glob("*.slice"):
        for directory, _, files in os.walk(slice_):
            if "cgroup.procs" not in files:
                continue
            unit = next(
                (part for part in reversed(Path(directory).parts) if part.endswith((".service", ".scope"))),
                None,
            )
            with suppress(OSError):
                for line in Path(directory, "cgroup.procs").read_text().split():
                    yield int(line), unit or Path(directory).name


def cpu_seconds(pid_list: list[int]) -> float:
    """CPU time that processes have taken so far."""
    ticks = 0
    for pid in pid_list:
        with suppress(OSError):
            rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(rest[11]) + int(rest[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_kib(pid_list: list[int]) -> dict[str, int]:
    """Proportional share, resident and swapped memory of processes, in KiB."""
    total = {"Pss": 0, "Rss": 0, "SwapPss": 0, "Locked": 0}
    for pid in pid_list:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in total:
                    total[name] += int(value.split()[0])
    return {f"{name.lower()}_kib": value for name, value in total.items()}


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
