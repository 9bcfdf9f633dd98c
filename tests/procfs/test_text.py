"""The helpers all parsers share."""

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs._text import decode_ascii, decode_name, encode_name, parse_flat, signed, unsigned


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", 0), ("007", 7), ("18446744073709551615", 2**64 - 1), (b"42", 42)],
)
def test_numbers_of_the_kernel_are_read(value: str | bytes, number: int) -> None:
    """If this fails, plain figures up to the largest unsigned long are refused."""
    assert unsigned(value, "file", "line", "item") == number


@pytest.mark.parametrize(
    "value", ["", "-1", "+1", "1_0", " 1", "1.0", "0x1", "²", "9" * 5000, "18446744073709551616"]
)
def test_what_only_python_calls_a_number_is_refused(value: str) -> None:
    """If this fails, int()'s generosity makes a damaged figure a wrong one, or raises ValueError."""
    with pytest.raises(ParseError) as raised:
        unsigned(value, "/proc/x", "the line", "item")
    assert (raised.value.path, raised.value.line, raised.value.item) == ("/proc/x", "the line", "item")


@pytest.mark.parametrize("value", ["--1", "-", "- 1"])
def test_one_minus_sign_and_no_more(value: str) -> None:
    """If this fails, a broken negative figure becomes a positive one."""
    assert signed("-12", "file", "line", "item") == -12
    with pytest.raises(ParseError):
        signed(value, "file", "line", "item")


def test_digits_of_other_scripts_do_not_count() -> None:
    """If this fails, str.isdigit lets Arabic digits through once the text has been decoded."""
    with pytest.raises(ParseError):
        unsigned(decode_ascii("٣".encode()), "file", "line", "item")


@pytest.mark.parametrize("raw", [b"plain", "größe".encode(), b"\xff\xfe broken", b""])
def test_names_survive_a_round_trip(raw: bytes) -> None:
    """If this fails, a process or cgroup with an odd name can no longer be found by it."""
    assert encode_name(decode_name(raw)) == raw


def test_flat_files_ignore_the_unknown_only() -> None:
    """If this fails, a heading stops the parser, or a cut-off figure is taken for a whole file."""
    text = b"# heading line\n\na 1\nb -2\nc 3 since 1970\nd none at all\n 4\nmax 18446744073709551615\n"
    assert parse_flat(text, "file") == {"a": 1, "b": -2, "c": 3, "max": 2**64 - 1}


@pytest.mark.parametrize(
    "line", [b"nr_free_pages", b"nr_free_pages x", b"nr_free_pages 1x", b"anon 1e3", b"a  -"]
)
def test_flat_files_refuse_a_broken_figure(line: bytes) -> None:
    """If this fails, a counter that could not be read is silently missing."""
    with pytest.raises(ParseError) as raised:
        parse_flat(b"ok 1\n" + line + b"\nok2 2\n", "/proc/vmstat")
    assert raised.value.line == line.decode()
