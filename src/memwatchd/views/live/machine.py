"""What stands in the panels of the machine: memory, zones, slab caches, free blocks, stalls."""

from memwatchd.views.live.frame import Blocks, Cache, Frame, Part, Rate, Zone
from memwatchd.views.live.lines import (
    Line,
    Span,
    Style,
    bar,
    fit_line,
    growth_style,
    growth_text,
    share_text,
    size_text,
)
from memwatchd.views.live.rows import Column, Rows

# -- memory ------------------------------------------------------------------------------------------------


def memory_head(frame: Frame, width: int) -> list[Line]:
    """All of it in one bar, and what is left."""
    memory = frame.memory
    if memory is None:
        return []
    spans: list[Span] = [
        (f"available {size_text(memory.available_bytes)} of {size_text(memory.total_bytes)}", Style.PLAIN)
    ]
    if memory.swap_total_bytes:
        told = f", swap {size_text(memory.swap_used_bytes)} of {size_text(memory.swap_total_bytes)}"
        spans.append((told, Style.PLAIN))
    elif memory.swap_total_bytes == 0:
        spans.append((", no swap", Style.DIM))
    return [fit_line(spans, width)]


def memory(frame: Frame) -> Rows[Part]:
    """The parts of memory."""
    found = frame.memory
    total = found.total_bytes if found is not None else None

    def share(part: Part) -> float | None:
        return part.size_bytes / total if part.size_bytes is not None and total else None

    return Rows(
        (
            Column("part", 0, lambda part: part.name, lambda part: part.name, descends=False, right=False),
            Column("size", 8, lambda part: size_text(part.size_bytes), lambda part: part.size_bytes),
            Column("share", 5, lambda part: share_text(share(part)), rank=2),
            Column(
                "",
                10,
                lambda part: bar(share(part), 10),
                right=False,
                rank=3,
                style=lambda part: Style.WARN if part.name == "unaccounted" else Style.BAR,
            ),
            Column(
                "growth",
                12,
                lambda part: growth_text(part.growth_bytes_per_s),
                lambda part: part.growth_bytes_per_s,
                style=lambda part: growth_style(part.growth_bytes_per_s, part.size_bytes),
                rank=1,
            ),
        ),
        found.parts if found is not None else (),
        lambda part: part.name,
        "size",
    )


# -- zones, slab, buddy ------------------------------------------------------------------------------------


def zones(frame: Frame) -> Rows[Zone]:
    """Free memory of each zone against its watermarks."""
    nodes = len({zone.node for zone in frame.zones})
    return Rows(
        (
            Column(
                "zone",
                0,
                lambda zone: f"{zone.name} {zone.node}" if nodes > 1 else zone.name,
                lambda zone: (zone.node, zone.name),
                descends=False,
                right=False,
            ),
            Column(
                "free", 8, lambda zone: size_text(zone.free_bytes), lambda zone: zone.free_bytes, style=_zone
            ),
            Column("0  m l h", 12, _watermarks, right=False, style=_zone, rank=2),
            Column(
                "×high",
                6,
                lambda zone: f"{zone.free_bytes / zone.high_bytes:.3g}" if zone.high_bytes else "–",
                lambda zone: zone.free_bytes / zone.high_bytes if zone.high_bytes else None,
                descends=False,
                rank=1,
            ),
            Column("min", 8, lambda zone: size_text(zone.min_bytes), rank=5),
            Column("low", 8, lambda zone: size_text(zone.low_bytes), rank=5),
            Column("high", 8, lambda zone: size_text(zone.high_bytes), rank=4),
            Column("managed", 8, lambda zone: size_text(zone.managed_bytes), rank=6),
            Column(
                "growth",
                12,
                lambda zone: growth_text(zone.growth_bytes_per_s),
                lambda zone: zone.growth_bytes_per_s,
                descends=False,
                rank=3,
            ),
        ),
        frame.zones,
        lambda zone: zone.name,
        "×high",
    )


def _zone(zone: Zone) -> Style:
    if zone.free_bytes <= zone.min_bytes:
        return Style.BAD
    if zone.free_bytes <= zone.low_bytes:
        return Style.WARN
    return Style.INFO if zone.free_bytes <= zone.high_bytes else Style.GOOD


def _watermarks(zone: Zone) -> str:
    """Free memory on a scale that ends at one and a half times the high watermark, with all three on it."""
    width = 12
    scale = zone.high_bytes * 1.5
    if not scale:
        return " " * width
    cells = list(bar(zone.free_bytes / scale, width))
    for mark in (zone.min_bytes, zone.low_bytes, zone.high_bytes):
        place = min(width - 1, int(mark / scale * width))
        cells[place] = "│" if cells[place] == " " else "┃"
    return "".join(cells)


def slab(frame: Frame) -> Rows[Cache]:
    """Slab caches, the fastest first."""
    return Rows(
        (
            Column(
                "cache", 0, lambda cache: cache.name, lambda cache: cache.name, descends=False, right=False
            ),
            Column("size", 8, lambda cache: size_text(cache.size_bytes), lambda cache: cache.size_bytes),
            Column(
                "growth",
                12,
                lambda cache: growth_text(cache.growth_bytes_per_s),
                lambda cache: (
                    None if cache.growth_bytes_per_s is None else (cache.growth_bytes_per_s, cache.size_bytes)
                ),
                style=lambda cache: growth_style(cache.growth_bytes_per_s, cache.size_bytes),
            ),
            Column("objects", 10, lambda cache: f"{cache.objects:,}", lambda cache: cache.objects, rank=1),
        ),
        frame.caches,
        lambda cache: cache.name,
        "growth",
    )


def buddy(frame: Frame) -> Rows[Blocks]:
    """Free blocks by order."""
    orders = max((len(blocks.free) for blocks in frame.buddies), default=0)
    nodes = len({blocks.node for blocks in frame.buddies})
    return Rows(
        (
            Column(
                "zone",
                0,
                lambda blocks: f"{blocks.zone} {blocks.node}" if nodes > 1 else blocks.zone,
                right=False,
            ),
            *(_order(order, orders) for order in range(orders)),
        ),
        frame.buddies,
        lambda blocks: blocks.zone,
    )


def _order(order: int, orders: int) -> Column[Blocks]:
    def count(blocks: Blocks) -> int:
        return blocks.free[order] if order < len(blocks.free) else 0

    return Column(
        str(order),
        5,
        lambda blocks: _short(count(blocks)),
        count,
        # The smallest say the least.
        rank=orders - order if order < orders - 4 else 0,
        style=lambda blocks: Style.PLAIN if count(blocks) else Style.DIM,
    )


def _short(count: int) -> str:
    """Write a count in at most five characters."""
    for unit in ("", "k", "M", "G"):
        if count < 10000:
            return f"{count}{unit}"
        count //= 1000
    return "many"


# -- stall -------------------------------------------------------------------------------------------------


def stall(frame: Frame) -> Rows[Rate]:
    """Time lost waiting for memory, reclaim, swap traffic."""
    span = f"{frame.span_s:g} s"
    return Rows(
        (
            Column("", 0, lambda rate: rate.name, right=False),
            Column("1 s", 9, lambda rate: _rate(rate, rate.now), lambda rate: rate.now, style=_stalls),
            Column(span, 9, lambda rate: _rate(rate, rate.over_span), lambda rate: rate.over_span, rank=1),
        ),
        frame.rates,
        lambda rate: rate.name,
    )


def _rate(rate: Rate, value: float | None) -> str:
    if value is None:
        return "–"
    if rate.unit == "share":
        return share_text(value)
    return f"{value:,.0f}/s"


def _stalls(rate: Rate) -> Style:
    if not rate.now:
        return Style.DIM
    if rate.unit != "share":
        return Style.PLAIN
    return Style.BAD if rate.now >= 0.2 else Style.WARN if rate.now >= 0.02 else Style.PLAIN
