"""Restarting a child that died, but not in a storm."""

from dataclasses import dataclass

_FIRST_NS = 0
_STEP_NS = 500_000_000
_LONGEST_NS = 30_000_000_000
_GOOD_LIFE_NS = 10_000_000_000


@dataclass(slots=True)
class Backoff:
    """When to start a child again: at once the first time, then later and later while it dies young."""

    _started_ns: int | None = None
    _delay_ns: int = _FIRST_NS
    _due_ns: int | None = None

    def started(self, now_ns: int) -> None:
        """The child runs."""
        self._started_ns = now_ns
        self._due_ns = None

    def died(self, now_ns: int) -> None:
        """The child is gone."""
        if self._started_ns is not None and now_ns - self._started_ns >= _GOOD_LIFE_NS:
            self._delay_ns = _FIRST_NS
        self._started_ns = None
        self._due_ns = now_ns + self._delay_ns
        self._delay_ns = min(_LONGEST_NS, max(_STEP_NS, 2 * self._delay_ns))

    def due(self, now_ns: int) -> bool:
        """Whether to start it now."""
        return self._due_ns is not None and now_ns >= self._due_ns
