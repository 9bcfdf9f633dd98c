"""The zones of every node: watermarks, sizes, counters; and the per-node counters, which belong to no zone.

Path ``/proc/zoneinfo``, printed by ``zoneinfo_show_print`` in ``mm/vmstat.c``::

    Node 0, zone      DMA
      per-node stats
          nr_inactive_anon 976
      pages free     3840
            min      58
            protection: (0, 3019, 4299, 4299, 4299)
          nr_free_pages 3840
      pagesets
        cpu: 0
                  count:    0
      vm stats threshold: 4
      node_unreclaimable:  0
      start_pfn:           1

What changed: ``prev_priority`` until 2.6.35; ``managed`` since 3.9; until 4.7 everything is per zone, ends in
``all_unreclaimable``/``inactive_ratio``, and ``scanned`` stands between the watermarks; since 4.8 "per-node
stats" under the first populated zone of a node; since 4.12 ``protection`` stands before the counters, and
zones without a page are printed, ending there; since 4.14 the NUMA counters come after the others; ``cma``
since 5.12, ``boost`` since 5.19, ``promo`` since about 6.12; after ``start_pfn`` more lines may follow
(``reserved_highatomic``). Counters come and go with every release. All sizes are pages.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat

from memwatchd.procfs._text import (
    SAFE_DIGITS,
    decode_ascii,
    is_number,
    malformed,
    signed,
    unsigned,
    unsigned_row,
)

_SIZES = frozenset(("free", "boost", "min", "low", "high", "promo", "spanned", "present", "managed", "cma"))
_COUNTER_PREFIXES = ("nr_", "numa_", "workingset_", "pgpromote_", "pgdemote_")
_ZONE_ENDINGS = frozenset(
    (
        "start_pfn",
        "all_unreclaimable",
        "node_unreclaimable",
        "prev_priority",
        "inactive_ratio",
        "node_inactive_ratio",
        "reserved_highatomic",
        "free_highatomic",
    )
)
_PROTECTION = re.compile(r"^ *protection:(.*)$", re.MULTILINE)
# The lines of one CPU are indented by four and more, or have blanks before the colon ("vm stats threshold:").
_AFTER_PAGESETS = re.compile(r"\n  (\w+):(.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone of one node; sizes in pages, None where this kernel does not print them.

    Attributes:
        protection_pages: lowmem_reserve, one figure for each zone type an allocation may have come down from.
        counters: Everything else by the kernel's name: ``nr_*``, ``numa_*``, and where there are such lines
            ``scanned``, ``all_unreclaimable``, ``node_unreclaimable``, ``inactive_ratio`` and the like.
        start_pfn: First page frame; None for a zone without pages.
    """

    node: int
    name: str
    free_pages: int
    boost_pages: int | None
    min_pages: int
    low_pages: int
    high_pages: int
    promo_pages: int | None
    spanned_pages: int
    present_pages: int
    managed_pages: int | None
    cma_pages: int | None
    protection_pages: tuple[int, ...]
    counters: Mapping[str, int]
    start_pfn: int | None


@dataclass(frozen=True, slots=True)
class NodeStats:
    """The counters of one node, by the kernel's name, mostly in pages (``nr_kernel_stack`` in KiB)."""

    node: int
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Zoneinfo:
    """All zones and nodes in the file's order; `nodes` is empty before 4.8."""

    zones: tuple[Zone, ...]
    nodes: tuple[NodeStats, ...]


def parse_zoneinfo(text: bytes, path: str = "/proc/zoneinfo") -> Zoneinfo:
    """Parse the whole file, about 0.5 µs a line; the page sets of the CPUs are skipped unread.

    Raises:
        ParseError: A zone's heading, size or counter is broken, or a size that all kernels print is missing.
    """
    zones: list[Zone] = []
    nodes: list[NodeStats] = []
    _, *blocks = ("\n" + decode_ascii(text)).split("\nNode ")
    for block in blocks:
        head, _, tail = block.partition("\n  pagesets")
        heading, _, sizes = head.partition("\n  pages ")
        heading, *node_lines = heading.split("\n")
        node, name = _parse_heading(heading, path)
        if node_counters := _parse_counters(node_lines, path):
            nodes.append(NodeStats(node, node_counters))
        values = _parse_counters(sizes.split("\n"), path)
        values.update(_parse_endings(tail, path))
        zones.append(_build_zone(node, name, values, _parse_protection(sizes, path), path))
    return Zoneinfo(tuple(zones), tuple(nodes))


def _parse_heading(heading: str, path: str) -> tuple[int, str]:
    node, _, name = heading.partition(", zone")
    line = f"Node {heading}"
    if not name.strip():
        raise malformed(path, line, "zone", "Node N, zone NAME")
    return unsigned(node, path, line, "Node"), name.strip()


def _parse_counters(lines: Iterable[str], path: str) -> dict[str, int]:
    values: dict[str, int] = {}
    for line in lines:
        parts = line.split()
        if len(parts) == 2 and parts[1].isdigit() and len(parts[1]) <= SAFE_DIGITS:
            values[parts[0]] = int(parts[1])
        elif parts:
            _store_odd_line(values, line, path)
    return values


def _store_odd_line(values: dict[str, int], line: str, path: str) -> None:
    name, value, *_ = [*line.split(), ""]
    if name in _SIZES or name.startswith(_COUNTER_PREFIXES):
        values[name] = signed(value, path, line, name)
    elif is_number(value):
        values[name] = int(value)  # "scanned  0 (aa: 0 ia: 0 af: 0 if: 0)", 2.6.28 to 2.6.31


def _parse_protection(sizes: str, path: str) -> tuple[int, ...]:
    found = _PROTECTION.search(sizes)
    if found is None:
        return ()
    figures = found[1].strip().removeprefix("(").removesuffix(")")
    return unsigned_row(figures.split(", "), path, found[0], repeat("protection"))


def _parse_endings(tail: str, path: str) -> dict[str, int]:
    values: dict[str, int] = {}
    for found in _AFTER_PAGESETS.finditer(tail):
        name, value = found[1], found[2].strip()
        if name in _ZONE_ENDINGS or is_number(value):
            values[name] = signed(value, path, found[0][1:], name)
    return values


def _build_zone(node: int, name: str, values: dict[str, int], protection: tuple[int, ...], path: str) -> Zone:
    def required(item: str) -> int:
        if item not in values:
            raise malformed(path, f"Node {node}, zone {name}", item, "the line to be there")
        return values.pop(item)

    return Zone(
        node=node,
        name=name,
        free_pages=required("free"),
        boost_pages=values.pop("boost", None),
        min_pages=required("min"),
        low_pages=required("low"),
        high_pages=required("high"),
        promo_pages=values.pop("promo", None),
        spanned_pages=required("spanned"),
        present_pages=required("present"),
        managed_pages=values.pop("managed", None),
        cma_pages=values.pop("cma", None),
        protection_pages=protection,
        start_pfn=values.pop("start_pfn", None),
        counters=values,
    )
