"""slab: what the kernel's caches take, by cache, and the largest one.

    slab.dentry.bytes   slabs × pages of a slab; 1.3 µs, as objects and objects_total
    slab.top.bytes      the largest cache; for 235 caches 40 µs, 17 µs when no number of slabs has changed,
                        0.6 ms when a line changed its width or came or went

A cache called ``top`` can therefore not be asked for.
"""

import re
from collections.abc import Iterator
from heapq import nlargest
from operator import mul

from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.signals.cursor import encode
from memwatchd.signals.cutter import Cutter
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, read_text

TOP = "top"
_FIELDS = {
    "bytes": (Unit.BYTES, "memory of the cache"),
    "objects": (Unit.COUNT, "objects in use"),
    "objects_total": (Unit.COUNT, "objects there is room for"),
}


def largest_caches(text: bytes, page_size: int, count: int) -> list[tuple[str, int]]:
    """Name and bytes of the largest caches, the largest first; about 0.7 ms for 235 caches.

    Args:
        text: Of /proc/slabinfo.
        page_size: In bytes.
        count: How many at most.

    Raises:
        ParseError: The text is damaged.
    """
    sizes = ((cache.name, cache.size_bytes(page_size)) for cache in parse_slabinfo(text).caches)
    return nlargest(count, sizes, key=lambda each: each[1])


class _CacheLine:
    """The line of one cache; caches of memory cgroups may have blanks and colons in their names."""

    __slots__ = ("_at", "_before", "_field", "_page_size")

    def __init__(self, cache: str, field: str, page_size: int) -> None:
        self._before = b"\n" + encode(cache) + b" "
        self._field = field
        self._page_size = page_size
        self._at = 0

    def read(self, text: Buffer, size: int) -> int | None:
        before, at, size = self._before, self._at, max(size, 0)
        if not text.startswith(before, at, size):
            at = text.find(before, 0, size)
        while at >= 0:
            start = at + len(before)
            end = text.find(b"\n", start, size)
            left, _, right = text[start:end].rpartition(b" : tunables ")
            figures = left.split()
            # With more before the tunables it is a cache whose name only begins like this one's.
            if len(figures) == 5 and end > 0:
                self._at = at
                return self._figure(figures, right)
            at = text.find(before, start, size)
        return None

    def _figure(self, figures: list[bytes] | list[bytearray], right: Buffer) -> int | None:
        try:
            if self._field == "objects":
                return int(figures[0])
            if self._field == "objects_total":
                return int(figures[1])
            num_slabs = right.partition(b" : slabdata ")[2].split(None, 2)[1]
            return int(num_slabs) * int(figures[4]) * self._page_size
        except (ValueError, IndexError):
            return None


class _TopCache:
    """The size of the largest cache.

    Args:
        page_size: In bytes.
    """

    # Two figures before the number of slabs may vary in width, hence the blank on either side of it.
    _LINE = re.compile(
        rb"^.*( \d{1,9} : tunables [^\n:]*: slabdata ) *\d{1,20}( )( *\d{1,20})( )", re.MULTILINE
    )

    __slots__ = ("_around", "_cutter", "_page_size", "_pages", "_slabs", "_top_bytes")

    def __init__(self, page_size: int) -> None:
        self._cutter = Cutter(self._LINE, 3)
        self._page_size = page_size
        self._around: list[tuple[bytes, ...]] = []
        self._pages: list[int] = []
        self._slabs: tuple[bytes, ...] = ()
        self._top_bytes = 0

    def read(self, text: Buffer, size: int) -> int | None:
        """Read bytes; None when there is no cache."""
        slabs = self._cutter.cut(text, size)
        if slabs != self._slabs or self._cutter.around is not self._around:
            try:
                self._add_up(slabs)
            except ValueError:  # a column moved within its line
                self._add_up(self._cutter.learn(text, size))
        return self._top_bytes if self._slabs else None

    def _add_up(self, slabs: tuple[bytes, ...]) -> None:
        if self._cutter.around is not self._around:
            self._around = self._cutter.around
            self._pages = [int(each.split(None, 1)[0]) for each in self._around[0]]
        self._slabs = ()
        self._top_bytes = max(map(mul, map(int, slabs), self._pages), default=0) * self._page_size
        self._slabs = slabs


def _find(parts: Parts) -> Signal | None:
    if len(parts) != 2 or parts[1] not in _FIELDS:
        return None
    cache, field = parts
    if cache == TOP and field != "bytes":
        return None
    unit, meaning = _FIELDS[field]

    def bind(recording: Recording) -> Reader:
        text = recording.texts.get("slabinfo")
        if cache == TOP:
            return read_text(text, _TopCache(recording.page_size).read)
        return read_text(text, _CacheLine(cache, field, recording.page_size).read)

    name, every = join_name(("slab", *parts)), 1
    if cache == TOP:
        meaning, every = "memory of the largest cache", 10
    return Signal(name, unit, "/proc/slabinfo", meaning, ("slabinfo",), bind, every=every)


def _names(recording: Recording) -> Iterator[Parts]:
    slabinfo = parsed(recording, "slabinfo", parse_slabinfo)
    if slabinfo is not None:
        yield (TOP, "bytes")
        for cache in slabinfo.caches:
            if cache.name != TOP:
                yield from ((cache.name, field) for field in _FIELDS)


SLAB = Family(("slab.CACHE.bytes", "slab.top.bytes"), _find, _names, tuple(_FIELDS))
