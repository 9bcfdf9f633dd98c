"""Having chosen cgroups give back memory, without killing anything in them."""

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from memwatchd.actions.base import Action, Figure, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.kernel.files import refusal, write_value
from memwatchd.keys import Kind, key
from memwatchd.roots import Roots
from memwatchd.units import format_bytes, printable

# Small enough that a deadline is kept even when each page has to be written to swap.
_STEP_BYTES = 16 << 20
_WORTH_BYTES = 1 << 20
_VERSION_1 = (
    "the memory controller is on cgroup version 1, which cannot be asked for a given amount "
    "(memory.force_empty would take everything)"
)
_NEEDS = (
    "cgroup v2 with the memory controller, Linux 5.19, uid 0 or CAP_DAC_OVERRIDE, a writable /sys/fs/cgroup"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim(Action):
    """Writes to the `memory.reclaim` of cgroups (version 2, Linux 5.19), in steps of 16 MiB.

    Each step is taken from the cgroup that is the largest at that moment, until `amount` has been asked
    for, the deadline is over, or none has anything left to give. The kernel takes page cache first and,
    where there is swap, what has not been used for long.

    Version 1 is declined: its `memory.force_empty` takes everything there is, without a limit.
    """

    name: ClassVar[str] = "reclaim"
    summary: ClassVar[str] = "Have the kernel take back a bounded amount of memory from chosen cgroups."
    heavy: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = (_NEEDS,)

    cgroups: tuple[str, ...] = field(
        metadata=key(
            "cgroups",
            Kind.WORDS,
            "Paths below the cgroup root, with * and ? as in a shell.",
            example="/system.slice/*.service",
            maximum=64,
            required=True,
        ),
    )
    amount_bytes: int = field(
        default=256 << 20,
        metadata=key(
            "amount",
            Kind.SIZE,
            "How much at most, from all of them together.",
            example="256MiB",
            minimum=1 << 20,
            maximum=1 << 50,
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say which paths lead nowhere or out of the cgroup tree."""
        if not self.cgroups:
            yield "cgroups: expected at least one path"
        for path in self.cgroups:
            if not path.startswith("/") or {"", ".", ".."} & set(path.split("/")[1:]):
                yield f"cgroups: expected a path below the cgroup root such as /system.slice; got {path!r}"

    def missing(self, world: World) -> Iterable[str]:
        """Say which cgroups do not let themselves be asked."""
        for directory in self._directories(world.roots):
            problem = refusal(directory / "memory.reclaim", _NEEDS)
            if problem:
                yield printable(problem)
        if self._on_version_1(world.roots):
            yield _VERSION_1

    def aim(self, world: World) -> Intent:
        """Say which cgroups would be asked, the largest first."""
        sizes = {each: _current(each) for each in self._directories(world.roots)}
        there = {each: size for each, size in sizes.items() if size is not None}
        targets = [
            Target(printable(str(each)), f"uses {format_bytes(there[each])}")
            for each in sorted(there, key=lambda each: -there[each])
        ]
        return Intent(f"reclaim up to {format_bytes(self.amount_bytes)}", tuple(targets))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Ask step by step."""
        directories = list(self._directories(world.roots))
        if not directories:
            on_version_1 = self._on_version_1(world.roots)
            return Outcome(Verdict.DECLINED, _VERSION_1 if on_version_1 else "there is no such cgroup now")
        before = {each: _current(each) for each in directories}
        asked_bytes = self._ask(world, occasion, directories)
        freed_bytes = sum(max(0, (size or 0) - (_current(each) or 0)) for each, size in before.items())
        figures: dict[str, Figure] = {
            "reclaimed_bytes": freed_bytes,
            "asked_bytes": asked_bytes,
            "cgroups": len(directories),
        }
        detail = f"{format_bytes(freed_bytes)} reclaimed of {format_bytes(self.amount_bytes)}"
        if freed_bytes >= min(self.amount_bytes, _WORTH_BYTES):
            return Outcome(Verdict.HELPED, detail, figures)
        late = world.now_ns() >= occasion.until_ns
        return Outcome(Verdict.TIMED_OUT if late else Verdict.NO_EFFECT, detail, figures)

    def _ask(self, world: World, occasion: Occasion, directories: list[Path]) -> int:
        """Ask the largest again and again; returns for how many bytes was asked, and given."""
        givers, given_bytes = list(directories), 0
        while givers and given_bytes < self.amount_bytes and world.now_ns() < occasion.until_ns:
            largest = max(givers, key=lambda each: _current(each) or 0)
            step_bytes = min(_STEP_BYTES, self.amount_bytes - given_bytes)
            try:
                write_value(largest / "memory.reclaim", str(step_bytes))
            except OSError as error:
                # EAGAIN: it gave less than that. Gone: so has its memory.
                if error.errno not in (errno.EAGAIN, errno.ENOENT, errno.ENODEV):
                    raise
                givers.remove(largest)
            else:
                given_bytes += step_bytes
        return given_bytes

    def _directories(self, roots: Roots) -> Iterator[Path]:
        """Give the directories of version 2 that match and account for memory, without those below others."""
        return self._matching((roots.cgroupfs, roots.cgroupfs / "unified"), "memory.current")

    def _on_version_1(self, roots: Roots) -> bool:
        return any(self._matching((roots.cgroupfs / "memory",), "memory.usage_in_bytes"))

    def _matching(self, mounts: Iterable[Path], file: str) -> Iterator[Path]:
        found = {
            directory
            for mount in mounts
            for pattern in self.cgroups
            for directory in mount.glob(pattern.lstrip("/"))
            if (directory / file).exists()
        }
        # What is asked of a cgroup is asked of all below it.
        yield from sorted(each for each in found if found.isdisjoint(each.parents))


def _current(directory: Path) -> int | None:
    """Read how much memory a cgroup uses; None when it is gone."""
    try:
        return int((directory / "memory.current").read_bytes())
    except OSError:
        return None
