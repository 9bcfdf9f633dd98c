"""buddy: free blocks of each order, and how much of what is free cannot be used for larger ones.

    buddy.Normal.order9             free blocks of 2^9 pages, of all zones of this name together
    buddy.0.Normal.largest_order    the largest order with a free block; -1 when there is none at all
    buddy.any.unusable_order9       share of free memory in blocks smaller than that, of all zones together

2 µs a zone. The last is the unusable free space index, ``unusable_free_index`` in mm/vmstat.c: when nothing
is free, all of it counts as unusable.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from math import nan

from memwatchd.procfs.buddyinfo import parse_buddyinfo
from memwatchd.signals.cursor import encode
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, absent

ANY = "any"
_ANY_ZONE = b", zone "
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_FIELD = re.compile(r"(largest_order)|(unusable_)?order(\d{1,2})", re.ASCII)

# Derives a figure from the free blocks of each order.
_Derive = Callable[[Sequence[int]], float | None]


def _blocks(order: int) -> _Derive:
    return lambda free: free[order] if order < len(free) else None


def _largest(free: Sequence[int]) -> float:
    return max((order for order, blocks in enumerate(free) if blocks), default=-1)


def _unusable(order: int) -> _Derive:
    def derive(free: Sequence[int]) -> float | None:
        if order >= len(free):
            return None
        pages = [blocks << each for each, blocks in enumerate(free)]
        total = sum(pages)
        return sum(pages[:order]) / total if total else 1.0

    return derive


def _read(text: Buffer, size: int, before: bytes) -> list[int] | None:
    """Add up the free blocks of all zones whose lines have this in them; None when there are none."""
    total: list[int] = []
    at = text.find(before, 0, size)
    while at >= 0:
        start, end = at + len(before), text.find(b"\n", at, size)
        if end < 0:
            return None
        words = text[start:end].split()
        try:
            blocks = [int(word) for word in (words[1:] if before == _ANY_ZONE else words)]
        except ValueError:
            return None
        total = [one + other for one, other in zip(total, blocks, strict=False)] if total else blocks
        at = text.find(before, end, size)
    return total or None


def _line(where: Sequence[str]) -> bytes:
    """What stands before the figures of the wanted zones."""
    *node, zone = where
    if zone == ANY:
        return _ANY_ZONE
    before = b", zone %8s " % encode(zone)
    return b"Node %d" % int(node[0]) + before if node else before


def _find(parts: Parts) -> Signal | None:
    *where, field = parts
    found = _FIELD.fullmatch(field)
    if found is None:
        return None
    if len(where) == 2 and _NUMBER.fullmatch(where[0]) and where[1] != ANY:
        place = f"zone {where[1]} of node {where[0]}"
    elif len(where) == 1 and not _NUMBER.fullmatch(where[0]):
        place = "all zones" if where[0] == ANY else f"zone {where[0]}"
    else:
        return None
    derive, unit, meaning = _figure(found)

    def bind(recording: Recording) -> Reader:
        return _reader(recording, _line(where), derive)

    name = join_name(("buddy", *parts))
    return Signal(name, unit, "/proc/buddyinfo", f"{meaning}, of {place}", ("buddyinfo",), bind)


def _figure(found: re.Match[str]) -> tuple[_Derive, Unit, str]:
    largest, unusable, order = found.groups()
    if largest:
        return _largest, Unit.COUNT, "largest order of which a block is free; -1 for none"
    if unusable:
        return (
            _unusable(int(order)),
            Unit.RATIO,
            f"share of free memory in blocks smaller than 2^{int(order)} pages",
        )
    return _blocks(int(order)), Unit.COUNT, f"free blocks of 2^{int(order)} pages"


def _reader(recording: Recording, before: bytes, derive: _Derive) -> Reader:
    text = recording.texts.get("buddyinfo")
    if text is None:
        return absent
    source = text
    shared: dict[bytes, tuple[Buffer, list[int] | None]] = recording.shared.setdefault("buddyinfo", {})

    def blocks() -> list[int] | None:
        buffer, size = source.buffer, source.size
        if type(buffer) is not bytes:  # a live one is written over
            return _read(buffer, size, before)
        known = shared.get(before)
        if known is None or known[0] is not buffer:
            known = shared[before] = buffer, _read(buffer, size, before)
        return known[1]

    def reader() -> float:
        free = None if source.size < 0 else blocks()
        value = None if free is None else derive(free)
        return nan if value is None else float(value)

    return reader


def _names(recording: Recording) -> Iterator[Parts]:
    zones = parsed(recording, "buddyinfo", parse_buddyinfo) or ()
    orders = max((len(zone.free_blocks) for zone in zones), default=0)
    fields = [
        "largest_order",
        *(f"{kind}order{order}" for kind in ("", "unusable_") for order in range(orders)),
    ]
    names = dict.fromkeys(zone.zone for zone in zones)
    for where in ((ANY,), *((name,) for name in names), *((str(zone.node), zone.zone) for zone in zones)):
        yield from ((*where, field) for field in fields)


BUDDY = Family(
    ("buddy.ZONE.orderN", "buddy.NODE.ZONE.largest_order", "buddy.any.unusable_orderN"),
    _find,
    _names,
    ("largest_order", *(f"{kind}order{order}" for kind in ("", "unusable_") for order in range(11))),
)
