"""cgroup: watched control groups, of version 2 and 1 under the same names.

    cgroup."/system.slice/app.service".usage        memory charged to it and to those below it
    cgroup."/system.slice/app.service".limit        infinite without one; those above it may have lower ones
    cgroup."/docker".stat.anon                      a line of memory.stat
    cgroup."/docker".pressure.some                  as in `pressure`

0.5 µs for `usage` and `limit`, 1 µs for what is made of both, 0.6 µs for the others.
"""

import re
from collections.abc import Callable, Iterator
from math import inf, nan

from memwatchd.errors import ParseError
from memwatchd.procfs.cgroup import parse_flat_keyed, parse_value
from memwatchd.signals.cursor import events_cursor, line_cursor
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.pressure import STALLS, stall_signal
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, absent, read_text
from memwatchd.signals.vmstat import counter_meaning, describe_counter

_FIELD = re.compile(r"\w+", re.ASCII)
_LONGEST_NUMBER = 24
# Lines of memory.stat that are no sizes.
_EVENTS = ("pg", "workingset_", "thp_", "zswp", "swpin", "swpout", "numa_")

# The same figure in version 2 and 1.
USAGE = ("memory.current", "memory.usage_in_bytes")
_LIMIT = ("memory.max", "memory.limit_in_bytes")
_KILLS = ("memory.events", "memory.oom_control")
# Version 1 counts memory and swap together.
_SWAP = ("memory.swap.current", "memory.memsw.usage_in_bytes")
_SWAP_LIMIT = ("memory.swap.max", "memory.memsw.limit_in_bytes")


def source_name(cgroup: str, file: str) -> str:
    """Name of the source that is a file of a cgroup."""
    return f"cgroup/{cgroup.strip('/')}/{file}"


def _read_amount(text: Buffer, size: int) -> float | None:
    """Read a file of one number, where ``max`` and version 1's highest numbers are infinite."""
    if not 0 < size <= _LONGEST_NUMBER:
        return None
    try:
        amount = parse_value(bytes(text[:size]))
    except ParseError:
        return None
    return inf if amount is None else amount


def _amount(recording: Recording, cgroup: str, files: tuple[str, ...]) -> Reader | None:
    """Make a reader of the first of these files that is sampled."""
    for file in files:
        text = recording.texts.get(source_name(cgroup, file))
        if text is not None:
            return read_text(text, _read_amount)
    return None


def _minus(left: float, right: float) -> float:
    """A difference; what is infinite stays so."""
    return inf if left == inf else left - right


def _share(usage: float, limit: float) -> float:
    return usage / limit if limit else nan


def _pair(left: Reader | None, right: Reader | None, combine: Callable[[float, float], float]) -> Reader:
    if left is None or right is None:
        return absent
    read_left, read_right = left, right
    return lambda: combine(read_left(), read_right())


def _swap(recording: Recording, cgroup: str, files: tuple[str, str], memory: tuple[str, str]) -> Reader:
    """In version 1, what memory and swap take together less what memory takes."""
    alone = _amount(recording, cgroup, files[:1])
    if alone is not None:
        return alone
    return _pair(_amount(recording, cgroup, files[1:]), _amount(recording, cgroup, memory), _minus)


def _read_kills(recording: Recording, cgroup: str) -> Reader:
    texts = (recording.texts.get(source_name(cgroup, file)) for file in _KILLS)
    return read_text(next((text for text in texts if text is not None), None), events_cursor("oom_kill").read)


_Bind = Callable[[Recording, str], Reader]
_FIELDS: dict[str, tuple[_Bind, Unit, tuple[str, ...], str]] = {
    "usage": (
        lambda recording, cgroup: _amount(recording, cgroup, USAGE) or absent,
        Unit.BYTES,
        USAGE,
        "memory charged to it",
    ),
    "limit": (
        lambda recording, cgroup: _amount(recording, cgroup, _LIMIT) or absent,
        Unit.BYTES,
        _LIMIT,
        "its own limit; infinite without one",
    ),
    "usage_share": (
        lambda recording, cgroup: _pair(
            _amount(recording, cgroup, USAGE), _amount(recording, cgroup, _LIMIT), _share
        ),
        Unit.RATIO,
        (*USAGE, *_LIMIT),
        "memory charged to it, as a share of its own limit",
    ),
    "headroom": (
        lambda recording, cgroup: _pair(
            _amount(recording, cgroup, _LIMIT), _amount(recording, cgroup, USAGE), _minus
        ),
        Unit.BYTES,
        (*_LIMIT, *USAGE),
        "what is left below its own limit; infinite without one",
    ),
    "swap": (
        lambda recording, cgroup: _swap(recording, cgroup, _SWAP, USAGE),
        Unit.BYTES,
        (*_SWAP, *USAGE),
        "swap charged to it",
    ),
    "swap_limit": (
        lambda recording, cgroup: _swap(recording, cgroup, _SWAP_LIMIT, _LIMIT),
        Unit.BYTES,
        (*_SWAP_LIMIT, *_LIMIT),
        "its own limit on swap; infinite without one",
    ),
    "oom_kill": (
        _read_kills,
        Unit.COUNT,
        _KILLS,
        "processes in it that the kernel killed for want of memory",
    ),
}
_COUNTERS = ("oom_kill",)


def _find(parts: Parts) -> Signal | None:
    if len(parts) < 2:
        return None
    cgroup, field, *rest = parts
    name = join_name(("cgroup", *parts))
    if field == "pressure":
        return stall_signal(name, tuple(rest), "memory.pressure", source_name(cgroup, "memory.pressure"))
    if field == "stat" and len(rest) == 1 and _FIELD.fullmatch(rest[0]):
        return _stat_signal(name, cgroup, rest[0])
    if rest or field not in _FIELDS:
        return None
    bind, unit, files, meaning = _FIELDS[field]
    return Signal(
        name,
        unit,
        " or ".join(files[:2]),
        meaning,
        tuple(source_name(cgroup, file) for file in files),
        lambda recording: bind(recording, cgroup),
        field in _COUNTERS,
    )


def _stat_signal(name: str, cgroup: str, field: str) -> Signal:
    counter = field.removeprefix("total_")
    unit, grows = describe_counter(counter) if counter.startswith(_EVENTS) else (Unit.BYTES, False)
    source = source_name(cgroup, "memory.stat")

    def bind(recording: Recording) -> Reader:
        return read_text(recording.texts.get(source), line_cursor(field).read)

    return Signal(name, unit, "memory.stat", counter_meaning(field), (source,), bind, grows)


def _names(recording: Recording) -> Iterator[Parts]:
    cgroups = {entry.get("cgroup"): None for entry in recording.entries.values()}
    for cgroup in cgroups:
        if not isinstance(cgroup, str):
            continue
        yield from ((cgroup, field) for field in _FIELDS)
        yield from ((cgroup, "pressure", *stall) for stall in STALLS)
        for line in parsed(recording, source_name(cgroup, "memory.stat"), parse_flat_keyed) or ():
            yield (cgroup, "stat", line)


CGROUPS = Family(
    ('cgroup."PATH".FIELD', 'cgroup."PATH".stat.FIELD', 'cgroup."PATH".pressure.some'),
    _find,
    _names,
    tuple(_FIELDS),
)
