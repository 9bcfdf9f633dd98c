"""Sentences about results."""

import pytest
from lab.expect import Expectation, find

RESULT = {
    "critical": {"lost": [], "login_after": True},
    "kernel_kills": {"count": 1, "list": [{"comm": "eat"}]},
    "gone": None,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("critical.lost == []", True),
        ("critical.login_after == true", True),
        ("kernel_kills.count <= 0", False),
        ("kernel_kills.list.0.comm == eat", True),
        ("kernel_kills.list.7.comm == eat", False),
        ("gone < 5", False),
        ("gone != 5", False),
        ("gone == null", True),
        ("nowhere == null", True),
        ("critical.lost lacks sshd", True),
        ("critical.lost > 3", False),
    ],
)
def test_sentences_are_judged(text: str, holds: bool) -> None:
    """What was not measured would count as well done."""
    assert Expectation.parse(text).holds(RESULT) is holds


def test_a_sentence_of_another_shape_is_refused() -> None:
    """A slip in an expectation would make it hold for ever."""
    with pytest.raises(ValueError, match="PLACE"):
        Expectation.parse("critical.lost is empty")


def test_a_place_is_found_in_lists_and_tables() -> None:
    """A figure would be taken for absent."""
    assert find(RESULT, "kernel_kills.list.0") == {"comm": "eat"}
