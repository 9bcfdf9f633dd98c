"""What a person asks of an export, and choosing signals by it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from memwatchd.errors import NotFoundError
from memwatchd.incidents.recorded import Recorded
from memwatchd.signals.catalogue import MAIN_SIGNALS, find_signal
from memwatchd.signals.table import Table, any_of, read_table
from memwatchd.units import parse_duration

# A comma in the quotes of an odd name does not end it.
_PATTERN = re.compile(r'(?:[^,"]|"(?:[^"]|"")*")+')
_GLOB = re.compile(r"[*?\[]")
# What `show` draws, the zones against their watermarks, and what is watched.
MAIN = (
    *(signal.name for signal in MAIN_SIGNALS),
    *(f"zone.*.{field}" for field in ("free", "min", "low", "high")),
    *("swap.used", "pressure.full", "slab.top.bytes", "unaccounted"),
    *("process.*.rss", "process.*.position", "cgroup.*.usage", "cgroup.*.limit"),
)
ALL = ("*",)


def _untold(_share: float) -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an export shall hold.

    Attributes:
        patterns: Names of signals, or patterns as in fnmatch(3); empty for what the format takes by itself.
        every_ns: One row in such a span; None for what the format does by itself, 0 for every sample.
        tell: Is called with the share of the recording that has been read.
    """

    patterns: tuple[str, ...] = ()
    every_ns: int | None = None
    tell: Callable[[float], None] = _untold

    def table(self, recorded: Recorded, *, patterns: tuple[str, ...] = ALL, every_ns: int = 0) -> Table:
        """Read the signals that were asked for.

        Args:
            recorded: Where from.
            patterns: Which, where nobody asked.
            every_ns: How often, where nobody said.

        Raises:
            NotFoundError: There is no sample, or no signal of one of the names that were asked for.
        """
        table = read_table(
            recorded.moments(self.tell),
            recorded.page_size,
            any_of(self.patterns or patterns),
            every_ns=every_ns if self.every_ns is None else self.every_ns,
            zero_ns=recorded.zero_ns,
        )
        if not table.times_ns:
            raise NotFoundError(f"{recorded.name}: no samples in it")
        for pattern in self.patterns:
            if not any(name == pattern or fnmatchcase(name, pattern) for name in table.columns):
                if not _GLOB.search(pattern):
                    find_signal(pattern)  # says what may have been meant
                raise NotFoundError(f"{pattern}: no signal of this name has a value in {recorded.name}")
        return table


def parse_patterns(text: str) -> tuple[str, ...]:
    """Take ``zone.*.free,slab.dentry.*`` apart.

    Raises:
        ValueError: There is none in it, or a quote is open.
    """
    parts = _PATTERN.findall(text)
    if not parts or ",".join(parts) != text.strip(","):
        raise ValueError(f"expected names or patterns with commas between them, got {text[:80]!r}")
    return tuple(part.strip() for part in parts)


def parse_every(text: str) -> int:
    """Read ``--every``: nanoseconds.

    Raises:
        ValueError: It is no duration, or none at all.
    """
    every_ns = parse_duration(text)
    if not every_ns:
        raise ValueError("expected more than nothing")
    return every_ns
