"""YAML text to a small tree of nodes with positions, safe against whatever the text holds.

Built from the parser's events and not with ``yaml.compose``, which recurses once per nesting level (300,000
opening brackets are a segmentation fault in CSafeLoader), drops the difference between a tag that
was written and one that was guessed, and lets an alias name what it lies in. Scalars keep their source text;
what ``on`` or ``010`` means is said by the key.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from memwatchd.config.positions import Mark, mark_at, mark_within

# The model is eight levels deep: rules, name, actions, entry, kill, select, never, entry.
MAX_DEPTH = 16
# Counted with every alias written out: that is what a walk over it costs. 256 rules: some 10,000.
MAX_NODES = 16384

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.1, c-printable, turned round.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text.

    Attributes:
        plain: It stands without quotes.
        source: As it stands in the file.
    """

    mark: Mark
    text: str
    plain: bool
    source: str = field(default="", compare=False, repr=False)

    @property
    def nothing(self) -> bool:
        """Whether no value was given at all."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")

    def mark_of(self, at: int) -> Mark:
        """Position of a character of the text, counted from 0."""
        return mark_within(self.mark, self.source, self.text, at)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file; no text is a key twice."""

    mark: Mark
    pairs: list[tuple["Node", "Node"]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    mark: Mark
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands where a flaw has been noted already."""

    mark: Mark


Node = Scalar | Mapping | Sequence | Broken


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the YAML itself."""

    mark: Mark
    message: str


@dataclass(frozen=True, slots=True)
class Tree:
    """What was read.

    Attributes:
        root: None for an empty document; `Broken` if a flaw ended the reading.
        flaws: In the order of the file.
        count: Of keys and values, aliases written out.
    """

    root: Node | None
    flaws: list[Flaw]
    count: int = field(default=0, compare=False)


class _FatalError(Exception):
    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(mark, message)


def read_tree(raw: str | bytes, file: str = "", most_nodes: int = MAX_NODES) -> Tree:
    """Read one YAML document; never raises because of what it holds.

    Args:
        raw: The whole file.
        file: What to call it in marks.
        most_nodes: How many keys and values it may have.
    """
    builder = _Builder(file, most_nodes)
    try:
        builder.read(raw)
    except _FatalError as error:
        flaw = replace(error.flaw, mark=replace(error.flaw.mark, file=file))
        return Tree(Broken(flaw.mark), [*builder.flaws, flaw], builder.count)
    return Tree(builder.root, builder.flaws, builder.count)


def _decoded(raw: str | bytes) -> str:
    try:
        text = raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode().removeprefix("\ufeff")
        raise _FatalError(
            mark_at(before, len(before)), f"expected UTF-8; got byte 0x{error.object[error.start]:02x}"
        ) from None
    text = text.removeprefix("\ufeff")
    match = _UNPRINTABLE.search(text)
    if match is not None:
        raise _FatalError(
            mark_at(text, match.start()), f"expected printable text; got character U+{ord(match[0]):04X}"
        )
    return text


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = _mark_of(error.problem_mark or error.context_mark)
        end = mark_at(text, len(text))
        # At the end of a file without a last line break, libyaml names the line that would come next.
        raise _FatalError(mark if mark.line <= end.line else end, _syntax_message(error)) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # Escapes beyond Unicode: the Python scanner hands them to chr, the C one decodes a tag's %-escapes.
        raise _FatalError(Mark(1, 1), f"expected YAML; {_one_line(str(error))}") from None


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    begun = ""
    if error.context_mark and error.problem_mark and error.context_mark.line < error.problem_mark.line:
        begun = f" that begins on line {error.context_mark.line + 1}"
    context = f"{error.context}{begun}, " if error.context else ""
    return f"expected YAML; {_one_line(context + (error.problem or 'malformed'))}"


def _mark_of(mark: Any, file: str = "") -> Mark:
    return Mark(1, 1, file) if mark is None else Mark(mark.line + 1, mark.column + 1, file)


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    return "".join(each if each.isprintable() else "?" for each in line)[:200]


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been seen."""

    node: Mapping | Sequence
    anchor: str | None
    tagged: bool
    count_before: int
    key: Node | None = None
    keys: dict[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an anchor names; `node` is None while its end has not been seen."""

    node: Node | None
    weight: int = 0


class _Builder:
    """Puts nodes together from events."""

    def __init__(self, file: str, most_nodes: int) -> None:
        self.root: Node | None = None
        self.flaws: list[Flaw] = []
        self.count = 0
        self._file = file
        self._text = ""
        self._most_nodes = most_nodes
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._documents = 0

    def read(self, raw: str | bytes) -> None:
        """Read a file."""
        self._text = _decoded(raw)
        for event in _events(self._text):
            self._take(event)

    def _take(self, event: Any) -> None:
        mark = _mark_of(event.start_mark, self._file)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, mark)
            case yaml.MappingStartEvent():
                self._begin(event, Mapping(mark))
            case yaml.SequenceStartEvent():
                self._begin(event, Sequence(mark))
            case yaml.CollectionEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event.anchor or "", mark)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise _FatalError(mark, "expected one YAML document; a second one begins here")

    def _scalar(self, event: Any, mark: Mark) -> None:
        self._add_count(1, mark)
        source = self._text[event.start_mark.index : event.end_mark.index]
        node: Node = Scalar(mark, event.value, plain=not event.style, source=source)
        if self._refuse_tag(event, mark):
            node = Broken(mark)
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(node, 1)
        self._attach(node)

    def _begin(self, event: Any, node: Mapping | Sequence) -> None:
        count_before = self.count
        self._add_count(1, node.mark)
        if len(self._open) >= MAX_DEPTH:
            raise _FatalError(node.mark, f"expected at most {MAX_DEPTH} levels of nesting")
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(None)
        self._open.append(_Open(node, event.anchor, self._refuse_tag(event, node.mark), count_before))

    def _end(self) -> None:
        done = self._open.pop()
        node: Node = Broken(done.node.mark) if done.tagged else done.node
        if done.anchor:
            self._anchors[done.anchor] = _Anchored(node, self.count - done.count_before)
        self._attach(node)

    def _alias(self, name: str, mark: Mark) -> None:
        anchored = self._anchors.get(name)
        if anchored is None or anchored.node is None:
            problem = (
                "no such anchor stands before it" if anchored is None else "it lies within what it names"
            )
            self.flaws.append(Flaw(mark, f"alias {_one_line(name)[:40]!r}: {problem}"))
            self._add_count(1, mark)
            self._attach(Broken(mark))
        else:
            self._add_count(anchored.weight, mark)
            self._attach(anchored.node)

    def _refuse_tag(self, event: Any, mark: Mark) -> bool:
        if event.tag is None:
            return False
        self.flaws.append(Flaw(mark, f"expected no tag; got {_one_line(event.tag)[:60]!r}"))
        return True

    def _add_count(self, weight: int, mark: Mark) -> None:
        self.count += weight
        if self.count > self._most_nodes:
            raise _FatalError(mark, f"expected at most {MAX_NODES} keys and values, aliases written out")

    def _attach(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            if self._is_new(parent.key, parent.keys):
                parent.node.pairs.append((parent.key, node))
            parent.key = None

    def _is_new(self, key: Node, keys: dict[str, Mark]) -> bool:
        if not isinstance(key, Scalar):
            return True
        first = keys.get(key.text)
        if first is None:
            keys[key.text] = key.mark
            return True
        message = f"expected {_one_line(key.text)[:40]!r} once; it stands on line {first.line} already"
        self.flaws.append(Flaw(key.mark, message))
        return False
