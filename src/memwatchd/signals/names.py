"""Names of signals: parts with dots between them, odd parts in double quotes.

    meminfo.Active(anon)
    slab.kmalloc-64.bytes
    cgroup."/system.slice/foo.service".usage

Letters, digits and ``_ : @`` need no quotes, nor does a minus between them. Within quotes everything stands
for itself, but two quotes for one.
"""

import re
from collections.abc import Iterable

from memwatchd.errors import UnknownSignalError

_LIST = r"(?:Active|Inactive)\((?:anon|file)\)"
_BARE = re.compile(rf"{_LIST}|[\w:@]+(?:-[\w:@]+)*", re.ASCII)
_PART = re.compile(rf'({_LIST}|[\w:@-]+)|"((?:[^"]|"")*)"', re.ASCII)


def split_name(name: str) -> tuple[str, ...]:
    """Take a name apart.

    Raises:
        UnknownSignalError: A dot too many, a quote too few, or a character that needs quotes.
    """
    parts, at = [], 0
    while found := _PART.match(name, at):
        bare, quoted = found.groups()
        parts.append(bare if bare is not None else quoted.replace('""', '"'))
        at = found.end()
        if at == len(name):
            return tuple(parts)
        if name[at] != ".":
            break
        at += 1
    expected = 'expected names with dots between them, odd ones in quotes: cgroup."/a/b".usage'
    raise UnknownSignalError(name, expected)


def join_name(parts: Iterable[str]) -> str:
    """Put a name together; `split_name` takes it apart again."""
    return ".".join(
        part if _BARE.fullmatch(part) else f'"{part.replace(chr(34), chr(34) * 2)}"' for part in parts
    )
