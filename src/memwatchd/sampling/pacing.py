"""Which source is read on which tick: fixed rates as the user wishes, the rest as the governor finds."""

import resource
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from memwatchd.ring.board import Slot, source_slot
from memwatchd.sampling.governor import intervals, median, stride
from memwatchd.sampling.source import Source

_DECIDE_NS = 250_000_000
_COSTS_KEPT = 9
# So many in a row have to find ticks too dear.
_SLOW_DECISIONS = 3


@dataclass(frozen=True, slots=True)
class Budget:
    """Ticks a second, and what share (0..1) of one core they may take."""

    rate_hz: float
    calm_share: float
    armed_share: float


class Pacing:
    """Keeps the lists of sources the loop goes through.

    Args:
        sources: With the rate of each in Hz, or None where the rate is the governor's or every tick.
        governed: Names of the sources that are the governor's.

    Attributes:
        steady: Read on every tick.
        paced: Read when due; their reading is timed.
        period_ns: Length of a tick as it is wished, by which ticks are numbered.
        stride: How many periods there are from one tick to the next; more than 1 where ticks are too dear.
    """

    def __init__(
        self, budget: Budget, sources: Iterable[tuple[Source, float | None]], governed: Iterable[str]
    ) -> None:
        self.period_ns = round(1e9 / budget.rate_hz)
        self.stride = 1
        self.steady: list[Source] = []
        self.paced: list[Source] = []
        self._budget = budget
        self._share = budget.calm_share
        self._governed = frozenset(governed)
        self._costs: dict[int, deque[int]] = {}
        self._decide_at_ns = 0
        self._last_cpu_ns = time.process_time_ns()
        self._last_reads: dict[int, int] = {}
        self._cheap_ns = 0.0
        self._ticks = 0
        self._cheapest: deque[float] = deque(maxlen=_SLOW_DECISIONS)
        self._faults = (0, 0)
        for source, rate_hz in sources:
            self.add(source, rate_hz)

    def add(self, source: Source, rate_hz: float | None) -> None:
        """Take in a source."""
        if rate_hz is not None:
            source.interval = max(1, round(self._budget.rate_hz / rate_hz))
        if rate_hz is None and source.name in self._governed:
            self._costs[source.number] = deque(maxlen=_COSTS_KEPT)
            self.paced.append(source)
        elif source.interval > 1:
            self.paced.append(source)
        else:
            self.steady.append(source)

    def remove(self, source: Source) -> None:
        """Take a source out."""
        self._costs.pop(source.number, None)
        for sources in (self.steady, self.paced):
            if source in sources:
                sources.remove(source)

    def arm(self, armed: bool) -> None:
        """Spend the armed budget, or the calm one again, from the next tick on."""
        self._share = self._budget.armed_share if armed else self._budget.calm_share
        self.stride = self._wanted_stride(1)  # by another budget: what held so far does not count
        self._share_out()
        for source in self.paced:
            source.due = 0

    def decide(self, now_ns: int) -> bool:
        """Note what the last readings cost; four times a second, share the budget out anew.

        Returns:
            Whether it was time to.
        """
        for source in self.paced:
            if source.cost_ns:
                costs = self._costs.get(source.number)
                if costs is not None:
                    costs.append(source.cost_ns)
                source.cost_ns = 0
        self._ticks += 1
        if now_ns < self._decide_at_ns:
            return False
        self._decide_at_ns = now_ns + _DECIDE_NS
        self._measure()
        self.stride = self._wanted_stride(self.stride)
        self._share_out()
        return True

    def _wanted_stride(self, present: int) -> int:
        # One dear quarter of a second, as after a start, is no slow processor.
        cheap_ns = min(self._cheapest) if len(self._cheapest) == _SLOW_DECISIONS else 0.0
        return stride(
            period_ns=self.period_ns,
            calm_share=self._budget.calm_share,
            present_share=self._share,
            cheap_ns=cheap_ns,
            present=present,
        )

    def _measure(self) -> None:
        """Find what a tick costs without the governed sources: all CPU time less theirs."""
        cpu_ns = time.process_time_ns()
        governed_ns = 0.0
        for source in self.paced:
            if source.number in self._costs:
                reads = source.reads - self._last_reads.get(source.number, source.reads)
                governed_ns += reads * median(self._costs[source.number])
                self._last_reads[source.number] = source.reads
        cheap_ns = max(0.0, cpu_ns - self._last_cpu_ns - governed_ns) / self._ticks
        self._cheapest.append(cheap_ns)
        # The CPU clock of a process may move in jumps of a scheduler tick: smooth it.
        self._cheap_ns += (cheap_ns - self._cheap_ns) * (0.2 if self._cheap_ns else 1.0)
        self._last_cpu_ns, self._ticks = cpu_ns, 0

    def _share_out(self) -> None:
        governed = {source.name: source for source in self.paced if self._costs.get(source.number)}
        found = intervals(
            period_ns=self.period_ns * self.stride,
            budget_share=self._share,
            cheap_ns=self._cheap_ns,
            costs_ns={name: median(self._costs[source.number]) for name, source in governed.items()},
        )
        for name, ticks in found.items():
            source, interval = governed[name], ticks * self.stride
            source.due += interval - source.interval
            source.interval = interval

    def show(self, board: memoryview) -> None:
        """Write what it knows of cost and rates onto the board."""
        board[Slot.CPU_NS] = self._last_cpu_ns
        board[Slot.BUDGET_PPM] = round(self._share * 1e6)
        board[Slot.STRIDE] = self.stride
        usage = resource.getrusage(resource.RUSAGE_SELF)
        board[Slot.MINOR_FAULTS] = usage.ru_minflt - self._faults[0]
        board[Slot.MAJOR_FAULTS] = usage.ru_majflt - self._faults[1]
        for source in (*self.steady, *self.paced):
            at = source_slot(source.number)
            costs = self._costs.get(source.number)
            board[at] = source.reads
            board[at + 1] = source.errors
            board[at + 2] = max(source.interval, self.stride)
            board[at + 3] = round(median(costs)) if costs else 0

    def warmed_up(self) -> None:
        """Count page faults and CPU time from here on: getting ready is no measure of what comes."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._faults = (usage.ru_minflt, usage.ru_majflt)
        self._cheap_ns = 0.0
        self._cheapest.clear()
        self._last_cpu_ns, self._ticks = time.process_time_ns(), 0
        self._last_reads = {source.number: source.reads for source in self.paced}
        self._decide_at_ns = time.monotonic_ns() + _DECIDE_NS
        for source in self.paced:
            source.due = 0
            if source.number in self._costs:
                source.interval = 1
