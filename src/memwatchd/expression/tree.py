"""The tree of an expression.

Every node knows where in the text it begins (`at`, counted from 0), so that whoever finds something wrong
with it later can point there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Comparator = Literal["<", "<=", ">", ">=", "==", "!="]
Operator = Literal["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Dimension:
    """What a number counts.

    Attributes:
        base: ``bytes``, ``pages``, ``seconds``, or empty for a plain number, a share, a count.
        per_s: It is a rate: so much a second.
    """

    base: str = ""
    per_s: bool = False

    def __str__(self) -> str:
        name = self.base or "a plain number or share"
        if not self.per_s:
            return name
        return f"{self.base} a second" if self.base else "a number a second"


PLAIN = Dimension()
BYTES, PAGES, SECONDS = Dimension("bytes"), Dimension("pages"), Dimension("seconds")


@dataclass(frozen=True, slots=True)
class Number:
    """A literal: value in the base unit of its dimension (bytes, seconds; ``5%`` is 0.05).

    Attributes:
        text: As written.
    """

    at: int
    value: float
    dimension: Dimension
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A signal, by its name as written."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function over time; the window is the last argument of all of them."""

    at: int
    function: str
    arguments: tuple["Node", ...]
    window_ns: int


@dataclass(frozen=True, slots=True)
class Negative:
    """The number with the other sign."""

    at: int
    of: "Node"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers make one; ``5% of x`` is a multiplication written `of`."""

    at: int
    operator: Operator
    left: "Node"
    right: "Node"
    of: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two numbers make a truth."""

    at: int
    comparator: Comparator
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    at: int
    of: "Node"


@dataclass(frozen=True, slots=True)
class Junction:
    """All of them, or any of them."""

    at: int
    word: Literal["and", "or"]
    parts: tuple["Node", ...]


Node = Number | Name | Call | Negative | Arithmetic | Comparison | Not | Junction
TRUTHS = (Comparison, Not, Junction)


def children(node: Node) -> tuple[Node, ...]:
    """Give what a node is made of, from left to right."""
    match node:
        case Number() | Name():
            return ()
        case Call():
            return node.arguments
        case Negative() | Not():
            return (node.of,)
        case Arithmetic() | Comparison():
            return (node.left, node.right)
        case Junction():
            return node.parts


def walk(node: Node) -> Iterator[Node]:
    """Give a node and all below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)
