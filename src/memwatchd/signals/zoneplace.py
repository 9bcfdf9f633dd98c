"""Where in /proc/zoneinfo the wanted zone is: that of a node, the tightest of a name, or the worst."""

from collections.abc import Callable
from math import inf
from operator import attrgetter

from memwatchd.signals.cursor import ZONE, encode, number
from memwatchd.signals.recording import Recording
from memwatchd.signals.signal import Buffer
from memwatchd.signals.zonefigures import (
    NOT_FOR_KERNEL,
    Figure,
    read_kernel_reserve,
    read_managed,
    read_without_boost,
)

WORST = "worst"

LocateZone = Callable[[Buffer, int], int]
"""Gives the place of "pages free" of the wanted zone, or -1."""

# Smaller zones are nobody's last resort.
_SMALL_BYTES = 64 << 20


class ExactZone:
    """The zone of this name of one node."""

    def __init__(self, node: str, zone: str) -> None:
        self._heading = b"Node %d, zone %8s\n" % (int(node), encode(zone))
        self._at = 0
        self._present = Figure("present")

    def locate(self, text: Buffer, size: int) -> int:
        """Give the place of its free pages; -1 when there is no such zone."""
        if not text.startswith(self._heading, self._at, size):
            self._at = max(text.find(self._heading, 0, size), 0)
            if not text.startswith(self._heading, self._at, size):
                return -1
        # Below the heading may stand the counters of the node.
        zone_at = text.find(ZONE, self._at, size)
        return zone_at if zone_at >= 0 and self._present.read(text, size, zone_at) else -1


class _Levels:
    """What stands between a zone's free pages and its size hardly ever changes: it is remembered as it is.

    Attributes:
        heading: The line above all that is the zone's; empty until it is known.
        text: The lines below its free pages.
        high: The high watermark without its boost, in pages; None where the zone has no pages, or the lines
            are odd.
        size: Pages the kernel may give out.
        reserve: Pages that the kernel's own allocations may not take from here.
        start: Where the zone's heading was.
        at: Where its free pages were.
        free: How many there are now; infinite where that is not to be read.
    """

    __slots__ = ("at", "free", "heading", "high", "reserve", "size", "start", "text")

    def __init__(self) -> None:
        self.heading, self.text = b"", b"\0"
        self.high: int | None = None
        self.free = inf
        self.start = self.at = self.size = self.reserve = 0

    def is_there(self, text: Buffer, start: int, size: int) -> bool:
        """Whether it is this zone whose free pages end there, and its lines are as they were."""
        return text.startswith(self.text, start, size) and text.startswith(self.heading, self.start, size)

    def learn(self, text: Buffer, start: int, size: int) -> bool:
        """Take in the lines that begin there; False when they are not all there."""
        high_at = text.find(b" high ", start, size)
        present_at = text.find(b" present ", high_at, size)
        end = text.find(b"\n", present_at, size)
        if start < 0 or high_at < 0 or present_at < 0 or end < 0:
            return False
        self.text = bytes(text[start:end])
        self.heading = bytes(text[self.start : text.find(b"\n", self.start, size)])
        present = number(text, present_at + 9, end)
        self.high = read_without_boost("high")(text, size, self.at) if present else None
        self.size = read_managed()(text, size, self.at) or 0
        self.reserve = read_kernel_reserve()(text, size, self.at) or 0
        return True

    @property
    def is_for_kernel(self) -> bool:
        """Whether objects of the kernel itself may be here."""
        return not self.heading.endswith(NOT_FOR_KERNEL)

    @property
    def node(self) -> bytes:
        """Whose it is."""
        return self.heading.partition(b",")[0]

    @property
    def ratio(self) -> float:
        """Free pages for each page of the high watermark."""
        return self.free / self.high if self.high else inf

    @property
    def room(self) -> float:
        """The same of the pages that the kernel may take for itself."""
        return (self.free - self.reserve) / self.high if self.high else inf


_room = attrgetter("room")
_size = attrgetter("size")


class TightestZone:
    """The zone with the least free pages for its high watermark, of those of one name; or the worst one.

    All readers of one recording share it, so that a new text is searched once. Two texts in a row are in
    different buffers: it is asked after every reading.
    """

    def __init__(self, zone: str, page_size: int) -> None:
        self._worst = zone == WORST
        self._before = b"Node " if self._worst else b", zone %8s\n" % encode(zone)
        self._small_pages = _SMALL_BYTES // page_size
        self._levels: list[_Levels] = []
        self._nodes: list[list[_Levels]] = []
        self._text: Buffer = b""
        self._size = self._found = -1
        self._learnt, self._zones = -1, 0

    @classmethod
    def of(cls, recording: Recording, zone: str) -> "TightestZone":
        """The one of this recording."""
        made = cls(zone, recording.page_size)
        shared: TightestZone = recording.shared.setdefault(f"tightest zone {zone}", made)
        return shared

    def locate(self, text: Buffer, size: int) -> int:
        """Give the place of its free pages; -1 when there is no such zone."""
        if text is not self._text or size != self._size:
            self._text, self._size = text, size
            self._search(text, size)
            self._found = self._choose()
        return self._found

    def _search(self, text: Buffer, size: int) -> None:
        """Find out what is free in each zone."""
        before, place, end = self._before, 0, 0
        # In a text as long as the last one everything hardly ever stands elsewhere.
        as_before, news = size == self._learnt, False
        while not (as_before and place == self._zones):
            if place == len(self._levels):
                self._levels.append(_Levels())
            levels = self._levels[place]
            if not as_before or not text.startswith(before, levels.start, size):
                levels.start, as_before = text.find(before, end, size), False
            if levels.start < 0:
                break
            if not as_before or not text.startswith(ZONE, levels.at, size):
                levels.at = text.find(ZONE, levels.start, size)
            at = levels.at
            end = text.find(b"\n", at, size)
            if not levels.is_there(text, end, size):
                news = True
                if not levels.learn(text, end, size):
                    break
            place += 1
            free = number(text, at + 10, end)
            levels.free = inf if free is None else free
            end += len(levels.text)
        news = news or place != self._zones
        self._learnt, self._zones = size, place
        if news:
            self._sort()

    def _sort(self) -> None:
        """Find out which zones count; for the worst one those of a node that the kernel can fall back on."""
        there = [each for each in self._levels[: self._zones] if each.high is not None]
        if not self._worst:
            self._nodes = [[each] for each in there]
            return
        nodes: dict[bytes, list[_Levels]] = {}
        for each in there:
            if each.is_for_kernel:
                nodes.setdefault(each.node, []).append(each)
        self._nodes = [
            [each for each in zones if each.size >= self._small_pages] or [max(zones, key=_size)]
            for zones in nodes.values()
        ]

    def _choose(self) -> int:
        found, least = -1, inf
        for zones in self._nodes:
            levels = zones[0] if len(zones) == 1 else max(zones, key=_room)
            ratio = levels.room if self._worst else levels.ratio
            if found < 0 or ratio < least:
                found, least = levels.at, ratio
        return found
