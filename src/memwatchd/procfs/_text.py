"""What every parser needs: decoding that cannot fail, numbers read strictly, and ``name value`` files.

Numbers are read strictly because Python is generous: ``int()`` takes underscores, signs, blanks and the
digits of every script. Text is therefore decoded as ASCII with surrogateescape where only numbers are wanted:
a stray byte becomes a lone surrogate, which is neither a digit nor white space.
"""

import re
from collections.abc import Iterable

from memwatchd.errors import ParseError

UINT64_MAX = 2**64 - 1
# 20 digits may or may not fit into 64 bits; 19 always do, which is the one comparison the fast paths make.
SAFE_DIGITS = 19

_KEY = re.compile(r"[a-z][a-z0-9_.]*", re.ASCII)


def decode_ascii(text: bytes) -> str:
    """Decode a file of which only the kernel's own words and numbers are wanted; never fails."""
    return text.decode("ascii", "surrogateescape")


def decode_name(raw: bytes) -> str:
    """Decode a name given by a stranger (process, cgroup, slab cache); `encode_name` takes it back."""
    return raw.decode("utf-8", "surrogateescape")


def encode_name(name: str) -> bytes:
    """Return the bytes that `decode_name` was given."""
    return name.encode("utf-8", "surrogateescape")


def name_from_ascii(text: str) -> str:
    """Decode a name that was cut out of what `decode_ascii` returned."""
    return text if text.isascii() else decode_name(text.encode("ascii", "surrogateescape"))


def malformed(path: str, line: str | bytes, item: str, expected: str) -> ParseError:
    """Build the error for one line, decoding it where necessary."""
    return ParseError(path, decode_name(line) if isinstance(line, bytes) else line, item, expected)


def unsigned(value: str | bytes, path: str, line: str | bytes, item: str) -> int:
    """Read a decimal number from 0 to 2**64 - 1.

    Raises:
        ParseError: Anything else, including signs, underscores and nothing at all.
    """
    if value.isascii() and value.isdigit() and len(value) <= SAFE_DIGITS + 1:
        number = int(value)
        if number <= UINT64_MAX:
            return number
    raise malformed(path, line, item, "a number from 0 to 2^64-1")


def unsigned_row(figures: list[str], path: str, line: str, items: Iterable[str]) -> tuple[int, ...]:
    """Read a row of figures that come from `decode_ascii` and a split, faster than one by one.

    Raises:
        ParseError: One of them is no number from 0 to 2**64 - 1; it is called by its name in `items`.
    """
    # Each has a digit at least, so if they are this short together none can have more than SAFE_DIGITS.
    joined = "".join(figures)
    if joined.isdigit() and len(joined) < SAFE_DIGITS + len(figures) and all(figures):
        return tuple(map(int, figures))
    return tuple(unsigned(figure, path, line, item) for figure, item in zip(figures, items, strict=False))


def signed(value: str | bytes, path: str, line: str | bytes, item: str) -> int:
    """Read a decimal number as `unsigned` does, with or without a minus sign.

    Raises:
        ParseError: Anything else.
    """
    minus: str | bytes = "-" if isinstance(value, str) else b"-"
    if value[:1] == minus:
        return -unsigned(value[1:], path, line, item)
    return unsigned(value, path, line, item)


def is_number(value: str) -> bool:
    """Tell whether `signed` would take it."""
    digits = value.removeprefix("-")
    return (
        digits.isascii() and digits.isdigit() and len(digits) <= SAFE_DIGITS + 1 and int(digits) <= UINT64_MAX
    )


def kilobytes(value: bytes, path: str, line: bytes, item: str) -> int:
    """Read ``  1628 kB`` and return bytes.

    Raises:
        ParseError: No number, or another unit.
    """
    parts = value.split()
    if len(parts) < 2 or parts[1] != b"kB":
        raise malformed(path, line, item, "a number of kB")
    return unsigned(parts[0], path, line, item) << 10


def parse_flat(text: bytes, path: str) -> dict[str, int]:
    """Parse a file of ``name value`` lines, in the file's order.

    A line counts as recognisable, and its number must be right, where it begins with a lower-case name and
    holds at most one more word. Anything else is unknown and ignored.

    Raises:
        ParseError: A recognisable line whose number is broken or missing.
    """
    values: dict[str, int] = {}
    for line in decode_ascii(text).split("\n"):
        name, _, value = line.partition(" ")
        if value.isdigit() and len(value) <= SAFE_DIGITS:
            values[name] = int(value)
        elif line:
            _store_odd_line(values, line, path)
    values.pop("", None)
    return values


def _store_odd_line(values: dict[str, int], line: str, path: str) -> None:
    parts = line.split()
    if not parts or not _KEY.fullmatch(parts[0]):
        return
    value = parts[1] if len(parts) > 1 else ""
    if len(parts) <= 2 or is_number(value):
        values[parts[0]] = signed(value, path, line, parts[0])
