"""Cutting many numbers out of a text in one go."""

import re

from hypothesis import given
from hypothesis import strategies as st

from memwatchd.signals.cutter import Cutter

LINE = re.compile(rb"^(\w+:)( *\d+)", re.MULTILINE)


def padded(figures: dict[str, int]) -> bytes:
    return b"".join(b"%s:%6d kB\n" % (name.encode(), figure) for name, figure in figures.items())


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10**8), max_size=4), min_size=1, max_size=8
    )
)
def test_the_numbers_are_those_of_the_text(tables: list[dict[str, int]]) -> None:
    """A number would be cut in two, or be another line's, when a figure outgrows its column."""
    cutter, buffer = Cutter(LINE, 2), bytearray()
    for figures in (*tables, *tables):
        text = padded(figures)
        buffer = bytearray(text) + buffer[len(text) :]
        numbers = [int(number) for number in cutter.cut(buffer, len(text))]
        assert numbers == list(figures.values())
        assert cutter.around == [tuple(f"{name}:".encode() for name in figures)]


def test_places_are_remembered_while_they_are_right() -> None:
    """Every tick would take the text apart anew, at thirty times the cost."""
    cutter = Cutter(LINE, 2)
    cutter.cut(padded({"a": 1, "b": 2}), 22)
    around = cutter.around
    assert cutter.cut(padded({"a": 12_345, "b": 0}), 22) == (b" 12345", b"     0")
    assert cutter.around is around
    assert cutter.cut(padded({"a": 1, "c": 2}), 22) == (b"     1", b"     2")
    assert cutter.around is not around


def test_there_may_be_nothing_to_cut() -> None:
    """A source that has not been read would end the sampler."""
    cutter = Cutter(LINE, 2)
    assert [cutter.cut(b"a: 1\n", size) for size in (0, -1, 2, 5, 0)] == [(), (), (), (b" 1",), ()]
