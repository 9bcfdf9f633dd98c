"""What has to hold, with the limit of each and the reason for it, over all readings after the warm-up.

- **Memory** of each process, its RSS and its own part of PSS (without pages of files, which other Pythons
  that come and go share), may not grow by more than 1 MiB or 3 % of it, whichever is more, from the end of
  the warm-up to the end of the run, by its median slope. Single readings scatter by some hundred KiB, for
  what is copied from the rings and given back. What this sees in half an hour, of which it judges twenty
  minutes: 20 KiB lost with each reload, 4 KiB with each incident, 250 bytes with each scrape, 4 bytes with
  each tick. In a day: a sixtieth of that.
- **Descriptors and threads**: the floor may not rise at all.
- **Page faults** of a sampler after its warm-up: none, minor or major.
- **Missed ticks**: 0.1 % of all, and twice what a plain sleeper at the same priority misses meanwhile. What
  that misses the machine did not give to anyone; twice, because which of the processors is taken away is
  chance.
- **The longest gap** between two samples of an incident, also where one sampler takes over from another: ten
  periods, and twice the sleeper's longest lag.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memwatchd.views.text import format_bytes
from soak.figures import Footprint, Reading, Ticks
from soak.trend import floor_rise, growth

ROLES = ("service", "sampler", "exporter")
MEMORY_BYTES, MEMORY_SHARE = 1 << 20, 0.03
MISSED_SHARE, SLEEPER_FACTOR = 0.001, 2.0
GAP_PERIODS = 10


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold.

    Attributes:
        passed: None when there is not enough to tell yet.
    """

    name: str
    found: str
    limit: str
    passed: bool | None

    @property
    def verdict(self) -> str:
        """In one word."""
        return {None: "too early", True: "passed", False: "NOT passed"}[self.passed]


def judge(readings: Sequence[Reading], longest_gap_ns: int) -> list[Check]:
    """Judge what was measured.

    Args:
        readings: Those after the warm-up, by time.
        longest_gap_ns: Between two samples, as the incidents tell.
    """
    if not readings:
        return []
    return [
        *(check for role in ROLES for check in process(_footprints(readings, role), role)),
        _faults(readings),
        _missed(readings),
        _gap(readings[-1], longest_gap_ns),
        none("texts left out of the ring", readings[-1].oversize - readings[0].oversize),
    ]


def none(name: str, count: int, detail: str = "") -> Check:
    """A check that something has not happened."""
    found = f"{count}: {detail}" if count and detail else str(count)
    return Check(name, found, "0", count == 0)


def process(footprints: Sequence[tuple[float, Footprint]], role: str) -> Iterator[Check]:
    """Judge the memory, descriptors and threads of one process, by time in seconds."""
    for name, attribute in (("RSS", "rss_bytes"), ("its own PSS", "own_bytes")):
        yield _memory(f"{role}: growth of {name}", footprints, attribute)
    for name in ("descriptors", "threads"):
        points = [(at_s, float(getattr(found, name))) for at_s, found in footprints]
        rise = floor_rise(points)
        found = "–" if rise is None else f"{rise:+.0f} of {min(value for _, value in points):.0f}"
        yield Check(f"{role}: floor of {name}", found, "+0", None if rise is None else rise <= 0)


def _footprints(readings: Sequence[Reading], role: str) -> list[tuple[float, Footprint]]:
    return [(each.at_s, each.processes[role]) for each in readings if role in each.processes]


def _memory(name: str, footprints: Sequence[tuple[float, Footprint]], attribute: str) -> Check:
    points = [(at_s, float(getattr(found, attribute))) for at_s, found in footprints]
    grown = growth(points)
    if grown is None:
        return Check(name, "–", "", None)
    limit = max(MEMORY_BYTES, MEMORY_SHARE * points[0][1])
    sign = "-" if grown < 0 else "+"
    found = f"{sign}{format_bytes(abs(round(grown)))} of {format_bytes(round(points[0][1]))}"
    return Check(name, found, f"+{format_bytes(round(limit))}", grown <= limit)


def _faults(readings: Sequence[Reading]) -> Check:
    last = {each.sampler_pid: each.faults for each in readings}
    minor, major = (sum(faults[kind] for faults in last.values()) for kind in (0, 1))
    name = f"page faults of {len(last)} samplers"
    return Check(name, f"{minor} minor, {major} major", "0", minor + major == 0)


def _missed(readings: Sequence[Reading]) -> Check:
    share = missed_share(readings[0].sampler, readings[-1].sampler)
    sleeper = missed_share(readings[0].sleeper, readings[-1].sleeper)
    limit = MISSED_SHARE + SLEEPER_FACTOR * sleeper
    return Check(f"missed ticks (a sleeper: {sleeper:.3%})", f"{share:.3%}", f"{limit:.3%}", share <= limit)


def missed_share(first: Ticks, last: Ticks) -> float:
    """Share of the ticks between two moments that were not made."""
    missed, done = last.missed - first.missed, last.done - first.done
    return missed / (missed + done) if missed + done else 0.0


def _gap(last: Reading, longest_ns: int) -> Check:
    limit_ns = GAP_PERIODS * last.period_ns + round(SLEEPER_FACTOR * last.sleeper.worst_lag_ns)
    name = f"longest gap (the sleeper's longest lag: {last.sleeper.worst_lag_ns / 1e6:.0f} ms)"
    return Check(name, f"{longest_ns / 1e6:.0f} ms", f"{limit_ns / 1e6:.0f} ms", longest_ns <= limit_ns)
