"""Keeping a sampler running, and having one with another plan take over within a few ticks."""

import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from memwatchd.sampling.plan import Plan
from memwatchd.service.children import Backoff
from memwatchd.service.sampler import SamplerProcess

_STOP_S = 5.0
# A sampler is warm after two or three seconds on an idle machine.
_WARM_UP_NS = 60_000_000_000

Taken = Callable[[str], None]


@dataclass(slots=True)
class _Successor:
    """A sampler that warms up to take over; `taken` hears whether it has, or what went wrong."""

    sampler: SamplerProcess
    plan: Plan
    taken: Taken
    until_ns: int


class SamplerKeeper:
    """Starts the sampler, hears it, and starts another one when it dies.

    Args:
        plan: What the sampler is told.
        alarm: eventfd it raises when a kill was counted.
        board: Of the ring it writes.
        selector: Its data are functions to be called when there is something to read.
        on_ready: A sampler has begun and knows of no watches yet.
        on_decision: A rule has fired, was held back, or cleared.
        on_death: A sampler has ended without being told to, or could not be started: one sentence, and its
            status, if it had one.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        alarm: int,
        board: memoryview,
        selector: selectors.BaseSelector,
        on_ready: Callable[[SamplerProcess], None],
        on_decision: Callable[[dict[str, Any]], None],
        on_death: Callable[[str, int | None], None],
    ) -> None:
        self.plan = plan
        self.current: SamplerProcess | None = None
        self._alarm = alarm
        self._board = board
        self._selector = selector
        self._on_ready = on_ready
        self._on_decision = on_decision
        self._on_death = on_death
        self._backoff = Backoff()
        self._successor: _Successor | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes of the sampler, and of the one that is to take over; called from any thread."""
        current, successor = self.current, self._successor
        samplers = (current, successor.sampler if successor else None)
        return tuple(sampler.process.pid for sampler in samplers if sampler is not None)

    def start(self) -> None:
        """Start a sampler."""
        try:
            self.current = self._start(self.plan)
        except OSError as error:
            self._on_death(f"the sampler cannot be started: {error.strerror}", None)
            self._backoff.died(time.monotonic_ns())
            return
        self._backoff.started(time.monotonic_ns())

    def replace(self, plan: Plan, taken: Taken) -> None:
        """Have a sampler with another plan take over once it is warm; until then the present one goes on.

        Args:
            plan: The other plan.
            taken: Called when it has taken over, with nothing, or when it will not, with the reason.
        """
        if self._successor is not None:
            taken("another change is under way")
            return
        try:
            sampler = self._start(plan)
        except OSError as error:
            taken(f"the sampler cannot be started: {error.strerror}")
            return
        self._successor = _Successor(sampler, plan, taken, time.monotonic_ns() + _WARM_UP_NS)

    def command(self, command: dict[str, Any], descriptors: list[int]) -> bool:
        """Send the sampler a command; False when it cannot take it now."""
        sampler = self.current
        if sampler is None or not sampler.ready:
            return False
        return sampler.command(self._board, command, descriptors)

    def poll(self, now_ns: int) -> None:
        """Start anew what died; give up a successor that does not get warm."""
        if self._backoff.due(now_ns):
            self.start()
        successor = self._successor
        if successor is not None and now_ns > successor.until_ns:
            self._successor = None
            self._end(successor.sampler)
            successor.taken("the new sampler did not get ready in time")

    def stop(self) -> None:
        """End the sampler in good order."""
        for sampler in (self.current, self._successor.sampler if self._successor else None):
            if sampler is not None:
                self._end(sampler)
        self.current = self._successor = None

    def _start(self, plan: Plan) -> SamplerProcess:
        sampler = SamplerProcess.start(plan, self._alarm)
        read = selectors.EVENT_READ
        self._selector.register(sampler.control, read, partial(self._hear, sampler))
        self._selector.register(sampler.descriptor, read, partial(self._bury, sampler))
        return sampler

    def _hear(self, sampler: SamplerProcess) -> None:
        if sampler.closed:
            return  # another one took over in this very turn
        for decision in sampler.hear():
            if sampler is self.current:
                self._on_decision(decision)
        if sampler.gone:
            self._forget(sampler.control)
        elif sampler.warm and not sampler.ready:
            self._begin(sampler)

    def _begin(self, sampler: SamplerProcess) -> None:
        successor = self._successor
        if successor is not None and successor.sampler is sampler:
            self._successor = None
            if self.current is not None:
                self._end(self.current)
            self.current, self.plan = sampler, successor.plan
            # One that died meanwhile is not to be started again.
            self._backoff.started(time.monotonic_ns())
        sampler.go()
        self._on_ready(sampler)
        if successor is not None and successor.sampler is sampler:
            successor.taken("")

    def _bury(self, sampler: SamplerProcess) -> None:
        if sampler.closed:
            return
        self._forget(sampler.control)
        self._forget(sampler.descriptor)
        status = sampler.process.wait()
        sampler.close()
        successor = self._successor
        if successor is not None and successor.sampler is sampler:
            self._successor = None
            successor.taken(f"the new sampler ended with status {status}")
            return
        self.current = None
        self._backoff.died(time.monotonic_ns())
        said = "the sampler died" if status < 0 else "the sampler ended"
        self._on_death(f"{said} with status {status}; the ring is kept and another one is started", status)

    def _end(self, sampler: SamplerProcess) -> None:
        self._forget(sampler.control)
        self._forget(sampler.descriptor)
        sampler.stop(_STOP_S)

    def _forget(self, source: Any) -> None:
        if source in self._selector.get_map():
            self._selector.unregister(source)
