"""Walking a tree of nodes along the table of keys: the model, and everything that is wrong.

Nothing is guessed: a value is read from its source text by the kind of its key, so YAML's own opinion on
``on``, ``5:30`` and ``010`` never matters. A value that is wrong is replaced by its default, so that one pass
finds everything; as soon as there is a complaint the model is thrown away.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from memwatchd.actions.base import Action
from memwatchd.actions.registry import ACTIONS
from memwatchd.config.checks import conflicts
from memwatchd.config.conditions import read_condition
from memwatchd.config.model import Config
from memwatchd.config.nodes import Broken, Mapping, Node, Scalar, Sequence
from memwatchd.config.positions import Mark
from memwatchd.config.rules import AFTER, Step
from memwatchd.config.scalars import NAME_PATTERN, expectation, read_scalar, single_key
from memwatchd.expression.parse import ExpressionError
from memwatchd.keys import Key, Kind, keys_of
from memwatchd.units import quoted

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
_ENTRY_NAME = re.compile(NAME_PATTERN)
_PLURAL = {Kind.WORDS: "texts", Kind.ADDRESSES: "addresses"}
_T = TypeVar("_T")
# A text of the file may stand in a message, and the file may be one long text.
_MAX_MESSAGE_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong.

    Attributes:
        path: Dotted path of the key; empty if it is not about one.
        message: What was expected and what was found.
    """

    mark: Mark
    path: str
    message: str


class Walk:
    """One pass over a tree.

    Attributes:
        complaints: All that is wrong, in the order in which it was found.
    """

    def __init__(self) -> None:
        self.complaints: list[Complaint] = []
        self._marks: dict[str, Mark] = {}
        # Paths of what is wrong, and of what it is in.
        self._wrong: set[str] = set()

    def complain(self, mark: Mark, path: str, message: str) -> None:
        """Note a problem."""
        self.complaints.append(Complaint(mark, path, message[:_MAX_MESSAGE_CHARS]))
        self._doubt(path)

    def _doubt(self, path: str) -> None:
        while path:
            self._wrong.add(path)
            path = path.rpartition(".")[0]

    def section(self, of: type[Any], node: Node, path: str, **fixed: Any) -> Any:
        """Read a mapping as one of the model's dataclasses; None when a key it cannot do without is missing.

        Args:
            of: The dataclass.
            node: What stands in the file.
            path: Dotted path of the section.
            fixed: Fields that do not stand in the mapping, such as a rule's name.
        """
        keys = keys_of(of)
        if isinstance(node, Broken):
            return self._default(of, fixed)
        if isinstance(node, Scalar) and node.nothing:
            node = Mapping(node.mark)
        if not isinstance(node, Mapping):
            names = ", ".join(key.name for key in keys.values())
            self.complain(
                node.mark, path, f"expected a mapping with any of the keys {names}; got {_found(node)}"
            )
            return self._default(of, fixed)
        fields = {key.name: (field, key) for field, key in keys.items()}
        given = self._pairs(node, list(fields), path)
        self._check_groups(node, list(keys.values()), list(given), path)
        values: dict[str, Any] = dict(fixed)
        for name, value_node in given.items():
            field, key = fields[name]
            self._value(values, field, key, value_node, _joined(path, name))
        required = {field: key for field, key in keys.items() if key.required}
        for key in required.values():
            if key.name not in given:
                self.complain(node.mark, path, f"expected the key {key.name}: {expectation(key)}")
        return of(**values) if required.keys() <= values.keys() else None

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

    def _default(self, of: type[Any], fixed: dict[str, Any]) -> Any:
        return None if any(key.required for key in keys_of(of).values()) else of(**fixed)

    def _pairs(self, node: Mapping, known: list[str], path: str) -> dict[str, Node]:
        """Give what stands under the known keys; an empty list of these knows any that is a proper name."""
        given: dict[str, Node] = {}
        for key_node, value_node in node.pairs:
            if isinstance(key_node, Broken):
                continue
            if not isinstance(key_node, Scalar):
                self.complain(key_node.mark, path, f"expected a key; got {_found(key_node)}")
                continue
            name = key_node.text
            if name in known or (not known and _ENTRY_NAME.fullmatch(name)):
                given[name] = value_node
            elif known:
                self.complain(key_node.mark, _joined(path, name), f"unknown key; {_suggestion(name, known)}")
            else:
                expected = "a name of up to 60 letters, digits, - and _"
                self.complain(key_node.mark, path, f"expected {expected}; got {quoted(name)}")
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
            self._doubt(path)
            return
        match key.kind:
            case Kind.SECTION:
                assert key.of is not None
                values[field] = self.section(key.of, node, path)
            case Kind.LIST:
                values[field] = self._entries(key, node, path)
            case Kind.TABLE:
                values[field] = self._table(key, node, path)
            case Kind.STEPS:
                values[field] = self._steps(key, node, path)
            case Kind.WORDS | Kind.ADDRESSES:
                values[field] = self._several(key, node, path)
            case _:
                self._scalar(values, field, key, node, path)

    def _scalar(self, values: dict[str, Any], field: str, key: Key, node: Node, path: str) -> None:
        if not isinstance(node, Scalar) or node.nothing:
            self.complain(node.mark, path, f"expected {expectation(key)}; got {_found(node)}")
            return
        try:
            values[field] = (
                read_condition(node.text) if key.kind is Kind.EXPRESSION else read_scalar(key, node.text)
            )
        except ExpressionError as error:
            self.complain(node.mark_of(error.at), path, str(error))
        except ValueError as error:
            self.complain(node.mark, path, str(error))

    # ---- what holds several

    def _entries(self, key: Key, node: Node, path: str) -> tuple[Any, ...]:
        assert key.of is not None
        items = self._items(key, node, path, "a list of mappings")
        found = [self.section(key.of, item, f"{path}[{place}]") for place, item in enumerate(items)]
        return tuple(each for each in found if each is not None)

    def _table(self, key: Key, node: Node, path: str) -> tuple[Any, ...]:
        assert key.of is not None
        if isinstance(node, Scalar) and node.nothing:
            return ()
        if not isinstance(node, Mapping):
            self.complain(node.mark, path, f"expected a mapping from names; got {_found(node)}")
            return ()
        given = self._few(key, list(self._pairs(node, [], path).items()), node.mark, path)
        found = [self.section(key.of, each, _joined(path, name), name=name) for name, each in given]
        return tuple(each for each in found if each is not None)

    def _several(self, key: Key, node: Node, path: str) -> tuple[Any, ...]:
        single = isinstance(node, Scalar) and not node.nothing
        items = [node] if single else self._items(key, node, path, f"a list of {_PLURAL[key.kind]}")
        if key.minimum is not None and not items and path not in self._wrong:
            self.complain(node.mark, path, f"expected {expectation(key)}; got none")
        values: dict[str, Any] = {}
        for place, item in enumerate(items):
            entry = path if single else f"{path}[{place}]"
            self._value(values, str(place), single_key(key), item, entry)
        return tuple(values.values())

    def _items(self, key: Key, node: Node, path: str, expected: str) -> list[Node]:
        if isinstance(node, Scalar) and node.nothing:
            return []
        if not isinstance(node, Sequence):
            self.complain(node.mark, path, f"expected {expected}; got {_found(node)}")
            return []
        return self._few(key, node.items, node.mark, path)

    def _few(self, key: Key, entries: list[_T], mark: Mark, path: str) -> list[_T]:
        """Give no more entries than there may be; nobody reads what is wrong with the thousandth."""
        if key.maximum is None or len(entries) <= key.maximum:
            return entries
        self.complain(mark, path, f"expected at most {key.maximum:.0f} entries; got {len(entries)}")
        return entries[: int(key.maximum)]

    # ---- actions

    def _steps(self, key: Key, node: Node, path: str) -> tuple[Step, ...]:
        items = self._items(key, node, path, "a list of actions")
        found = [self._step(item, f"{path}[{place}]") for place, item in enumerate(items)]
        if found and found[0] is not None and found[0].after_ns is not None:
            # It would be done at once all the same.
            after = f"{path}[0].{AFTER.name}"
            message = "expected none at the first action; the rule's for is how long the condition must hold"
            self.complain(self._marks[after], after, message)
        return tuple(each for each in found if each is not None)

    def _step(self, node: Node, path: str) -> Step | None:
        if isinstance(node, Broken):
            return None
        if isinstance(node, Scalar) and not node.nothing:
            # ``- dump`` is short for ``- dump: {}``.
            node = Mapping(node.mark, [(node, Mapping(node.mark))])
        if not isinstance(node, Mapping):
            self.complain(node.mark, path, f"expected an action such as dump: {{}}; got {_found(node)}")
            return None
        given = self._pairs(node, [AFTER.name, *ACTIONS], path)
        names = [name for name in given if name != AFTER.name]
        if len(names) != 1:
            if len(given) == len(node.pairs):
                got = " and ".join(names) or "none"
                self.complain(node.mark, path, f"expected exactly one action; got {got}")
            return None
        values: dict[str, Any] = {}
        if AFTER.name in given:
            self._value(values, "after_ns", AFTER, given[AFTER.name], _joined(path, AFTER.name))
        action = self._action(ACTIONS[names[0]], given[names[0]], _joined(path, names[0]))
        return None if action is None else Step(action, **values)

    def _action(self, of: type[Action], node: Node, path: str) -> Action | None:
        action: Action | None = self.section(of, node, path)
        if action is not None and path not in self._wrong:
            for problem in action.problems():
                self.complain(node.mark, path, problem)
        return action


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
