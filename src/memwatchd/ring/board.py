"""The board: live figures of the sampler in the ring's second page, readable by anyone who can read the ring.

Every slot is one unsigned 64-bit word, stored in one piece, so readers need no lock. The sampler alone
writes, but for DOORBELL, which the responder raises when it has sent a command. Counters start at 0 with each
sampler process, but for those that span the ring's life (TICKS, MISSED, KILLS_SEEN, NUMBER, RESTARTS).

Slots 64–255 and 256–447 are histograms of lag and of reading time, see `Histogram`. From slot 512 on every
source has 4 slots: readings, errors, present interval in ticks, mean cost of a reading in nanoseconds.
"""

from dataclasses import dataclass
from enum import IntEnum

from memwatchd.ring.format import BOARD_BYTES

SLOTS = BOARD_BYTES // 8
MAX_SOURCES = 128
_SOURCES_AT = 512
_SOURCE_SLOTS = 4
HISTOGRAM_BUCKETS = 192
LAG_AT = 64
READ_AT = 256


class Slot(IntEnum):
    """Single figures."""

    HEARTBEAT_NS = 0  # monotonic time of the last tick
    STARTED_NS = 1  # monotonic time at which this sampler process began
    PID = 2
    TICKS = 3
    MISSED = 4
    LAG_MAX_NS = 5
    READ_MAX_NS = 6
    CPU_NS = 7  # CPU time of this sampler process, renewed with every governor decision
    ARMED = 8  # 1 while armed
    ARMED_TICKS = 9
    SEQUENCE = 10  # newest segment
    STRIDE = 11  # periods from one tick to the next; more than 1 where ticks would take too much
    SOURCE_ERRORS = 12
    KILLS_SEEN = 13  # rises of vmstat's and watched cgroups' oom_kill
    OVERSIZE = 14  # samples that did not fit into a segment
    DOORBELL = 15  # commands sent by the responder
    COMMANDS = 16  # commands done by the sampler
    PERIOD_NS = 17
    MINOR_FAULTS = 18  # page faults of this sampler process since its warm-up
    MAJOR_FAULTS = 19
    BUDGET_PPM = 20  # share of a core the governor aims at now
    WARM = 21  # 1 once the warm-up is over
    RESTARTS = 22  # sampler processes started on this ring after the first
    NUMBER = 23  # of the last tick, in periods: more than ticks were taken where one stands for several


def bucket_of(value_ns: int) -> int:
    """Bucket of a histogram: four per doubling, from 1 µs up, so a quantile is right within 19 %."""
    units = max(value_ns >> 8, 4)
    exponent = units.bit_length()
    index = exponent << 2 | units >> (exponent - 3) & 3
    return min(index, HISTOGRAM_BUCKETS - 1)


def bucket_bound_ns(index: int) -> int:
    """Largest value, in nanoseconds, that falls into a bucket."""
    exponent, quarter = index >> 2, index & 3
    return (((quarter + 5) << max(exponent - 3, 0)) << 8) - 1


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket, as copied from the board."""

    counts: tuple[int, ...]

    def quantile_ns(self, share: float) -> int | None:
        """Upper bound of the bucket that holds the quantile `share` (0..1); None when nothing was counted."""
        rank = share * sum(self.counts)
        passed = 0
        for index, count in enumerate(self.counts):
            passed += count
            if count and passed >= rank:
                return bucket_bound_ns(index)
        return None


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """What the board says of one source."""

    reads: int
    errors: int
    interval_ticks: int
    cost_ns: int


@dataclass(frozen=True, slots=True)
class BoardFigures:
    """A copy of the board."""

    slots: tuple[int, ...]

    def __getitem__(self, slot: Slot) -> int:
        return self.slots[slot]

    @property
    def lag(self) -> Histogram:
        """How far behind their deadline ticks began."""
        return Histogram(self.slots[LAG_AT : LAG_AT + HISTOGRAM_BUCKETS])

    @property
    def read(self) -> Histogram:
        """How long reading the sources of a tick took."""
        return Histogram(self.slots[READ_AT : READ_AT + HISTOGRAM_BUCKETS])

    def source(self, source: int) -> SourceFigures:
        """Figures of the source with this id."""
        at = source_slot(source)
        return SourceFigures(*self.slots[at : at + _SOURCE_SLOTS])


def source_slot(source: int) -> int:
    """First of the four slots of a source."""
    if not 0 <= source < MAX_SOURCES:
        raise ValueError(f"source id {source} is not in 0..{MAX_SOURCES - 1}")
    return _SOURCES_AT + source * _SOURCE_SLOTS


def copy_board(board: memoryview) -> BoardFigures:
    """Copy the live board."""
    return BoardFigures(tuple(board))
