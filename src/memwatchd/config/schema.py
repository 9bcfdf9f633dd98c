"""The JSON Schema of a configuration file, for editors: generated from the table of keys, as everything else.

``etc/memwatchd.schema.json`` holds it; a file that begins with

    # yaml-language-server: $schema=memwatchd.schema.json

is then completed and checked while it is written. Draft 2020-12, of which only what older drafts have too is
used. An editor sees values typed as in YAML 1.2 and the loader sees their text, so wherever the loader takes
a plain number the schema does too. What goes beyond types, patterns and bounds (contradictions between keys,
signals in conditions) only ``memwatchd check`` can say.
"""

import json
from dataclasses import MISSING, fields
from typing import Any

from memwatchd import units
from memwatchd.actions.base import Action
from memwatchd.actions.registry import ACTIONS
from memwatchd.config.model import Config
from memwatchd.config.rules import AFTER
from memwatchd.config.scalars import (
    CGROUP_PATTERN,
    NAME_PATTERN,
    PATH_PATTERN,
    TEXT_PATTERN,
    expectation,
    single_key,
    write_scalar,
)
from memwatchd.config.serving import LISTEN_PATTERN
from memwatchd.expression.parse import MAX_CHARS
from memwatchd.keys import SINGLE, Key, Kind, keys_of

Schema = dict[str, Any]

_STEP = "step"
_NUMBERS = ["string", "number"]
# Of the kinds with a unit: pattern of the text, and the unit of a number without one.
_UNITS = {
    Kind.SIZE: (units.SIZE_PATTERN, 1),
    Kind.DURATION: (units.DURATION_PATTERN, 1_000_000_000),
    Kind.RATE: (units.RATE_PATTERN, 1),
    Kind.SOURCE: (f"auto|off|{units.RATE_PATTERN}", 1),
}
_PATTERNS = {
    Kind.PERCENTAGE: units.PERCENTAGE_PATTERN,
    Kind.PATH: PATH_PATTERN,
    Kind.CGROUP: CGROUP_PATTERN,
    Kind.LISTEN: LISTEN_PATTERN,
}
# Kinds whose default is the model's value itself; of all others it is its text.
_VALUES = (Kind.INTEGER, Kind.BOOLEAN)
_HOLDERS = (Kind.SECTION, Kind.LIST, Kind.TABLE, Kind.STEPS)


def json_schema() -> Schema:
    """Make the schema of a configuration file.

    Drop-ins have the same keys, but need not be complete: a rule in a drop-in may do without its condition.
    """
    definitions: Schema = {}
    root = _section(Config, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of memwatchd",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Write the schema as it stands in ``etc/memwatchd.schema.json``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(of: type[Any], definitions: Schema) -> Schema:
    defaults = {each.name: each.default for each in fields(of)}
    keys = keys_of(of)
    required = [key.name for key in keys.values() if key.required]
    groups = sorted({key.one_of for key in keys.values() if key.one_of})
    schema: Schema = {
        # Where nothing has to be given, nothing may be.
        "type": "object" if required or groups else ["object", "null"],
        "properties": {key.name: _property(key, defaults[field], definitions) for field, key in keys.items()},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    if groups:
        schema["allOf"] = [
            _exactly_one([key.name for key in keys.values() if key.one_of == group]) for group in groups
        ]
    return schema


def _exactly_one(names: list[str]) -> Schema:
    return {"oneOf": [{"required": [name]} for name in names]}


def _property(key: Key, default: Any, definitions: Schema) -> Schema:
    shown = _default(key, default)
    return {
        "description": _description(key),
        **_value(key, definitions),
        **({} if shown is None else {"default": shown}),
    }


def _description(key: Key) -> str:
    if key.kind in _HOLDERS:
        return key.doc
    expected = expectation(key)
    return f"{key.doc} {expected[0].upper()}{expected[1:]}."


def _default(key: Key, value: Any) -> Any:
    """Give a default as it would stand in the file; None when there is none to show."""
    if value in (MISSING, None, "") or key.kind in _HOLDERS:
        return None
    if key.kind in _VALUES:
        return value
    if key.kind in SINGLE:
        return [write_scalar(single_key(key), each) for each in value]
    return write_scalar(key, value)


def _value(key: Key, definitions: Schema) -> Schema:
    most = None if key.maximum is None else int(key.maximum)
    match key.kind:
        case Kind.SECTION:
            return _reference(key.of, definitions)
        case Kind.LIST:
            return {
                "type": ["array", "null"],
                "items": _reference(key.of, definitions),
                "maxItems": most,
            }
        case Kind.TABLE:
            return {
                "type": ["object", "null"],
                "propertyNames": {"pattern": _whole(NAME_PATTERN)},
                "additionalProperties": _reference(key.of, definitions),
                "maxProperties": most,
            }
        case Kind.STEPS:
            if _STEP not in definitions:
                definitions[_STEP] = {}
                definitions[_STEP] = _step(definitions)
            return {"type": ["array", "null"], "items": {"$ref": f"#/$defs/{_STEP}"}, "maxItems": most}
        case Kind.WORDS | Kind.ADDRESSES:
            one = _scalar(single_key(key))
            several: Schema = {"type": ["array", "null"], "items": one, "maxItems": most}
            if key.minimum is not None:
                several |= {"type": "array", "minItems": int(key.minimum)}
            return {"anyOf": [one, several]}
        case _:
            return _scalar(key)


def _scalar(key: Key) -> Schema:
    if key.choices:
        return {"enum": list(key.choices)}
    if key.kind in _UNITS:
        pattern, unit = _UNITS[key.kind]
        return {"type": _NUMBERS, "pattern": _whole(pattern), **_bounds(key, unit)}
    match key.kind:
        case Kind.INTEGER:
            return {"type": "integer", **_bounds(key, 1)}
        case Kind.BOOLEAN:
            return {"type": "boolean"}
        case Kind.TEXT:
            return _text(key)
        case Kind.EXPRESSION:
            return {"type": "string", "minLength": 1, "maxLength": MAX_CHARS}
    return {"type": "string", "pattern": _whole(_PATTERNS[key.kind]), **_length(key)}


def _text(key: Key) -> Schema:
    # A text may look like a number or a truth: comm: 7z, comm: 42, comm: true.
    return {"type": ["string", "number", "boolean"], "pattern": _whole(TEXT_PATTERN), **_length(key)}


def _length(key: Key) -> Schema:
    # Characters here, and bytes for the loader: never more characters than bytes.
    return {} if key.max_bytes is None else {"maxLength": key.max_bytes}


def _bounds(key: Key, unit: int) -> Schema:
    """Give the bounds of a plain number; those of a text with a unit stand in the description only."""
    bounds = {
        "minimum": key.minimum,
        "exclusiveMinimum": key.exclusive_minimum,
        "maximum": key.maximum,
    }
    return {name: _number(bound / unit) for name, bound in bounds.items() if bound is not None}


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


def _reference(of: type[Any] | None, definitions: Schema) -> Schema:
    """Refer to a section by its class, which is described once."""
    assert of is not None
    name = f"actions.{of.name}" if issubclass(of, Action) else of.__name__
    if name not in definitions:
        definitions[name] = {}
        definitions[name] = _section(of, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _step(definitions: Schema) -> Schema:
    """Describe one action of a chain: ``dump``, or ``{after: 1s, dump: {}}``."""
    properties: Schema = {AFTER.name: {"description": _description(AFTER), **_value(AFTER, definitions)}}
    for name, action in ACTIONS.items():
        properties[name] = {"description": action.summary, **_reference(action, definitions)}
    return {
        "anyOf": [
            {"enum": [name for name, action in ACTIONS.items() if _needs_nothing(action)]},
            {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                **_exactly_one(list(ACTIONS)),
            },
        ]
    }


def _needs_nothing(action: type[Action]) -> bool:
    """Whether the action's name alone will do."""
    keys = keys_of(action).values()
    return not any(key.required or key.one_of for key in keys) and not list(action().problems())
