"""What a signal is: a named number with a unit, a meaning and the kernel file it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import nan

from memwatchd.signals.recording import Reader, Recording, Text

Buffer = bytes | bytearray


class Unit(StrEnum):
    """What a signal counts; shares are ratios from 0 to 1."""

    BYTES = "bytes"
    PAGES = "pages"
    SECONDS = "seconds"
    COUNT = "count"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class Signal:
    """A named number.

    Attributes:
        source: The kernel file, for a person.
        meaning: One sentence without its full stop.
        sources: Names of the sources it is read from, any of which may be missing; those of what is watched
            are patterns as in fnmatch(3).
        bind: Makes the function that reads the present value; NaN where it is not there: not on this kernel,
            not sampled, not yet read. One function goes through one run of samples: it remembers places.
        counter: It only ever grows; what matters is how fast.
        every: Dear ones are read anew for rules on every so many-th tick only.
    """

    name: str
    unit: Unit
    source: str
    meaning: str
    sources: tuple[str, ...]
    bind: Callable[[Recording], Reader]
    counter: bool = False
    every: int = 1


def absent() -> float:
    """Read what is not there."""
    return nan


def read_text(text: Text | None, read: Callable[[Buffer, int], float | None], factor: float = 1.0) -> Reader:
    """Make a reader of one source.

    Args:
        text: None where the source is not sampled.
        read: Reads the number from a buffer's first so many bytes; None when it is not there.
        factor: What the number is multiplied by.
    """
    if text is None:
        return absent
    source, scale = text, float(factor)

    def reader() -> float:
        value = read(source.buffer, source.size)
        return nan if value is None else value * scale

    return reader
