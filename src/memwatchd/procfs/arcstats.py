"""ZFS's own cache: how large it is, wants to be and may be, and what has happened in it.

Path ``/proc/spl/kstat/zfs/arcstats``, printed by ``module/zfs/arc.c`` of OpenZFS through its kstat layer: a
line of kstat's own, a heading, then name, type and value::

    9 1 0x01 123 33456 4203829145 8216373474
    name                            type data
    hits                            4    1275462
    c_min                           4    1073741824
    size                            4    8571190904

Which lines there are changes from release to release.
"""

from collections.abc import Mapping

from memwatchd.procfs._text import decode_ascii, signed

# KSTAT_DATA_INT32, UINT32, INT64, UINT64, LONG and ULONG of kstat.h; the others are characters and strings.
NUMERIC_TYPES = ("1", "2", "3", "4", "5", "6")


def parse_arcstats(text: bytes, path: str = "/proc/spl/kstat/zfs/arcstats") -> Mapping[str, int]:
    """Parse every line that has a number, into values by name, in the file's order.

    Raises:
        ParseError: A line of a numeric type has no proper number.
    """
    values: dict[str, int] = {}
    for line in decode_ascii(text).split("\n"):
        words = line.split()
        if len(words) == 3 and words[1] in NUMERIC_TYPES and not words[0].isdigit():
            values[words[0]] = signed(words[2], path, line, words[0])
    return values
