"""The configuration file to a `Config`, or to every problem it has.

    memwatchd.yaml:3:9: sampling.rate: expected a rate from 1Hz to 1000Hz, for example 200Hz; got '5 apples'

The tree of the file is walked along the table of keys in `model`. Nothing is guessed: a value is read from
its source text by the kind of its key, so YAML's own opinion on ``on``, ``5:30`` and ``010`` never matters.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memwatchd.config.checks import conflicts
from memwatchd.config.model import Config
from memwatchd.config.nodes import Broken, Mapping, Mark, Node, Scalar, Sequence, read_tree
from memwatchd.config.scalars import expectation, read_scalar
from memwatchd.errors import ConfigError
from memwatchd.keys import Key, Kind, keys_of
from memwatchd.units import quoted

MAX_FILE_BYTES = 1 << 20

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: Name of the file as it was given.
        line: Counted from 1; None if the file could not be read at all.
        column: Counted from 1; None as above.
        key: Dotted path of the key; empty if it is not about one.
        message: What was expected and what was found.
    """

    file: str
    line: int | None
    column: int | None
    key: str
    message: str

    def __str__(self) -> str:
        position = "" if self.line is None else f":{self.line}:{self.column}"
        return f"{self.file}{position}: {self.key + ': ' if self.key else ''}{self.message}"


class InvalidConfigError(ConfigError):
    """A configuration with problems; its text has one line for each."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load_config(path: Path | None) -> Config:
    """Read a configuration file.

    Args:
        path: None for the built-in defaults; a path that was asked for must exist.

    Raises:
        InvalidConfigError: It cannot be read, or is wrong; carries all problems.
    """
    if path is None:
        return Config()
    try:
        with path.open("rb") as file:
            # One byte more shows that there is more, whatever the size of a pipe or a growing file.
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(str(path), f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the path
        raise _unreadable(str(path), f"cannot be read: {error}") from error
    return parse_config(raw, str(path))


def parse_config(text: str | bytes, name: str) -> Config:
    """Read a configuration.

    Args:
        text: The whole file; an empty one means the defaults.
        name: What to call it in messages.

    Raises:
        InvalidConfigError: It is wrong; carries all problems, in the order of the file.
    """
    if len(text) > MAX_FILE_BYTES:
        raise _unreadable(name, f"expected at most {MAX_FILE_BYTES} bytes")
    tree = read_tree(text)
    walk = _Walk(name)
    for flaw in tree.flaws:
        walk.complain(flaw.mark, "", flaw.message)
    config: Config = walk.section(Config, tree.root, "") if tree.root is not None else Config()
    walk.check(config)
    if walk.problems:
        raise InvalidConfigError(tuple(sorted(walk.problems, key=lambda each: (each.line, each.column))))
    return config


def _unreadable(name: str, message: str) -> InvalidConfigError:
    return InvalidConfigError((Problem(name, None, None, "", message),))


class _Walk:
    """One pass over a tree: builds the model and notes what is wrong.

    A value that is wrong is replaced by its default, so that one pass finds everything; as soon as there is a
    problem the model is thrown away.
    """

    def __init__(self, name: str) -> None:
        self.problems: list[Problem] = []
        self._name = name
        self._marks: dict[str, Mark] = {}
        self._wrong: set[str] = set()

    def complain(self, mark: Mark, path: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(self._name, mark.line, mark.column, path, message))
        self._wrong.add(path)

    def section(self, of: type[Any], node: Node, path: str) -> Any:
        """Read a mapping as one of the model's dataclasses."""
        keys = keys_of(of)
        if isinstance(node, Broken) or (isinstance(node, Scalar) and node.nothing):
            return of()
        if not isinstance(node, Mapping):
            names = ", ".join(key.name for key in keys.values())
            self.complain(
                node.mark, path, f"expected a mapping with any of the keys {names}; got {_found(node)}"
            )
            return of()
        fields = {key.name: (field, key) for field, key in keys.items()}
        given = self._pairs(node, list(fields), path)
        self._check_groups(node, list(keys.values()), list(given), path)
        values: dict[str, Any] = {}
        for name, value_node in given.items():
            field, key = fields[name]
            self._value(values, field, key, value_node, _joined(path, name))
        return of(**values)

    def check(self, config: Config) -> None:
        """Note the keys that contradict each other, unless one of them is wrong by itself."""
        for conflict in conflicts(config):
            if self._wrong & {conflict.key, conflict.other}:
                continue
            mark = self._marks.get(conflict.key)
            got = conflict.got if mark else f"{conflict.got}, the default"
            self.complain(
                mark or self._marks[conflict.other], conflict.key, f"expected {conflict.expected}; got {got}"
            )

    def _pairs(self, node: Mapping, known: list[str], path: str) -> dict[str, Node]:
        given: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.pairs:
            if isinstance(key_node, Broken):
                continue
            if not isinstance(key_node, Scalar):
                self.complain(key_node.mark, path, f"expected a key; got {_found(key_node)}")
                continue
            name = key_node.text
            if name in lines:
                message = f"expected each key once; it stands on line {lines[name]} already"
                self.complain(key_node.mark, _joined(path, name), message)
                continue
            lines[name] = key_node.mark.line
            if name in known:
                given[name] = value_node
            else:
                self.complain(key_node.mark, _joined(path, name), f"unknown key; {_suggestion(name, known)}")
        return given

    def _check_groups(self, node: Mapping, keys: list[Key], given: list[str], path: str) -> None:
        for group in sorted({key.one_of for key in keys if key.one_of}):
            names = [key.name for key in keys if key.one_of == group]
            found = [name for name in names if name in given]
            if len(found) != 1:
                got = " and ".join(found) or "none"
                self.complain(node.mark, path, f"expected exactly one of {', '.join(names)}; got {got}")

    def _value(self, values: dict[str, Any], field: str, key: Key, node: Node, path: str) -> None:
        self._marks[path] = node.mark
        if isinstance(node, Broken):
            self._wrong.add(path)
        elif key.kind is Kind.SECTION:
            assert key.of is not None
            values[field] = self.section(key.of, node, path)
        elif key.kind is Kind.LIST:
            values[field] = self._entries(key, node, path)
        elif not isinstance(node, Scalar) or node.nothing:
            self.complain(node.mark, path, f"expected {expectation(key)}; got {_found(node)}")
        else:
            try:
                values[field] = read_scalar(key, node.text)
            except ValueError as error:
                self.complain(node.mark, path, str(error))

    def _entries(self, key: Key, node: Node, path: str) -> tuple[Any, ...]:
        assert key.of is not None
        assert key.maximum is not None
        if isinstance(node, Scalar) and node.nothing:
            return ()
        if not isinstance(node, Sequence):
            self.complain(node.mark, path, f"expected a list of mappings; got {_found(node)}")
            return ()
        if len(node.items) > key.maximum:
            self.complain(
                node.mark, path, f"expected at most {key.maximum:.0f} entries; got {len(node.items)}"
            )
        return tuple(self._entry(key.of, item, f"{path}[{place}]") for place, item in enumerate(node.items))

    def _entry(self, of: type[Any], node: Node, path: str) -> Any:
        # An empty section means its defaults; an empty entry of a list says nothing at all.
        if isinstance(node, Scalar) and node.nothing:
            node = Mapping(node.mark)
        return self.section(of, node, path)


def _found(node: Node) -> str:
    if isinstance(node, Scalar):
        return "nothing" if node.nothing else quoted(node.text)
    return "a mapping" if isinstance(node, Mapping) else "a list"


def _joined(path: str, name: str) -> str:
    shown = name if _PLAIN_NAME.fullmatch(name) else quoted(name)
    return f"{path}.{shown}" if path else shown


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= 40 else []
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
