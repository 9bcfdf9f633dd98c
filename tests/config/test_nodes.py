"""YAML text to nodes."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from memwatchd.config import nodes
from memwatchd.config.nodes import Broken, Flaw, Mapping, Scalar, Sequence, Tree, read_tree
from memwatchd.config.positions import Mark


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Both parsers: the C one is missing from some builds of PyYAML."""
    loader = getattr(yaml, request.param, None)
    if loader is None:
        pytest.skip("this PyYAML was built without libyaml")
    monkeypatch.setattr(nodes, "_LOADER", loader)
    yield loader


def _flaw(raw: str | bytes) -> Flaw:
    tree = read_tree(raw)
    assert isinstance(tree.root, Broken)
    assert len(tree.flaws) == 1
    return tree.flaws[0]


def test_positions_and_source_text() -> None:
    """A message would point elsewhere, or a value would be what YAML makes of it."""
    tree = read_tree("a: on\nb:\n  - 010\n  - '5:30'\n")
    assert tree == Tree(
        Mapping(
            Mark(1, 1),
            [
                (Scalar(Mark(1, 1), "a", plain=True), Scalar(Mark(1, 4), "on", plain=True)),
                (
                    Scalar(Mark(2, 1), "b", plain=True),
                    Sequence(
                        Mark(3, 3),
                        [Scalar(Mark(3, 5), "010", plain=True), Scalar(Mark(4, 5), "5:30", plain=False)],
                    ),
                ),
            ],
        ),
        [],
    )


@pytest.mark.parametrize("raw", ["", b"", "# only a comment\n", "\n\n", "\ufeff", b"\xef\xbb\xbf"])
def test_empty(raw: str | bytes) -> None:
    """A file with everything commented out would be an error."""
    assert read_tree(raw) == Tree(None, [])


def test_bytes_of_a_byte_order_mark_are_no_column() -> None:
    """A file saved by an editor that adds one would be refused, or its positions shifted."""
    assert read_tree(b"\xef\xbb\xbfa") == Tree(Scalar(Mark(1, 1), "a", plain=True), [])


def test_columns_count_characters() -> None:
    """A column behind a non-ASCII comment or value would count bytes."""
    tree = read_tree("{é: ü, b: 1}")
    assert isinstance(tree.root, Mapping)
    assert tree.root.pairs[1][1].mark == Mark(1, 11)


@pytest.mark.parametrize(
    ("raw", "mark", "message"),
    [
        (b"a: 1\nb: \xff\n", Mark(2, 4), "expected UTF-8; got byte 0xff"),
        (b"\xff\xfea\x00", Mark(1, 1), "expected UTF-8; got byte 0xff"),
        (b"a: \xc3", Mark(1, 4), "expected UTF-8; got byte 0xc3"),
        (b"a: 1\r\nb: \x00", Mark(2, 4), "expected printable text; got character U+0000"),
        ("é: \x1b[31m", Mark(1, 4), "expected printable text; got character U+001B"),
        ("a: \ud800", Mark(1, 4), "expected printable text; got character U+D800"),
    ],
)
def test_what_is_no_text(raw: str | bytes, mark: Mark, message: str) -> None:
    """A binary or Latin-1 file would end the start with a traceback, or without a position."""
    assert _flaw(raw) == Flaw(mark, message)


@pytest.mark.parametrize(
    ("raw", "mark"),
    [
        ("a: [1, 2", Mark(1, 9)),
        ("a: 1\n\tb: 2", Mark(2, 1)),
        ("a: b: c", Mark(1, 5)),
        ("a: 'x", Mark(1, 6)),
        ("a: @x", Mark(1, 4)),
        ("%YAML 3.0\n---\n", Mark(1, 1)),
        ("a: }", Mark(1, 4)),
        ('a: "\\q"', Mark(1, 6)),
    ],
)
def test_syntax_errors_have_a_position(raw: str, mark: Mark) -> None:
    """A syntax error would end the start with a traceback, or without a position."""
    flaw = _flaw(raw)
    assert flaw.mark.line == mark.line
    # The two parsers differ by a column or two.
    assert abs(flaw.mark.column - mark.column) <= 2
    assert flaw.message.startswith("expected YAML; ")
    assert "\n" not in flaw.message


@pytest.mark.parametrize("raw", ['a: "\\UFFFFFFFF"', 'a: "\\ud800"', "a: !%ff x", "a: !%ED%A0%80 x"])
def test_escapes_beyond_unicode(raw: str) -> None:
    """An escape would raise from within the parser, or smuggle a surrogate into a message."""
    for flaw in read_tree(raw).flaws:
        assert flaw.message.isprintable()


def test_one_document() -> None:
    """Settings in a second document would be ignored without a word."""
    flaw = _flaw("a: 1\n---\nb: 2\n")
    assert flaw == Flaw(Mark(2, 1), "expected one YAML document; a second one begins here")


@pytest.mark.parametrize(
    ("raw", "tag"),
    [
        ("a: !!python/object/apply:os.system [ls]", "tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!int 5", "tag:yaml.org,2002:int"),
        ("a: ! 5", "!"),
        ("a: !!set {b}", "tag:yaml.org,2002:set"),
    ],
)
def test_tags_are_refused_where_they_stand(raw: str, tag: str) -> None:
    """A tag would be obeyed, or ignored without a word."""
    tree = read_tree(raw)
    assert tree.flaws == [Flaw(Mark(1, 4), f"expected no tag; got {tag!r}")]
    assert isinstance(tree.root, Mapping)
    assert tree.root.pairs[0][1] == Broken(Mark(1, 4))


def test_an_alias_is_what_it_names() -> None:
    """A value could not be used twice."""
    tree = read_tree("a: &x {b: 1}\nc: *x\n")
    assert isinstance(tree.root, Mapping)
    assert tree.root.pairs[0][1] is tree.root.pairs[1][1]
    assert tree.flaws == []


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("a: *x", "no such anchor stands before it"),
        ("a: &x [*x]", "it lies within what it names"),
        ("a: &x {b: {c: *x}}", "it lies within what it names"),
        ("&x {*x : 1}", "it lies within what it names"),
    ],
)
def test_aliases_without_a_meaning(raw: str, problem: str) -> None:
    """A cycle of aliases would be walked for ever."""
    tree = read_tree(raw)
    assert [flaw.message for flaw in tree.flaws] == [f"alias 'x': {problem}"]


def test_many_laughs() -> None:
    """A few lines of aliases of aliases would fill the memory of the daemon that is to watch over it."""
    lines = ["l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 40)]
    flaw = _flaw("\n".join(lines))
    assert flaw.mark.line == 5
    assert flaw.message == "expected at most 16384 keys and values, aliases written out"


@pytest.mark.parametrize(
    "raw", ["- a\n" * 100_000, "[" + "a," * 100_000, "{" + "".join(f"a{n}: b, " for n in range(50_000))]
)
def test_too_many_nodes(raw: str) -> None:
    """A large file would be reported line by line."""
    assert _flaw(raw).message.startswith("expected at most 16384 keys")


@pytest.mark.parametrize("raw", ["[" * 500_000, "{a: " * 200_000, "- " * 300_000, "? " * 300_000])
def test_too_deep(raw: str) -> None:
    """Deep nesting would overflow the stack, in C without an exception."""
    assert _flaw(raw).message == "expected at most 16 levels of nesting"


@pytest.mark.parametrize("raw", ["{a: 1, b: 2, a: 3}", '{a: 1, "a": 3}', "{&x a: 1, *x : 3}"])
def test_a_key_stands_once(raw: str) -> None:
    """Of two values the one that is not meant would be taken."""
    tree = read_tree(raw)
    assert [flaw.message for flaw in tree.flaws] == ["expected 'a' once; it stands on line 1 already"]
    assert isinstance(tree.root, Mapping)
    assert [value for _, value in tree.root.pairs if isinstance(value, Scalar) and value.text == "3"] == []


def test_files_share_an_allowance() -> None:
    """A hundred files of aliases of aliases would take a hundred times as long as one."""
    assert read_tree("[a, &x [b], *x]").count == 6
    assert read_tree("[a, b]", most_nodes=3).flaws == []
    assert read_tree("[a, b]", most_nodes=2).flaws == [
        Flaw(Mark(1, 5), "expected at most 16384 keys and values, aliases written out")
    ]


@pytest.mark.parametrize(
    ("text", "nothing"), [("a:", True), ("a: ~", True), ("a: null", True), ("a: ''", False), ("a: no", False)]
)
def test_nothing(text: str, nothing: bool) -> None:
    """An empty value could not be told from an empty text."""
    tree = read_tree(text)
    assert isinstance(tree.root, Mapping)
    value = tree.root.pairs[0][1]
    assert isinstance(value, Scalar)
    assert value.nothing is nothing
