"""Compacting memory, so that large blocks come free again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.kernel.files import refusal, write_value
from memwatchd.keys import Kind, key
from memwatchd.procfs.buddyinfo import BuddyZone, parse_buddyinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact(Action):
    """Writes 1 to /proc/sys/vm/compact_memory, or to the `compact` file of one node.

    The kernel moves pages until free ones lie side by side: it costs CPU time, seconds on a large machine,
    and cannot be interrupted. It frees nothing. Its effect is measured as the number of allocations of
    `order` that /proc/buddyinfo shows room for, before and after; not in HighMem, Movable and Device, which
    do not serve the kernel itself, nor in the DMA zone of PCs, which is hardly ever in pieces.
    """

    name: ClassVar[str] = "compact"
    summary: ClassVar[str] = "Have the kernel compact memory, for when large blocks are missing."
    heavy: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = (
        "uid 0 and a writable /proc/sys (not ProtectKernelTunables=yes); "
        "with node: uid 0 or CAP_DAC_OVERRIDE and a writable /sys",
        "a kernel with CONFIG_COMPACTION",
    )

    node: int | None = field(
        default=None,
        metadata=key(
            "node", Kind.INTEGER, "Only this NUMA node; otherwise all.", example="0", minimum=0, maximum=1023
        ),
    )
    order: int = field(
        default=3,
        metadata=key(
            "order",
            Kind.INTEGER,
            "It has helped when there is room for more blocks of 2^order pages.",
            example="3",
            minimum=1,
            maximum=20,
        ),
    )

    def missing(self, world: World) -> Iterable[str]:
        """Say whether the file is there and may be written."""
        problem = refusal(self._path(world), "CONFIG_COMPACTION, and uid 0 with a writable file")
        return [problem] if problem else []

    def aim(self, world: World) -> Intent:
        """Say what would be written and how the zones are now."""
        zones = [
            Target(
                f"node {zone.node}, zone {zone.zone}", f"room for {self._room([zone])} of order {self.order}"
            )
            for zone in self._zones(world)
        ]
        return Intent(f"write 1 to {self._path(world)}", tuple(zones))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Write, wait for the kernel, and measure."""
        before = self._zones(world)
        write_value(self._path(world), "1")
        after = self._zones(world)
        room_before, room_after = self._room(before), self._room(after)
        figures: dict[str, Figure] = {
            "room_before": room_before,
            "room_after": room_after,
            "largest_order_before": _largest_order(before),
            "largest_order_after": _largest_order(after),
        }
        detail = f"room for {room_after} blocks of order {self.order}, {room_before} before"
        if world.now_ns() > occasion.until_ns:
            return Outcome(Verdict.TIMED_OUT, f"{detail}, but only after the deadline", figures)
        return Outcome(Verdict.HELPED if room_after > room_before else Verdict.NO_EFFECT, detail, figures)

    def _path(self, world: World) -> Path:
        if self.node is None:
            return world.roots.procfs / "sys/vm/compact_memory"
        return world.roots.sysfs / f"devices/system/node/node{self.node}/compact"

    def _zones(self, world: World) -> list[BuddyZone]:
        path = world.roots.procfs / "buddyinfo"
        zones = parse_buddyinfo(path.read_bytes(), str(path))
        return _for_kernel([zone for zone in zones if self.node is None or zone.node == self.node])

    def _room(self, zones: Iterable[BuddyZone]) -> int:
        """Count how many blocks of 2^order pages could be had; not how many there are: they grow."""
        return sum(
            blocks << (order - self.order)
            for zone in zones
            for order, blocks in enumerate(zone.free_blocks)
            if order >= self.order
        )


def _for_kernel(zones: list[BuddyZone]) -> list[BuddyZone]:
    """Leave out what hides the lack of the others, as the signals of buddy.kernel do."""
    theirs = [zone for zone in zones if zone.zone not in ("HighMem", "Movable", "Device")]
    return [zone for zone in theirs if zone.zone != "DMA"] or theirs or zones


def _largest_order(zones: Iterable[BuddyZone]) -> int | None:
    """Give the order of the largest free block; None when nothing is free."""
    orders = (order for zone in zones for order, blocks in enumerate(zone.free_blocks) if blocks)
    return max(orders, default=None)
