"""zram: compressed memory used as a disk, mostly for swap; 0.7 µs a signal and device."""

import re
from collections.abc import Iterator
from math import inf, isnan, nan

from memwatchd.procfs.zram import COLUMNS
from memwatchd.signals.family import Family, Parts
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, read_text

PREFIX = "zram/zram"
_FILE = "/sys/block/zramN/mm_stat"
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_FIELDS = {
    "orig": ("orig_data_size", Unit.BYTES, "what is stored, before it was compressed", False),
    "compressed": ("compr_data_size", Unit.BYTES, "what is stored, compressed", False),
    "used": ("mem_used_total", Unit.BYTES, "memory the device takes", False),
    "limit": ("mem_limit", Unit.BYTES, "most memory it may take; infinite without a limit", False),
    "max_used": ("mem_used_max", Unit.BYTES, "most memory it ever took", False),
    "same_pages": (
        "same_pages",
        Unit.PAGES,
        "pages that take no memory, being one word over and over",
        False,
    ),
    "pages_compacted": ("pages_compacted", Unit.PAGES, "pages freed by compaction", True),
    "huge_pages": ("huge_pages", Unit.PAGES, "pages that would not compress", False),
    "huge_pages_since": ("huge_pages_since", Unit.PAGES, "pages that would not compress, ever", True),
}


def zram_sources(recording: Recording) -> list[str]:
    """Names of the sources that are devices."""
    return [name for name in recording.texts if name.startswith(PREFIX)]


def read_used(recording: Recording) -> Reader:
    """Make a reader of the memory that all devices take together; NaN when there is none."""
    readers = [read_text(recording.texts[name], _Column("used").read) for name in zram_sources(recording)]

    def reader() -> float:
        there = [value for read in readers if not isnan(value := read())]
        return sum(there) if there else nan

    return reader


class _Column:
    """One figure of the line."""

    __slots__ = ("_place", "_unlimited")

    def __init__(self, field: str) -> None:
        self._place = COLUMNS.index(_FIELDS[field][0])
        self._unlimited = field == "limit"

    def read(self, text: Buffer, size: int) -> float | None:
        words = text[: max(size, 0)].split(None, self._place + 1)
        if len(words) <= self._place or not words[self._place].isdigit():
            return None
        value = float(words[self._place])
        return inf if self._unlimited and value == 0 else value


def _find(parts: Parts) -> Signal | None:
    if parts == ("used",):
        meaning = "memory that all devices take together"
        return Signal("zram.used", Unit.BYTES, _FILE, meaning, (f"{PREFIX}*",), read_used)
    if len(parts) != 2 or not _NUMBER.fullmatch(parts[0]) or parts[1] not in _FIELDS:
        return None
    number, field = parts
    _, unit, meaning, grows = _FIELDS[field]
    source = PREFIX + number

    def bind(recording: Recording) -> Reader:
        return read_text(recording.texts.get(source), _Column(field).read)

    file = _FILE.replace("N", number)
    return Signal(f"zram.{number}.{field}", unit, file, meaning, (source,), bind, grows)


def _names(recording: Recording) -> Iterator[Parts]:
    yield ("used",)
    for source in zram_sources(recording):
        yield from ((source.removeprefix(PREFIX), field) for field in _FIELDS)


ZRAM = Family(("zram.used", "zram.N.FIELD"), _find, _names, tuple(_FIELDS))
