"""The main figures of a machine's memory: name, unit, kernel file, and how to read them there."""

from collections.abc import Callable
from dataclasses import dataclass

from memwatchd.signals.cursor import meminfo_cursor, pressure_cursor, vmstat_cursor, zone_levels

Reader = Callable[[bytes], float | None]


@dataclass(frozen=True, slots=True)
class Signal:
    """A named number.

    Attributes:
        unit: bytes, pages, seconds, events or ratio. source: Name of the source whose text it is read from.
        meaning: One sentence. make_reader: Makes a function that reads it from the source's text; None where
        this kernel has no such field.
            One function goes through one run of samples, for it remembers where it found the field.
        counter: It only ever grows; what matters is how fast.
    """

    name: str
    unit: str
    source: str
    meaning: str
    make_reader: Callable[[], Reader]
    counter: bool = False


def _meminfo(field: str, meaning: str) -> Signal:
    def make_reader() -> Reader:
        cursor = meminfo_cursor(field)

        def read(text: bytes) -> float | None:
            kib = cursor.read(text, len(text))
            return None if kib is None else kib * 1024.0

        return read

    return Signal(f"meminfo.{field}", "bytes", "meminfo", meaning, make_reader)


def _vmstat(field: str, meaning: str, unit: str = "pages") -> Signal:
    def make_reader() -> Reader:
        cursor = vmstat_cursor(field)
        return lambda text: cursor.read(text, len(text))

    return Signal(f"vmstat.{field}", unit, "vmstat", meaning, make_reader, counter=True)


def _stall_seconds() -> Reader:
    cursor = pressure_cursor()

    def read(text: bytes) -> float | None:
        usec = cursor.read(text, len(text))
        return None if usec is None else usec * 1e-6

    return read


def _worst_zone() -> Reader:
    return worst_zone_ratio


def worst_zone_ratio(text: bytes) -> float | None:
    """Free pages of the zone nearest to its high watermark, as a multiple of that watermark.

    Source: /proc/zoneinfo; None when no zone has a watermark.
    """
    return min((free / high for free, high in zone_levels(text, len(text)) if high), default=None)


MAIN_SIGNALS = (
    _meminfo("MemAvailable", "the kernel's estimate of what could be had without swapping"),
    _meminfo("MemFree", "pages nobody uses"),
    _meminfo("AnonPages", "anonymous memory of processes"),
    _meminfo("Cached", "page cache and tmpfs"),
    _meminfo("Slab", "memory of kernel objects"),
    _meminfo("SwapFree", "swap nobody uses"),
    Signal("zone.worst", "ratio", "zoneinfo", "free over high watermark of the tightest zone", _worst_zone),
    Signal(
        "pressure.some",
        "seconds",
        "pressure",
        "time in which some task waited for memory",
        _stall_seconds,
        True,
    ),
    _vmstat("pgscan_direct", "pages tasks had to scan themselves"),
    _vmstat("pswpout", "pages swapped out"),
    _vmstat("workingset_refault_file", "file pages read back soon after they were dropped"),
)
