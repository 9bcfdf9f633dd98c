"""Which parts of a log are worth reading: hundreds of megabytes may hold one report, or none.

A chunk is cold if it has none of the words below, whatever their case, and is then counted and forgotten. A
hundred lines before a hot chunk are read all the same, since what a balloon driver said last belongs to the
story, and some after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

# Every kind of event has more than one of them, for a terminal may have broken one in two.
WORDS = (
    b"out of memory",
    b"killed process",
    b"page allocation",
    b"mem-info",
    b"memory cgroup",
    b"_anon:",
    b"-rss:",
    b"lowmem",
    b"slub:",
    b"vmalloc",
    b"memory pressure",
    b"evict",
    b"nohang",
)
LINES_BEFORE = 100
LINES_AFTER = 300
_BYTES_BEFORE = 1 << 15
_OOM = b"oom"
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")


def is_hot(chunk: bytes) -> bool:
    """Whether a chunk may hold a part of an event. Costs one search through it for each word."""
    lower = chunk.lower()
    return any(word in lower for word in WORDS) or _says_oom(lower)


def _says_oom(lower: bytes) -> bool:
    """Whether ``oom`` stands there as a word of its own, not in *room*; ``earlyoom`` does."""
    at = lower.find(_OOM)
    while at >= 0:
        if at == 0 or lower[at - 1] not in _LETTERS or lower.endswith(b"early", 0, at):
            return True
        at = lower.find(_OOM, at + 3)
    return False


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the log.

    Attributes:
        chunk: Its bytes.
        cold: It is to be counted only; what comes next does not follow on what was read last.
    """

    chunk: bytes
    cold: bool


@dataclass(slots=True)
class Gate:
    """Lets those chunks through that are hot, and what is around them.

    Attributes:
        open_event: Whoever reads events has one open, and wants whatever comes.
    """

    open_event: bool = False
    _held: bytes = b""
    _begun: bool = False
    _after: bool = False

    def pass_through(self, chunk: bytes) -> Iterator[Part]:
        """Say of a chunk what is to be read of it, and of the one before it that was held back."""
        if not self._begun or is_hot(chunk):
            yield from self._release(_tail(self._held))
            yield Part(chunk, cold=False)
            self._begun = self._after = True
        elif self.open_event:
            yield Part(chunk, cold=False)
            self._after = True
        else:
            yield from self._release(len(self._held))
            end = _head(chunk) if self._after else 0
            if end:
                yield Part(chunk[:end], cold=False)
            self._held, self._after = chunk[end:], False

    def close(self) -> Iterator[Part]:
        """End the stream."""
        yield from self._release(len(self._held))

    def _release(self, cold: int) -> Iterator[Part]:
        """Give away what is held back, as much of it cold."""
        if cold:
            yield Part(self._held[:cold], cold=True)
        if cold < len(self._held):
            yield Part(self._held[cold:], cold=False)
        self._held = b""


def _head(chunk: bytes) -> int:
    """Where the first lines of a chunk end."""
    end = 0
    for _ in range(LINES_AFTER):
        found = chunk.find(b"\n", end)
        if found < 0:
            return len(chunk)
        end = found + 1
    return end


def _tail(chunk: bytes) -> int:
    """Where the last lines of a chunk begin."""
    lowest = max(0, len(chunk) - _BYTES_BEFORE)
    cut = end = len(chunk)
    for _ in range(LINES_BEFORE + 1):
        found = chunk.rfind(b"\n", lowest, end)
        if found < 0:
            return 0 if lowest == 0 else cut
        cut, end = found + 1, found
    return cut
