"""arc: the cache of ZFS; 1.2 µs a signal.

Units are not in the file. Sizes are told by their names (`arc_stats_t` in include/sys/arc_impl.h of OpenZFS);
what is no size and not listed below is a counter of events.
"""

import re
from collections.abc import Iterator
from math import nan

from memwatchd.procfs.arcstats import NUMERIC_TYPES, parse_arcstats
from memwatchd.signals.cursor import Cursor, encode, number
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, absent, read_text

_FILE = "/proc/spl/kstat/zfs/arcstats"
_FIELD = re.compile(r"[A-Za-z]\w*", re.ASCII)
_SIZES = (
    *("size", "c", "c_min", "c_max", "p", "arc_tempreserve", "arc_need_free", "arc_sys_free"),
    *("arc_meta_used", "arc_meta_limit", "arc_meta_max", "arc_meta_min", "arc_dnode_limit"),
    *("l2_asize", "l2_log_blk_asize"),
)
_GROWING_SIZES = (
    *("l2_read_bytes", "l2_write_bytes", "evict_l2_cached", "evict_l2_eligible", "evict_l2_ineligible"),
    *("evict_l2_eligible_mfu", "evict_l2_eligible_mru"),
)
_STATES = (
    *("hash_elements", "hash_elements_max", "hash_chains", "hash_chain_max", "arc_no_grow"),
    *("pd", "pm", "meta", "l2_log_blk_count"),
)
_TYPES = tuple(kind.encode() for kind in NUMERIC_TYPES)
SHRINKABLE = "shrinkable"


class _Field:
    """The number in a field's line, after its name and type."""

    __slots__ = ("_cursor",)

    def __init__(self, name: str) -> None:
        self._cursor = Cursor(b"\n" + encode(name) + b" ")

    def read(self, text: Buffer, size: int) -> int | None:
        start = self._cursor.find(text, size)
        if start < 0:
            return None
        words = text[start : max(text.find(b"\n", start, size), start)].split()
        return number(words[1], 0, len(words[1])) if len(words) == 2 and words[0] in _TYPES else None


def _unit(field: str) -> tuple[Unit, bool]:
    """In which unit a field is, and whether it only grows."""
    if field in _GROWING_SIZES:
        return Unit.BYTES, True
    if field in _SIZES or field.endswith(("_size", "_bytes")):
        return Unit.BYTES, False
    return Unit.COUNT, field not in _STATES


def _read_shrinkable(recording: Recording) -> Reader:
    text = recording.texts.get("arcstats")
    if text is None:
        return absent
    source, read_size, read_least = text, _Field("size").read, _Field("c_min").read

    def reader() -> float:
        buffer, size = source.buffer, source.size
        present, least = read_size(buffer, size), read_least(buffer, size)
        return nan if present is None or least is None else float(max(0, present - least))

    return reader


def _find(parts: Parts) -> Signal | None:
    if len(parts) != 1 or not _FIELD.fullmatch(parts[0]):
        return None
    field = parts[0]
    if field == SHRINKABLE:
        meaning = "what the cache could give back: its size above c_min"
        return Signal("arc.shrinkable", Unit.BYTES, _FILE, meaning, ("arcstats",), _read_shrinkable)
    unit, grows = _unit(field)
    meaning = "size of the cache" if field == "size" else f"the module's {field}"

    def bind(recording: Recording) -> Reader:
        return read_text(recording.texts.get("arcstats"), _Field(field).read)

    return Signal(join_name(("arc", field)), unit, _FILE, meaning, ("arcstats",), bind, grows)


def _names(recording: Recording) -> Iterator[Parts]:
    fields = parsed(recording, "arcstats", parse_arcstats)
    if fields is not None:
        yield (SHRINKABLE,)
        yield from ((field,) for field in fields)


ARC = Family(("arc.FIELD", "arc.shrinkable"), _find, _names, ("size", "c", "c_min", "c_max", SHRINKABLE))
