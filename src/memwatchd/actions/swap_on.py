"""Turning a prepared swap file on, and off again when things are calm."""

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from memwatchd.actions._memory import read_meminfo
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.kernel import swap
from memwatchd.kernel.processes import has_capability
from memwatchd.keys import Kind, key
from memwatchd.procfs.swaps import SwapArea, parse_swaps
from memwatchd.units import format_bytes

_CAP_SYS_ADMIN = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOn(Action):
    """Turns on a swap file that was prepared beforehand, by swapon(2).

    The file must be there, written in full, made by mkswap, root's and nobody else's (mode 0600)::

        dd if=/dev/zero of=/var/lib/memwatchd/reserve.swap bs=1M count=2048
        chmod 600 /var/lib/memwatchd/reserve.swap && mkswap /var/lib/memwatchd/reserve.swap

    When the rule clears, and when the daemon stops, it is turned off again. The kernel then reads back all
    that is in it, which takes minutes for gigabytes. What does not fit into the memory available then is
    left where it is, and the daemon tries again the next time.
    """

    name: ClassVar[str] = "swap_on"
    summary: ClassVar[str] = "Turn a prepared swap file on, and off again when the rule clears."
    heavy: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("CAP_SYS_ADMIN and the system calls of @swap", "the prepared file")

    path: Path = field(
        metadata=key(
            "path",
            Kind.PATH,
            "The swap file.",
            example="/var/lib/memwatchd/reserve.swap",
            max_bytes=4095,
            required=True,
        ),
    )
    priority: int | None = field(
        default=None,
        metadata=key(
            "priority",
            Kind.INTEGER,
            "Areas of a higher priority are used first; by itself it comes last.",
            example="10",
            minimum=0,
            maximum=swap.MOST_PRIORITY,
        ),
    )

    def missing(self, world: World) -> Iterable[str]:
        """Say what is wrong with the file, and whether it may be turned on."""
        if not has_capability(_CAP_SYS_ADMIN):
            yield "swapon: not permitted (needs CAP_SYS_ADMIN)"
        elif swap.is_filtered():
            yield "swapon: not permitted by the system call filter (needs SystemCallFilter=@swap)"
        try:
            descriptor = swap.open_swap_file(self.path)
        except OSError as error:
            yield f"{self.path}: {error.strerror}"
            return
        try:
            yield from (f"{self.path} {problem}" for problem in swap.unfit(descriptor))
        finally:
            os.close(descriptor)

    def aim(self, world: World) -> Intent:
        """Say what would be turned on."""
        area = _area(world, self.path)
        if area is not None:
            return Intent(f"turn {self.path} on", spared=(Target(str(self.path), "it is on already"),))
        size = format_bytes(self.path.stat().st_size)
        return Intent(f"turn {self.path} on", (Target(str(self.path), f"{size} of swap"),))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Turn it on, after noting that."""
        if _area(world, self.path) is not None:
            return Outcome(Verdict.DECLINED, f"{self.path} is on already")
        descriptor = swap.open_swap_file(self.path)
        try:
            problem = next(swap.unfit(descriptor), None)
            if problem is not None:
                return Outcome(Verdict.FAILED, f"{self.path} {problem}")
            self._turn_on(world, occasion, descriptor)
            added_bytes = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        figures: dict[str, Figure] = {"added_bytes": added_bytes}
        return Outcome(Verdict.HELPED, f"{format_bytes(added_bytes)} of swap added by {self.path}", figures)

    def _turn_on(self, world: World, occasion: Occasion, descriptor: int) -> None:
        change = world.changes.note(self.name, occasion.rule, {"path": str(self.path.resolve())})
        try:
            swap.swapon(descriptor, self.priority)
        except OSError as error:
            world.changes.forget(change)
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        """Turn it off, if what is in it fits into memory."""
        path = Path(str(change.facts.get("path")))
        area = _area(world, path)
        if area is None:
            return Outcome(Verdict.DECLINED, f"{path} is off already")
        available_bytes = read_meminfo(world.roots).mem_available_bytes
        if available_bytes is not None and area.used_bytes > available_bytes // 2:
            return Outcome(
                Verdict.FAILED,
                f"{path} stays on: {format_bytes(area.used_bytes)} are in it, "
                f"and {format_bytes(available_bytes)} of memory available",
            )
        try:
            swap.swapoff(path)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise OSError(error.errno, error.strerror, str(path)) from error
            return Outcome(Verdict.FAILED, f"{path} stays on: what is in it does not fit into memory")
        return Outcome(Verdict.HELPED, f"{path} turned off, {format_bytes(area.used_bytes)} read back")


def _area(world: World, path: Path) -> SwapArea | None:
    """Give the swap area of a file, None while it is off."""
    swaps = world.roots.procfs / "swaps"
    areas = parse_swaps(swaps.read_bytes(), str(swaps))
    return next((area for area in areas if area.path == str(path.resolve())), None)
