"""The text of a condition to its tree.

    zone.worst.margin < 5% of meminfo.MemTotal and rate(slab.dentry.bytes, 1s) > 20MiB/s
    time_to(meminfo.MemAvailable, 0) < 10s or not (swap.free > 64MiB)

    or, and, not            from the loosest to the tightest
    < <= > >= == !=         one comparison, not a chain of them
    + - * / of              a minus between names needs blanks: slab.kmalloc-64.bytes is one name
    512MiB 2s 5% 20MiB/s    sizes, durations, shares, rates; 100pages; plain numbers, 50/s, 5%/s
    rate(x, 1s)             growth a second over the window; of seconds stalled: the share of time
    delta(x, 1s)            growth over the window
    avg(x, 1s) min max      over the window
    time_to(x, bound)       seconds until x meets the bound at its trend over the last second; or over the
                            window given as a third argument. 0 when it is there or has passed it within the
                            window, and without end when it moves away, also when it is long past the bound:
                            where x can stay there, say ``time_to(x, bound) < 10s or x < bound``

Names of signals are dotted; a part with other characters is quoted: ``cgroup."/a b".usage``, with two quotes
for one within.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn, cast

from memwatchd.expression.tree import (
    BYTES,
    PAGES,
    PLAIN,
    SECONDS,
    TRUTHS,
    Arithmetic,
    Call,
    Comparator,
    Comparison,
    Dimension,
    Junction,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Operator,
)
from memwatchd.units import NUMBER_PATTERN, parse_duration, parse_percentage, parse_size, quoted

# Longer than any condition a person writes, and short enough that no text can make the parser recurse far.
MAX_CHARS = 2000
_MAX_TOKENS = 300
_MAX_DEPTH = 20
# A longer number is a mistake, and may be none at all as a float.
_MAX_DIGITS = 64

_DEFAULT_WINDOW_NS = 1_000_000_000
_SHORTEST_WINDOW_NS = 20_000_000
_LONGEST_WINDOW_NS = 600_000_000_000

# Function: how many arguments stand before the window, and whether the window may be left out.
FUNCTIONS = {
    "rate": (1, False),
    "delta": (1, False),
    "avg": (1, False),
    "min": (1, False),
    "max": (1, False),
    "time_to": (2, True),
}
_WORDS = ("and", "or", "not", "of")
_COMPARATORS = ("<", "<=", ">", ">=", "==", "!=")
# What other languages write, and this one does not.
_MEANT = {"&": "'and'", "|": "'or'", "!": "'not' or '!='", "=": "'=='"}

_PLAIN = re.compile(NUMBER_PATTERN)
_PART = r'(?:(?:Active|Inactive)\((?:anon|file)\)|[\w:@]+(?:-[\w:@]+)*|"(?:[^"]|"")*"(?!"))'
_TOKEN = re.compile(
    rf"""
    (?P<blank>\s+)
  | (?P<number>\d[\w.]*%?(?:/s(?!\w))?)
  | (?P<name>[A-Za-z_][\w:@]*(?:-[\w:@]+)*(?:\.{_PART})*)
  | (?P<symbol><=|>=|==|!=|[<>()+\-*/,])
    """,
    re.VERBOSE,
)


class ExpressionError(ValueError):
    """A text that is no condition.

    Attributes:
        at: Where in the text, counted from 0.
    """

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition as written, and its tree; two are equal when their texts are."""

    text: str
    root: Node = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_expression(text: str) -> Expression:
    """Parse a condition.

    Raises:
        ExpressionError: What was expected, what was found, and where.
    """
    root = _Parser(text).condition()
    if not isinstance(root, TRUTHS):
        raise ExpressionError(root.at, "expected a condition such as x < 5%; got a number")
    return Expression(text, root)


def parse_number(text: str) -> Node:
    """Parse an expression that is a number, for instance to print its value.

    Raises:
        ExpressionError: What was expected, what was found, and where.
    """
    root = _Parser(text).condition()
    if isinstance(root, TRUTHS):
        raise ExpressionError(root.at, "expected a number; got a condition")
    return root


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            expected = _MEANT.get(text[at], "a signal, a number or an operator")
            raise ExpressionError(at, f"expected {expected}; got {quoted(text[at:])}")
        if match.lastgroup != "blank":
            yield _Token(str(match.lastgroup), match[0], at)
        at = match.end()
    yield _Token("end", "", len(text))


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARS:
            raise ExpressionError(0, f"expected at most {MAX_CHARS} characters; got {len(text)}")
        self._tokens = list(_tokens(text))
        if len(self._tokens) > _MAX_TOKENS:
            raise ExpressionError(0, f"expected at most {_MAX_TOKENS} names, numbers and operators")
        self._next = 0
        self._depth = 0

    def condition(self) -> Node:
        """The whole text."""
        root = self._or()
        if self._token.kind != "end":
            self._refuse("expected an operator or the end")
        return root

    # ---- from the loosest to the tightest

    def _or(self) -> Node:
        return self._junction("or", self._and)

    def _and(self) -> Node:
        return self._junction("and", self._not)

    def _junction(self, word: str, part: Callable[[], Node]) -> Node:
        at = self._token.at
        first = part()
        parts = [first]
        while self._take(word):
            parts.append(part())
        if len(parts) == 1:
            return first
        for each in parts:
            _want_truth(each, word)
        return Junction(at, "and" if word == "and" else "or", tuple(parts))

    def _not(self) -> Node:
        at = self._token.at
        if self._take("not"):
            inner = self._nested(self._not)
            _want_truth(inner, "not")
            return Not(at, inner)
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._sum()
        token = self._token
        if token.text not in _COMPARATORS:
            return left
        self._next += 1
        right = self._sum()
        for each in (left, right):
            _want_number(each)
        if self._token.text in _COMPARATORS:
            self._refuse("expected one comparison, and another one after 'and'")
        return Comparison(token.at, cast(Comparator, token.text), left, right)

    def _sum(self) -> Node:
        return self._row(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._row(("*", "/"), self._sign)

    def _row(self, operators: tuple[str, ...], part: Callable[[], Node]) -> Node:
        left = part()
        while self._token.text in operators:
            token = self._token
            self._next += 1
            right = part()
            for each in (left, right):
                _want_number(each)
            left = Arithmetic(token.at, cast(Operator, token.text), left, right)
        return left

    def _sign(self) -> Node:
        at = self._token.at
        if self._take("-"):
            inner = self._nested(self._sign)
            _want_number(inner)
            return Negative(at, inner)
        return self._share()

    def _share(self) -> Node:
        first = self._primary()
        token = self._token
        if not self._take("of"):
            return first
        if not (isinstance(first, Number) and first.text.endswith("%")):
            raise ExpressionError(token.at, "expected a percentage before 'of', for example 5% of x")
        whole = self._nested(self._sign)
        _want_number(whole)
        return Arithmetic(token.at, "*", first, whole, of=True)

    def _primary(self) -> Node:
        token = self._token
        if token.kind == "number":
            self._next += 1
            return _number(token)
        if token.kind == "name" and token.text not in _WORDS:
            self._next += 1
            return self._call(token) if self._token.text == "(" else Name(token.at, token.text)
        if not self._take("("):
            self._refuse("expected a signal, a number or '('")
        inner = self._nested(self._or)
        self._want(")")
        return inner

    def _call(self, token: _Token) -> Node:
        if token.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise ExpressionError(
                token.at, f"expected one of the functions {known}; got {quoted(token.text)}"
            )
        self._want("(")
        arguments = [self._nested(self._sum)]
        while self._take(","):
            arguments.append(self._nested(self._sum))
        self._want(")")
        return _call(token, arguments)

    # ---- tokens

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        taken = self._token.text == text
        self._next += taken
        return taken

    def _want(self, text: str) -> None:
        if not self._take(text):
            self._refuse(f"expected {text!r}")

    def _nested(self, part: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError(self._token.at, f"expected at most {_MAX_DEPTH} levels of nesting")
        node = part()
        self._depth -= 1
        return node

    def _refuse(self, expected: str) -> NoReturn:
        token = self._token
        got = "the end" if token.kind == "end" else quoted(token.text)
        raise ExpressionError(token.at, f"{expected}; got {got}")


def _call(token: _Token, arguments: list[Node]) -> Call:
    count, optional = FUNCTIONS[token.text]
    if optional and len(arguments) == count:
        return _checked_call(token, arguments, _DEFAULT_WINDOW_NS)
    names = ("x", "bound")[:count]
    shape = f"{token.text}({', '.join((*names, '1s'))})"
    if len(arguments) != count + 1:
        given = "one argument" if len(arguments) == 1 else f"{len(arguments)} arguments"
        raise ExpressionError(token.at, f"expected {shape}; got {given}")
    *inner, window = arguments
    if not isinstance(window, Number) or window.dimension != SECONDS:
        raise ExpressionError(window.at, f"expected a duration as in {shape}")
    window_ns = round(window.value * 1e9)
    if not _SHORTEST_WINDOW_NS <= window_ns <= _LONGEST_WINDOW_NS:
        raise ExpressionError(window.at, f"expected a window from 20ms to 10min; got {window.text}")
    return _checked_call(token, inner, window_ns)


def _checked_call(token: _Token, arguments: list[Node], window_ns: int) -> Call:
    for each in arguments:
        _want_number(each)
    return Call(token.at, token.text, tuple(arguments), window_ns)


def _number(token: _Token) -> Number:
    text = token.text
    plain, per_s = text.removesuffix("/s"), text.endswith("/s")
    value, dimension = _literal(plain, token)
    if per_s and dimension not in (BYTES, PAGES, PLAIN):
        raise ExpressionError(token.at, f"expected a rate such as 20MiB/s; got {quoted(text)}")
    return Number(token.at, value, Dimension(dimension.base, per_s), text)


def _literal(text: str, token: _Token) -> tuple[float, Dimension]:
    try:
        if text.endswith("%"):
            return parse_percentage(text) / 100, PLAIN
        if text.endswith("pages"):
            return _plain(text[:-5]), PAGES
        if not text[-1].isalpha():
            return _plain(text), PLAIN
        if text[-1] in "BKMGT" or text[-1] == "k":
            return float(parse_size(text)), BYTES
        return parse_duration(text) / 1e9, SECONDS
    except ValueError:
        expected = "expected a number such as 0.5, 5%, 512MiB, 2s, 100pages or 20MiB/s"
        raise ExpressionError(token.at, f"{expected}; got {quoted(token.text)}") from None


def _plain(text: str) -> float:
    if len(text) > _MAX_DIGITS or _PLAIN.fullmatch(text) is None:
        raise ValueError
    return float(text)


def _want_truth(node: Node, word: str) -> None:
    if not isinstance(node, TRUTHS):
        raise ExpressionError(node.at, f"expected a condition beside '{word}'; got a number")


def _want_number(node: Node) -> None:
    if isinstance(node, TRUTHS):
        raise ExpressionError(node.at, "expected a number; got a condition")
