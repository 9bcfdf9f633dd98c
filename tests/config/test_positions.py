"""Where in a file a character of a scalar stands."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from memwatchd.config import nodes
from memwatchd.config.nodes import Mapping, Scalar, read_tree
from memwatchd.config.positions import Mark, mark_at


def _value(raw: str) -> Scalar:
    tree = read_tree(raw, "f")
    assert isinstance(tree.root, Mapping), tree.flaws
    value = tree.root.pairs[-1][1]
    assert isinstance(value, Scalar)
    return value


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    "raw",
    [
        "a: one X two",
        "{a: one X two}",
        "a: 'one X two'",
        "a: 'it''s ''''X'",
        'a: "one X two"',
        'a: "\\"\\\\ \\x41\\u00e9\\U0001f4a9 \\t\\x20\\_\\0 X"',
        'a: "one \\\n   two\\\n\\  X three"',
        "a: one\n  two\n\n  X three",
        "a: 'one\n  two\n\n  X three'",
        'a: "one\r\n  two\r\n  X three"',
        "a: >-\n  one\n  two X",
        "a: |\n  one\n\n  two X\n\n",
        "a: >2+   # a comment\n\n   one\n  two X\n",
        "a: &x one X",
        "a: &x\n  'one X'",
        "b: &x one X\na: *x",
        "é: ü\u2028a: ö X",
        "a: >\n  éé X",
    ],
)
def test_a_character_is_found(raw: str, loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in a condition that is quoted, folded or escaped would be shown somewhere else."""
    monkeypatch.setattr(nodes, "_LOADER", getattr(yaml, loader, yaml.SafeLoader))
    value = _value(raw)
    position = mark_at(raw, raw.index("X"))
    assert value.mark_of(value.text.index("X")) == Mark(position.line, position.column, "f")


@pytest.mark.parametrize(
    ("raw", "mark"),
    [
        ("a: x <", Mark(1, 7, "f")),
        ("a: 'x <'", Mark(1, 8, "f")),
        ("a: >-\n  x\n  <\n\n", Mark(3, 4, "f")),
        ("a: ''", Mark(1, 5, "f")),
        ("a: |\n", Mark(1, 5, "f")),
    ],
)
def test_the_end_is_behind_the_last_word(raw: str, mark: Mark) -> None:
    """What is missing at the end of a condition would be looked for at its beginning."""
    value = _value(raw)
    assert value.mark_of(len(value.text)) == mark


WORDS = st.text("ab'\"\\#:é\U0001f4a9\x85\u2028\xa0 \n\t", max_size=20)


@settings(deadline=None)
@given(before=WORDS, after=WORDS, style=st.sampled_from([None, "'", '"', ">", "|"]), width=st.integers(5, 30))
def test_however_it_is_written(before: str, after: str, style: str, width: int) -> None:
    """Some text would be counted wrongly, and end the start with an IndexError."""
    raw = yaml.dump({"a": f"{before}X{after}"}, default_style=style, width=width, allow_unicode=True)
    value = _value(raw)
    mark = value.mark_of(value.text.index("X"))
    lines = raw.replace("\x85", "\n").replace("\u2028", "\n").split("\n")
    assert lines[mark.line - 1][mark.column - 1] == "X"
