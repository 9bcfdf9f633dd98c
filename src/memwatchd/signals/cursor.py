"""Reading single figures straight out of a sample's text, cheaply enough for every tick.

The place of a figure hardly moves from one sample to the next, so a cursor remembers it and looks there
first: 0.4 µs instead of the 20 µs and more of parsing the whole file.
"""

from collections.abc import Iterator

# 20 digits of an unsigned long, and the blanks before them.
_LONGEST_NUMBER = 40


class Cursor:
    r"""Finds one number in a kernel file.

    Args:
        before: The bytes right before the number; with a leading newline where the field must start a line.
        after: The byte that ends the number.
    """

    __slots__ = ("_after", "_at", "_before")

    def __init__(self, before: bytes, after: bytes = b"\n") -> None:
        self._before = before
        self._after = after
        self._at = 0

    def read(self, text: bytes | bytearray, size: int) -> int | None:
        """Read the number from the first `size` bytes; None when this kernel does not print it."""
        before = self._before
        at = self._at
        if not text.startswith(before, at, size):
            at = text.find(before, 0, size)
            if at < 0:
                return None
            self._at = at
        start = at + len(before)
        return _number(text, start, text.find(self._after, start, size))


def vmstat_cursor(name: str) -> Cursor:
    """A counter of /proc/vmstat, in the unit its name tells (mostly pages)."""
    return Cursor(b"\n" + name.encode() + b" ")


def meminfo_cursor(name: str) -> Cursor:
    """A field of /proc/meminfo, in KiB."""
    return Cursor(b"\n" + name.encode() + b":", b" kB")


def pressure_cursor() -> Cursor:
    """The time some task stalled, from the first line of /proc/pressure/memory, in microseconds."""
    return Cursor(b"total=")


def events_cursor(name: str) -> Cursor:
    """A counter of a cgroup's memory.events (v2) or memory.oom_control (v1), not on the first line."""
    return Cursor(b"\n" + name.encode() + b" ")


def zone_levels(text: bytes | bytearray, size: int) -> Iterator[tuple[int, int]]:
    """Yield free pages and high watermark of each zone of /proc/zoneinfo that has pages at all; 2 µs a zone.

    An empty zone is left out: the kernel gives it a watermark all the same, and it can never be above it.
    """
    at = text.find(b"pages free", 0, size)
    while at >= 0:
        high_at = text.find(b"high ", at, size)
        present_at = text.find(b"present ", high_at, size)
        if high_at < 0 or present_at < 0:
            return
        free, high = _line_number(text, at + 10, size), _line_number(text, high_at + 5, size)
        if free is not None and high is not None and _line_number(text, present_at + 8, size):
            yield free, high
        at = text.find(b"pages free", present_at, size)


def _line_number(text: bytes | bytearray, start: int, size: int) -> int | None:
    return _number(text, start, text.find(b"\n", start, size))


def _number(text: bytes | bytearray, start: int, end: int) -> int | None:
    """Read a number; None when it is cut off, no number, or longer than any the kernel prints."""
    if not 0 < end - start <= _LONGEST_NUMBER:
        return None
    try:
        return int(text[start:end])
    except ValueError:
        return None
