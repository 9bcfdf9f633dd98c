"""Two incidents side by side: what grew in one and not in the other, over the same time before each trigger.

`compare_incidents` makes a plain value, which is what ``compare --json`` prints; `render` turns it into text.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.history import size_kib
from memwatchd.incidents.moment import moment_at, page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.incidents.recorded import iso
from memwatchd.ring.stream import Moment, process_rows
from memwatchd.signals.catalogue import list_signals
from memwatchd.signals.names import split_name
from memwatchd.signals.replay import Replay
from memwatchd.signals.signal import Signal, Unit
from memwatchd.views.text import columns, format_bytes, format_value, printable

# Less than this is noise, and so is less than this share of what grew most in that incident.
_LEAST_BYTES = 1 << 20
_LEAST_SHARE = 0.02
# What grew in one by so much of what it grew by in the other has grown in both.
_BOTH_SHARE = 0.25
# Counters: so many times as fast, and no slower than so much a second.
_TIMES = 4
_LEAST_RATES = {Unit.SECONDS: 0.02, Unit.BYTES: 1 << 20}
_LEAST_RATE = 50.0
# A process whose row is older has ended.
_GONE_NS = 5_000_000_000
_MEMORY = ("meminfo", "swap", "unaccounted", "zram", "arc")
_RATES = ("vmstat", "pressure")
# What is free, limits and promises, and what is another line under another name.
_NOT_MEMORY = (
    *("MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree", "total", "free", "KReclaimable"),
    *("Committed_AS", "CommitLimit", "VmallocTotal", "VmallocChunk", "DirectMap4k", "DirectMap2M"),
    *("DirectMap4M", "DirectMap1G"),
)
_SHOWN = 12


@dataclass(slots=True)
class _Side:
    """One incident over the span.

    Attributes:
        sizes: Bytes at its beginning and at its end, by kind and name.
        rates: Growth a second and unit of each counter.
    """

    incident: Incident
    from_s: float
    to_s: float
    sizes: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    rates: dict[str, tuple[float, Unit]] = field(default_factory=dict)

    def grown(self, key: tuple[str, str]) -> float:
        first, last = self.sizes.get(key, (0.0, 0.0))
        return last - first

    def least(self) -> float:
        """What counts as growth in this incident, in bytes."""
        return max([_LEAST_BYTES, *(_LEAST_SHARE * self.grown(key) for key in self.sizes)])


def compare_incidents(one: Incident, other: Incident, over_ns: int | None = None) -> dict[str, Any]:
    """Say what grew in one of two incidents, in the other, and in both; and what ran faster.

    Args:
        one: Called a.
        other: Called b.
        over_ns: How long before each trigger; None for as long as both were recorded.

    Raises:
        NotFoundError: One has no samples before its trigger.
    """
    span_ns = min(_before_ns(one), _before_ns(other))
    span_ns = span_ns if over_ns is None else min(span_ns, over_ns)
    sides = {"a": _side(one, span_ns), "b": _side(other, span_ns)}
    return {
        **{name: _describe(side) for name, side in sides.items()},
        "span_s": round(span_ns / 1e9, 3),
        **_grown(sides["a"], sides["b"]),
        "rates": list(_rates(sides["a"], sides["b"])),
    }


def _before_ns(incident: Incident) -> int:
    """How long before its trigger an incident begins."""
    first = moment_at(incident, 0)
    before_ns = incident.trigger_ns - first.sample.monotonic_ns
    if before_ns <= 0:
        raise NotFoundError(f"{incident.path.name}: no samples from before its trigger")
    return before_ns


def _describe(side: _Side) -> dict[str, Any]:
    facts = side.incident.facts
    realtime_ns = facts["trigger"]["realtime_ns"]
    return {
        "name": side.incident.path.name,
        "time": None if realtime_ns is None else iso(realtime_ns),
        "kind": facts["trigger"]["kind"],
        "detail": facts["trigger"]["detail"],
        "hostname": facts["host"].get("hostname"),
        "kernel": facts["host"].get("kernel"),
        "from_s": side.from_s,
        "to_s": side.to_s,
    }


# -- reading -----------------------------------------------------------------------------------------------


def _side(incident: Incident, span_ns: int) -> _Side:
    zero_ns = incident.trigger_ns
    ends = [moment_at(incident, at_ns) for at_ns in (zero_ns - span_ns, zero_ns)]
    times_ns = [moment.sample.monotonic_ns for moment in ends]
    from_s, to_s = (round((at_ns - zero_ns) / 1e9, 3) for at_ns in times_ns)
    side = _Side(incident, from_s, to_s)
    first, last = (_values(incident, moment) for moment in ends)
    elapsed_s = (times_ns[1] - times_ns[0]) / 1e9
    for name in {**first, **last}:
        signal, _ = last.get(name) or first[name]
        before, after = (found[name][1] if name in found else None for found in (first, last))
        key = _sized(signal)
        if key is not None:
            side.sizes[key] = (before or 0.0, after or 0.0)
        elif (
            signal.counter
            and name.startswith(_RATES)
            and before is not None
            and after is not None
            and elapsed_s > 0
        ):
            side.rates[name] = ((after - before) / elapsed_s, signal.unit)
    watched = any(kind == "cgroup" for kind, _ in side.sizes)
    for kind, column in (("process", "comm"), ("cgroup", "cgroup")):
        if kind != "cgroup" or not watched:
            side.sizes |= _from_processes(incident, kind, column, times_ns)
    return side


def _values(incident: Incident, moment: Moment) -> dict[str, tuple[Signal, float]]:
    """All signals that have a value at one moment."""
    replay = Replay(page_size_of(incident))
    replay.take(moment)
    found = ((signal, signal.bind(replay.recording)()) for signal in list_signals(replay.recording))
    return {signal.name: (signal, value) for signal, value in found if isfinite(value)}


def _sized(signal: Signal) -> tuple[str, str] | None:
    """Kind and name of what the signal is the size of; None where it is no size."""
    family, *rest = split_name(signal.name)
    if signal.unit is not Unit.BYTES or signal.counter or not _is_memory(family, rest):
        return None
    if family == "slab":
        return ("slab", rest[0]) if rest[-1] == "bytes" and rest[0] != "top" else None
    if family == "cgroup":
        return ("cgroup", rest[0]) if rest[1:] == ["usage"] else None
    return "memory", signal.name


def _is_memory(family: str, rest: list[str]) -> bool:
    if family in _MEMORY:
        return not any(part in _NOT_MEMORY for part in rest)
    return family in ("slab", "cgroup")


def _from_processes(
    incident: Incident, kind: str, column: str, times_ns: list[int]
) -> dict[tuple[str, str], tuple[float, float]]:
    """What all processes of a name, or of a cgroup, held at both moments, by the table of processes."""
    sums: list[dict[str, float]] = []
    for at_ns in times_ns:
        rows: dict[tuple[Any, Any], tuple[int, dict[str, Any]]] = {}
        for part in process_rows(incident.segments(BlockType.EVENTS)):
            for row in part.rows:
                read_ns = row.get("read_ns", part.monotonic_ns)
                if read_ns <= at_ns and isinstance(row.get("rss_kib"), int):
                    rows[row.get("pid"), row.get("start_ticks")] = read_ns, row
        found: dict[str, float] = {}
        for read_ns, row in rows.values():
            if at_ns - read_ns <= _GONE_NS and row.get(column):
                name = str(row[column])
                found[name] = found.get(name, 0.0) + size_kib(row) * 1024
        sums.append(found)
    first, last = sums
    return {(kind, name): (first.get(name, 0.0), last.get(name, 0.0)) for name in {**first, **last}}


# -- comparing ---------------------------------------------------------------------------------------------


def _grown(one: _Side, other: _Side) -> dict[str, list[dict[str, Any]]]:
    """What grew, the most first: in one, in the other, in both."""
    found: dict[str, list[dict[str, Any]]] = {"only_a": [], "only_b": [], "both": []}
    least = one.least(), other.least()
    for key in {**one.sizes, **other.sizes}:
        a, b = one.grown(key), other.grown(key)
        where = _where(a, b, least)
        if where is not None:
            found[where].append(
                {"kind": key[0], "name": key[1], "a": _growth(one, key), "b": _growth(other, key)}
            )
    for where, rows in found.items():
        rows.sort(key=lambda row: -max(_size(row, side) for side in _sides(where)))
    return found


def _sides(where: str) -> tuple[str, ...]:
    return {"only_a": ("a",), "only_b": ("b",)}.get(where, ("a", "b"))


def _size(row: dict[str, Any], side: str) -> float:
    return float(row[side]["grown_bytes"]) if row[side] is not None else 0.0


def _where(a: float, b: float, least: tuple[float, float]) -> str | None:
    in_a = a >= least[0] and not (b >= least[1] and b > a and a < _BOTH_SHARE * b)
    in_b = b >= least[1] and not (a >= least[0] and a > b and b < _BOTH_SHARE * a)
    # A little growth below what counts is growth all the same, if the other's is not much more.
    if in_a and (in_b or b >= _BOTH_SHARE * a):
        return "both"
    if in_b and a >= _BOTH_SHARE * b:
        return "both"
    if in_a or in_b:
        return "only_a" if in_a else "only_b"
    return None


def _growth(side: _Side, key: tuple[str, str]) -> dict[str, float] | None:
    """None where the incident knows nothing of it."""
    if key not in side.sizes:
        return None
    first, last = side.sizes[key]
    return {"from_bytes": first, "to_bytes": last, "grown_bytes": last - first}


def _rates(one: _Side, other: _Side) -> Iterator[dict[str, Any]]:
    """Counters that ran much faster in one than in the other, those with the largest ratio first."""
    rows = []
    for name in {**one.rates, **other.rates}:
        unit = (one.rates.get(name) or other.rates[name])[1]
        a, b = (max(0.0, side.rates.get(name, (0.0, unit))[0]) for side in (one, other))
        least = _LEAST_RATES.get(unit, _LEAST_RATE)
        more, less = max(a, b), min(a, b)
        if more >= least and more >= _TIMES * less:
            there = [rate if name in side.rates else None for side, rate in ((one, a), (other, b))]
            row = {"name": name, "unit": str(unit), "a_per_s": there[0], "b_per_s": there[1]}
            rows.append((more / max(less, least / _TIMES), row))
    for _, row in sorted(rows, key=lambda each: -each[0]):
        yield row


# -- text --------------------------------------------------------------------------------------------------


def render(found: dict[str, Any]) -> str:
    """Write what `compare_incidents` found as text, newline at the end."""
    return "".join(f"{printable(line)}\n" for line in _lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    for side in ("a", "b"):
        each = found[side]
        yield f"{side.upper()}  {each['name']}: {each['detail'] or 'for an unknown reason'}"
        host, kernel = each["hostname"] or "?", each["kernel"] or "?"
        yield f"   {host}, kernel {kernel}, {each['time'] or 'at an unknown time'}"
    yield f"Over the last {found['span_s']:g} s before each trigger"
    titles = {"only_a": "Grew in A, not in B", "only_b": "Grew in B, not in A", "both": "Grew in both"}
    for where, title in titles.items():
        yield from _table(title, found[where], ["", "", "A", "", "B", ""], _growth_row)
    yield from _table("Ran faster in one", found["rates"], ["", "A", "B"], _rate_row)
    if not any(found[where] for where in (*titles, "rates")):
        yield ""
        yield "Nothing grew in either"


def _table(
    title: str, rows: list[dict[str, Any]], heading: list[str], row_of: Callable[[dict[str, Any]], list[str]]
) -> Iterable[str]:
    if not rows:
        return
    yield ""
    yield title
    cells = [[f"  {heading[0]}", *heading[1:]], *map(row_of, rows[:_SHOWN])]
    yield from columns(cells, right=frozenset(range(1 if len(heading) == 3 else 2, len(heading))))
    if len(rows) > _SHOWN:
        yield f"  … and {len(rows) - _SHOWN} more (--json has them all)"


def _growth_row(row: dict[str, Any]) -> list[str]:
    cells = [f"  {row['kind']}", printable(row["name"])]
    for side in ("a", "b"):
        growth = row[side]
        if growth is None:
            cells += ["–", ""]
            continue
        sign = "+" if growth["grown_bytes"] >= 0 else "−"
        cells += [
            f"{sign}{format_bytes(abs(growth['grown_bytes']))}",
            f"to {format_bytes(growth['to_bytes'])}",
        ]
    return cells


def _rate_row(row: dict[str, Any]) -> list[str]:
    unit = {"seconds": "share", "pages": "pages/s", "bytes": "bytes/s"}.get(row["unit"], "/s")
    return [f"  {printable(row['name'])}", *(_rate(row[side], unit) for side in ("a_per_s", "b_per_s"))]


def _rate(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "bytes/s":
        return f"{format_bytes(value)}/s"
    return f"{value:,.0f} /s" if unit == "/s" else format_value(value, unit)
