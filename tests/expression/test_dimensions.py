"""That a condition compares like with like."""

import pytest
from hypothesis import given
from tests.expression.conftest import DEEPEST, numbers, truths, untimed

from memwatchd.expression.dimensions import check
from memwatchd.expression.parse import ExpressionError, parse_expression, parse_number
from memwatchd.expression.tree import BYTES, PAGES, PLAIN, SECONDS, Dimension, Name, Node

SIGNALS = {
    "memory": BYTES,
    "swap": BYTES,
    "faults": PAGES,
    "stall": SECONDS,
    "share": PLAIN,
    "kills": PLAIN,
}
_SAME = "expected the same on both sides; got "
BYTES_A_SECOND = Dimension("bytes", per_s=True)


def dimension_of(name: Name) -> Dimension:
    if name.text not in SIGNALS:
        raise ExpressionError(name.at, "no such signal")
    return SIGNALS[name.text]


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("memory", BYTES),
        ("-memory", BYTES),
        ("memory + swap - 5MiB", BYTES),
        ("5% of memory", BYTES),
        ("memory * 2", BYTES),
        ("2 * memory", BYTES),
        ("memory / 2", BYTES),
        ("memory / swap", PLAIN),
        ("memory / 2s", BYTES_A_SECOND),
        ("memory / rate(memory, 1s)", SECONDS),
        ("rate(memory, 1s) * 10s", BYTES),
        ("10s * rate(memory, 1s)", BYTES),
        ("rate(memory, 1s)", BYTES_A_SECOND),
        ("delta(memory, 1s)", BYTES),
        ("avg(memory, 1s)", BYTES),
        ("rate(stall, 1s)", PLAIN),
        ("delta(stall, 1s)", SECONDS),
        ("rate(kills, 1s)", Dimension("", per_s=True)),
        ("rate(kills, 1s) * 60s", PLAIN),
        ("kills / 1s", Dimension("", per_s=True)),
        ("rate(faults, 1s)", Dimension("pages", per_s=True)),
        ("time_to(memory, 0)", SECONDS),
        ("time_to(memory, 10% of memory)", SECONDS),
        ("time_to(rate(memory, 1s), 1MiB/s)", SECONDS),
        ("memory + 0", BYTES),
        ("0 - memory", BYTES),
    ],
)
def test_what_a_number_counts(text: str, dimension: Dimension) -> None:
    """A good condition would be refused, or a figure be shown with the wrong unit."""
    assert check(parse_number(text), dimension_of) == dimension


@pytest.mark.parametrize(
    "text",
    [
        "memory < 5MiB",
        "memory > 0",
        "0 < memory",
        "share > 5%",
        "kills > 3",
        "rate(memory, 1s) > 20MiB/s",
        "rate(kills, 1s) > 5/s",
        "rate(share, 1s) > 5%/s",
        "rate(stall, 1s) > 10%",
        "faults > 100pages and not stall > 2s",
    ],
)
def test_like_with_like(text: str) -> None:
    """A condition as it stands in the documentation would be refused."""
    assert check(parse_expression(text).root, dimension_of) == PLAIN


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (
            "memory < 5",
            7,
            _SAME + "bytes on the left, a plain number or share on the right",
        ),
        ("memory < 2s", 7, _SAME + "bytes on the left, seconds on the right"),
        (
            "memory < 5%",
            7,
            _SAME + "bytes on the left, a plain number or share on the right",
        ),
        ("faults < 1MiB", 7, _SAME + "pages on the left, bytes on the right"),
        (
            "rate(memory, 1s) > 20MiB",
            17,
            _SAME + "bytes a second on the left, bytes on the right",
        ),
        (
            "rate(kills, 1s) > 5",
            16,
            _SAME + "a number a second on the left, a plain number or share on the right",
        ),
        (
            "memory + 2s < 5MiB",
            7,
            _SAME + "bytes on the left, seconds on the right",
        ),
        ("memory * swap < 5MiB", 7, "expected a plain number or share on one side; got bytes times bytes"),
        (
            "rate(memory, 1s) * swap < 5MiB",
            17,
            "expected a plain number or share on one side; got bytes a second times bytes",
        ),
        ("memory / stall / stall > 5", 15, "expected something to divide bytes a second by; got seconds"),
        ("2 / memory > 5", 2, "expected something to divide a plain number or share by; got bytes"),
        ("rate(rate(memory, 1s), 1s) > 5", 0, "expected something that is no rate yet; got bytes a second"),
        (
            "time_to(memory, 2s) < 5s",
            0,
            _SAME + "bytes on the left, seconds on the right",
        ),
        (
            "time_to(memory, 0) < 5",
            19,
            _SAME + "seconds on the left, a plain number or share on the right",
        ),
        (
            "share > 5% and memory < 2s",
            22,
            _SAME + "bytes on the left, seconds on the right",
        ),
        ("share > 5% and nothing < 2s", 15, "no such signal"),
    ],
)
def test_what_does_not_go_together(text: str, at: int, message: str) -> None:
    """A rule would compare bytes with seconds, and never fire or always."""
    with pytest.raises(ExpressionError) as caught:
        check(parse_expression(text).root, dimension_of)
    assert (caught.value.at, str(caught.value)) == (at, message)


@untimed
@given(truths | numbers)
def test_any_tree_has_a_dimension_or_a_mistake(tree: Node) -> None:
    """A line of the configuration would end the daemon with a traceback."""
    try:
        check(tree, lambda name: list(SIGNALS.values())[len(name.text) % 6])
    except ExpressionError as error:
        assert str(error).startswith("expected ")


@pytest.mark.parametrize("text", DEEPEST)
def test_the_deepest_trees_there_can_be(text: str) -> None:
    """A condition that the parser takes would end the daemon."""
    assert check(parse_expression(text).root, lambda _name: PLAIN) == PLAIN
