"""Nodes and zones: watermarks, reserves, free blocks.

::

    Node 0 active_anon:12484kB inactive_anon:204kB … shmem_thp: 0kB … all_unreclaimable? no          since 4.8
    DMA free:1120kB min:128kB low:160kB high:192kB active:6208kB … all_unreclaimable? no             2.6.16
    Node 0 DMA32 free:3948kB min:3956kB low:4944kB high:5932kB … all_unreclaimable? yes              until 4.7
    Node 0 Normal free:43528kB boost:0kB min:44028kB low:122864kB … free_cma:0kB                     since 4.8
    lowmem_reserve[]: 0 972 972 972
    Node 0 DMA32: 934*4kB (UM) 28*8kB (U) 0*16kB … 0*4096kB = 3960kB
    Normal: 830*4kB 80*8kB … 1*4096kB = 8056kB
    HighMem: empty

Reserves are pages, everything else is kB. The smallest block is a page.
"""

import re
from dataclasses import dataclass

from memwatchd.oomreport.report import FreeBlocks, Node
from memwatchd.oomreport.statements._amounts import DIGITS, amounts_kb, integer

_ZONE = r"(?:Node (?P<node>\d{1,5}) )?(?P<name>DMA32|DMA|Normal|HighMem|Movable|Device)"
_ZONE_LINE = re.compile(rf"{_ZONE} free: ?\d")
_NODE_LINE = re.compile(r"Node (?P<node>\d{1,5}) (?:hugepages_total=)?(?=[A-Za-z_]+: ?\d+ ?kB)")
_BLOCKS_LINE = re.compile(rf"{_ZONE}: (?=empty|{DIGITS}[*_]\d)")
_PER_CPU = re.compile(
    rf"(?:{_ZONE} per-cpu:)|(?:CPU +\d+: (?:Hot: )?hi:)|(?:cpu \d+ (?:hot|cold): )", re.IGNORECASE
)
_RESERVE = re.compile(r"(?:lowmem_reserve|protections)\[\]:((?: -?\d{1,20})*)")
# A blank may have come into the middle of a size where lines were put together by hand, and a forum's markup
# may have taken the asterisks for emphasis: "1_4kB 0_8kB".
_BLOCK = re.compile(rf"({DIGITS})[*_]({DIGITS}(?: \d{{1,4}})?)kB(?: \(([A-Z]{{1,8}})\))?")
_SUM = re.compile(rf"= ({DIGITS})kB")
_UNRECLAIMABLE = re.compile(r"all_unreclaimable\? ?(yes|no)")


@dataclass(frozen=True, slots=True)
class ZoneFigures:
    """The line of a zone; ``is_cut`` when its end is missing."""

    node: int | None
    name: str
    amounts_kb: dict[str, int]
    all_unreclaimable: bool | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ZoneBlocks:
    """The line of a zone's free blocks; ``is_cut`` when its sum is missing."""

    node: int | None
    name: str
    blocks: dict[int, FreeBlocks]
    block_kb: int | None
    total_kb: int | None
    is_cut: bool


def parse_zone(text: str) -> ZoneFigures | None:
    """Read a zone's figures."""
    found = _ZONE_LINE.match(text)
    if found is None:
        return None
    amounts = amounts_kb(text)
    # `present` has been on every kernel's line, behind the watermarks.
    return ZoneFigures(
        integer(found["node"]), found["name"], amounts, _unreclaimable(text), "present" not in amounts
    )


def parse_node(text: str, line: int) -> Node | None:
    """Read a node's figures."""
    found = _NODE_LINE.match(text)
    if found is None:
        return None
    return Node(int(found["node"]), amounts_kb(text), _unreclaimable(text), line)


def parse_reserve(text: str) -> tuple[int, ...] | None:
    """Read the reserves of the zone whose line came before, in pages."""
    found = _RESERVE.match(text)
    return None if found is None else tuple(int(number) for number in found[1].split())


def parse_blocks(text: str) -> ZoneBlocks | None:
    """Read a zone's free blocks by order."""
    found = _BLOCKS_LINE.match(text)
    if found is None:
        return None
    rows = [
        (int(count), int(size.replace(" ", "")), types or "") for count, size, types in _BLOCK.findall(text)
    ]
    total = _SUM.search(text)
    page_kb = min((size for _, size, _ in rows), default=None)
    blocks: dict[int, FreeBlocks] = {}
    for count, size, types in rows:
        # Sizes are powers of two times a page; anything else is a line whose pieces do not belong together.
        order = (size // page_kb).bit_length() - 1 if page_kb else 0
        if page_kb and page_kb << order == size:
            blocks.setdefault(order, FreeBlocks(count, types))
    is_cut = total is None and "empty" not in text
    return ZoneBlocks(
        integer(found["node"]), found["name"], blocks, page_kb, integer(total and total[1]), is_cut
    )


def is_per_cpu(text: str) -> bool:
    """Whether a line is about the pages that processors keep at hand, which no finding needs."""
    return _PER_CPU.match(text) is not None


def _unreclaimable(text: str) -> bool | None:
    found = _UNRECLAIMABLE.search(text)
    return None if found is None else found[1] == "yes"
