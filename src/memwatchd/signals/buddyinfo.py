"""buddy: free blocks of each order, and how much of what is free cannot be used for larger ones.

    buddy.Normal.order9             free blocks of 2^9 pages, of all zones of this name together
    buddy.0.Normal.largest_order    the largest order with a free block; -1 when there is none at all
    buddy.any.unusable_order9       share of free memory in blocks smaller than that, of all zones together
    buddy.kernel.largest_order      of the zones that serve the kernel itself

2 µs a zone. HighMem, Movable and Device never serve the kernel itself, and the 15 MiB of DMA of every PC are
hardly ever in pieces because hardly anybody takes any: they hide what the other zones lack, and do not count
as the kernel's unless there is nothing else. unusable_orderN is the unusable free space index,
``unusable_free_index`` in mm/vmstat.c: when nothing is free, all of it counts as unusable.
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
KERNEL = "kernel"
_TOGETHER = {ANY: "all zones", KERNEL: "all zones that serve the kernel itself"}
_NOT_FOR_KERNEL = frozenset((b"HighMem", b"Movable", b"Device"))
_NOT_OF_USE = _NOT_FOR_KERNEL | {b"DMA"}
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


def _read_kernel(text: Buffer, size: int) -> list[int] | None:
    free = _read(text, size, _ANY_ZONE, _NOT_OF_USE)
    return _read(text, size, _ANY_ZONE, _NOT_FOR_KERNEL) if free is None else free


def _read(
    text: Buffer, size: int, before: bytes, leave_out: frozenset[bytes] = frozenset()
) -> list[int] | None:
    """Add up the free blocks of all zones whose lines have this in them; None when there are none."""
    total: list[int] = []
    at = text.find(before, 0, size)
    while at >= 0:
        start, end = at + len(before), text.find(b"\n", at, size)
        if end < 0:
            return None
        words = text[start:end].split()
        if not words or bytes(words[0]) not in leave_out:
            try:
                blocks = [int(word) for word in (words[1:] if before == _ANY_ZONE else words)]
            except ValueError:
                return None
            total = [one + other for one, other in zip(total, blocks, strict=False)] if total else blocks
        at = text.find(before, end, size)
    return total or None


def _adder(where: Sequence[str]) -> Callable[[Buffer, int], list[int] | None]:
    """How the free blocks of the wanted zones are added up."""
    *node, zone = where
    if zone == KERNEL:
        return _read_kernel
    line = _line(node, zone)
    return lambda text, size: _read(text, size, line)


def _line(node: Sequence[str], zone: str) -> bytes:
    """What stands before the figures of the wanted zones."""
    if zone == ANY:
        return _ANY_ZONE
    before = b", zone %8s " % encode(zone)
    return b"Node %d" % int(node[0]) + before if node else before


def _find(parts: Parts) -> Signal | None:
    *where, field = parts
    found = _FIELD.fullmatch(field)
    if found is None:
        return None
    if len(where) == 2 and _NUMBER.fullmatch(where[0]) and where[1] not in _TOGETHER:
        place = f"zone {where[1]} of node {where[0]}"
    elif len(where) == 1 and not _NUMBER.fullmatch(where[0]):
        place = _TOGETHER.get(where[0], f"zone {where[0]}")
    else:
        return None
    derive, unit, meaning = _figure(found)

    def bind(recording: Recording) -> Reader:
        return _reader(recording, where, derive)

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


def _reader(recording: Recording, where: Sequence[str], derive: _Derive) -> Reader:
    text = recording.texts.get("buddyinfo")
    if text is None:
        return absent
    source, add_up, zones = text, _adder(where), tuple(where)
    shared: dict[tuple[str, ...], tuple[Buffer, list[int] | None]]
    shared = recording.shared.setdefault("buddyinfo", {})

    def blocks() -> list[int] | None:
        buffer, size = source.buffer, source.size
        if type(buffer) is not bytes:  # a live one is written over
            return add_up(buffer, size)
        known = shared.get(zones)
        if known is None or known[0] is not buffer:
            known = shared[zones] = buffer, add_up(buffer, size)
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
    for where in (
        (ANY,),
        (KERNEL,),
        *((name,) for name in names),
        *((str(zone.node), zone.zone) for zone in zones),
    ):
        yield from ((*where, field) for field in fields)


BUDDY = Family(
    (
        "buddy.ZONE.orderN",
        "buddy.NODE.ZONE.largest_order",
        "buddy.any.unusable_orderN",
        "buddy.kernel.orderN",
    ),
    _find,
    _names,
    ("largest_order", *(f"{kind}order{order}" for kind in ("", "unusable_") for order in range(11))),
)
