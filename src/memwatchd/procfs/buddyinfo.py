"""How many free blocks of each order a zone has: fragmentation.

Path ``/proc/buddyinfo``, printed by ``frag_show_print`` in ``mm/vmstat.c``::

    Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3
    Node 0, zone   Normal    965    916   1114    936    623    318    243    132     61     24    178

Unchanged since 2.6. The number of columns is MAX_ORDER (11 on x86, other values on other architectures; since
6.4 the constant is one less and the columns are the same). A figure of more than six digits moves its column,
but a blank always follows it.
"""

from dataclasses import dataclass
from itertools import count

from memwatchd.procfs._text import decode_ascii, malformed, unsigned, unsigned_row


@dataclass(frozen=True, slots=True)
class BuddyZone:
    """Free blocks of one zone.

    Attributes:
        free_blocks: Number of free blocks of 2**index pages.
    """

    node: int
    zone: str
    free_blocks: tuple[int, ...]

    @property
    def free_pages(self) -> int:
        """Free pages in all orders; without those in the per-CPU lists."""
        return sum(blocks << order for order, blocks in enumerate(self.free_blocks))


def parse_buddyinfo(text: bytes, path: str = "/proc/buddyinfo") -> tuple[BuddyZone, ...]:
    """Parse every ``Node`` line, in the file's order; other lines are headings and skipped.

    Raises:
        ParseError: A ``Node`` line without node, zone name or figures, or with a broken one.
    """
    lines = decode_ascii(text).split("\n")
    return tuple(_parse_line(line, path) for line in lines if line.startswith("Node "))


def _parse_line(line: str, path: str) -> BuddyZone:
    node, separator, rest = line[5:].partition(", zone ")
    zone, *figures = rest.split() or [""]
    if not separator or not zone or zone[0].isdigit() or not figures:
        raise malformed(path, line, "zone", "Node N, zone NAME and the free blocks of each order")
    blocks = unsigned_row(figures, path, line, map("order {}".format, count()))
    return BuddyZone(unsigned(node.strip(), path, line, "Node"), zone, blocks)
