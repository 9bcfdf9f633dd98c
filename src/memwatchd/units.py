"""Values with units, read and written after systemd's manner (systemd.time(7), systemd.resource-control(5)).

    size         16MiB  512M  1.5GiB  4096      K, M, G, T count in 1024s, with or without iB; plain: bytes
    duration     250ms  30s  5min  1h30m  90d   larger units first; plain: seconds
    rate         200Hz  0.5Hz  200
    percentage   5%  0.5%                       the sign is needed: 0.05 and 5 leave open what was meant

Numbers are plain decimals. ``010``, ``0x10``, ``1_000``, ``1e3`` and ``5:30``, of which YAML 1.1 makes 8, 16,
1000, text and 330, are no numbers here. JSON Schema understands the patterns as well.
"""

import re

NUMBER_PATTERN = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
# A number nobody would write by hand is refused by its length, before any arithmetic on it.
_MAX_CHARS = 64
_MAX_VALUE = (1 << 63) - 1

_SIZE_UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURATION_UNITS_NS = {
    "w": 7 * 86_400_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "min": 60_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_WRITTEN_UNITS = ("d", "h", "min", "s", "ms", "us", "ns")
_ANY_DURATION_UNIT = "min|ms|us|ns|w|d|h|m|s"

SIZE_PATTERN = rf"{NUMBER_PATTERN} ?(?:[KkMGT](?:i?B)?|B)?"
_DURATION_PATTERN = rf"{NUMBER_PATTERN} ?(?:{_ANY_DURATION_UNIT})"
DURATION_PATTERN = rf"{NUMBER_PATTERN}|{_DURATION_PATTERN}(?: ?{_DURATION_PATTERN})*"
RATE_PATTERN = rf"{NUMBER_PATTERN} ?(?:Hz)?"
PERCENTAGE_PATTERN = rf"{NUMBER_PATTERN} ?%"

_SIZE = re.compile(rf"({NUMBER_PATTERN}) ?([KkMGTB]?)(?:i?B)?")
_DURATION_PART = re.compile(rf"({NUMBER_PATTERN}) ?({_ANY_DURATION_UNIT})?")


def parse_size(text: str) -> int:
    """Read a size in bytes, rounded down to a whole one.

    Raises:
        ValueError: No size, or one beyond 2^63 - 1 bytes; says what was expected.
    """
    expected = "a size such as 16MiB, 512M or a number of bytes"
    text = _checked(text, SIZE_PATTERN, expected)
    match = _SIZE.fullmatch(text)
    assert match is not None
    return _whole(_scaled(match[1]) * _SIZE_UNITS[match[2].upper()], text, expected)


def format_size(size_bytes: int) -> str:
    """Write a size in the largest unit that needs no fraction."""
    unit = next(
        (letter for letter in "TGMK" if size_bytes and size_bytes % _SIZE_UNITS[letter] == 0),
        "B",
    )
    return f"{size_bytes // _SIZE_UNITS[unit]}{unit if unit == 'B' else unit + 'iB'}"


def parse_duration(text: str) -> int:
    """Read a duration in nanoseconds, rounded down to a whole one.

    Raises:
        ValueError: No duration, units out of order, or beyond 292 years; says what was expected.
    """
    expected = "a duration such as 250ms, 30s, 5min, 1h30m or a number of seconds"
    text = _checked(text, DURATION_PATTERN, expected)
    total, last_unit_ns = 0, _MAX_VALUE
    for number, unit in _DURATION_PART.findall(text):
        unit_ns = _DURATION_UNITS_NS[unit or "s"]
        if unit_ns >= last_unit_ns:
            raise ValueError(f"expected {expected}, larger units first; got {quoted(text)}")
        total, last_unit_ns = total + _scaled(number) * unit_ns, unit_ns
    return _whole(total, text, expected)


def format_duration(duration_ns: int) -> str:
    """Write a duration exactly, in as many units as that takes, for example ``1h30min``."""
    parts: list[str] = []
    for unit in _WRITTEN_UNITS:
        count, duration_ns = divmod(duration_ns, _DURATION_UNITS_NS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_rate(text: str) -> float:
    """Read a rate in Hz.

    Raises:
        ValueError: No rate; says what was expected.
    """
    text = _checked(text, RATE_PATTERN, "a rate such as 200Hz or 0.5Hz")
    return float(text.removesuffix("Hz"))


def format_rate(rate_hz: float) -> str:
    """Write a rate so that reading it gives the same number."""
    return f"{_plain_decimal(rate_hz)}Hz"


def parse_percentage(text: str) -> float:
    """Read a percentage; ``5%`` is 5.0.

    Raises:
        ValueError: No percentage, or no percent sign; says what was expected.
    """
    text = _checked(text, PERCENTAGE_PATTERN, "a percentage such as 5%")
    return float(text.removesuffix("%"))


def format_percentage(value_pct: float) -> str:
    """Write a percentage so that reading it gives the same number."""
    return f"{_plain_decimal(value_pct)}%"


def quoted(text: str) -> str:
    """Show a piece of a stranger's text on one line, cut to a readable length."""
    return repr(text if len(text) <= 40 else text[:39] + "…")


def format_bytes(size: float) -> str:
    """Write a size with three digits and a binary unit."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:,.3g} TiB" if abs(value) < 999.5 else f"{value:,.0f} TiB"


def printable(text: str) -> str:
    """Make a stranger's name safe for a terminal and a log line."""
    if text.isprintable():  # nearly always, and ten times as fast
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _checked(text: str, pattern: str, expected: str) -> str:
    if len(text) > _MAX_CHARS or re.fullmatch(pattern, text.strip(" ")) is None:
        raise ValueError(f"expected {expected}; got {quoted(text)}")
    return text.strip(" ")


def _scaled(number: str) -> int:
    """Read a decimal number exactly, in units of 10^-_MAX_CHARS."""
    whole, _, decimals = number.partition(".")
    return int(whole + decimals) * int(10 ** (_MAX_CHARS - len(decimals)))


def _whole(scaled: int, text: str, expected: str) -> int:
    if scaled > _MAX_VALUE * 10**_MAX_CHARS:
        raise ValueError(f"expected {expected}, below 2^63 bytes or nanoseconds; got {quoted(text)}")
    return int(scaled // 10**_MAX_CHARS)


def _plain_decimal(value: float) -> str:
    # repr is the shortest text that reads back as the same float.
    text = repr(float(value))
    if "e" in text:
        from decimal import Decimal  # large, and rarely needed; the sampler reads units, too

        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def _escape(char: str) -> str:
    code = ord(char)
    # surrogateescape keeps a byte that is no UTF-8 as U+DC00 + byte.
    return f"\\x{code & 0xFF:02x}" if code < 0x100 or 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
