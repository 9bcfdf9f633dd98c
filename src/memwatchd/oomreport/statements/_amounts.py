"""Numbers with names, as all parts of a report print them."""

import re
from collections.abc import Mapping

# No number of the kernel has more than the 20 digits of 2^64; longer ones are damage, or an attack.
DIGITS = r"\d{1,20}"
# "active_anon:12kB", "isolated(file):0kB", "shmem_thp: 0kB", "reserved_highatomic:0KB". The unit must be
# there: a line cut short ends in digits that are not the whole number.
_AMOUNT = re.compile(rf"([A-Za-z_]\w*(?:\((?:anon|file)\))?): ?(-?{DIGITS})[kK]B")
# "active_anon:15 mapped-anon:18", without a unit: pages.
_COUNT = re.compile(rf"([A-Za-z_][\w-]*):(-?{DIGITS})(?![\w.])")


def amounts_kb(text: str) -> dict[str, int]:
    """All amounts in kB; of several with one name the first."""
    return _first(_AMOUNT.findall(text))


def counts(text: str) -> dict[str, int]:
    """All numbers without a unit, by their names in lower case."""
    return _first([(name.lower(), digits) for name, digits in _COUNT.findall(text)])


def integer(text: str | None) -> int | None:
    """A number, or None for None."""
    return None if text is None else int(text)


def _first(pairs: list[tuple[str, str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, digits in pairs:
        found.setdefault(name, int(digits))
    return found


def renamed(amounts: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    """Those amounts that have a new name, under it."""
    return {new: amounts[old] for old, new in names.items() if old in amounts}
