"""Deciding whether the machine is in danger, so that everything is sampled at full rate.

Armed means one of:

- tasks stall for memory: PSI's `some` total grew by 2 % of the last 125 to 250 ms or more,
- MemAvailable falls so fast, over the last half to whole second, that it would reach zero within 10 s,
- a zone's free pages are under its high watermark while pages are swapped or reclaimed directly,
- a rule has fired, or is near its threshold.

It stays armed for 5 s after the last such moment, so that a machine going in and out of trouble is not
recorded in pieces. The thresholds err towards arming: a false alarm costs CPU time within the armed budget
and nothing else.
"""

from collections import deque
from dataclasses import dataclass, field

STALL_SHARE = 0.02
STALL_WINDOW_NS = 250_000_000
TREND_WINDOW_NS = 1_000_000_000
HORIZON_S = 10.0
HOLD_NS = 5_000_000_000
_POINTS = 8


@dataclass(slots=True)
class Past:
    """A figure's values over a short window, some five of them."""

    window_ns: int
    points: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_POINTS))

    def growth_per_s(self, now_ns: int, value: int) -> float:
        """Mean growth over about the window; 0 as long as half of it is not covered."""
        points = self.points
        while points and now_ns - points[0][0] > self.window_ns:
            points.popleft()
        if not points or now_ns - points[-1][0] >= self.window_ns // 4:
            points.append((now_ns, value))
        then_ns, then = points[0]
        elapsed_ns = now_ns - then_ns
        return (value - then) * 1e9 / elapsed_ns if elapsed_ns >= self.window_ns // 2 else 0.0


@dataclass(slots=True)
class Danger:
    """Remembers a second of the past and judges each moment against it."""

    armed_until_ns: int = 0
    reason: str = ""
    _stall: Past = field(default_factory=lambda: Past(STALL_WINDOW_NS))
    _available: Past = field(default_factory=lambda: Past(TREND_WINDOW_NS))

    def armed(self, now_ns: int) -> bool:
        """Whether the last danger is recent enough."""
        return now_ns < self.armed_until_ns

    def judge(
        self, now_ns: int, *, stall_usec: int | None, available_kib: int | None, zone_short: bool
    ) -> None:
        """Take in what one tick says, on every tick, or the past has holes.

        `reason` is then why it is dangerous, in words, with figures.

        Args:
            now_ns: When, on the monotonic clock.
            stall_usec: PSI `some` total; None when this kernel has none.
            available_kib: MemAvailable; None on kernels before 3.14.
            zone_short: A zone is under its high watermark, and reclaim or swap has just moved.
        """
        if stall_usec is not None:
            share = self._stall.growth_per_s(now_ns, stall_usec) * 1e-6
            if share >= STALL_SHARE:
                self.arm(now_ns, f"tasks stalled for memory {share:.0%} of the time")
        if available_kib is not None:
            fall_per_s = -self._available.growth_per_s(now_ns, available_kib)
            if fall_per_s > 0 and available_kib <= fall_per_s * HORIZON_S:
                self.arm(now_ns, f"MemAvailable reaches zero in {available_kib / fall_per_s:.1f} s")
        if zone_short:
            self.arm(now_ns, "a zone is under its high watermark while pages are reclaimed")

    def arm(self, now_ns: int, reason: str) -> None:
        """It is dangerous, for this reason, whoever says so."""
        self.armed_until_ns = now_ns + HOLD_NS
        self.reason = reason
