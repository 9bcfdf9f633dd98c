"""What the families of signals have in common: how one is found by name, and which names there are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from memwatchd.errors import ParseError
from memwatchd.signals.recording import Recording, Text
from memwatchd.signals.signal import Signal

Parts = tuple[str, ...]
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, slots=True)
class Family:
    """All signals whose names begin alike.

    Attributes:
        shapes: Their names, with what stands for something else in capitals.
        find: Makes the signal from the parts of its name; None when there is none of this shape.
        names: The parts of the names that a recording may have values for.
        words: Last parts of names, to guess what was meant.
    """

    shapes: tuple[str, ...]
    find: Callable[[Parts], Signal | None]
    names: Callable[[Recording], Iterable[Parts]]
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The first part of all names."""
        return self.shapes[0].partition(".")[0]


def present_text(text: Text | None) -> bytes | None:
    """Copy a source's text; None when there is none."""
    return None if text is None or text.size < 0 else bytes(text.buffer[: text.size])


def parsed(recording: Recording, source: str, parse: Callable[[bytes], _Parsed]) -> _Parsed | None:
    """Parse the present text of a source; None when it is not there or damaged."""
    text = present_text(recording.texts.get(source))
    if text is None:
        return None
    try:
        return parse(text)
    except ParseError:
        return None
