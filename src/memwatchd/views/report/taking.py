"""Takes the samples of an incident in, one after the other: every reading of what the charts show."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import nan

from memwatchd.errors import ParseError
from memwatchd.procfs.buddyinfo import parse_buddyinfo
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.ring.samples import Sample
from memwatchd.ring.stream import Moment
from memwatchd.signals.replay import Replay
from memwatchd.views.report.curves import Panel
from memwatchd.views.report.layout import Plan, plans

# Of slabinfo, whose parsing is dear.
_SLAB_READINGS = 300
_SLABINFO_BYTES = 32 << 20


@dataclass(slots=True)
class Strand:
    """The curves of one plan, as far as they were read."""

    plan: Plan
    times_s: "array[float]" = field(default_factory=lambda: array("d"))

    def note(self, at_s: float) -> None:
        """Read the present values."""
        self.times_s.append(at_s)
        for curve, value in zip(self.plan.curves, self.plan.read(), strict=True):
            curve.values.append(value)

    def go_on(self, plan: Plan) -> None:
        """Read from other sources; a curve that is new was not there until now."""
        known = {curve.name: curve for curve in self.plan.curves}
        curves = [known.pop(curve.name, curve) for curve in plan.curves]
        missing = [nan] * len(self.times_s)
        for curve in curves:
            curve.values.extend(missing[len(curve.values) :])
        # What is gone is read no more, but was there.
        gone = list(known.values())
        read, nothing = plan.read, [nan] * len(gone)
        self.plan = replace(plan, curves=[*curves, *gone], read=lambda: [*read(), *nothing])

    @property
    def panel(self) -> Panel:
        """What was read, without curves that were never there."""
        plan = self.plan
        curves = [curve for curve in plan.curves if curve.there]
        return Panel(
            plan.key, plan.title, plan.kind, self.times_s, curves, plan.note, samples=len(self.times_s)
        )


@dataclass(slots=True)
class Slabinfos:
    """Some hundred texts of slabinfo, evenly, however many there are; the newest one is always among them.

    Attributes:
        kept: Those texts, and when they were read.
        count: How many there were.
    """

    kept: list[tuple[float, bytes]] = field(default_factory=list)
    count: int = 0
    _newest: tuple[float, bytes] | None = None
    _every: int = 1
    _bytes: int = 0

    def take(self, at_s: float, text: bytes) -> None:
        """Take the next text in."""
        self._newest = (at_s, text)
        if self.count % self._every == 0:
            self.kept.append(self._newest)
            self._bytes += len(text)
        self.count += 1
        if len(self.kept) > 2 and (len(self.kept) > _SLAB_READINGS or self._bytes > _SLABINFO_BYTES):
            del self.kept[1::2]
            self._bytes = sum(len(each) for _, each in self.kept)
            self._every *= 2

    def tables(self, page_size: int) -> Iterator[tuple[float, dict[str, float]]]:
        """Yield each cache's size in bytes, by name."""
        newest = [self._newest] if self._newest and self._newest not in self.kept[-1:] else []
        for at_s, text in self.kept + newest:
            try:
                caches = parse_slabinfo(text).caches
            except ParseError:
                continue  # this reading tells nothing
            yield at_s, {cache.name: float(cache.size_bytes(page_size)) for cache in caches}


class Taker:
    """Takes in sample after sample.

    Args:
        page_size: Of the machine that made the recording, in bytes.

    Attributes:
        times_s: When each sample was taken, in seconds from the trigger.
        strands: By the keys of their plans.
        buddies: Free blocks by order of each zone of each node, at each reading.
        slabinfos: Texts, some of them.
    """

    def __init__(self, page_size: int) -> None:
        self.times_s = array("d")
        self.strands: dict[str, Strand] = {}
        self.buddies: dict[tuple[int, str], list[tuple[float, tuple[int, ...]]]] = {}
        self.slabinfos = Slabinfos()
        self.page_size = page_size
        self._replay = Replay(page_size)
        self._by_source: dict[str, list[Strand]] = {}

    def take(self, at_s: float, moment: Moment) -> None:
        """Take the next sample in."""
        if self._replay.take(moment) or not self.times_s:
            self._bind()
        self.times_s.append(at_s)
        for strand in self._by_source.get("", ()):
            strand.note(at_s)
        for number in moment.sample.read:
            self._take_source(at_s, str(moment.sources.get(number, {}).get("name")), moment.sample, number)

    def _take_source(self, at_s: float, name: str, sample: Sample, number: int) -> None:
        """Take in what is read from a source that was read in this sample."""
        for strand in self._by_source.get(name, ()):
            strand.note(at_s)
        if name == "buddyinfo":
            self._take_buddies(at_s, sample.texts[number])
        elif name == "slabinfo":
            self.slabinfos.take(at_s, sample.texts[number])

    def _bind(self) -> None:
        self._by_source = {}
        for plan in plans(self._replay.recording):
            strand = self.strands.get(plan.key)
            if strand is None:
                strand = self.strands[plan.key] = Strand(plan)
            else:
                strand.go_on(plan)
            self._by_source.setdefault(plan.source, []).append(strand)

    def _take_buddies(self, at_s: float, text: bytes) -> None:
        try:
            zones = parse_buddyinfo(text)
        except ParseError:
            return  # this reading tells nothing
        for zone in zones:
            self.buddies.setdefault((zone.node, zone.zone), []).append((at_s, zone.free_blocks))
