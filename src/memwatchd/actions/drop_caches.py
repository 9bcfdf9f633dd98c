"""Dropping the kernel's caches: slab caches of dentries and inodes, the page cache, or both."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args

from memwatchd.actions._memory import PAGECACHE, SLAB, Relief, read_meminfo
from memwatchd.actions._open_files import PINNED_BYTES, count_open_files, find_holders
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.kernel.files import refusal, write_value
from memwatchd.keys import Kind, key
from memwatchd.procfs.meminfo import Meminfo
from memwatchd.units import format_bytes

What = Literal["pagecache", "slab", "both"]

_NUMBERS: dict[What, str] = {"pagecache": "1", "slab": "2", "both": "3"}
_CACHES = {"pagecache": PAGECACHE, "slab": SLAB, "both": {**PAGECACHE, **SLAB}}
_NAMES: dict[What, str] = {
    "pagecache": "the page cache",
    "slab": "dentry and inode caches",
    "both": "the page cache, dentry and inode caches",
}
# Two writers at once only get into each other's way, and one may never come back.
_AT_WORK = threading.Lock()
# Inodes are given back after RCU grace periods, in portions, when the write has returned: seen in an emulated
# guest for 0.4 s, with 0.1 s between two portions. Nothing more for so many readings is the end.
_READING_S = 0.05
_QUIET_READINGS = 4
_LONGEST_NS = 2_000_000_000
# A rise by less is not of this.
_PORTION = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCaches(Action):
    """Writes 1, 2 or 3 to /proc/sys/vm/drop_caches, and measures what came free.

    The kernel walks all caches in this one write: that may take seconds, on machines with many millions of
    dentries or with ZFS (whose cache it drops, too) much longer, and nothing can interrupt it. It therefore
    has a worker of its own; whatever it gives back after the deadline is told with the verdict *timed out*.
    Never are two at work at once.

    What is dropped comes free in portions, up to a second after the write: it is measured until nothing more
    comes. When more stays than came free, it looks who may hold it: a file that is open keeps its dentry and
    its inode, and sockets are inodes, too.

    Only what is clean can be dropped. There is no `sync` beforehand: it waits for all disks, without a
    limit, just when they cannot keep up.
    """

    name: ClassVar[str] = "drop_caches"
    summary: ClassVar[str] = "Have the kernel drop the page cache, or its caches of dentries and inodes."
    heavy: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("uid 0 and a writable /proc/sys (not ProtectKernelTunables=yes)",)

    what: What = field(
        default="slab",
        metadata=key(
            "what",
            Kind.CHOICE,
            "Which caches: those of files' contents, of dentries and inodes, or both.",
            example="slab",
            choices=get_args(What),
        ),
    )
    worth_bytes: int = field(
        default=1 << 20,
        metadata=key(
            "worth",
            Kind.SIZE,
            "It has helped when at least so much came free.",
            example="16MiB",
            minimum=1,
            maximum=1 << 50,
        ),
    )

    def missing(self, world: World) -> Iterable[str]:
        """Say whether the file may be written."""
        problem = refusal(_path(world), self.needs[0])
        return [problem] if problem else []

    def aim(self, world: World) -> Intent:
        """Say what would be written, and how much could come free at best."""
        before = read_meminfo(world.roots)
        caches = [
            Target(name, f"{format_bytes(before.bytes_by_name.get(name, 0))} now")
            for name, sign in _CACHES[self.what].items()
            if sign > 0
        ]
        return Intent(f"write {_NUMBERS[self.what]} to {_path(world)}", tuple(caches))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Write, wait for the kernel, and measure."""
        if not _AT_WORK.acquire(blocking=False):
            return Outcome(Verdict.DECLINED, "an earlier write to drop_caches has not come back yet")
        try:
            before = read_meminfo(world.roots)
            began_ns = world.now_ns()
            write_value(_path(world), _NUMBERS[self.what])
            took_ns = world.now_ns() - began_ns
            relief = self._settled(world, before, occasion.until_ns)
        finally:
            _AT_WORK.release()
        held, holders = self._held(world, relief)
        detail = f"{_NAMES[self.what]} gave back {format_bytes(relief.freed_bytes)}{held}"
        figures: dict[str, Figure] = {**relief.figures, "took_ns": took_ns, **holders}
        if began_ns + took_ns > occasion.until_ns:
            return Outcome(Verdict.TIMED_OUT, f"{detail}, but only after the deadline", figures)
        helped = relief.freed_bytes >= self.worth_bytes
        return Outcome(Verdict.HELPED if helped else Verdict.NO_EFFECT, detail, figures)

    def _settled(self, world: World, before: Meminfo, until_ns: int) -> Relief:
        """Measure until nothing more comes free; what is taken anew meanwhile was free all the same."""
        best = Relief(before, read_meminfo(world.roots), _CACHES[self.what])
        until_ns = min(until_ns, world.now_ns() + _LONGEST_NS)
        quiet = 0
        while quiet < _QUIET_READINGS and world.now_ns() < until_ns:
            time.sleep(_READING_S)
            relief = Relief(before, read_meminfo(world.roots), _CACHES[self.what])
            quiet = 0 if relief.freed_bytes > best.freed_bytes * (1 + _PORTION) else quiet + 1
            best = max(best, relief, key=_freed_bytes)
        return best

    def _held(self, world: World, relief: Relief) -> tuple[str, dict[str, Figure]]:
        """Say who holds what did not come free, as far as that are open files."""
        stayed_bytes = relief.after.s_reclaimable_bytes or 0
        if self.what == "pagecache" or stayed_bytes <= max(relief.freed_bytes, self.worth_bytes):
            return "", {}
        count = count_open_files(world.roots)
        if count is None:
            return "", {}
        figures: dict[str, Figure] = {"open_files": count}
        holders = find_holders(world.roots, world.now_ns, max(1, self.worth_bytes // PINNED_BYTES))
        if not holders:
            return f"; {format_bytes(stayed_bytes)} stayed, and no process has many files open", figures
        figures |= {"holder": holders[0].name, "holder_open_files": holders[0].count}
        told = ", ".join(holder.phrase for holder in holders)
        return f"; {format_bytes(stayed_bytes)} stayed: of {count} open files {told}", figures


def _freed_bytes(relief: Relief) -> int:
    return relief.freed_bytes


def _path(world: World) -> Path:
    return world.roots.procfs / "sys/vm/drop_caches"
