"""A `Config` back to YAML, to be stored with an incident, or to plain values for JSON.

The YAML is written in the file's own keys and units: ``parse_config(to_yaml(config), name) == config``, but
for one that with all its defaults written out has become larger than a configuration may be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memwatchd.config.model import Config, SourceRate
from memwatchd.config.rules import AFTER, Step
from memwatchd.config.scalars import single_key, write_scalar
from memwatchd.keys import SINGLE, Key, Kind, keys_of

# All other kinds are written with letters, digits, '.', '-' and '%' only.
_QUOTED_KINDS = frozenset({Kind.TEXT, Kind.PATH, Kind.CGROUP})


def to_yaml(config: Config) -> str:
    """Write the whole configuration, defaults included, one key a line."""
    return "".join(f"{line}\n" for line in _section_lines(config))


def to_plain(config: Any) -> dict[str, Any]:
    """Turn the configuration into dicts, lists, text and numbers.

    Keys are the model's field names, whose unit is in the name (``before_ns``). A source is ``"auto"``,
    ``"off"`` or its rate in Hz. What is not set is left out.
    """
    return _plain_section(config)


def _plain_section(section: Any) -> dict[str, Any]:
    return {field: _plain(key, value) for field, key, value in _given(section)}


def _plain_step(step: Step) -> dict[str, Any]:
    after = {} if step.after_ns is None else {"after_ns": step.after_ns}
    return {**after, step.action.name: _plain_section(step.action)}


def _given(section: Any) -> Iterator[tuple[str, Key, Any]]:
    for field, key in keys_of(type(section)).items():
        value = getattr(section, field)
        # A text that is not given cannot be written: an empty one is none.
        if value is not None and not (value == "" and key.kind is Kind.TEXT):
            yield field, key, value


def _section_lines(section: Any) -> Iterator[str]:
    for _, key, value in _given(section):
        if key.kind is Kind.SECTION:
            yield f"{key.name}:"
            yield from (f"  {line}" for line in _section_lines(value))
        elif key.kind is Kind.LIST:
            yield f"{key.name}:{'' if value else ' []'}"
            for entry in value:
                yield from _item(_section_lines(entry))
        elif key.kind is Kind.TABLE:
            yield f"{key.name}:{'' if value else ' {}'}"
            for entry in value:
                yield f"  {_quoted(entry.name)}:"
                yield from (f"    {line}" for line in _section_lines(entry))
        elif key.kind is Kind.STEPS:
            yield f"{key.name}:{'' if value else ' []'}"
            for step in value:
                yield from _item(_step_lines(step))
        else:
            yield f"{key.name}: {value_text(key, value)}"


def _item(lines: Iterator[str]) -> Iterator[str]:
    first, *others = lines
    yield f"  - {first}"
    yield from (f"    {line}" for line in others)


def _step_lines(step: Step) -> Iterator[str]:
    if step.after_ns is not None:
        yield f"{AFTER.name}: {write_scalar(AFTER, step.after_ns)}"
    yield f"{step.action.name}:"
    yield from (f"  {line}" for line in _section_lines(step.action))


def value_text(key: Key, value: Any) -> str:
    """Write one value that is no section, list, table or list of steps, as it stands in a file."""
    if key.kind in SINGLE:
        return f"[{', '.join(_quoted(write_scalar(single_key(key), each)) for each in value)}]"
    if key.kind is Kind.EXPRESSION:
        return _quoted(value.text)
    return _scalar_text(key, value)


def _scalar_text(key: Key, value: Any) -> str:
    text = write_scalar(key, value)
    return _quoted(text) if key.kind in _QUOTED_KINDS else text


def _quoted(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if not character.isprintable():
        return f"\\U{ord(character):08X}"
    return character


def _plain(key: Key, value: Any) -> Any:
    if key.kind is Kind.SECTION:
        return _plain_section(value)
    if key.kind is Kind.LIST:
        return [_plain_section(entry) for entry in value]
    if key.kind is Kind.TABLE:
        return {entry.name: _plain_section(entry) for entry in value}
    if key.kind is Kind.STEPS:
        return [_plain_step(step) for step in value]
    if key.kind in SINGLE:
        return [write_scalar(single_key(key), each) for each in value]
    if key.kind is Kind.EXPRESSION:
        return value.text
    if isinstance(value, SourceRate):
        return value.mode if value.rate_hz is None else value.rate_hz
    if isinstance(value, Path):
        return write_scalar(key, value)
    return value
