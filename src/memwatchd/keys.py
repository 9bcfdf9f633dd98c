"""The table of what may stand in a configuration: one `Key` for every field of a dataclass.

Every field carries a `Key` that says what stands in the file for it: name, kind, bounds, one sentence of
explanation. Reading, writing, the error messages and the JSON Schema are all derived from these, whoever
declares them: the sections of the configuration, rules and the parameters of actions.

No YAML and no parsing in this module: processes that must stay small import it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a key's value looks like in the file, and what it becomes.

    SECTION     a mapping                       the dataclass `Key.of`
    LIST        a list of mappings              a tuple of `Key.of`
    TABLE       a mapping from names            a tuple of `Key.of`, each with its `name`
    STEPS       a list of actions               a tuple of `memwatchd.config.model.Step`
    EXPRESSION  ``rate(x, 1s) > 5MiB/s``        `memwatchd.expression.parse.Expression`
    SIZE        ``16MiB``                       int, bytes
    DURATION    ``30s``                         int, nanoseconds
    RATE        ``200Hz``                       float, Hz
    SOURCE      ``auto``, ``off``, ``20Hz``     SourceRate
    PERCENTAGE  ``5%``                          float, per cent
    BOOLEAN     ``true``, ``false``             bool
    INTEGER     ``-999``                        int
    TEXT        any text                        str
    PATH        ``/run/foo.pid``                Path, absolute
    CGROUP      ``/system.slice/foo.service``   str, as in /proc/PID/cgroup
    LISTEN      ``127.0.0.1:10973``             Listen
    ADDRESSES   one LISTEN, or a list of them   a tuple of Listen
    CHOICE      one of `Key.choices`            str
    WORDS       one text, or a list of texts    a tuple of str
    """

    SECTION = "section"
    LIST = "list"
    TABLE = "table"
    STEPS = "steps"
    EXPRESSION = "expression"
    SIZE = "size"
    DURATION = "duration"
    RATE = "rate"
    SOURCE = "source"
    PERCENTAGE = "percentage"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    TEXT = "text"
    PATH = "path"
    CGROUP = "cgroup"
    LISTEN = "listen"
    ADDRESSES = "addresses"
    CHOICE = "choice"
    WORDS = "words"


# Kinds of which the file has one value or a list of them: what each is.
SINGLE = {Kind.WORDS: Kind.TEXT, Kind.ADDRESSES: Kind.LISTEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the file holds for one field.

    Attributes:
        name: The key in the file.
        doc: One sentence for the reader of the file.
        example: A value as written in the file, for error messages.
        minimum: Smallest value, in the field's unit; None for no bound; for ADDRESSES the number of entries.
        maximum: Largest value, in the field's unit; for LIST, TABLE, STEPS, WORDS and ADDRESSES the number of
            entries.
        exclusive_minimum: The value must be larger than this.
        power_of_two: Only powers of two will do.
        max_bytes: Longest text, in bytes of UTF-8.
        choices: The words a CHOICE may be.
        one_of: Of all keys of a section that name the same group, exactly one must be given.
        why: The reason for the bounds, where it is not plain to see.
        of: The dataclass of a SECTION, or of the entries of a LIST or TABLE.
        required: It has no default; the section is not complete without it.
        appended: Entries of a drop-in are added to those of the file before, and do not replace them.
    """

    name: str
    kind: Kind
    doc: str
    example: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    power_of_two: bool = False
    max_bytes: int | None = None
    choices: tuple[str, ...] = ()
    one_of: str = ""
    why: str = ""
    of: type[Any] | None = None
    required: bool = False
    appended: bool = False


# How the entries of a list and of a table are named in a dotted path.
_ENTRY = {Kind.LIST: "[]", Kind.TABLE: ".NAME"}


def key(name: str, kind: Kind, doc: str, **more: Any) -> dict[str, Key]:
    """Make the metadata of a field; `more` are further attributes of its `Key`."""
    return {"key": Key(name=name, kind=kind, doc=doc, **more)}


def section_key(name: str, of: type[Any], doc: str) -> dict[str, Key]:
    """Make the metadata of a field that is a section of its own."""
    return key(name, Kind.SECTION, doc, of=of)


def keys_of(section: type[Any]) -> dict[str, Key]:
    """Say which keys a section of the configuration has: `Key` by the name of the dataclass field."""
    return {each.name: each.metadata["key"] for each in fields(section) if "key" in each.metadata}


def walk_keys(section: type[Any], prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Give all keys below a section with their dotted paths, parents first.

    Keys of a list's entries are given once, as ``watch[].comm``.
    """
    for each in keys_of(section).values():
        path = f"{prefix}{each.name}"
        yield path, each
        if each.of is not None:
            yield from walk_keys(each.of, f"{path}{_ENTRY.get(each.kind, '')}.")
