"""What signals are read from: the present texts of a live sampler, of a ring or of an incident."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any, Protocol

# Reads a signal's present value; NaN while it is not there.
Reader = Callable[[], float]


class Text(Protocol):
    """A source's newest text, in the first `size` bytes of `buffer`.

    Both change from tick to tick, so they are asked anew each time; the bytes after `size` are old ones.
    """

    @property
    def buffer(self) -> bytes | bytearray:
        """Where the text lies."""

    @property
    def size(self) -> int:
        """Length of the text; negative before the first reading."""


@dataclass(slots=True)
class Pulse:
    """How the recorder itself did in the newest tick; NaN before the first one."""

    lag_ns: float = nan
    read_ns: float = nan
    missed: float = nan


@dataclass(slots=True)
class Recording:
    """All there is to read signals from.

    Attributes:
        texts: By source name. Watched sources come and go: whoever has bound readers binds them again then.
        entries: The catalogue's entry of each watched source, by source name.
        pulse: Renewed on every tick.
        page_size: Of the machine that made the recording, in bytes.
        shared: What several readers find out together, by a name of their family's own.
    """

    texts: Mapping[str, Text]
    entries: Mapping[str, Mapping[str, Any]]
    pulse: Pulse
    page_size: int
    shared: dict[str, Any] = field(default_factory=dict)
