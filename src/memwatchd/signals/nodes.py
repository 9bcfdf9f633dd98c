"""node: the counters that belong to a NUMA node and to no zone of it, as the kernel prints them.

    node.0.nr_active_anon   of one node; 1.6 µs
    node.nr_active_anon     of all nodes together; 5 µs, 1 µs for each further node

Since 4.8; before, all counters were those of zones.
"""

import re
from collections.abc import Iterator
from math import nan

from memwatchd.procfs.zoneinfo import parse_zoneinfo
from memwatchd.signals.cursor import ZONE, encode, line_number
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, absent
from memwatchd.signals.vmstat import counter_meaning, describe_counter

_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z]\w*", re.ASCII)
_HEADING = b"\n  per-node stats\n"


class _NodeCounter:
    """A counter of one node, or of all; the counters stand below the heading of a zone of the node.

    Args:
        node: None for the sum over all nodes.
    """

    __slots__ = ("_at", "_line", "_needle")

    def __init__(self, node: str | None, field: str) -> None:
        self._line = None if node is None else b"Node %d, zone " % int(node)
        self._needle = b"\n      " + encode(field) + b" "
        self._at = 0

    def read(self, text: Buffer, size: int) -> int | None:
        if self._line is None:
            figures = [
                figure
                for at in _headings(text, size, 0)
                if (figure := self._figure(text, size, at)) is not None
            ]
            return sum(figures) if figures else None
        if not self._is_heading(text, size, self._at):
            wanted = (at for at in _headings(text, size, 0) if self._is_heading(text, size, at))
            self._at = next(wanted, 0)
            if self._at == 0:
                return None
        return self._figure(text, size, self._at)

    def _is_heading(self, text: Buffer, size: int, at: int) -> bool:
        """Whether the counters of the wanted node begin there: the line above is the heading of a zone."""
        return text.startswith(_HEADING, at, size) and text.startswith(
            self._line or b"", text.rfind(b"Node ", 0, at), size
        )

    def _figure(self, text: Buffer, size: int, heading_at: int) -> int | None:
        at = text.find(self._needle, heading_at, size)
        if at < 0 or text.find(ZONE, heading_at, at) >= 0:
            return None
        return line_number(text, at + len(self._needle), size)


def _headings(text: Buffer, size: int, start: int) -> Iterator[int]:
    at = text.find(_HEADING, start, size)
    while at >= 0:
        yield at
        at = text.find(_HEADING, at + 1, size)


def _find(parts: Parts) -> Signal | None:
    *nodes, field = parts
    if len(nodes) > 1 or not all(map(_NUMBER.fullmatch, nodes)) or not _FIELD.fullmatch(field):
        return None
    node = nodes[0] if nodes else None
    unit, grows = describe_counter(field)

    def bind(recording: Recording) -> Reader:
        text = recording.texts.get("zoneinfo")
        if text is None:
            return absent
        source, counter = text, _NodeCounter(node, field)

        def reader() -> float:
            size = source.size
            value = None if size < 0 else counter.read(source.buffer, size)
            return nan if value is None else float(value)

        return reader

    place = "all nodes" if node is None else f"node {node}"
    meaning = f"{counter_meaning(field)}, of {place}"
    name = join_name(("node", *parts))
    return Signal(name, unit, "/proc/zoneinfo", meaning, ("zoneinfo",), bind, grows)


def _names(recording: Recording) -> Iterator[Parts]:
    zoneinfo = parsed(recording, "zoneinfo", parse_zoneinfo)
    nodes = () if zoneinfo is None else zoneinfo.nodes
    for field in dict.fromkeys(field for node in nodes for field in node.counters):
        yield (field,)
    for node in nodes:
        yield from ((str(node.node), field) for field in node.counters)


NODES = Family(("node.FIELD", "node.NODE.FIELD"), _find, _names)
