"""Makes frames: takes samples in, notes their figures, and puts together what is shown of one moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from memwatchd.ring.stream import Moment
from memwatchd.units import printable
from memwatchd.views.live.frame import (
    Cache,
    Cgroup,
    Frame,
    Memory,
    Part,
    Process,
    Rate,
    RuleState,
    Zone,
)
from memwatchd.views.live.gauges import Gauges, known
from memwatchd.views.live.happenings import Happenings
from memwatchd.views.live.past import CacheMark, Mark, Past, growth_per_s
from memwatchd.views.live.rulewatch import RuleNow, RuleWatch, Standing
from memwatchd.views.live.table import ProcessTable, cgroups_of

_SECOND_NS = 1_000_000_000
_CACHE_MARK_NS = 500_000_000
# What a source that is missing would have told, by the key of the panel.
_NEEDED = {
    "memory": ("meminfo", "meminfo is not sampled"),
    "zones": ("zoneinfo", "zoneinfo is not sampled"),
    "slab": ("slabinfo", "slabinfo is not sampled, or may not be read"),
    "buddy": ("buddyinfo", "buddyinfo is not sampled"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a frame says besides what is in the samples; see `Frame`."""

    title: str
    mode: str
    at_ns: int
    zero_ns: int | None
    wall_ns: int | None
    from_ns: int
    to_ns: int
    notes: tuple[str, ...] = ()
    rules_note: str = ""


class Maker:
    """Makes frames of the samples of one recording.

    Args:
        gauges: What reads the sample.
        past: Where marks go.
        mark_ns: A mark is made no more often than this.
    """

    def __init__(self, gauges: Gauges, past: Past, mark_ns: int) -> None:
        self.gauges = gauges
        self.past = past
        self._mark_ns = mark_ns
        self._marked_ns = self._caches_marked_ns = -1
        self._table_key: tuple[object, ...] = ()
        self._table: tuple[Process, ...] = ()
        self._grown_of: tuple[object, object] = (None, None)
        self._grown: tuple[Cache, ...] = ()

    def mark(self, now_ns: int) -> bool:
        """Note the figures of the present sample, if it is time; True when they were."""
        if self._marked_ns >= 0 and now_ns - self._marked_ns < self._mark_ns:
            return False
        self._marked_ns = now_ns
        gauges = self.gauges
        parts = zip((curve.name for curve in gauges.memory_plan.curves), gauges.memory(), strict=True)
        names = (name for name, _ in gauges.counter_names())
        self.past.note(
            Mark(
                at_ns=now_ns,
                memory=dict(parts),
                counters=dict(zip(names, gauges.counters(), strict=True)),
                zones={(zone.node, zone.name): zone.free_bytes for zone in gauges.zones()},
                cgroups={path: figures.used_bytes for path, figures in gauges.cgroups().items()},
            )
        )
        if now_ns - self._caches_marked_ns >= _CACHE_MARK_NS or self._caches_marked_ns < 0:
            self._caches_marked_ns = now_ns
            caches = gauges.caches()
            if caches:
                sizes = {name: cache.size_bytes for name, cache in caches.items()}
                self.past.note_caches(CacheMark(now_ns, sizes))
        return True

    def frame(
        self,
        moment: Moment,
        setting: Setting,
        span_s: float,
        table: ProcessTable,
        happenings: Happenings,
        rules: Sequence[RuleState],
    ) -> Frame:
        """Make the frame of the present sample.

        Args:
            moment: The present sample, which the gauges have taken.
            setting: What is not in the samples.
            span_s: Over which growth is told.
            table: All processes.
            happenings: All that happened.
            rules: As they are shown.
        """
        at_ns, span_ns = moment.sample.monotonic_ns, round(span_s * 1e9)
        processes = self._processes(table, at_ns, span_ns)
        needed = _NEEDED.items()
        return Frame(
            title=setting.title,
            mode=setting.mode,
            at_ns=setting.at_ns,
            zero_ns=setting.zero_ns,
            wall_ns=setting.wall_ns,
            from_ns=setting.from_ns,
            to_ns=setting.to_ns,
            span_s=span_s,
            lag_s=moment.sample.lag_ns / 1e9,
            missed=moment.sample.missed,
            notes=setting.notes,
            memory=self._memory(at_ns, span_ns) if self.gauges.has("meminfo") else None,
            zones=tuple(self._zones(at_ns, span_ns)),
            caches=self._caches(at_ns, span_ns),
            buddies=self.gauges.buddies(),
            rates=tuple(self._rates(at_ns, span_ns)),
            processes=processes,
            watched=tuple(
                replace(each, name=printable(each.name), file=printable(each.file))
                for each in self.gauges.files()
            ),
            cgroups=tuple(self._cgroups(at_ns, span_ns, processes)),
            rules=tuple(rules),
            rules_note=setting.rules_note,
            happenings=happenings.until(setting.at_ns),
            absent={key: why for key, (source, why) in needed if not self.gauges.has(source)}
            | ({"rules": setting.rules_note} if setting.rules_note and not rules else {}),
        )

    def _memory(self, at_ns: int, span_ns: int) -> Memory:
        plan, before = self.gauges.memory_plan, self.past.mark(at_ns, span_ns)
        parts = []
        for curve, size in zip(plan.curves, self.gauges.memory(), strict=True):
            if curve.is_limit:
                continue
            now = known(size)
            then = None if before is None else known(before.memory.get(curve.name, float("nan")))
            growth = None if before is None else growth_per_s(then, now, at_ns - before.at_ns)
            parts.append(Part(curve.name, now, growth))
        total, available, swap_total, swap_used = map(known, self.gauges.totals())
        complete = any(curve.is_limit for curve in plan.curves)
        return Memory(total, available, swap_total, swap_used, tuple(parts), complete)

    def _zones(self, at_ns: int, span_ns: int) -> Iterator[Zone]:
        before = self.past.mark(at_ns, span_ns)
        for zone in self.gauges.zones():
            then = None if before is None else before.zones.get((zone.node, zone.name))
            growth = None if before is None else growth_per_s(then, zone.free_bytes, at_ns - before.at_ns)
            yield replace(zone, growth_bytes_per_s=growth, name=printable(zone.name))

    def _caches(self, at_ns: int, span_ns: int) -> tuple[Cache, ...]:
        """Slab caches and their growth, made anew when slabinfo has been read or the past moves on."""
        caches, before = self.gauges.caches(), self.past.cache_mark(at_ns, span_ns)
        if caches is self._grown_of[0] and before is self._grown_of[1]:
            return self._grown
        sizes = {} if before is None else before.sizes
        elapsed_ns = 0 if before is None else at_ns - before.at_ns
        self._grown_of = caches, before
        self._grown = tuple(
            Cache(
                cache.name,
                cache.size_bytes,
                cache.objects,
                growth_per_s(sizes.get(name), cache.size_bytes, elapsed_ns),
            )
            # As long as growth is not known, the largest are the first.
            for name, cache in sorted(caches.items(), key=lambda each: -each[1].size_bytes)
        )
        return self._grown

    def _rates(self, at_ns: int, span_ns: int) -> Iterator[Rate]:
        marks = self.past.mark(at_ns, _SECOND_NS), self.past.mark(at_ns, span_ns)
        for (name, unit), value in zip(self.gauges.counter_names(), self.gauges.counters(), strict=True):
            now, over_span = (
                None
                if mark is None
                else growth_per_s(mark.counters.get(name), known(value), at_ns - mark.at_ns)
                for mark in marks
            )
            yield Rate(name, unit, now, over_span)

    def _processes(self, table: ProcessTable, at_ns: int, span_ns: int) -> tuple[Process, ...]:
        """The table changes about once a second, and is dear with thousands of processes."""
        key = (table.revision, at_ns // _SECOND_NS, span_ns)
        if key != self._table_key:
            self._table_key, self._table = key, table.at(at_ns, span_ns)
        return self._table

    def _cgroups(self, at_ns: int, span_ns: int, processes: tuple[Process, ...]) -> Iterator[Cgroup]:
        """Watched ones, and then those that processes of the table are in."""
        before = self.past.mark(at_ns, span_ns)
        members = dict(cgroups_of(processes))
        for path, figures in self.gauges.cgroups().items():
            used, inside = known(figures.used_bytes), members.pop(printable(path), None)
            then = None if before is None else known(before.cgroups.get(path, float("nan")))
            yield Cgroup(
                path=printable(path),
                is_watched=True,
                used_bytes=used,
                limit_bytes=known(figures.limit_bytes),
                swap_bytes=known(figures.swap_bytes),
                kills=known(figures.kills),
                processes=None if inside is None else len(inside),
                growth_bytes_per_s=None if before is None else growth_per_s(then, used, at_ns - before.at_ns),
            )
        for path, inside in members.items():
            grown = [each.growth_bytes_per_s for each in inside if each.growth_bytes_per_s is not None]
            yield Cgroup(
                path=path,
                is_watched=False,
                used_bytes=float(sum(each.resident_bytes or 0 for each in inside)),
                limit_bytes=None,
                swap_bytes=float(sum(each.swap_bytes or 0 for each in inside)),
                kills=None,
                processes=len(inside),
                growth_bytes_per_s=sum(grown) if grown else None,
            )


def describe_rules(
    watch: RuleWatch | None, now: Sequence[RuleNow], at_ns: int, standing: dict[str, Standing]
) -> list[RuleState]:
    """Put together what is shown of all rules; nothing as long as nothing is known of them."""
    if watch is None or not now:
        return []
    return [
        watch.describe(place, each, at_ns, standing.get(rule.name, Standing()))
        for place, (rule, each) in enumerate(zip(watch.rules, now, strict=True))
    ]
