"""recorder: how the recorder itself did in the newest tick; 0.1 µs a signal."""

from collections.abc import Callable, Iterator

from memwatchd.signals.family import Family, Parts
from memwatchd.signals.recording import Pulse, Reader, Recording
from memwatchd.signals.signal import Signal, Unit

_FIELDS: dict[str, tuple[Callable[[Pulse], float], Unit, str]] = {
    "lag": (
        lambda pulse: pulse.lag_ns * 1e-9,
        Unit.SECONDS,
        "how far behind its deadline the newest tick began",
    ),
    "read_time": (
        lambda pulse: pulse.read_ns * 1e-9,
        Unit.SECONDS,
        "how long reading the kernel's files took",
    ),
    "missed": (
        lambda pulse: float(pulse.missed),
        Unit.COUNT,
        "ticks that did not happen before the newest one",
    ),
}


def _find(parts: Parts) -> Signal | None:
    if len(parts) != 1 or parts[0] not in _FIELDS:
        return None
    derive, unit, meaning = _FIELDS[parts[0]]

    def bind(recording: Recording) -> Reader:
        return lambda: derive(recording.pulse)

    return Signal(f"recorder.{parts[0]}", unit, "the recorder's own clock", meaning, (), bind)


def _names(_recording: Recording) -> Iterator[Parts]:
    return ((field,) for field in _FIELDS)


RECORDER = Family(tuple(f"recorder.{field}" for field in _FIELDS), _find, _names, tuple(_FIELDS))
