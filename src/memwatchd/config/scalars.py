"""One value of the file: its text to the model's value and back, by the kind of its key.

What a value must look like is said in one place, `expectation`: every message names kind, bounds and example.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memwatchd import units
from memwatchd.config.model import SourceRate
from memwatchd.config.serving import read_listen, write_listen
from memwatchd.keys import SINGLE, Key, Kind

# JSON Schema understands these as well. C0, DEL and C1 cannot be shown, and a NUL ends a path early.
_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
TEXT_PATTERN = rf"[^{_CONTROLS}]+"
PATH_PATTERN = rf"/[^{_CONTROLS}]*"
# Joined to the cgroup root later on, so it must not lead out of it. One spelling for one cgroup.
CGROUP_PATTERN = rf"/|(?:/(?!\.\.?(?:/|$))[^/{_CONTROLS}]+)+"
# Of what stands in a TABLE.
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}"

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
# Only an escape can make one; they cannot be written anywhere.
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Codec:
    """How a kind is named in a message, read and written; the text of `read`'s ValueError is not shown."""

    noun: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def read_scalar(key: Key, text: str) -> Any:
    """Read one value.

    Args:
        key: The table's entry; its kind is that of a single value.
        text: The value as it stands in the file, without quotes.

    Raises:
        ValueError: What was expected, and what was found, in one line.
    """
    try:
        value = _read_words(key, text) if key.choices else _CODECS[key.kind].read(text)
    except ValueError:
        raise ValueError(f"expected {expectation(key)}; got {units.quoted(text)}") from None
    if not _within(key, value):
        reason = f" ({key.why})" if key.why else ""
        raise ValueError(f"expected {expectation(key)}; got {units.quoted(text)}{reason}")
    return value


def write_scalar(key: Key, value: Any) -> str:
    """Write one value so that `read_scalar` gives it back."""
    return _CODECS[key.kind].write(value)


def single_key(key: Key) -> Key:
    """Make the key of one value of a kind that has several."""
    return replace(key, kind=SINGLE[key.kind], minimum=None, maximum=None)


def expectation(key: Key) -> str:
    """Say what a key's value should look like: ``a rate from 1Hz to 1000Hz, for example 200Hz``."""
    if key.choices:
        return f"one of {', '.join(key.choices)}"
    if key.kind in _SEVERAL:
        return _SEVERAL[key.kind] + (f", for example {key.example}" if key.example else "")
    text = _CODECS[key.kind].noun + _bounds(key)
    if key.power_of_two:
        text += " that is a power of two"
    if key.max_bytes is not None:
        text += f", at most {key.max_bytes} bytes"
    return text if key.kind is Kind.BOOLEAN else f"{text}, for example {key.example}"


def _bounds(key: Key) -> str:
    write: Callable[[Any], str] = units.format_rate if key.kind is Kind.SOURCE else _CODECS[key.kind].write
    if key.maximum is None:
        return ""
    if key.exclusive_minimum is not None:
        return f" above {write(key.exclusive_minimum)} and up to {write(key.maximum)}"
    return f" from {write(key.minimum)} to {write(key.maximum)}"


def _within(key: Key, value: Any) -> bool:
    if key.max_bytes is not None:
        return len(str(value).encode()) <= key.max_bytes
    number: Any = value.rate_hz if isinstance(value, SourceRate) else value
    if key.maximum is None or number is None:
        return True
    if key.exclusive_minimum is not None and number <= key.exclusive_minimum:
        return False
    if key.minimum is not None and number < key.minimum:
        return False
    return bool(number <= key.maximum) and not (key.power_of_two and number & (number - 1))


def _read_words(key: Key, text: str) -> str:
    if text not in key.choices:
        raise ValueError
    return text


def _read_boolean(text: str) -> bool:
    # Not yes, on or 1: YAML 1.1 takes them for true and YAML 1.2 does not, and here nobody has to know which.
    return {"true": True, "false": False}[_read_words(_BOOLEAN_WORDS, text)]


_BOOLEAN_WORDS = Key(name="", kind=Kind.CHOICE, doc="", choices=("true", "false"))


def _read_integer(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise ValueError
    return int(text)


def _read_text(text: str) -> str:
    if re.fullmatch(TEXT_PATTERN, text) is None or _SURROGATE.search(text):
        raise ValueError
    return text


def _read_path(text: str) -> Path:
    return Path(_matching(PATH_PATTERN, text))


def _read_cgroup(text: str) -> str:
    return _matching(CGROUP_PATTERN, text)


def _matching(pattern: str, text: str) -> str:
    if re.fullmatch(pattern, text) is None:
        raise ValueError
    return _read_text(text)


def _read_source(text: str) -> SourceRate:
    if text == "auto":
        return SourceRate("auto")
    if text == "off":
        return SourceRate("off")
    return SourceRate("fixed", units.parse_rate(text))


def _write_source(value: SourceRate) -> str:
    return value.mode if value.rate_hz is None else units.format_rate(value.rate_hz)


def _write_boolean(value: bool) -> str:
    return "true" if value else "false"


# Kinds that are no single value, or read elsewhere.
_SEVERAL = {
    Kind.SECTION: "a mapping",
    Kind.LIST: "a list of mappings",
    Kind.TABLE: "a mapping from names",
    Kind.STEPS: "a list of actions",
    Kind.WORDS: "one or several texts",
    Kind.ADDRESSES: "one or several addresses: host:port, or the path of a Unix socket",
    Kind.EXPRESSION: "a condition",
}

_CODECS = {
    Kind.SIZE: _Codec("a size", units.parse_size, units.format_size),
    Kind.DURATION: _Codec("a duration", units.parse_duration, units.format_duration),
    Kind.RATE: _Codec("a rate", units.parse_rate, units.format_rate),
    Kind.SOURCE: _Codec("auto, off or a rate", _read_source, _write_source),
    Kind.PERCENTAGE: _Codec("a percentage", units.parse_percentage, units.format_percentage),
    Kind.BOOLEAN: _Codec("true or false", _read_boolean, _write_boolean),
    Kind.INTEGER: _Codec("a whole number", _read_integer, str),
    Kind.TEXT: _Codec("a printable text", _read_text, str),
    Kind.PATH: _Codec("an absolute path", _read_path, str),
    Kind.CGROUP: _Codec("the path of a cgroup, beginning with /", _read_cgroup, str),
    Kind.LISTEN: _Codec(
        "host:port with an IPv6 address in brackets, or the path of a Unix socket", read_listen, write_listen
    ),
    Kind.CHOICE: _Codec("one of the words", _read_text, str),
}
