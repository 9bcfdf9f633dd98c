"""What can be done about it, and how that is written in a configuration: from the actions' own tables."""

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from memwatchd.actions.base import Action
from memwatchd.config.dump import value_text
from memwatchd.config.scalars import expectation
from memwatchd.keys import Key, Kind, keys_of
from memwatchd.views.text import columns

_DEADLINE = "deadline"
_MARKDOWN_HEAD = """# What memwatchd can do

Printed by `memwatchd actions --markdown`; `memwatchd actions NAME` shows one. Each action is a step of a
rule's `actions`. At the start memwatchd checks that what its actions need is there, and says what is missing.
Every action has a `deadline`; its outcome, with figures, is in the journal and in the incident.
"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One key of an action.

    Attributes:
        key: Dotted, for one of a section within the action: ``select.comm``.
        default: As written in the file; None where there is none.
    """

    key: str
    expected: str
    default: str | None
    required: bool
    doc: str


@dataclass(frozen=True, slots=True)
class Description:
    """All that is to be said of an action.

    Attributes:
        text: Paragraphs, with one blank line between them.
        needs: Rights and kernel features.
        example: YAML, as it would stand under a rule's ``actions``.
    """

    name: str
    summary: str
    text: str
    needs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    example: str = field(default="")


def describe(action: type[Action]) -> Description:
    """Gather what is to be said of an action."""
    text, *_ = inspect.cleandoc(action.__doc__ or "").partition("\nAttributes:")
    parameters = sorted(_parameters(action), key=lambda each: each.key == _DEADLINE)
    example = "\n".join(_example(action))
    return Description(action.name, action.summary, text.strip(), action.needs, tuple(parameters), example)


def render_list(actions: Iterable[type[Action]]) -> str:
    """Write one line for each."""
    return "\n".join(columns([[action.name, action.summary] for action in actions])) + "\n"


def render(description: Description) -> str:
    """Write one for a terminal."""
    lines = [f"{description.name}: {description.summary}", "", *_plain(description.text)]
    lines += ["", "Needs", *(f"  {need}" for need in description.needs or ("nothing",))]
    lines += ["", "Parameters"]
    for each in description.parameters:
        lines += [f"  {each.key}: {_value(each)}", f"      {each.doc}"]
    lines += ["", "Example", *(f"  {line}" for line in description.example.splitlines())]
    return "\n".join(lines) + "\n"


def markdown(actions: Iterable[type[Action]]) -> str:
    """Write all of them as a document."""
    descriptions = [describe(action) for action in actions]
    rows = [f"| [{each.name}](#{each.name}) | {each.summary} |" for each in descriptions]
    table = "\n".join(["| action | |", "|---|---|", *rows])
    return "\n".join([_MARKDOWN_HEAD, table, *map(_section, descriptions)])


def _section(description: Description) -> str:
    rows = [
        f"| `{each.key}` | {_cell(each.expected)} | {_default(each)} | {_cell(each.doc)} |"
        for each in description.parameters
    ]
    parts = [
        f"\n## {description.name}",
        _rendered(description.text),
        f"Needs: {'; '.join(description.needs) or 'nothing'}.",
        "\n".join(["| key | is | default | |", "|---|---|---|---|", *rows]),
        f"```yaml\n{description.example}\n```\n",
    ]
    return "\n\n".join(parts)


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return "–" if parameter.default is None else f"`{_cell(parameter.default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _value(parameter: Parameter) -> str:
    if parameter.required:
        return f"{parameter.expected}; required"
    return parameter.expected if parameter.default is None else f"{parameter.expected}; {parameter.default}"


def _rendered(text: str) -> str:
    """Turn the docstring's literal blocks and double backquotes into Markdown's."""
    return re.sub(r"::$", ":", text, flags=re.MULTILINE).replace("``", "`")


def _plain(text: str) -> list[str]:
    return re.sub(r"::$", ":", text, flags=re.MULTILINE).replace("`", "").splitlines()


def _parameters(section: type[Any], prefix: str = "") -> Iterator[Parameter]:
    """Give the keys of a section and of the sections within it."""
    keys = keys_of(section)
    for each in fields(section):
        key = keys.get(each.name)
        if key is None:
            continue
        path = f"{prefix}{key.name}"
        if key.of is not None:
            yield from _parameters(key.of, f"{path}[]." if key.kind is Kind.LIST else f"{path}.")
            continue
        default = each.default if each.default_factory is MISSING else each.default_factory()
        required = key.required or default is MISSING
        yield Parameter(path, expectation(key), None if required else _text(key, default), required, key.doc)


def _text(key: Key, value: Any) -> str | None:
    return None if value in (None, "", ()) else value_text(key, value)


def _example(action: type[Action]) -> list[str]:
    """Write a step with an example for each key of its own; of those of which one is given, the first."""
    lines: list[str] = []
    groups: set[str] = set()
    for key in keys_of(action).values():
        if key.name == _DEADLINE or (key.one_of and key.one_of in groups):
            continue
        groups.add(key.one_of)
        if key.kind is Kind.SECTION and key.of is not None:
            first = next(iter(keys_of(key.of).values()))
            lines += [f"    {key.name}:", f"      {first.name}: {_quoted(first)}"]
        elif key.of is None:
            lines.append(f"    {key.name}: {_quoted(key)}")
    return [f"- {action.name}:", *lines] if lines else [f"- {action.name}"]


def _quoted(key: Key) -> str:
    """Quote what YAML would read as something else."""
    return key.example if re.fullmatch(r"[\w/.%-]+", key.example) else f'"{key.example}"'
