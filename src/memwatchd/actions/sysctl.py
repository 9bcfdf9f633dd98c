"""Changing one of a few settings of the kernel's memory management, and putting it back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._knob import Knob
from memwatchd.actions._memory import read_meminfo
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.kernel.files import refusal
from memwatchd.keys import Kind, key

# From documentation of each in admin-guide/sysctl/vm.rst, narrowed to what cannot stop a machine.
_BOUNDS = {
    "vm.min_free_kbytes": (1024, 1 << 30),
    "vm.watermark_scale_factor": (1, 1000),
    "vm.watermark_boost_factor": (0, 30_000),
    "vm.swappiness": (0, 200),
    "vm.vfs_cache_pressure": (1, 10_000),
    "vm.dirty_ratio": (1, 90),
    "vm.dirty_background_ratio": (1, 90),
    "vm.dirty_expire_centisecs": (10, 360_000),
    "vm.dirty_writeback_centisecs": (10, 360_000),
    "vm.compaction_proactiveness": (0, 100),
    "vm.page-cluster": (0, 6),
}
_MIN_FREE = "vm.min_free_kbytes"
_MOST_FREE_PCT = 5
# Setting a ratio switches the limit in bytes off for good; nothing here could put that back.
_IN_BYTES = {"vm.dirty_ratio": "vm.dirty_bytes", "vm.dirty_background_ratio": "vm.dirty_background_bytes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sysctl(Action):
    """Writes a number to one of a few files below /proc/sys/vm, each within bounds of its own.

    The value before is put back when the rule clears, the daemon stops or, after a crash, starts again,
    unless somebody else has set another one meanwhile.

    Bounds: min_free_kbytes from 1024 to 5 % of MemTotal, watermark_scale_factor 1–1000,
    watermark_boost_factor 0–30000, swappiness 0–200 (100 before Linux 5.8), vfs_cache_pressure 1–10000 (0
    would keep dentries and inodes for ever), dirty_ratio and dirty_background_ratio 1–90,
    dirty_expire_centisecs and dirty_writeback_centisecs 10–360000, compaction_proactiveness 0–100,
    page-cluster 0–6.

    vm.overcommit_memory is not among them: 2 would make allocations fail at once all over the machine, the
    daemon's included, and 1 helps nobody who is short of memory.
    """

    name: ClassVar[str] = "sysctl"
    summary: ClassVar[str] = "Change one of a few vm.* settings, and put it back when the rule clears."
    needs: ClassVar[tuple[str, ...]] = ("uid 0 and a writable /proc/sys (not ProtectKernelTunables=yes)",)

    setting: str = field(
        metadata=key(
            "setting",
            Kind.CHOICE,
            "What is changed.",
            example="vm.swappiness",
            choices=tuple(_BOUNDS),
            required=True,
        ),
    )
    value: int = field(
        metadata=key(
            "value",
            Kind.INTEGER,
            "What it is changed to.",
            example="10",
            minimum=0,
            maximum=1 << 30,
            required=True,
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say whether the setting may be changed, and to this value."""
        if self.setting not in _BOUNDS:
            yield f"setting: expected one of {', '.join(_BOUNDS)}; got {self.setting!r}"
            return
        least, most = _BOUNDS[self.setting]
        if not least <= self.value <= most:
            yield f"value: expected {self.setting} from {least} to {most}; got {self.value}"

    def missing(self, world: World) -> Iterable[str]:
        """Say whether the file is there and may be written, and the value is not too much for the machine."""
        problem = refusal(self._knob(world, self.setting).path, self.needs[0]) or self._too_much(world)
        return [problem] if problem else []

    def aim(self, world: World) -> Intent:
        """Say what would be set, and what it is now."""
        knob = self._knob(world, self.setting)
        return Intent(f"set {self.setting} to {self.value}", (Target(self.setting, f"is {knob.read()} now"),))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Set it, after noting what it was."""
        knob = self._knob(world, self.setting)
        before = knob.read()
        reason = self._unwise(world, before)
        if reason:
            return Outcome(Verdict.DECLINED, reason, {"before": before})
        knob.set(world, occasion, self.value)
        present = knob.read()
        verdict = Verdict.HELPED if present == self.value else Verdict.NO_EFFECT
        return Outcome(
            verdict, f"{self.setting} is {present}, was {before}", {"before": before, "after": present}
        )

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        """Put the value before back."""
        setting = change.facts.get("setting")
        if setting not in _BOUNDS:
            return Outcome(Verdict.DECLINED, "the note of the change names no setting of this action")
        return cls._knob(world, setting).put_back(change)

    @classmethod
    def _knob(cls, world: World, setting: str) -> Knob:
        return Knob(cls.name, setting, world.roots.procfs / "sys" / setting.replace(".", "/"))

    def _unwise(self, world: World, before: int) -> str | None:
        if before == self.value:
            return f"{self.setting} is {self.value} already"
        if before == 0 and self.setting in _IN_BYTES:
            return f"{_IN_BYTES[self.setting]} is in force, and a ratio would switch it off for good"
        return self._too_much(world)

    def _too_much(self, world: World) -> str | None:
        total_bytes = read_meminfo(world.roots).mem_total_bytes
        if self.setting != _MIN_FREE or total_bytes is None:
            return None
        most_kbytes = total_bytes * _MOST_FREE_PCT // 100 >> 10
        if self.value <= most_kbytes:
            return None
        return f"{self.setting} of {self.value} is more than {_MOST_FREE_PCT} % of memory, {most_kbytes}"
