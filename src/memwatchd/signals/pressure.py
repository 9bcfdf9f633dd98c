"""pressure: how long tasks waited for memory, of the machine and of a cgroup; 1.0 to 1.3 µs a signal."""

from collections.abc import Iterator
from itertools import product

from memwatchd.signals.cursor import line_number
from memwatchd.signals.family import Family, Parts
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, read_text

_KINDS = {
    "some": "some task waited for memory",
    "full": "all tasks that had something to do waited for memory",
}
_AVERAGES = ("avg10", "avg60", "avg300")
_LONGEST_SHARE = 20

STALLS: tuple[Parts, ...] = (*((kind,) for kind in _KINDS), *product(_KINDS, _AVERAGES))
"""What may stand after ``pressure.``."""


class StallCursor:
    """Finds one figure in the line of ``some`` or ``full``."""

    __slots__ = ("_figure", "_first", "_line")

    def __init__(self, kind: str, figure: str) -> None:
        self._first = kind.encode() + b" "
        self._line = b"\n" + self._first
        self._figure = b" " + figure.encode() + b"="

    def _find(self, text: Buffer, size: int) -> int:
        size = max(size, 0)
        line_at = 0
        if not text.startswith(self._first, 0, size):
            line_at = text.find(self._line, 0, size) + 1
            if line_at == 0:
                return -1
        at = text.find(self._figure, line_at, size)
        # A figure that is missing in this line may stand in the next one.
        return -1 if at < 0 or text.find(b"\n", line_at, at) >= 0 else at + len(self._figure)

    def read_seconds(self, text: Buffer, size: int) -> float | None:
        """Read microseconds, and give seconds."""
        start = self._find(text, size)
        usec = None if start < 0 else line_number(text, start, size)
        return None if usec is None else usec * 1e-6

    def read_share(self, text: Buffer, size: int) -> float | None:
        """Read per cent, and give a share."""
        start = self._find(text, size)
        end = text.find(b" ", start, size) if start >= 0 else -1
        if not 0 < end - start <= _LONGEST_SHARE or not text[start:end].replace(b".", b"", 1).isdigit():
            return None
        return float(text[start:end]) / 100


def stall_signal(name: str, parts: Parts, file: str, source: str) -> Signal | None:
    """Make the signal of a pressure file, of which `parts` come last in the name; None when there is none."""
    if parts not in STALLS:
        return None
    kind, *rest = parts
    meaning = f"time in which {_KINDS[kind]}"
    if rest:
        meaning = f"share of the last {rest[0][3:]} seconds in which {_KINDS[kind]}"

    def bind(recording: Recording) -> Reader:
        text = recording.texts.get(source)
        if rest:
            return read_text(text, StallCursor(kind, rest[0]).read_share)
        return read_text(text, StallCursor(kind, "total").read_seconds)

    return Signal(
        name, Unit.RATIO if rest else Unit.SECONDS, file, meaning, (source,), bind, counter=not rest
    )


def _find(parts: Parts) -> Signal | None:
    return stall_signal(".".join(("pressure", *parts)), parts, "/proc/pressure/memory", "pressure")


def _names(_recording: Recording) -> Iterator[Parts]:
    return iter(STALLS)


PRESSURE = Family(("pressure.some", "pressure.full.avg10"), _find, _names, (*_KINDS, *_AVERAGES))
