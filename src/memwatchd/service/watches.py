"""Finding what the configuration asks to watch, and handing it to the sampler as open descriptors.

About once a second: processes by name, pid or pid file, the files they have open, cgroups. The sampler never
looks for anything itself; it gets a descriptor with each new file and forgets those of which it is told.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memwatchd.actions.table import list_pids
from memwatchd.config.model import Watch
from memwatchd.errors import ParseError
from memwatchd.procfs.process import parse_stat
from memwatchd.ring.board import MAX_SOURCES
from memwatchd.roots import Roots
from memwatchd.sampling.plan import FIRST_WATCH_ID, MAX_DESCRIPTORS
from memwatchd.service.census import read_small

_SLOW_HZ = 10.0
_MAX_FILES = 16
# A command has to fit into one message, and JSON takes six characters for an odd byte.
_BATCH = MAX_DESCRIPTORS // 4
_LONGEST_TARGET = 512
# A new process may still change its name by exec; after so long its name is believed.
_SETTLED_NS = 5_000_000_000

# cgroup files: what is counted in them on every tick, and what is read at 10 Hz because the kernel has to add
# it up.
_CGROUP_FILES = {
    "memory.current": None,
    "memory.events": None,
    "memory.max": _SLOW_HZ,
    "memory.swap.current": _SLOW_HZ,
    "memory.swap.max": _SLOW_HZ,
    "memory.stat": _SLOW_HZ,
    "memory.pressure": _SLOW_HZ,
    "memory.usage_in_bytes": None,
    "memory.oom_control": None,
    "memory.limit_in_bytes": _SLOW_HZ,
    "memory.memsw.usage_in_bytes": _SLOW_HZ,
    "memory.memsw.limit_in_bytes": _SLOW_HZ,
}
_KILL_COUNTERS = ("memory.events", "memory.oom_control")

Send = Callable[[dict[str, Any], list[int]], bool]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be sampled.

    Attributes:
        key: Name in the catalogue, and what tells it from a later file of the same name.
        facts: Goes into the catalogue as it is.
    """

    key: Key
    path: str
    rate_hz: float | None
    facts: dict[str, Any]


@dataclass(slots=True)
class WatchKeeper:
    """Knows which files the sampler has, and which it should have.

    Args:
        send: Hands a command with descriptors to the sampler; False when it cannot take it now.
    """

    roots: Roots
    watches: tuple[Watch, ...]
    send: Send
    refused: int = 0
    _numbers: dict[Key, int] = field(default_factory=dict)
    _seen: dict[int, tuple[int, str]] = field(default_factory=dict)

    def look(self) -> None:
        """Bring the sampler up to date; `refused` says how many files found no room."""
        self.refused = 0
        wanted = {each.key: each for watch in self.watches for each in self._find(watch)}
        gone = [key for key in self._numbers if key not in wanted]
        if gone and self.send({"remove": [self._numbers[key] for key in gone]}, []):
            for key in gone:
                del self._numbers[key]
        new = [each for key, each in wanted.items() if key not in self._numbers]
        for start in range(0, len(new), _BATCH):
            self._add(new[start : start + _BATCH])

    def reset(self) -> None:
        """Forget what the sampler has: it is a new one."""
        self._numbers.clear()

    def _add(self, new: list[Wanted]) -> None:
        entries: list[dict[str, Any]] = []
        descriptors: list[int] = []
        used = set(self._numbers.values())
        free = (number for number in range(FIRST_WATCH_ID, MAX_SOURCES) if number not in used)
        numbers: dict[Key, int] = {}
        for each in new:
            number = next(free, None)
            if number is None:
                self.refused += 1
                continue
            try:
                descriptors.append(os.open(each.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
            except OSError:
                continue  # gone again, or not for us; the next look tries once more
            numbers[each.key] = number
            entries.append(
                {
                    "id": number,
                    "name": each.key[0],
                    "path": each.path,
                    "rate_hz": each.rate_hz,
                    "kill_counter": each.path.endswith(_KILL_COUNTERS),
                    **each.facts,
                }
            )
        try:
            if entries and self.send({"add": entries}, descriptors):
                self._numbers.update(numbers)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    # ---- finding

    def _find(self, watch: Watch) -> Iterator[Wanted]:
        if watch.cgroup is not None:
            with suppress(OSError):  # not there, not there any more, or not for us
                yield from self._find_cgroup(watch.cgroup)
        else:
            for pid in self._find_pids(watch):
                with suppress(OSError, ParseError):  # it ended while it was looked at
                    yield from self._find_process(pid, watch.fds)

    def _find_pids(self, watch: Watch) -> list[int]:
        if watch.pid is not None:
            return [watch.pid]
        if watch.pid_file is not None:
            with suppress(OSError, ValueError):
                return [int(Path(watch.pid_file).read_bytes()[:32])]
            return []
        return [pid for pid, (_, name) in self._names().items() if name == watch.comm]

    def _names(self) -> dict[int, tuple[int, str]]:
        now_ns = time.monotonic_ns()
        names: dict[int, tuple[int, str]] = {}
        for pid in list_pids(self.roots):
            since_ns, name = self._seen.get(pid, (now_ns, ""))
            if now_ns - since_ns < _SETTLED_NS or not name:
                with suppress(OSError):
                    raw = read_small(f"{self.roots.procfs}/{pid}/comm").rstrip(b"\n")
                    name = raw.decode("utf-8", "surrogateescape")
            names[pid] = (since_ns, name)
        self._seen = names
        return names

    def _find_process(self, pid: int, fds: bool) -> Iterator[Wanted]:
        directory = f"{self.roots.procfs}/{pid}"
        process = parse_stat(read_small(f"{directory}/stat"))
        facts = {"pid": pid, "comm": process.comm, "start_ticks": process.starttime_ticks}
        born = str(process.starttime_ticks)
        for name, rate_hz in (("statm", None), ("status", _SLOW_HZ)):
            yield Wanted((f"process/{pid}/{name}", born), f"{directory}/{name}", rate_hz, facts)
        if fds:
            for number, target in self._regular_files(directory):
                name = f"process/{pid}/fdinfo/{number}"
                yield Wanted(
                    (name, born + target),
                    f"{directory}/fdinfo/{number}",
                    None,
                    {**facts, "target": target[:_LONGEST_TARGET]},
                )

    def _regular_files(self, directory: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for number in sorted((path.name for path in Path(directory, "fd").iterdir()), key=int):
            path = Path(directory, "fd", number)
            with suppress(OSError):
                if path.is_file():
                    found.append((number, str(path.readlink())))
            if len(found) == _MAX_FILES:
                break
        return found

    def _find_cgroup(self, cgroup: str) -> Iterator[Wanted]:
        relative = cgroup.strip("/")
        root = self.roots.cgroupfs
        # v2 mounted alone, v2 beside v1, v1.
        for mount in (root, root / "unified", root / "memory"):
            directory = mount / relative
            present = [name for name in _CGROUP_FILES if (directory / name).exists()]
            if present:
                born = str(directory.stat().st_ino)
                for name in present:
                    wanted_name = f"cgroup/{relative}/{name}"
                    path = str(directory / name)
                    yield Wanted((wanted_name, born), path, _CGROUP_FILES[name], {"cgroup": cgroup})
                return
