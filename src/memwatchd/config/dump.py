"""A `Config` back to YAML, to be stored with an incident, or to plain values for JSON.

The YAML is written in the file's own keys and units: ``parse_config(to_yaml(config), name) == config``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memwatchd.config.model import Config, Listen, SourceRate
from memwatchd.config.scalars import write_scalar
from memwatchd.keys import Key, Kind, keys_of

# All other kinds are written with letters, digits, '.', '-' and '%' only.
_QUOTED_KINDS = frozenset({Kind.TEXT, Kind.PATH, Kind.CGROUP, Kind.LISTEN})


def to_yaml(config: Config) -> str:
    """Write the whole configuration, defaults included, one key a line."""
    return "".join(f"{line}\n" for line in _section_lines(config))


def to_plain(config: Config) -> dict[str, Any]:
    """Turn the configuration into dicts, lists, text and numbers.

    Keys are the model's field names, whose unit is in the name (``before_ns``). A source is ``"auto"``,
    ``"off"`` or its rate in Hz. What is not set is left out.
    """
    return {field: _plain(key, value) for field, key, value in _given(config)}


def _given(section: Any) -> Iterator[tuple[str, Key, Any]]:
    for field, key in keys_of(type(section)).items():
        value = getattr(section, field)
        if value is not None:
            yield field, key, value


def _section_lines(section: Any) -> Iterator[str]:
    for _, key, value in _given(section):
        if key.kind is Kind.SECTION:
            yield f"{key.name}:"
            yield from (f"  {line}" for line in _section_lines(value))
        elif key.kind is Kind.LIST:
            yield f"{key.name}:{'' if value else ' []'}"
            for entry in value:
                first, *others = _section_lines(entry)
                yield f"  - {first}"
                yield from (f"    {line}" for line in others)
        else:
            yield f"{key.name}: {_scalar_text(key, value)}"


def _scalar_text(key: Key, value: Any) -> str:
    text = write_scalar(key, value)
    return f'"{"".join(map(_escaped, text))}"' if key.kind in _QUOTED_KINDS else text


def _escaped(character: str) -> str:
    if character in '"\\' or not character.isprintable():
        return f"\\U{ord(character):08X}"
    return character


def _plain(key: Key, value: Any) -> Any:
    if key.kind is Kind.SECTION:
        return {field: _plain(each, inner) for field, each, inner in _given(value)}
    if key.kind is Kind.LIST:
        return [{field: _plain(each, inner) for field, each, inner in _given(entry)} for entry in value]
    if isinstance(value, SourceRate):
        return value.mode if value.rate_hz is None else value.rate_hz
    if isinstance(value, Path | Listen):
        return write_scalar(key, value)
    return value
