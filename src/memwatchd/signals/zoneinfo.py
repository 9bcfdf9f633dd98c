"""zone: every zone's free pages, watermarks, what lies between them, and its counters.

    zone.0.Normal.free      of one node; 1.6 µs, 1 µs more for its first zone, 1 µs more for `margin`
    zone.Normal.margin      of the tightest zone of this name, by free / high; 1 µs
    zone.worst.ratio        of the tightest of all zones; 1 µs

To find the tightest one takes 2 µs a zone, once for each new text.

`margin` is what is free above the reserve that ``__zone_watermark_ok`` in mm/page_alloc.c demands of an
allocation that has come down from the highest zone: the min watermark and the largest lowmem reserve.

A zone without pages is as good as not there: the kernel gives it watermarks all the same.
"""

import re
from collections.abc import Callable, Iterator
from math import inf, nan

from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.signals.cursor import ZONE, encode, line_number, number
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, absent
from memwatchd.signals.vmstat import counter_meaning, describe_counter

WORST = "worst"

# Gives the place of "pages free" of the wanted zone, or -1.
_Locate = Callable[[Buffer, int], int]
# Reads a figure of the zone whose sizes begin there.
_Read = Callable[[Buffer, int, int], float | None]

_SIZES = {
    "free": "free pages",
    "min": "min watermark: below it tasks have to reclaim themselves",
    "low": "low watermark: below it kswapd is woken",
    "high": "high watermark: above it kswapd rests",
    "boost": "how far the watermarks are raised for the time being",
    "promo": "watermark up to which pages of slower nodes are taken in",
    "spanned": "from the first to the last page, holes included",
    "present": "pages there are",
    "managed": "pages the kernel may give out",
    "cma": "pages set aside for contiguous allocations",
}
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_COUNTER = re.compile(r"[A-Za-z]\w*_\w+|scanned", re.ASCII)


class _Figure:
    """A line of a zone; its distance from the beginning of the sizes hardly changes."""

    __slots__ = ("_distance", "_needle", "_needles")

    def __init__(self, name: str) -> None:
        # Counters have a blank after their name; what comes after the page sets has a colon.
        self._needles = (b" " + encode(name) + b" ", b"\n  " + encode(name) + b":")
        self._needle, self._distance = self._needles[0], 0

    def read(self, text: Buffer, size: int, zone_at: int) -> int | None:
        needle, at = self._needle, zone_at + self._distance
        if not text.startswith(needle, at, size) or text.find(b"\nNode ", zone_at, at) >= 0:
            at = self._search(text, size, zone_at)
            if at < 0:
                return None
            needle = self._needle
        return line_number(text, at + len(needle), size)

    def _search(self, text: Buffer, size: int, zone_at: int) -> int:
        end = text.find(b"\nNode ", zone_at, size)
        for needle in self._needles:
            at = text.find(needle, zone_at, size if end < 0 else end)
            if at >= 0:
                self._needle, self._distance = needle, at - zone_at
                return at
        return -1


class _Protection:
    """The largest lowmem reserve; the line hardly ever changes, so its figures are remembered with it."""

    __slots__ = ("_distance", "_line", "_pages")

    def __init__(self) -> None:
        self._line, self._distance = b"\0", 0
        self._pages: int | None = None

    def read(self, text: Buffer, size: int, zone_at: int) -> int | None:
        at = zone_at + self._distance
        if not text.startswith(self._line, at, size) or text.find(b"\nNode ", zone_at, at) >= 0:
            self._learn(text, size, zone_at)
        return self._pages

    def _learn(self, text: Buffer, size: int, zone_at: int) -> None:
        at = text.find(b"protection: (", zone_at, size)
        end = text.find(b")\n", at, size)
        self._line, self._pages = b"\0", None
        if at < 0 or end < 0 or text.find(b"\nNode ", zone_at, end) >= 0:
            return
        self._line, self._distance = bytes(text[at : end + 2]), at - zone_at
        figures = [number(each, 0, len(each)) for each in self._line[13:-2].split(b", ")]
        there = [figure for figure in figures if figure is not None]
        self._pages = max(there) if len(there) == len(figures) else None


# ---- which zone


class _Exact:
    """The zone of this name of one node."""

    def __init__(self, node: str, zone: str) -> None:
        self._heading = b"Node %d, zone %8s\n" % (int(node), encode(zone))
        self._at = 0
        self._present = _Figure("present")

    def locate(self, text: Buffer, size: int) -> int:
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
        text: These lines.
        high: The high watermark, in pages; None where the zone has no pages, or the lines are odd.
        start: Where the zone's heading was.
        at: Where its free pages were.
    """

    __slots__ = ("at", "high", "start", "text")

    def __init__(self) -> None:
        self.text = b"\0"
        self.high: int | None = None
        self.start = self.at = 0

    def learn(self, text: Buffer, start: int, size: int) -> bool:
        """Take in the lines that begin there; False when they are not all there."""
        high_at = text.find(b" high ", start, size)
        present_at = text.find(b" present ", high_at, size)
        end = text.find(b"\n", present_at, size)
        if start < 0 or high_at < 0 or present_at < 0 or end < 0:
            return False
        self.text = bytes(text[start:end])
        self.high = line_number(text, high_at + 6, size) if number(text, present_at + 9, end) else None
        return True


class Tightest:
    """The zone with the least free pages for its high watermark, of all or of those of one name.

    All readers of one recording share it, so that a new text is searched once. Two texts in a row are in
    different buffers: it is asked after every reading.
    """

    def __init__(self, zone: str) -> None:
        self._before = ZONE if zone == WORST else b", zone %8s\n" % encode(zone)
        self._levels: list[_Levels] = []
        self._text: Buffer = b""
        self._size = self._found = -1
        self._learnt, self._zones = -1, 0

    @classmethod
    def of(cls, recording: Recording, zone: str) -> "Tightest":
        """The one of this recording."""
        shared: Tightest = recording.shared.setdefault(f"tightest zone {zone}", cls(zone))
        return shared

    def locate(self, text: Buffer, size: int) -> int:
        """Say where its "pages free" is; -1 when there is none."""
        if text is not self._text or size != self._size:
            self._text, self._size, self._found = text, size, self._search(text, size)
        return self._found

    def _search(self, text: Buffer, size: int) -> int:
        found, least = -1, inf
        before, place, end = self._before, 0, 0
        # In a text as long as the last one everything hardly ever stands elsewhere.
        as_before = size == self._learnt
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
            if not text.startswith(levels.text, end, size) and not levels.learn(text, end, size):
                break
            place += 1
            free, high = number(text, at + 10, end), levels.high
            if free is not None and high is not None:
                ratio = free / high if high else inf
                if found < 0 or ratio < least:
                    found, least = at, ratio
            end += len(levels.text)
        self._learnt, self._zones = size, place
        return found


# ---- which figure of it


def _headroom() -> _Read:
    """Free pages above the min watermark."""
    read_free, read_min = _Figure("free").read, _Figure("min").read

    def read(text: Buffer, size: int, zone_at: int) -> float | None:
        free, least = read_free(text, size, zone_at), read_min(text, size, zone_at)
        return None if free is None or least is None else free - least

    return read


def _margin() -> _Read:
    read_headroom, read_protection = _headroom(), _Protection().read

    def read(text: Buffer, size: int, zone_at: int) -> float | None:
        headroom, reserve = read_headroom(text, size, zone_at), read_protection(text, size, zone_at)
        return None if headroom is None or reserve is None else headroom - reserve

    return read


def _ratio() -> _Read:
    read_free, read_high = _Figure("free").read, _Figure("high").read

    def read(text: Buffer, size: int, zone_at: int) -> float | None:
        free, high = read_free(text, size, zone_at), read_high(text, size, zone_at)
        return free / high if free is not None and high else None

    return read


_DERIVED: dict[str, tuple[Callable[[], _Read], Unit, str]] = {
    "protection": (
        lambda: _Protection().read,
        Unit.BYTES,
        "the largest reserve kept from allocations of higher zones",
    ),
    "margin": (_margin, Unit.BYTES, "free above the min watermark and the largest reserve"),
    "headroom": (_headroom, Unit.BYTES, "free above the min watermark"),
    "ratio": (_ratio, Unit.RATIO, "free over high watermark"),
}
_FIELDS = (*_SIZES, *_DERIVED)


def _find(parts: Parts) -> Signal | None:
    *where, field = parts
    if len(where) == 2 and _NUMBER.fullmatch(where[0]) and where[1] != WORST:
        place = f"zone {where[1]} of node {where[0]}"
    elif len(where) == 1 and not _NUMBER.fullmatch(where[0]):
        place = "the tightest zone" if where[0] == WORST else f"the tightest zone {where[0]}"
    else:
        return None
    if field not in _FIELDS and not _COUNTER.fullmatch(field):
        return None
    make, unit, meaning, grows = _figure(field)

    def bind(recording: Recording) -> Reader:
        locate = Tightest.of(recording, where[0]).locate if len(where) == 1 else _Exact(*where).locate
        return _reader(recording, locate, make(), float(recording.page_size if unit is Unit.BYTES else 1))

    name = join_name(("zone", *parts))
    return Signal(name, unit, "/proc/zoneinfo", f"{meaning}, of {place}", ("zoneinfo",), bind, grows)


def _figure(field: str) -> tuple[Callable[[], _Read], Unit, str, bool]:
    """How to read a field, its unit, its meaning, and whether it only grows."""
    if field in _DERIVED:
        return *_DERIVED[field], False

    def make() -> _Read:
        return _Figure(field).read

    if field in _SIZES:
        return make, Unit.BYTES, _SIZES[field], False
    # Lines after the page sets are states, not counters.
    if not field.startswith(("nr_", "numa_", "workingset_", "pg")):
        is_pages = field in ("scanned", "node_scanned") or field.endswith("_highatomic")
        return make, Unit.PAGES if is_pages else Unit.COUNT, counter_meaning(field), False
    unit, grows = describe_counter(field)
    return make, unit, counter_meaning(field), grows


def _reader(recording: Recording, locate: _Locate, read: _Read, factor: float) -> Reader:
    text = recording.texts.get("zoneinfo")
    if text is None:
        return absent
    source = text

    def reader() -> float:
        buffer, size = source.buffer, source.size
        if size < 0:
            return nan
        zone_at = locate(buffer, size)
        value = None if zone_at < 0 else read(buffer, size, zone_at)
        return nan if value is None else value * factor

    return reader


def _names(recording: Recording) -> Iterator[Parts]:
    zoneinfo = parsed(recording, "zoneinfo", parse_zoneinfo)
    zones = [] if zoneinfo is None else [zone for zone in zoneinfo.zones if zone.present_pages]
    fields = {zone.name: (*_FIELDS, "start_pfn", *zone.counters) for zone in zones}
    if zones:
        yield from (
            (WORST, field) for field in dict.fromkeys(field for each in fields.values() for field in each)
        )
    for name, each in fields.items():
        yield from ((name, field) for field in each)
    for zone in zones:
        yield from ((str(zone.node), zone.name, field) for field in fields[zone.name])


ZONES = Family(("zone.ZONE.FIELD", "zone.NODE.ZONE.FIELD", "zone.worst.FIELD"), _find, _names, _FIELDS)
