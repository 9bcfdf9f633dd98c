"""Making ZFS's own cache smaller."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._knob import Knob
from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.errors import ParseError
from memwatchd.kernel.files import refusal
from memwatchd.keys import Kind, key
from memwatchd.procfs.arcstats import parse_arcstats
from memwatchd.units import format_bytes

# ZFS ignores a limit that is lower, or not above c_min (arc_tuning_update in module/zfs/arc.c).
_LEAST_BYTES = 64 << 20
_WORTH_BYTES = 1 << 20
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class _Arc:
    """What is said of the cache's size.

    Attributes:
        least_bytes: It never aims below this (``c_min``).
        most_bytes: Nor above this (``c_max``), which follows zfs_arc_max.
    """

    size_bytes: int
    least_bytes: int
    most_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ZfsArc(Action):
    """Lowers the module parameter zfs_arc_max, which is the only limit of ZFS's cache that works at once.

    ZFS's cache is not among the page cache and hardly in MemAvailable; under pressure it shrinks, but later
    than the kernel's caches do. There is no way to tell it to shrink once: zfs_arc_shrinker_limit and
    zfs_arc_shrink_shift only say how fast it follows the kernel's wishes. Lowering zfs_arc_max lowers its
    aim at once; it then gives back what is above that as it is used. The limit is put back when the rule
    clears. Where it was 0 (ZFS's own choice) the number ZFS had chosen is put back: 0 is not taken while
    ZFS runs.

    `to` and `share` are raised to what ZFS takes: 64 MiB, and more than zfs_arc_min.
    """

    name: ClassVar[str] = "zfs_arc"
    summary: ClassVar[str] = "Lower the limit of ZFS's own cache, and put it back when the rule clears."
    needs: ClassVar[tuple[str, ...]] = ("ZFS", "uid 0 and a writable /sys (not ProtectKernelTunables=yes)")

    to_bytes: int | None = field(
        default=None,
        metadata=key(
            "to",
            Kind.SIZE,
            "How large it may be.",
            example="2GiB",
            minimum=_LEAST_BYTES,
            maximum=1 << 50,
            one_of="size",
        ),
    )
    share_pct: float | None = field(
        default=None,
        metadata=key(
            "share",
            Kind.PERCENTAGE,
            "How large it may be, as a share of its present size.",
            example="50%",
            exclusive_minimum=0,
            maximum=100,
            one_of="size",
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say whether it is clear how large it may be."""
        if (self.to_bytes is None) == (self.share_pct is None):
            yield "expected either to or share"

    def missing(self, world: World) -> Iterable[str]:
        """Say whether there is ZFS, and whether its limit may be changed."""
        problem = refusal(self._knob(world).path, "ZFS, uid 0 and a writable /sys")
        return [problem] if problem else []

    def aim(self, world: World) -> Intent:
        """Say what the limit would be, and how large the cache is."""
        arc = _arcstats(world)
        return Intent(
            f"set zfs_arc_max to {self._limit_bytes(arc)}",
            (Target("ZFS cache", f"holds {format_bytes(arc.size_bytes)}"),),
        )

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Lower the limit, and watch the cache shrink until it has or the deadline is over."""
        arc, knob = _arcstats(world), self._knob(world)
        limit_bytes = self._limit_bytes(arc)
        if limit_bytes >= arc.size_bytes:
            return Outcome(Verdict.DECLINED, f"the cache holds no more than {format_bytes(arc.size_bytes)}")
        knob.set(world, occasion, limit_bytes, for_zero=arc.most_bytes)
        now = _arcstats(world)
        while now.size_bytes > limit_bytes and world.now_ns() < occasion.until_ns:
            time.sleep(_POLL_S)
            now = _arcstats(world)
        freed_bytes = max(0, arc.size_bytes - now.size_bytes)
        figures: dict[str, Figure] = {
            "freed_bytes": freed_bytes,
            "limit_bytes": limit_bytes,
            "size_before_bytes": arc.size_bytes,
            "size_after_bytes": now.size_bytes,
        }
        helped = freed_bytes >= _WORTH_BYTES
        detail = f"ZFS's cache gave back {format_bytes(freed_bytes)}"
        return Outcome(Verdict.HELPED if helped else Verdict.NO_EFFECT, detail, figures)

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        """Put the limit before back."""
        return cls._knob(world).put_back(change)

    @classmethod
    def _knob(cls, world: World) -> Knob:
        return Knob(cls.name, "zfs_arc_max", world.roots.sysfs / "module/zfs/parameters/zfs_arc_max")

    def _limit_bytes(self, arc: _Arc) -> int:
        wished = self.to_bytes if self.to_bytes is not None else arc.size_bytes * (self.share_pct or 0) / 100
        return max(int(wished), _LEAST_BYTES, arc.least_bytes + 1)


def _arcstats(world: World) -> _Arc:
    path = world.roots.procfs / "spl/kstat/zfs/arcstats"
    values = parse_arcstats(path.read_bytes(), str(path))
    missing = next((name for name in ("size", "c_min", "c_max") if name not in values), None)
    if missing is not None:
        raise ParseError(str(path), "", missing, "a line of this name")
    return _Arc(values["size"], values["c_min"], values["c_max"])
