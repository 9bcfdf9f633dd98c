"""What is shown of one moment: plain values with their units; None is not known, or not there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from memwatchd.expression.tree import Dimension


@dataclass(frozen=True, slots=True)
class Part:
    """A part of memory.

    Attributes:
        growth_bytes_per_s: Over the frame's span.
    """

    name: str
    size_bytes: float | None
    growth_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Where memory is.

    Attributes:
        parts: Adding up to all of it, if `complete`; some figures of meminfo otherwise.
    """

    total_bytes: float | None
    available_bytes: float | None
    swap_total_bytes: float | None
    swap_used_bytes: float | None
    parts: tuple[Part, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone that has pages."""

    node: int
    name: str
    free_bytes: int
    min_bytes: int
    low_bytes: int
    high_bytes: int
    managed_bytes: int | None
    growth_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Cache:
    """A slab cache."""

    name: str
    size_bytes: float
    objects: int
    growth_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Blocks:
    """Free blocks of a zone, by order."""

    node: int
    zone: str
    free: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a counter grows; shares are of time, 0 to 1.

    Attributes:
        unit: ``share``, ``pages/s`` or ``/s``.
        now: Over the last second.
        over_span: Over the frame's span.
    """

    name: str
    unit: str
    now: float | None
    over_span: float | None


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the table.

    Attributes:
        age_s: How long ago it was read.
        cpu_share: Of one core, between its last two readings.
    """

    pid: int
    name: str
    state: str | None
    resident_bytes: int | None
    swap_bytes: int | None
    oom_score_adj: int | None
    cgroup: str | None
    age_s: float
    growth_bytes_per_s: float | None = None
    cpu_share: float | None = None

    @property
    def size_bytes(self) -> int:
        """Memory it holds, resident or in swap."""
        return (self.resident_bytes or 0) + (self.swap_bytes or 0)


@dataclass(frozen=True, slots=True)
class Watched:
    """A file that a watched process has open, and how far it is."""

    pid: int
    name: str
    file: str
    position_bytes: float


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A control group.

    Attributes:
        is_watched: Its own figures are recorded; otherwise `used_bytes` is what its processes hold.
        limit_bytes: None without a limit.
        processes: In it, and in none below; None when that is not known.
    """

    path: str
    is_watched: bool
    used_bytes: float | None
    limit_bytes: float | None
    swap_bytes: float | None
    kills: float | None
    processes: int | None
    growth_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule, and how near it is to firing.

    Attributes:
        share: 0 far away, 1 its condition is true; None when something it needs is not there.
        what, comparator: The comparison that decides, in the words of the configuration.
        present, bound: Its two sides, of this dimension.
        holds_s: How long the condition has been true; None when it is not.
        for_s: How long it must be.
        active: It has fired and is not over; None when nobody says.
        fired: How often; None when nobody says.
    """

    name: str
    severity: str
    dry_run: bool
    share: float | None
    what: str
    comparator: str
    present: float | None
    bound: float | None
    dimension: Dimension
    holds_s: float | None
    for_s: float
    active: bool | None
    fired: int | None


class Sort(StrEnum):
    """What kind of thing has happened."""

    KILL = "kill"
    RULE = "rule"
    ACTION = "action"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened, made printable."""

    at_ns: int
    sort: Sort
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment.

    Attributes:
        title: Of what.
        mode: What is being done with it: live, frozen, playing.
        at_ns: On the monotonic clock.
        zero_ns: Seconds are told from here; None: told by the wall clock.
        wall_ns: How far the wall clock is ahead of the monotonic one; None when nobody knows.
        from_ns, to_ns: Between these there are samples.
        span_s: Over which growth is told.
        notes: What is to be said of the whole, loudest first.
        lag_s: By how much the sample came late.
        missed: Ticks that did not happen since the sample before.
        rules_note: Why nothing, or not all, is known of the rules.
    """

    title: str
    mode: str
    at_ns: int
    zero_ns: int | None
    wall_ns: int | None
    from_ns: int
    to_ns: int
    span_s: float
    lag_s: float
    missed: int
    notes: tuple[str, ...] = ()
    memory: Memory | None = None
    zones: tuple[Zone, ...] = ()
    caches: tuple[Cache, ...] = ()
    buddies: tuple[Blocks, ...] = ()
    rates: tuple[Rate, ...] = ()
    processes: tuple[Process, ...] = ()
    watched: tuple[Watched, ...] = ()
    cgroups: tuple[Cgroup, ...] = ()
    rules: tuple[RuleState, ...] = ()
    rules_note: str = ""
    happenings: tuple[Happening, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    """By the key of a panel, why there is nothing in it."""
