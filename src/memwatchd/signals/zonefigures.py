"""The figures of one zone, read straight out of the text of /proc/zoneinfo; see `signals.zoneinfo`."""

from collections.abc import Callable

from memwatchd.signals.cursor import ZONE, encode, line_number, number
from memwatchd.signals.signal import Buffer

ReadPages = Callable[[Buffer, int, int], int | None]
"""Reads a figure of the zone whose sizes begin there, in pages; None when this kernel does not print it."""
ReadFigure = Callable[[Buffer, int, int], float | None]
"""The same of a figure that need not be one of pages."""

NOT_FOR_KERNEL = (b" HighMem", b" Movable", b" Device")
"""How the headings of zones end that objects of the kernel itself are never in."""

_NORMAL = b", zone   Normal\n"
_NODE_STATS = b"\n  per-node stats\n"


class Figure:
    """A line of a zone; its distance from the beginning of the sizes hardly changes."""

    __slots__ = ("_distance", "_needle", "_needles")

    def __init__(self, name: str) -> None:
        # Counters have a blank after their name; what comes after the page sets has a colon.
        self._needles = (b" " + encode(name) + b" ", b"\n  " + encode(name) + b":")
        self._needle, self._distance = self._needles[0], 0

    def read(self, text: Buffer, size: int, zone_at: int) -> int | None:
        """Read it from the zone whose sizes begin there."""
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


class Protection:
    """The largest lowmem reserve; the line hardly ever changes, so its figures are remembered with it."""

    __slots__ = ("_distance", "_line", "_pages")

    def __init__(self) -> None:
        self._line, self._distance = b"\0", 0
        self._pages: int | None = None

    def read(self, text: Buffer, size: int, zone_at: int) -> int | None:
        """Read it from the zone whose sizes begin there."""
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


def read_managed() -> ReadPages:
    """Pages the kernel may give out; before 3.9 it called these present, which have been more since then."""
    read_own, read_present = Figure("managed").read, Figure("present").read

    def read(text: Buffer, size: int, zone_at: int) -> int | None:
        managed = read_own(text, size, zone_at)
        return read_present(text, size, zone_at) if managed is None else managed

    return read


def read_without_boost(mark: str) -> ReadPages:
    """A watermark less what it is raised by for the time being."""
    read_mark, read_boost = Figure(mark).read, Figure("boost").read

    def read(text: Buffer, size: int, zone_at: int) -> int | None:
        pages = read_mark(text, size, zone_at)
        return None if pages is None else pages - (read_boost(text, size, zone_at) or 0)

    return read


def read_kernel_reserve() -> ReadPages:
    """Pages kept from the kernel's own allocations: none in Normal, where these begin."""
    read_protection = Protection().read

    def read(text: Buffer, size: int, zone_at: int) -> int | None:
        is_normal = text.startswith(_NORMAL, text.rfind(b", zone ", 0, zone_at), size)
        return 0 if is_normal else read_protection(text, size, zone_at)

    return read


def read_above(*read_kept: ReadPages) -> ReadPages:
    """Free pages above all that must be left."""
    read_free = Figure("free").read

    def read(text: Buffer, size: int, zone_at: int) -> int | None:
        left = read_free(text, size, zone_at)
        for read_each in read_kept:
            kept = read_each(text, size, zone_at)
            left = None if left is None or kept is None else left - kept
        return left

    return read


def read_ratio() -> ReadFigure:
    """Free pages for each page of the unboosted high watermark."""
    read_free, read_high = Figure("free").read, read_without_boost("high")

    def read(text: Buffer, size: int, zone_at: int) -> float | None:
        free, high = read_free(text, size, zone_at), read_high(text, size, zone_at)
        return free / high if free is not None and high else None

    return read


def _read_file() -> ReadPages:
    """File pages of one zone; until 4.7 the lists were the zone's own."""
    pairs = [[Figure(f"nr_{of}{each}_file").read for each in ("active", "inactive")] for of in ("zone_", "")]

    def read(text: Buffer, size: int, zone_at: int) -> int | None:
        for read_active, read_inactive in pairs:
            active, inactive = read_active(text, size, zone_at), read_inactive(text, size, zone_at)
            if active is not None and inactive is not None:
                return active + inactive
        return None

    return read


def read_kernel_file() -> ReadPages:
    """File pages in all zones of the node that the kernel's own objects may be in; see `read_reclaimable`."""
    readers = [_read_file()]

    def read(text: Buffer, size: int, zone_at: int) -> int | None:
        heading_at = text.rfind(b"Node ", 0, zone_at)
        node = bytes(text[heading_at : text.find(b",", heading_at, size) + 1])
        pages, place, at = None, 0, text.find(node, 0, size)
        while at >= 0:
            if not text[at : text.find(b"\n", at, size)].endswith(NOT_FOR_KERNEL):
                if place == len(readers):
                    readers.append(_read_file())
                here = readers[place](text, size, text.find(ZONE, at, size))
                pages = pages if here is None else here + (pages or 0)
                place += 1
            at = text.find(node, at + 1, size)
        return pages

    return read


def read_reclaimable() -> ReadPages:
    """Slab that can be given back: of the zone up to 4.13; since then of its node, above the first zone."""
    read_own, name = Figure("nr_slab_reclaimable").read, b" nr_slab_reclaimable "

    def read(text: Buffer, size: int, zone_at: int) -> int | None:
        own = read_own(text, size, zone_at)
        if own is not None:
            return own
        heading_at = text.rfind(_NODE_STATS, 0, zone_at)
        at = text.find(name, heading_at, zone_at) if heading_at >= 0 else -1
        return line_number(text, at + len(name), size) if at >= 0 else None

    return read
