"""A machine made of files, and outlets that remember, for the tests of actions on the whole machine."""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from memwatchd.actions.base import Occasion, World
from memwatchd.actions.changes import Changes
from memwatchd.roots import Roots

S = 1_000_000_000
MEMINFO = """MemTotal:        1000000 kB
MemFree:         {free} kB
MemAvailable:     500000 kB
Buffers:            1000 kB
Cached:          {cached} kB
Shmem:              2000 kB
SReclaimable:    {slab} kB
"""


@dataclass
class Recorded:
    """Outlets that remember what they were asked for.

    Attributes:
        hook_status: What every hook ends with.
    """

    notes: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    dumps: list[str] = field(default_factory=list)
    hooks: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    hook_status: int | None = 0

    def note(self, level: str, message: str, **fields: object) -> None:
        """Take a line."""
        self.notes.append((level, message, fields))

    def dump(self, detail: str) -> None:
        """Take a wish for an incident."""
        self.dumps.append(detail)

    def run_hook(self, program: str, environment: Mapping[str, str], budget_ns: int) -> int | None:
        """Take a program."""
        self.hooks.append((program, dict(environment), budget_ns))
        return self.hook_status


@dataclass
class Machine:
    """A world below a directory.

    Attributes:
        now_ns: What the clock says; `None` stands for the real one.
    """

    root: Path
    roots: Roots
    world: World
    outlets: Recorded
    clock: list[int]

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file, for instance ``proc/meminfo``."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.root / name).read_text()

    def meminfo(self, free: int = 1000, cached: int = 9000, slab: int = 5000) -> None:
        """Write a meminfo, figures in kB."""
        self.write("proc/meminfo", MEMINFO.format(free=free, cached=cached, slab=slab))

    def again(self) -> World:
        """The world after a restart: the list of changes is read from its file."""
        return World(
            self.roots, Changes(self.root / "changes.json"), self.outlets, frozenset, self.world.now_ns
        )


def fake_machine(tmp_path: Path) -> Machine:
    """Make a machine whose clock moves on by a millisecond whenever it is read."""
    roots = Roots(tmp_path / "proc", tmp_path / "sys", tmp_path / "cgroup")
    steps, clock = itertools.count(1), [0]
    machine = _machine(tmp_path, roots, lambda: clock[0] + next(steps) * 1_000_000, clock)
    machine.meminfo()
    return machine


def real_machine(tmp_path: Path) -> Machine:
    """Take this machine."""
    return _machine(tmp_path, Roots(), time.monotonic_ns, [0])


def occasion(until_ns: int | None = None, **figures: float) -> Occasion:
    """An occasion of the rule ``slab``; its deadline is a minute of the real or the made-up clock away."""
    until = time.monotonic_ns() + 60 * S if until_ns is None else until_ns
    named = {name.replace("__", "."): value for name, value in figures.items()}
    return Occasion("slab", "meminfo.SReclaimable (9 GiB) is above 1 GiB", until, named)


def when_written(path: Path, change: Callable[[], None]) -> Callable[[Path, str], None]:
    """Make a stand-in for `write_value` that writes and has the machine change when this file is written."""

    def write(written: Path, text: str) -> None:
        written.write_text(text)
        if written == path:
            change()

    return write


def _machine(root: Path, roots: Roots, now_ns: Callable[[], int], clock: list[int]) -> Machine:
    outlets = Recorded()
    world = World(roots, Changes(root / "changes.json"), outlets, frozenset, now_ns)
    return Machine(root, roots, world, outlets, clock)
