"""zone: every zone's free pages, watermarks, what lies between them, and its counters.

    zone.0.Normal.free      of one node; 1.6 µs, 1 µs more for its first zone, 1 µs more for `margin`
    zone.Normal.margin      of the tightest zone of this name, by free / high; 1 µs
    zone.worst.ratio        of the zone that is the kernel's last resort; 1 µs

To find the tightest one takes 3 µs a zone, once for each new text; `kernel_file`, 30 µs, looks at several.

`worst` is not simply the tightest zone: an allocation that finds one zone empty goes on to the next lower
one, and only when the roomiest of those it may use is short is there nothing left. What cannot go everywhere
are the kernel's own objects (GFP_KERNEL): never to HighMem, Movable or Device. So of each node the roomiest
of the other zones counts, and of the nodes the tightest. On a 32-bit machine that is Normal, whatever HighMem
has; with DMA32 and Normal the one that has more left. Zones below 64 MiB (the 15 MiB of DMA that every x86
machine has) are nobody's last resort and do not count, unless there is nothing else.

`margin` is what is free above the reserve that ``__zone_watermark_ok`` in mm/page_alloc.c demands of an
allocation that has come down from the highest zone: the min watermark and the largest lowmem reserve. `room`
is the same for the kernel's own allocations, which come down from Normal and no higher.

The watermarks are printed with what they are raised by for the time being (``boost``; raised since 5.0,
printed since 5.19). A task that asks for one page need not leave that much (``zone_watermark_fast``), so
`headroom`, `margin`, `room` and `ratio` are reckoned without. From 5.0 to 5.18 nobody can tell: it stays in.

A zone without pages is as good as not there: the kernel gives it watermarks all the same.
"""

import re
from collections.abc import Callable, Iterator
from math import nan

from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Signal, Unit, absent
from memwatchd.signals.vmstat import counter_meaning, describe_counter
from memwatchd.signals.zonefigures import (
    Figure,
    Protection,
    ReadFigure,
    read_above,
    read_kernel_file,
    read_kernel_reserve,
    read_managed,
    read_ratio,
    read_reclaimable,
    read_without_boost,
)
from memwatchd.signals.zoneplace import WORST, ExactZone, LocateZone, TightestZone

_WORST = (
    "the kernel's last resort: a node's roomiest zone for its own objects, none below 64 MiB; of nodes the "
    "tightest"
)
_SIZES = {
    "free": "free pages",
    "min": "min watermark: below it tasks have to reclaim themselves",
    "low": "low watermark: below it kswapd is woken",
    "high": "high watermark: above it kswapd rests",
    "boost": "how far the watermarks are raised for the time being",
    "promo": "watermark up to which pages of slower nodes are taken in",
    "spanned": "from the first to the last page, holes included",
    "present": "pages there are",
    "cma": "pages set aside for contiguous allocations",
}
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_COUNTER = re.compile(r"[A-Za-z]\w*_\w+|scanned", re.ASCII)


_DERIVED: dict[str, tuple[Callable[[], ReadFigure], Unit, str]] = {
    "managed": (read_managed, Unit.BYTES, "pages the kernel may give out"),
    "unboosted_min": (lambda: read_without_boost("min"), Unit.BYTES, "min watermark without its boost"),
    "protection": (
        lambda: Protection().read,
        Unit.BYTES,
        "the largest reserve kept from allocations of higher zones",
    ),
    "margin": (
        lambda: read_above(read_without_boost("min"), Protection().read),
        Unit.BYTES,
        "free above the unboosted min watermark and the largest reserve",
    ),
    "headroom": (
        lambda: read_above(read_without_boost("min")),
        Unit.BYTES,
        "free above the unboosted min watermark",
    ),
    "room": (
        lambda: read_above(read_without_boost("min"), read_kernel_reserve()),
        Unit.BYTES,
        "free above the unboosted min watermark and what is reserved from the kernel's own allocations",
    ),
    "ratio": (read_ratio, Unit.RATIO, "free over unboosted high watermark"),
    "kernel_file": (
        read_kernel_file,
        Unit.BYTES,
        "file pages in the zones of the node that kernel objects may be in, too",
    ),
    "slab_reclaimable": (
        read_reclaimable,
        Unit.BYTES,
        "kernel objects that can be given back; since 4.14 counted for the node as a whole",
    ),
}
_FIELDS = (*_SIZES, *_DERIVED)
_DEAR, _DEAR_EVERY = "kernel_file", 10


def _find(parts: Parts) -> Signal | None:
    *where, field = parts
    if len(where) == 2 and _NUMBER.fullmatch(where[0]) and where[1] != WORST:
        place = f"zone {where[1]} of node {where[0]}"
    elif len(where) == 1 and not _NUMBER.fullmatch(where[0]):
        place = _WORST if where[0] == WORST else f"the tightest zone {where[0]}"
    else:
        return None
    if field not in _FIELDS and not _COUNTER.fullmatch(field):
        return None
    make, unit, meaning, grows = _figure(field)

    def bind(recording: Recording) -> Reader:
        locate = TightestZone.of(recording, where[0]).locate if len(where) == 1 else ExactZone(*where).locate
        return _reader(recording, locate, make(), float(recording.page_size if unit is Unit.BYTES else 1))

    name = join_name(("zone", *parts))
    every = _DEAR_EVERY if field == _DEAR else 1
    return Signal(name, unit, "/proc/zoneinfo", f"{meaning}, of {place}", ("zoneinfo",), bind, grows, every)


def _figure(field: str) -> tuple[Callable[[], ReadFigure], Unit, str, bool]:
    """How to read a field, its unit, its meaning, and whether it only grows."""
    if field in _DERIVED:
        return *_DERIVED[field], False

    def make() -> ReadFigure:
        return Figure(field).read

    if field in _SIZES:
        return make, Unit.BYTES, _SIZES[field], False
    # Lines after the page sets are states, not counters.
    if not field.startswith(("nr_", "numa_", "workingset_", "pg")):
        is_pages = field in ("scanned", "node_scanned") or field.endswith("_highatomic")
        return make, Unit.PAGES if is_pages else Unit.COUNT, counter_meaning(field), False
    unit, grows = describe_counter(field)
    return make, unit, counter_meaning(field), grows


def _reader(recording: Recording, locate: LocateZone, read: ReadFigure, factor: float) -> Reader:
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
