"""Goes through the samples of an incident once, and gives the panels; only here is known how it is read."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from memwatchd.incidents.format import BlockType
from memwatchd.incidents.history import size_kib
from memwatchd.incidents.moment import page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.ring.stream import process_rows
from memwatchd.views.report.curves import Curve, Kind, Panel, broken, rates, silences
from memwatchd.views.report.taking import Strand, Taker

# Growth per second is taken over so long; of a long recording over one of so many parts of it.
_RATE_S = 0.1
_RATE_PARTS = 400
_CACHES = 8
_PROCESSES = 8
_ZONES = 8
_WATCHED = 8
# What a reader would look for in vain.
_ABSENT = {
    "stall": "the time lost waiting for memory, which was not recorded, or this kernel does not count (PSI)",
    "swap": "swap, of which there was none",
    "slab": "slab caches, which were not recorded",
}


@dataclass(frozen=True, slots=True)
class Course:
    """What was recorded, by time.

    Attributes:
        from_s: The first sample, in seconds from the trigger.
        to_s: The last one.
        samples: How many there are.
        panels: Every sample of everything the page shows, in its order.
        left_out: What there would have been besides, in words.
    """

    from_s: float
    to_s: float
    samples: int
    panels: list[Panel]
    left_out: list[str]


def read_course(incident: Incident, progress: Callable[[float], None] = lambda _share: None) -> Course | None:
    """Read an incident's samples; about a second for 35 s at 200 Hz.

    Args:
        incident: An open one.
        progress: Is told the share that has been read, as far as that is known.

    Returns:
        None where there is no sample.
    """
    taker = Taker(page_size_of(incident))
    window = incident.facts["window"]
    to_s = ((window["to_ns"] or incident.trigger_ns) - incident.trigger_ns) / 1e9
    for moment in incident.moments():
        at_s = (moment.sample.monotonic_ns - incident.trigger_ns) / 1e9
        taker.take(at_s, moment)
        from_s = taker.times_s[0]
        progress((at_s - from_s) / (to_s - from_s) if to_s > from_s else 0.0)
    if not taker.times_s:
        return None
    panels, left_out = _Panels(taker, incident).all()
    return Course(taker.times_s[0], taker.times_s[-1], len(taker.times_s), panels, left_out)


class _Panels:
    """Makes panels out of what was taken in, in the order of the page."""

    def __init__(self, taker: Taker, incident: Incident) -> None:
        self._taker = taker
        self._incident = incident
        self._left_out: list[str] = []
        self._quiet = silences(taker.times_s)
        self._rate_s = max(_RATE_S, (taker.times_s[-1] - taker.times_s[0]) / _RATE_PARTS)

    def all(self) -> tuple[list[Panel], list[str]]:
        """Give the panels that have something to show, and what was left out."""
        panels = [
            *self._named("memory"),
            *self._least(self._named("zone-"), _ZONES, _tightness, "zones further from their marks"),
            *self._named("stall"),
            *self._named("reclaim"),
            *self._named("swap"),
            *self._named("traffic"),
            *self._slabs(),
            *self._buddies(),
            *self._table(),
            *self._least(self._named("process-"), _WATCHED, _smallness, "smaller watched processes"),
            *self._least(self._named("cgroup-"), _WATCHED, _smallness, "smaller watched cgroups"),
            *self._named("sampler"),
        ]
        shown = [panel for panel in panels if panel.curves]
        keys = {panel.key for panel in shown}
        self._left_out += [words for key, words in _ABSENT.items() if key not in keys]
        return shown, self._left_out

    def _named(self, start: str) -> list[Panel]:
        return [self._panel(each) for key, each in self._taker.strands.items() if key.startswith(start)]

    def _panel(self, strand: Strand) -> Panel:
        panel = strand.panel
        if strand.plan.counters:
            units = [curve.unit for curve in panel.curves]
            panel = rates(panel, self._rate_s, units)
            panel.note = f"Mean of each {self._rate_s * 1000:.0f} ms."
        else:
            panel = broken(panel, self._quiet)
        if panel.kind is Kind.STACK:
            total = _largest(panel.curves[-1])
            panel.curves = [each for each in panel.curves if _largest(each) >= total / 5000]
        elif panel.key == "swap":
            # Without swap there is nothing to be said by lines at zero.
            panel.curves = [each for each in panel.curves if _largest(each) > 0]
        return panel

    def _least(self, panels: list[Panel], most: int, key: Callable[[Panel], float], what: str) -> list[Panel]:
        kept = sorted((panel for panel in panels if panel.curves), key=key)
        if len(kept) > most:
            self._left_out.append(f"{len(kept) - most} {what}")
        return kept[:most]

    def _slabs(self) -> Iterator[Panel]:
        """The caches that grew most up to the trigger; where nothing grew, the largest ones."""
        tables = list(self._taker.slabinfos.tables(self._taker.page_size))
        if not tables:
            return
        before = [table for at_s, table in tables if at_s <= 0] or [tables[0][1]]
        grown = _rises(before)
        movers = sorted(grown, key=lambda name: (-grown[name], -before[-1].get(name, 0.0)))[:_CACHES]
        times_s = array("d", (at_s for at_s, _ in tables))
        curves = [
            Curve(
                name, "bytes", f"slabinfo: {name}", array("d", (table.get(name, nan) for _, table in tables))
            )
            for name in movers
        ]
        note = f"The {len(curves)} of {len(grown)} caches that grew most up to the trigger."
        samples = self._taker.slabinfos.count
        yield Panel("slab", "Fastest-growing slab caches", Kind.LINES, times_s, curves, note, samples=samples)

    def _buddies(self) -> Iterator[Panel]:
        largest = sorted(self._taker.buddies.items(), key=lambda item: -_most_free(item[1]))
        if len(largest) > _ZONES:
            self._left_out.append(f"free blocks of {len(largest) - _ZONES} zones with less free memory")
        for (node, zone), rows in largest[:_ZONES]:
            orders = max(len(blocks) for _, blocks in rows)
            curves = [
                Curve(
                    f"order {order}",
                    "blocks",
                    f"buddyinfo, blocks of {(self._taker.page_size << order) >> 10} KiB",
                    array("d", (blocks[order] if order < len(blocks) else nan for _, blocks in rows)),
                )
                for order in range(orders)
            ]
            free = array("d", (sum(count << order for order, count in enumerate(row)) for _, row in rows))
            panel = Panel(
                key=f"buddy-{node}-{zone}",
                title=f"Free blocks of zone {zone} of node {node}, by order",
                kind=Kind.HEAT,
                times_s=array("d", (at_s for at_s, _ in rows)),
                curves=curves,
                note="The more blocks of 2^order pages are free, the stronger; blank: none.",
                guide=[free],
                samples=len(rows),
            )
            yield broken(panel, self._quiet)

    def _table(self) -> Iterator[Panel]:
        """The largest of all processes, by the process table, which is read slowly."""
        sizes: dict[tuple[Any, Any], dict[float, float]] = {}
        names: dict[tuple[Any, Any], str] = {}
        for part in process_rows(self._incident.segments(BlockType.EVENTS)):
            for row in part.rows:
                at_s = (row.get("read_ns", part.monotonic_ns) - self._incident.trigger_ns) / 1e9
                if isinstance(row.get("rss_kib"), int):
                    key = (row.get("pid"), row.get("start_ticks"))
                    sizes.setdefault(key, {})[at_s] = size_kib(row) * 1024.0
                    names[key] = f"{row.get('comm') or '?'} ({row.get('pid')})"
        largest = sorted(sizes, key=lambda key: -max(sizes[key].values()))[:_PROCESSES]
        times_s = sorted({at_s for key in largest for at_s in sizes[key]})
        if not times_s:
            return
        yield Panel(
            key="processes",
            title="Largest processes",
            kind=Kind.LINES,
            times_s=array("d", times_s),
            curves=[
                Curve(names[key], "bytes", "resident and swapped", array("d", _held(times_s, sizes[key])))
                for key in largest
            ],
            note="By the process table, which is read a piece at a time: each process every few seconds.",
            samples=len(times_s),
        )


def _rises(tables: list[dict[str, float]]) -> dict[str, float]:
    """By how much each cache grew at most: one that was dropped before the end has grown all the same."""
    lows = dict(tables[0])
    rises = dict.fromkeys(tables[0], 0.0)
    for table in tables[1:]:
        for name, size in table.items():
            lows[name] = min(size, lows.get(name, 0.0))
            rises[name] = max(size - lows[name], rises.get(name, 0.0))
    return rises


def _held(times_s: list[float], sizes: dict[float, float]) -> Iterator[float]:
    """The last size that was read, from the first to the last reading."""
    newest_s, held = max(sizes), nan
    for at_s in times_s:
        held = sizes.get(at_s, held)
        yield held if at_s <= newest_s else nan


def _tightness(panel: Panel) -> float:
    """Least of free over high."""
    by_name = {curve.name: curve.values for curve in panel.curves}
    pairs = zip(by_name.get("free", ()), by_name.get("high", ()), strict=False)
    return min((free / high for free, high in pairs if high > 0 and isfinite(free)), default=0.0)


def _smallness(panel: Panel) -> float:
    return -_largest(panel.curves[0])


def _most_free(rows: list[tuple[float, tuple[int, ...]]]) -> int:
    return max(sum(count << order for order, count in enumerate(blocks)) for _, blocks in rows[:1])


def _largest(curve: Curve) -> float:
    return max((abs(value) for value in curve.values if isfinite(value)), default=0.0)
