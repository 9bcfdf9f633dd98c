"""Signals of many samples at once: by column, each value once for as long as it stays the same.

About 0.15 ms a sample for all 1465 signals of a 2-core VM (``make bench ARGS='--only reading'``).
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import nan

from memwatchd.ring.stream import Moment
from memwatchd.signals.catalogue import FAMILIES
from memwatchd.signals.changes import Key, Lines, ZoneLines, follow_lines, keys_of
from memwatchd.signals.names import join_name, split_name
from memwatchd.signals.recording import Reader
from memwatchd.signals.replay import Replay
from memwatchd.signals.signal import Signal, absent

# Which families have new names when a source has other lines; all of them where it is not listed.
_FAMILIES_OF = {
    "meminfo": ("meminfo",),
    "vmstat": ("vmstat",),
    "slabinfo": ("slab",),
    "zoneinfo": ("zone", "node"),
    "buddyinfo": ("buddy",),
    "cgroup": ("cgroup",),
}
# Says of a signal's name whether it is wanted.
Wanted = Callable[[str], bool]


@dataclass(slots=True)
class Column:
    """One signal through all rows.

    Attributes:
        rows: Numbers of the rows in which its value became another one; the first need not be row 0.
        values: The values it had from then on; NaN for none.
    """

    signal: Signal
    rows: "array[int]" = field(default_factory=lambda: array("I"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def runs(self, count: int) -> Iterator[tuple[float, int, int]]:
        """Yield each value, and of so many rows the first that has it and the first that has it no more."""
        return zip(self.values, self.rows, [*self.rows[1:], count], strict=False)


@dataclass(slots=True)
class Table:
    """Signals by time.

    Attributes:
        times_ns: When each row's sample was taken, on the recording's monotonic clock.
        columns: By name, in the order of the catalogue of signals; those that had no value anywhere are left
            out.
    """

    times_ns: "array[int]" = field(default_factory=lambda: array("q"))
    columns: dict[str, Column] = field(default_factory=dict)


def read_table(
    moments: Iterable[Moment],
    page_size: int,
    wanted: Wanted = lambda _name: True,
    *,
    every_ns: int = 0,
    zero_ns: int = 0,
) -> Table:
    """Read signals from all moments, or from one in so many nanoseconds.

    A source that is read less often than the samples are taken keeps its last value in between.

    Args:
        moments: The oldest first.
        page_size: Of the machine that made the recording, in bytes.
        wanted: Which signals.
        every_ns: The first sample of each such span makes a row; 0 for all.
        zero_ns: Where one of these spans begins.
    """
    filler = _Filler(page_size, wanted)
    last: int | None = None
    for moment in moments:
        if every_ns:
            span = (moment.sample.monotonic_ns - zero_ns) // every_ns
            if span == last:
                continue
            last = span
        filler.take(moment)
    return filler.table()


def any_of(patterns: Iterable[str]) -> Wanted:
    """Make one that wants the names of these patterns, as in fnmatch(3)."""
    chosen = tuple(patterns)
    plain = frozenset(chosen)
    return lambda name: name in plain or any(fnmatchcase(name, pattern) for pattern in chosen)


@dataclass(slots=True, eq=False)
class _Cell:
    """A column and what reads its present value."""

    column: Column
    read: Reader
    last: float = nan

    def look(self, row: int) -> None:
        """Note the value in a row if it is another one."""
        value, last = self.read(), self.last
        # What is not there is not equal to itself.
        if value != last and (value == value or last == last):
            self.last = value
            self.column.rows.append(row)
            self.column.values.append(value)


# Cells, each once and in their order.
_Cells = dict[_Cell, None]


@dataclass(slots=True)
class _Source:
    """What is read from one source.

    Attributes:
        lines: Finds what has changed in it; None when it is read anew as a whole.
        text: As it was last seen.
        keyed: What is read from the lines of each key.
        whole: What may change with any of its lines.
    """

    lines: Lines | ZoneLines | None
    text: bytes | None = None
    keyed: dict[Key, _Cells] = field(default_factory=dict)
    whole: _Cells = field(default_factory=dict)


class _Filler:
    """Goes from sample to sample, and reads again what may have changed."""

    def __init__(self, page_size: int, wanted: Wanted) -> None:
        self._replay = Replay(page_size)
        self._wanted = wanted
        self._times_ns = array("q")
        self._cells: dict[str, _Cell] = {}
        self._known: set[str] = set()
        self._sources: dict[str, _Source] = {}
        self._always: _Cells = {}

    def take(self, moment: Moment) -> None:
        """Take the next sample in."""
        row = len(self._times_ns)
        self._times_ns.append(moment.sample.monotonic_ns)
        if self._replay.take(moment):
            self._bind_anew(row)
        cells = dict(self._always)
        for name, source in self._sources.items():
            held = self._replay.recording.texts[name]
            text = bytes(held.buffer) if held.size >= 0 else None
            if text is not source.text and text != source.text:
                cells.update(self._changed(name, source, text))
            source.text = text
        for cell in cells:
            cell.look(row)

    def table(self) -> Table:
        """What came of it."""
        order = {family: place for place, family in enumerate(FAMILIES)}
        names = [name for name, cell in self._cells.items() if len(cell.column.rows)]
        names.sort(key=lambda name: order[name.partition(".")[0]])
        return Table(self._times_ns, {name: self._cells[name].column for name in names})

    def _changed(self, name: str, source: _Source, text: bytes | None) -> _Cells:
        """What is to be read again, now that a source has another text."""
        keys = source.lines.changed(text) if source.lines is not None and text is not None else None
        if source.text is None or (source.lines is not None and keys is None):
            self._find_signals(_FAMILIES_OF.get(name.partition("/")[0], tuple(FAMILIES)))
        cells = dict(source.whole)
        for key in source.keyed if keys is None else keys:
            cells.update(source.keyed.get(key, ()))
        return cells

    def _bind_anew(self, row: int) -> None:
        """Other sources are sampled now: make all readers again. All their texts count as new."""
        recording = self._replay.recording
        recording.shared.clear()
        self._sources = {name: _Source(follow_lines(name, recording)) for name in recording.texts}
        self._always.clear()
        for cell in self._cells.values():
            self._bind(cell)
            if cell.read is absent:
                cell.look(row)  # its source is gone, and will not tell
        self._find_signals(tuple(FAMILIES))

    def _find_signals(self, families: tuple[str, ...]) -> None:
        """Add those signals that have not been there before."""
        for family in map(FAMILIES.__getitem__, families):
            for parts in family.names(self._replay.recording):
                name = join_name((family.name, *parts))
                if name in self._known:
                    continue
                self._known.add(name)
                signal = family.find(parts)
                if signal is not None and self._wanted(name):
                    self._cells[name] = _Cell(Column(signal), absent)
                    self._bind(self._cells[name])

    def _bind(self, cell: _Cell) -> None:
        signal = cell.column.signal
        keys, found = keys_of(split_name(signal.name)), list(self._matching(signal.sources))
        cell.read = signal.bind(self._replay.recording) if found or not signal.sources else absent
        for source in found:
            if keys and source.lines is not None:
                for key in keys:
                    source.keyed.setdefault(key, {})[cell] = None
            else:
                source.whole[cell] = None
        if not signal.sources:
            self._always[cell] = None

    def _matching(self, patterns: tuple[str, ...]) -> Iterator[_Source]:
        for pattern in patterns:
            if pattern in self._sources:
                yield self._sources[pattern]
            elif any(char in pattern for char in "*?["):
                yield from (source for name, source in self._sources.items() if fnmatchcase(name, pattern))
