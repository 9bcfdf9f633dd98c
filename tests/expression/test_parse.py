"""The text of a condition to its tree, and what is said of a text that is none."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.expression.conftest import numbers, truths, untimed, without_places, write

from memwatchd.expression.parse import MAX_CHARS, ExpressionError, parse_expression, parse_number
from memwatchd.expression.tree import (
    BYTES,
    PLAIN,
    SECONDS,
    TRUTHS,
    Arithmetic,
    Call,
    Comparison,
    Dimension,
    Name,
    Node,
    Not,
    Number,
    walk,
)


def grouped(text: str) -> str:
    """Parse a text, and write it with all the parentheses there could be."""
    is_condition = any(sign in text for sign in "<>=")
    return write(parse_expression(text).root if is_condition else parse_number(text))


# ---- what stands for what


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a < 1 or b < 1 and c < 1", "(a < 1) or ((b < 1) and (c < 1))"),
        ("(a < 1 or b < 1) and c < 1", "((a < 1) or (b < 1)) and (c < 1)"),
        ("not a < 1 and b < 1", "(not (a < 1)) and (b < 1)"),
        ("not not a < 1", "not (not (a < 1))"),
        ("not(a < 1 or b<1)", "not ((a < 1) or (b < 1))"),
        ("a < 1 and b < 1 and c < 1", "(a < 1) and (b < 1) and (c < 1)"),
        ("a + b * c < d", "a + (b * c) < d"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("a - (b - c)", "a - (b - c)"),
        ("-a * b", "-a * b"),
        ("--a", "--a"),
        ("-5% of a", "-(5% of a)"),
        ("5% of a + b", "(5% of a) + b"),
        ("5% of a * b", "(5% of a) * b"),
        ("5% of (a + b)", "5% of (a + b)"),
        ("5% of -a", "5% of -a"),
        ("50% of 10% of a", "50% of (10% of a)"),
        ("rate(a - b, 1s) * 2", "rate(a - b, 1000ms) * 2"),
        ("100MiB-50MiB", "100MiB - 50MiB"),
        ("20MiB/swap.free", "20MiB / swap.free"),
        ("a\n <\t1", "a < 1"),
        ("a<-1", "a < -1"),
    ],
)
def test_precedence_is_that_of_arithmetic_and_of_english(text: str, meant: str) -> None:
    """A rule would fire on something else than what its author reads in it."""
    assert grouped(text) == meant


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "meminfo.Active(anon)",
        "meminfo.Inactive(file)",
        "slab.kmalloc-64.bytes",
        "slab.:0000064.bytes",
        "slab.9p-fcall-cache.bytes",
        "zone.0.Normal.free",
        'cgroup."/system.slice/a b.service".usage',
        'cgroup."a""b".usage',
        'cgroup."".usage',
        'process."\udcff<5% and".rss',
        "and.or",
        "rate",
    ],
)
def test_all_that_can_be_a_signals_name_is_one(name: str) -> None:
    """A cache or group with an odd name could not be watched."""
    assert parse_expression(f"{name} < 1").root == Comparison(
        len(name) + 1, "<", Name(0, name), Number(len(name) + 3, 1.0, PLAIN, "1")
    )


@pytest.mark.parametrize(
    ("text", "value", "dimension"),
    [
        ("0", 0.0, PLAIN),
        ("4096", 4096.0, PLAIN),
        ("0.25", 0.25, PLAIN),
        ("5%", 0.05, PLAIN),
        ("512MiB", 512.0 * 2**20, BYTES),
        ("512M", 512.0 * 2**20, BYTES),
        ("1.5GiB", 1.5 * 2**30, BYTES),
        ("64kB", 65536.0, BYTES),
        ("10B", 10.0, BYTES),
        ("250ms", 0.25, SECONDS),
        ("1h30m", 5400.0, SECONDS),
        ("5m", 300.0, SECONDS),
        ("5M", 5.0 * 2**20, BYTES),
        ("100pages", 100.0, Dimension("pages")),
        ("20MiB/s", 20.0 * 2**20, Dimension("bytes", per_s=True)),
        ("100pages/s", 100.0, Dimension("pages", per_s=True)),
        ("50/s", 50.0, Dimension("", per_s=True)),
        ("5%/s", 0.05, Dimension("", per_s=True)),
    ],
)
def test_numbers_and_their_units(text: str, value: float, dimension: Dimension) -> None:
    """A threshold would be a thousand times too high, or be compared with what it does not count."""
    assert parse_number(text) == Number(0, value, dimension, text)


def test_a_function_and_its_window() -> None:
    """A trend would be taken over another time than was written."""
    assert parse_number("rate(swap.free, 1min30s)") == Call(0, "rate", (Name(5, "swap.free"),), 90 * 10**9)
    zero = Number(11, 0.0, PLAIN, "0")
    assert parse_number("time_to(x, 0)") == Call(0, "time_to", (Name(8, "x"), zero), 10**9)
    assert parse_number("time_to(x, 0, 5s)") == Call(0, "time_to", (Name(8, "x"), zero), 5 * 10**9)


def test_a_percentage_of_something_is_a_product() -> None:
    """It could not be told apart from a product when it is put into words."""
    share, whole = Number(0, 0.05, PLAIN, "5%"), Name(6, "x")
    assert parse_number("5% of x") == Arithmetic(3, "*", share, whole, of=True)
    assert parse_number("5% * x") == Arithmetic(3, "*", share, Name(5, "x"))


def test_expressions_are_as_equal_as_their_texts() -> None:
    """A configuration that was not changed would be taken for another one, or the other way round."""
    assert parse_expression("x < 1") == parse_expression("x < 1")
    assert parse_expression("x < 1") != parse_expression("x  < 1")


# ---- what is no condition

_SIGNAL = "expected a signal, a number or '('"
_SIGN = "expected a signal, a number or an operator"
_NUMBER = "expected a number such as 0.5, 5%, 512MiB, 2s, 100pages or 20MiB/s"
_ONE = "expected one comparison, and another one after 'and'"


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("", 0, f"{_SIGNAL}; got the end"),
        ("   ", 3, f"{_SIGNAL}; got the end"),
        ("x", 0, "expected a condition such as x < 5%; got a number"),
        ("x + 5", 2, "expected a condition such as x < 5%; got a number"),
        ("x <", 3, f"{_SIGNAL}; got the end"),
        ("x < and y < 1", 4, f"{_SIGNAL}; got 'and'"),
        ("x <> 5", 3, f"{_SIGNAL}; got '>'"),
        ("x < 5 < y", 6, f"{_ONE}; got '<'"),
        ("x < 5 y", 6, "expected an operator or the end; got 'y'"),
        ("x < 5 MiB", 6, "expected an operator or the end; got 'MiB'"),
        ("x < 5)", 5, "expected an operator or the end; got ')'"),
        ("(x < 5", 6, "expected ')'; got the end"),
        ("x = 5", 2, "expected '=='; got '= 5'"),
        ("x < 5 && y > 1", 6, "expected 'and'; got '&& y > 1'"),
        ("x < 5 || y > 1", 6, "expected 'or'; got '|| y > 1'"),
        ("!(x < 5)", 0, "expected 'not' or '!='; got '!(x < 5)'"),
        ("x < $5", 4, f"{_SIGN}; got '$5'"),
        ("x < .5", 4, f"{_SIGN}; got '.5'"),
        ("x. < 5", 1, f"{_SIGN}; got '. < 5'"),
        ('cgroup."/a.usage > 5', 6, f"{_SIGN}; got '.\"/a.usage > 5'"),
        ('cgroup."a""b.usage > 5', 6, f'{_SIGN}; got \'."a""b.usage > 5\''),
        ("x < 5 and 3", 10, "expected a condition beside 'and'; got a number"),
        ("x or y < 5", 0, "expected a condition beside 'or'; got a number"),
        ("not x", 4, "expected a condition beside 'not'; got a number"),
        ("(x < 5) + 1 < 2", 3, "expected a number; got a condition"),
        ("-(x < 5) < 2", 4, "expected a number; got a condition"),
        ("(x < 5) < 2", 3, "expected a number; got a condition"),
        ("5% of (x < 5) < 2", 9, "expected a number; got a condition"),
        ("x < 5 of y", 6, "expected a percentage before 'of', for example 5% of x"),
        ("x < y of z", 6, "expected a percentage before 'of', for example 5% of x"),
        ("x < 1e3", 4, f"{_NUMBER}; got '1e3'"),
        ("x < 007", 4, f"{_NUMBER}; got '007'"),
        ("x < 1_000", 4, f"{_NUMBER}; got '1_000'"),
        ("x < 0x10", 4, f"{_NUMBER}; got '0x10'"),
        ("x < 5.", 4, f"{_NUMBER}; got '5.'"),
        ("x < 5parsecs", 4, f"{_NUMBER}; got '5parsecs'"),
        ("x < 5µs", 4, f"{_NUMBER}; got '5µs'"),
        ("x < 30m1h", 4, f"{_NUMBER}; got '30m1h'"),
        ("x < ٥", 4, f"{_NUMBER}; got '٥'"),
        ("x < 2s/s", 4, "expected a rate such as 20MiB/s; got '2s/s'"),
        ("x < " + "9" * 400, 4, f"{_NUMBER}; got '{'9' * 39}…'"),
        ("x < " + "9" * 60 + "GiB", 4, f"{_NUMBER}; got '{'9' * 39}…'"),
        (
            "sum(x, 1s) < 5",
            0,
            "expected one of the functions rate, delta, avg, min, max, time_to; got 'sum'",
        ),
        ("rate() < 5", 5, f"{_SIGNAL}; got ')'"),
        ("rate(x) < 5", 0, "expected rate(x, 1s); got one argument"),
        ("rate(x, 1s, 2s) < 5", 0, "expected rate(x, 1s); got 3 arguments"),
        ("min(x, y) < 5", 7, "expected a duration as in min(x, 1s)"),
        ("rate(x, 1) < 5", 8, "expected a duration as in rate(x, 1s)"),
        ("rate(x, -1s) < 5", 8, "expected a duration as in rate(x, 1s)"),
        ("rate(x, 19ms) < 5", 8, "expected a window from 20ms to 10min; got 19ms"),
        ("rate(x, 601s) < 5", 8, "expected a window from 20ms to 10min; got 601s"),
        ("time_to(x) < 5s", 0, "expected time_to(x, bound, 1s); got one argument"),
        ("time_to(x, 0, y) < 5s", 14, "expected a duration as in time_to(x, bound, 1s)"),
        ("avg(x < 5, 1s) < 5", 6, "expected ')'; got '<'"),
        ("avg((x < 5), 1s) < 5", 7, "expected a number; got a condition"),
        ("x < 5, y", 5, "expected an operator or the end; got ','"),
        ("x" * 2001, 0, "expected at most 2000 characters; got 2001"),
        ("+".join("x" * 151), 0, "expected at most 300 names, numbers and operators"),
        ("(" * 21 + "x < 5" + ")" * 21, 21, "expected at most 20 levels of nesting"),
        ("-" * 21 + "x < 5", 21, "expected at most 20 levels of nesting"),
        ("not " * 21 + "x < 5", 84, "expected at most 20 levels of nesting"),
    ],
)
def test_what_is_wrong_and_where(text: str, at: int, message: str) -> None:
    """Somebody would look for a mistake in a condition of three lines without a hint."""
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert (caught.value.at, str(caught.value)) == (at, message)


@pytest.mark.parametrize(("text", "at"), [("x < 5", 2), ("not x < 5", 0), ("x < 5 or y < 5", 0)])
def test_a_condition_is_no_number(text: str, at: int) -> None:
    """A message with a placeholder for it could never be filled in."""
    with pytest.raises(ExpressionError, match="expected a number; got a condition") as caught:
        parse_number(text)
    assert caught.value.at == at


# ---- any text at all


@untimed
@given(st.one_of(truths, numbers))
def test_what_is_written_is_read_as_it_was_meant(tree: Node) -> None:
    """What a person reads and what the daemon goes by would differ."""
    text = write(tree)
    found = parse_expression(text).root if isinstance(tree, TRUTHS) else parse_number(text)
    assert without_places(found) == tree


_PIECES = (
    *("and", "or", "not", "of", "rate(", "time_to(", "x", "swap.free", "(", ")", ",", "1s", "5%", "5MiB/s"),
    *("<", "<=", "==", "!=", "+", "-", "*", "/", '"', ".", " ", "é", "\n", "0", "1e3", "٥", "%", "/s"),
)


@untimed
@given(st.one_of(st.text(max_size=50), st.lists(st.sampled_from(_PIECES), max_size=40).map(" ".join)))
@example("x" * (MAX_CHARS + 1))
@example('x."' + '""' * 900)
@example("x." + "a-" * 900)
@example("(" * MAX_CHARS)
@example("- " * 900 + "x")
@example("not " * 400 + "x")
@example("avg(" * 75 + "x" + ", 1s)" * 75)
@example("<" * 299)
def test_any_text_is_a_condition_or_a_mistake_in_its_own_words(text: str) -> None:
    """A line of the configuration would end the daemon with a traceback."""
    try:
        root = parse_expression(text).root
    except ExpressionError as error:
        assert 0 <= error.at <= len(text)
        assert str(error).startswith("expected ")
        assert len(str(error)) < 200
    else:
        assert all(0 <= node.at < len(text) for node in walk(root))
        assert not isinstance(root, Not) or text.lstrip().startswith(("not", "("))
