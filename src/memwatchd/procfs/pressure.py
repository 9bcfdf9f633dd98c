"""Pressure stall information: how much of the time tasks waited for a resource.

Path ``/proc/pressure/{memory,io,cpu}`` and ``memory.pressure`` of a cgroup, printed by ``psi_show`` in
``kernel/sched/psi.c``::

    some avg10=0.00 avg60=0.00 avg300=0.00 total=6075997
    full avg10=0.00 avg60=0.00 avg300=0.00 total=0

Since 4.20, where built in and not disabled (``psi=0``; reading then fails with EOPNOTSUPP). ``cpu`` had no
``full`` line before 5.13, ``irq`` (since 6.1) has no ``some`` line. The averages are updated every 2 seconds,
the total at once.
"""

from dataclasses import dataclass

from memwatchd.procfs._text import decode_ascii, malformed, unsigned


@dataclass(frozen=True, slots=True)
class Stall:
    """Share of time over the last 10, 60 and 300 seconds in per cent, and the total in microseconds."""

    avg10_pct: float
    avg60_pct: float
    avg300_pct: float
    total_usec: int


@dataclass(frozen=True, slots=True)
class Pressure:
    """Time in which some, and in which all non-idle tasks waited; None where the kernel has no such line."""

    some: Stall | None
    full: Stall | None


def parse_pressure(text: bytes, path: str = "/proc/pressure/memory") -> Pressure:
    """Parse the whole file.

    Raises:
        ParseError: A ``some`` or ``full`` line with a missing or broken figure.
    """
    stalls: dict[str, Stall] = {}
    for line in decode_ascii(text).split("\n"):
        kind, *pairs = line.split() or [""]
        if kind in ("some", "full"):
            stalls[kind] = _parse_stall(pairs, line, path)
    return Pressure(stalls.get("some"), stalls.get("full"))


def _parse_stall(pairs: list[str], line: str, path: str) -> Stall:
    values = {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    return Stall(
        _percentage(values, "avg10", line, path),
        _percentage(values, "avg60", line, path),
        _percentage(values, "avg300", line, path),
        unsigned(values.get("total", ""), path, line, "total"),
    )


def _percentage(values: dict[str, str], item: str, line: str, path: str) -> float:
    value = values.get(item, "")
    if not value.replace(".", "", 1).isdigit() or len(value) > 20:
        raise malformed(path, line, item, "a percentage such as 0.25")
    return float(value)
