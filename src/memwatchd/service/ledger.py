"""What is known about kills, from three sides that must agree.

The kernel's messages say who was killed; they can be lost, and a kill of a process that is already on its way
out is counted without a message. vmstat's ``oom_kill`` counts every kill on the machine. A watched cgroup's
``oom_kill`` counts those in it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from memwatchd.oomreport.kills import Kill

_KEPT = 4096


@dataclass(frozen=True, slots=True)
class SeenKill:
    """A kill and when its message was read."""

    monotonic_ns: int
    kill: Kill


@dataclass(frozen=True, slots=True)
class CounterRise:
    """An oom_kill counter that rose, as the sampler saw it."""

    monotonic_ns: int
    source: str
    rise: int


@dataclass(slots=True)
class Ledger:
    """Kills of this run.

    Attributes:
        by_scope: Kills the kernel told of, counted by scope.
    """

    messages_read: bool
    kills: deque[SeenKill] = field(default_factory=lambda: deque(maxlen=_KEPT))
    rises: deque[CounterRise] = field(default_factory=lambda: deque(maxlen=_KEPT))
    by_scope: dict[str, int] = field(default_factory=lambda: {"global": 0, "cgroup": 0, "unknown": 0})

    def told(self, monotonic_ns: int, kill: Kill) -> None:
        """Take in a kernel message about a kill."""
        self.kills.append(SeenKill(monotonic_ns, kill))
        self.by_scope[kill.scope or "unknown"] += 1

    def counted(self, monotonic_ns: int, source: str, rise: int) -> None:
        """Take in the rise of a counter."""
        self.rises.append(CounterRise(monotonic_ns, source, rise))

    def between(self, from_ns: int, to_ns: int) -> dict[str, Any]:
        """Kills and counters of a span, and whether they agree, for an incident.

        Copies first: the scribe asks while the service's loop takes in more.
        """
        kills = [seen for seen in list(self.kills) if from_ns <= seen.monotonic_ns <= to_ns]
        rises: dict[str, int] = {}
        for each in list(self.rises):
            if from_ns <= each.monotonic_ns <= to_ns:
                rises[each.source] = rises.get(each.source, 0) + each.rise
        return {
            "kills": [{"monotonic_ns": seen.monotonic_ns, **asdict(seen.kill)} for seen in kills],
            "counters": rises,
            "disagreements": list(self._disagreements(len(kills), rises)),
        }

    def _disagreements(self, told: int, rises: dict[str, int]) -> Iterable[str]:
        counted = rises.get("vmstat", 0)
        if not self.messages_read:
            yield "the kernel's messages could not be read, so it is not known who was killed"
        elif counted > told:
            yield f"vmstat counts {counted} kills, the kernel's messages tell of {told}"
        elif told > counted:
            yield f"the kernel's messages tell of {told} kills, vmstat counts {counted}"
        for source, rise in sorted(rises.items()):
            if source != "vmstat" and rise > max(told, counted):
                yield f"{source} counts {rise} kills, vmstat {counted} and the kernel's messages {told}"
