"""Which of a source's signals may have another value now: those whose lines are not as they were.

From one sample to the next few of the lines of a kernel file change: in the storm of a lab's slab leak 19 of
the 172 of vmstat, 12 of zoneinfo's 160, 5 of slabinfo's 178. So what is read again is what stands in such a
line; by the same readers as ever.

A line has keys, and so has a signal that is read from certain lines; where they meet, it is read again. What
has no keys is read again whenever its source is.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import compress, count
from operator import ne

from memwatchd.signals.cursor import encode
from memwatchd.signals.family import Parts
from memwatchd.signals.recording import Recording
from memwatchd.signals.slabinfo import TOP
from memwatchd.signals.zoneplace import WORST, TightestZone

Key = Hashable
# What a line begins with as long as it is the same one, and its keys.
_Line = tuple[bytes, tuple[Key, ...]]

_STAT = "memory.stat"
_DERIVED = {
    "managed": ("managed",),
    "unboosted_min": ("min", "boost"),
    "protection": ("protection",),
    "margin": ("free", "min", "boost", "protection"),
    "headroom": ("free", "min", "boost"),
    "room": ("free", "min", "boost", "protection"),
    "ratio": ("free", "high", "boost"),
}
# Read from lines of the whole node.
_OF_NODE = ("kernel_file", "slab_reclaimable")
_ANY_ZONE, _KERNEL_ZONES = ("any",), ("kernel",)


class Lines:
    """Finds the lines of a source that have changed since the last text.

    Args:
        describe: Says of each line what it begins with, and its keys.
    """

    def __init__(self, describe: Callable[[Sequence[bytes]], Iterable[_Line]]) -> None:
        self._describe = describe
        self._lines: list[bytes] = []
        self._known: list[_Line] = []

    def changed(self, text: bytes) -> set[Key] | None:
        """Take the next text; None when there are other lines now, so that anything may have changed."""
        before, lines = self._lines, text.split(b"\n")
        self._lines = lines
        if len(lines) != len(before):
            self._learn()
            return None
        keys: set[Key] = set()
        for place in compress(count(), map(ne, lines, before)):
            head, its_keys = self._known[place]
            if not lines[place].startswith(head):
                self._learn()
                return None
            keys.update(its_keys)
        return keys

    def _learn(self) -> None:
        self._known = list(self._describe(self._lines))


class ZoneLines:
    """The same for zoneinfo, where some signals are of whichever zone is the tightest."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._lines = Lines(self._describe)
        self._names: dict[str, list[int]] = {}
        self._chosen: dict[str, int] = {}

    def changed(self, text: bytes) -> set[Key] | None:
        """See `Lines.changed`."""
        keys = self._lines.changed(text)
        chosen = {name: self._choose(name, text) for name in self._names}
        before, self._chosen = self._chosen, chosen
        # A zone without pages has no signals: one that has its first has new ones.
        if keys is None or any(isinstance(key, tuple) and key[-1] == "present" for key in keys):
            return None
        for name, block in chosen.items():
            if before.get(name) != block:
                keys.add((name,))  # all that is said of the tightest one
        for key in [key for key in keys if isinstance(key, tuple) and len(key) == 4]:
            _, block, zone, field = key
            keys.update((name, field) for name in (zone, WORST) if chosen.get(name) == block)
        return keys

    def _choose(self, name: str, text: bytes) -> int:
        at = TightestZone.of(self._recording, name).locate(text, len(text))
        return -1 if at < 0 else text.count(b"\nNode ", 0, at)

    def _describe(self, lines: Sequence[bytes]) -> Iterator[_Line]:
        self._names = {WORST: []}
        block, where, of_node = -1, ("", ""), False
        for line in lines:
            if line.startswith(b"Node "):
                node, _, zone = line[5:].partition(b", zone")
                where = (node.decode("ascii", "replace"), zone.strip().decode("utf-8", "surrogateescape"))
                self._names.setdefault(where[1], [])
                block += 1
                yield line, ()
                continue
            of_node = line == b"  per-node stats" or (of_node and not line.startswith(b"  pages free"))
            yield _zone_line(line, where, block, of_node=of_node)


def _zone_line(line: bytes, where: tuple[str, str], block: int, *, of_node: bool) -> _Line:
    """A line of a zone, or of a node where the counters of nodes stand above those of their first zone."""
    words = line.split()
    names = {word.rstrip(b":").decode("ascii", "replace") for word in (*words[:1], *words[-2:-1])}
    place = max(map(line.find, words[-2:-1]), default=0)
    head = line[: place + len(words[-2])] if len(words) > 1 and words[0] != b"protection:" else line[:16]
    if of_node:
        return head, tuple(key for name in names for key in (("node", name), ("node", where[0], name)))
    keys: list[Key] = []
    for name in names:
        keys += [(*where, name), ("zone", block, where[1], name)]
    return head, tuple(keys)


def _meminfo(lines: Sequence[bytes]) -> Iterator[_Line]:
    for line in lines:
        name, colon, _ = line.partition(b":")
        yield name + colon, (name,)


def _counters(lines: Sequence[bytes]) -> Iterator[_Line]:
    for line in lines:
        name, blank, _ = line.partition(b" ")
        yield name + blank, (name,)


def _caches(lines: Sequence[bytes]) -> Iterator[_Line]:
    for line in lines:
        words = line.partition(b" : tunables ")[0].rsplit(None, 5)
        yield (words[0] + b" ", (words[0],)) if len(words) == 6 else (line, ())


def _buddies(lines: Sequence[bytes]) -> Iterator[_Line]:
    for line in lines:
        words = line.replace(b",", b" ", 1).split()
        if len(words) < 4:
            yield line, ()
            continue
        node, zone = words[1].decode("ascii", "replace"), words[3].decode("utf-8", "surrogateescape")
        head = line[: line.find(words[3]) + len(words[3]) + 1]
        yield head, (_ANY_ZONE, _KERNEL_ZONES, (zone,), (node, zone))


_DESCRIBED: dict[str, Callable[[Sequence[bytes]], Iterable[_Line]]] = {
    "meminfo": _meminfo,
    "vmstat": _counters,
    "slabinfo": _caches,
    "buddyinfo": _buddies,
}


def follow_lines(source: str, recording: Recording) -> Lines | ZoneLines | None:
    """Make what finds the changed lines of a source; None for one that is read anew as a whole."""
    if source == "zoneinfo":
        return ZoneLines(recording)
    describe = _DESCRIBED.get(source)
    if describe is None and source.startswith("cgroup/") and source.endswith(f"/{_STAT}"):
        describe = _counters
    return None if describe is None else Lines(describe)


def keys_of(parts: Parts) -> tuple[Key, ...]:
    """Keys of the lines a signal is read from, by the parts of its name; none when that may be any line."""
    family, *rest = parts
    match family, *rest:
        case ("meminfo" | "vmstat", field):
            return (encode(field),)
        case ("swap", _):
            return (b"SwapTotal", b"SwapFree")
        case ("slab", cache, _) if cache != TOP:
            return (encode(cache),)
        case ("cgroup", _, "stat", field):
            return (encode(field),)
        case ("buddy", *where, _):
            return (tuple(where),)
        case ("node", *_):
            return (tuple(parts),)
        case ("zone", *where, field) if field not in _OF_NODE:
            fields = (*_DERIVED.get(field, (field,)), "present")
            chosen: tuple[Key, ...] = (tuple(where),) if len(where) == 1 else ()
            return (*chosen, *((*where, each) for each in fields))
    return ()
