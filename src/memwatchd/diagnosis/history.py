"""What a recording says of the seconds before an event: what grew, how fast, since when; what reclaim did.

Sizes are in bytes, shares from 0 to 1, and times count from the event: negative is before. It is made of
numbers by time in `memwatchd.diagnosis.past`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

PROCESS = "process"
CGROUP = "cgroup"
SLAB = "slab"
SWAP = "swap"
UNACCOUNTED = "unaccounted"
PAGE_CACHE = "page cache"


@dataclass(frozen=True, slots=True)
class Grower:
    """Something that grew before the event, and had not shrunk again when it came.

    Attributes:
        kind: A line of meminfo by the kernel's name (``AnonPages``, ``Shmem``, ``PageTables``), or one of
            `PROCESS` (resident and swapped), `CGROUP`, `SLAB`, `SWAP`, `UNACCOUNTED`, `PAGE_CACHE`.
        name: Of the process, the cgroup or the slab cache; empty for the others.
        pid: Of a process.
        from_bytes: What it was when it began to grow for the last time.
        to_bytes: What it was at the event, or when it was last seen before.
        since_s, until_s: When that climb began and ended.
        bytes_per_s: How fast it climbed; None for a single step.
        from_start: It was growing when the recording began, so it may have begun before.
        rising: It was still growing when the event came.
    """

    kind: str
    name: str
    pid: int | None
    from_bytes: int
    to_bytes: int
    since_s: float
    until_s: float
    bytes_per_s: float | None
    from_start: bool = False
    rising: bool = True

    @property
    def grown_bytes(self) -> int:
        """By how much it grew."""
        return self.to_bytes - self.from_bytes


@dataclass(frozen=True, slots=True)
class Reclaim:
    """What was looked at to be reclaimed, and what was."""

    scanned_pages: int
    reclaimed_pages: int

    @property
    def efficiency(self) -> float | None:
        """Share of the scanned pages that were reclaimed; None when none were scanned."""
        return self.reclaimed_pages / self.scanned_pages if self.scanned_pages else None


@dataclass(frozen=True, slots=True)
class ZonePast:
    """One zone's way below its watermarks.

    Attributes:
        free_bytes, min_bytes, low_bytes: As last read before the event.
        low_since_s, min_since_s: Since when it was below the mark, but for moments; None when it was not.
    """

    node: int | None
    name: str
    free_bytes: int
    min_bytes: int
    low_bytes: int
    low_since_s: float | None
    min_since_s: float | None


@dataclass(frozen=True, slots=True)
class RuleAction:
    """Something memwatchd's own rules did, or chose not to do.

    Attributes:
        at_s: When it began; when it was declined, where nothing began. Positive is after the event.
        verdict: "helped", "no effect", "failed", "timed out", "declined", "dry run"; None while under way.
        detail: What came of it, in its own words.
        undone_s: When it was put back before the event; None when it was not.
    """

    at_s: float
    rule: str
    action: str
    verdict: str | None = None
    detail: str = ""
    undone_s: float | None = None

    @property
    def holds(self) -> bool:
        """Whether anything was done that was not put back."""
        return self.undone_s is None and self.verdict not in ("declined", "dry run", "failed")


@dataclass(frozen=True, slots=True)
class History:
    """The recording before one event; what was not recorded, or this kernel does not count, is None.

    Attributes:
        from_s: When the recording begins; it goes on to the event.
        samples: How many samples there are before the event.
        newest_s: When the last of them was taken.
        missed: Samples that should have been taken and were not.
        longest_gap_s: Longest time between two samples, or between the last one and the event.
        growers: What grew, the most first.
        seen_pids: Processes whose size was recorded, whether they grew or not.
        zones: Every zone that was sampled, in the kernel's order.
        available_bytes: MemAvailable, at the last sample.
        available_bytes_per_s: How fast that grew in the last three seconds; negative when it shrank.
        swap_total_bytes, swap_free_bytes: At the last sample.
        last_s: How many seconds the following are about; it is less than ten when there were less.
        swap_free_bytes_per_s: How fast free swap grew; negative when it shrank.
        direct: What tasks had to reclaim themselves.
        kswapd: What the kernel reclaimed in the background.
        stalled_some_s, stalled_full_s: How long some task, or all with something to do, waited for memory.
        allocstalls: How often a task had to reclaim itself before it got a page.
        refaulted_file_pages, refaulted_anon_pages: Pages that came back soon after they had been dropped.
            Kernels before 5.9 count both as file pages.
        swapped_in_pages, swapped_out_pages: Pages.
        major_faults: Faults that waited for a disk.
        actions: What memwatchd's rules did before the event, oldest first.
        after: What they did afterwards, where the event is a moment of the recording and not a kill.
    """

    from_s: float = 0.0
    samples: int = 0
    newest_s: float | None = None
    missed: int = 0
    longest_gap_s: float | None = None
    growers: tuple[Grower, ...] = ()
    seen_pids: frozenset[int] = frozenset()
    zones: tuple[ZonePast, ...] = ()
    available_bytes: int | None = None
    available_bytes_per_s: float | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    last_s: float = 0.0
    swap_free_bytes_per_s: float | None = None
    direct: Reclaim | None = None
    kswapd: Reclaim | None = None
    stalled_some_s: float | None = None
    stalled_full_s: float | None = None
    allocstalls: int | None = None
    refaulted_file_pages: int | None = None
    refaulted_anon_pages: int | None = None
    swapped_in_pages: int | None = None
    swapped_out_pages: int | None = None
    major_faults: int | None = None
    actions: tuple[RuleAction, ...] = ()
    after: tuple[RuleAction, ...] = ()

    def grower(self, kind: str, name: str | None = None, pid: int | None = None) -> Grower | None:
        """What grew most of a kind, or of that name, or that pid; None when it did not grow."""
        return next(self.growers_of(kind, name, pid), None)

    def growers_of(self, kind: str, name: str | None = None, pid: int | None = None) -> Iterator[Grower]:
        """All that grew of a kind, the most first."""
        for each in self.growers:
            if each.kind == kind and name in (None, each.name) and pid in (None, each.pid):
                yield each

    def zone(self, name: str, node: int | None = None) -> ZonePast | None:
        """The zone of a name, on a node or on the first that has it."""
        return next((each for each in self.zones if each.name == name and node in (None, each.node)), None)
