r"""The swap areas that are on.

Path ``/proc/swaps``, printed by ``swap_show`` in ``mm/swapfile.c``; blanks, tabs, newlines and backslashes
of a name are written as octal numbers, and a file that has been removed meanwhile has `` (deleted)`` behind
its name::

    Filename                                Type            Size            Used            Priority
    /var/swap\040file                       file            1048572         2048            -2

"""

import re
from dataclasses import dataclass

from memwatchd.procfs._text import decode_name, malformed, signed, unsigned

_OCTAL = re.compile(rb"\\([0-7]{3})")
_DELETED = rb"\040(deleted)"


@dataclass(frozen=True, slots=True)
class SwapArea:
    """One of them.

    Attributes:
        path: As the kernel names it, bytes that are no UTF-8 as surrogates.
        kind: ``file`` or ``partition``.
        priority: Higher ones are used first; those the kernel chose itself are negative.
    """

    path: str
    kind: str
    size_bytes: int
    used_bytes: int
    priority: int


def parse_swaps(text: bytes, path: str = "/proc/swaps") -> tuple[SwapArea, ...]:
    """Parse every line but the heading, in the file's order.

    Raises:
        ParseError: A line has not five words, or a broken number.
    """
    return tuple(_parse_line(line, path) for line in text.split(b"\n")[1:] if line)


def _parse_line(line: bytes, path: str) -> SwapArea:
    words = line.split()
    if len(words) != 5:
        raise malformed(path, line, "area", "name, type, size, used and priority")
    name = _OCTAL.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), words[0].removesuffix(_DELETED))
    return SwapArea(
        decode_name(name),
        decode_name(words[1]),
        unsigned(words[2], path, line, "Size") << 10,
        unsigned(words[3], path, line, "Used") << 10,
        signed(words[4], path, line, "Priority"),
    )
