"""Bytes in, lines out: encodings, line ends, what is cut, and that line numbers stay those of an editor."""

import pytest

from memwatchd.oomreport.lines import CHUNK_BYTES, LINE_BYTES, Cutter, Line, LineReader


def lines(data: bytes) -> list[Line]:
    """The lines of a log."""
    cutter, reader = Cutter(), LineReader()
    chunks = [*cutter.feed(data), *cutter.close()]
    return [*(line for chunk in chunks for line in reader.read(chunk)), *reader.close()]


def texts(data: bytes) -> list[str]:
    return [line.text for line in lines(data)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"a\r\nb\r\n\r\nc", ["a", "b", "", "c"], id="CRLF"),
        pytest.param(b"a\r\r\n\rb\n", ["a", "b"], id="serial console"),
        pytest.param(b"\xef\xbb\xbfa\nb", ["a", "b"], id="byte order mark"),
        pytest.param("\ufeffa é\nb\n".encode("utf-16-le"), ["a é", "b"], id="UTF-16"),
        pytest.param("\ufeffa\r\nb".encode("utf-16-be"), ["a", "b"], id="UTF-16, the other way"),
        pytest.param(b"\0\0\0a\n\0b\n", ["a", "b"], id="NULs of a crashed file system"),
        pytest.param(b"\x1b[32m[ 1.0] \x1b[0m\x1b[33ma\x1b[0m", ["[ 1.0] a"], id="colours"),
        pytest.param(b"#033[31ma#033[0m", ["a"], id="colours by rsyslog"),
        pytest.param("a\xa0 b\u202fc".encode(), ["a  b c"], id="no-break spaces"),
        pytest.param(b"a\xffb", ["a\udcffb"], id="not UTF-8"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_what_lines_are(data: bytes, expected: list[str]) -> None:
    """Statements with a carriage return or a colour in them would not be recognised."""
    assert texts(data) == expected


def test_quoted_printable() -> None:
    """A mail saved as it was sent would have figures behind =3D, and lines that end in =."""
    data = b"[1.0] x invoked oom-killer: gfp_mask=3D0x1, order=\n=3D0, oom_score_adj=3D0\n[2.0] =C3=A9\n"
    assert lines(data) == [
        Line(1, 2, "[1.0] x invoked oom-killer: gfp_mask=0x1, order=0, oom_score_adj=0"),
        Line(3, 3, "[2.0] é"),
    ]


def test_equals_signs_are_not_always_quoted_printable() -> None:
    """A log with an escape in somebody's name would be joined at random."""
    data = b"cpuset=/a=3Db mems_allowed=0\ngfp_mask=0x1, order=0\nend=\nnext"
    assert texts(data) == data.decode().split("\n")


def test_quoted_printable_ends_with_the_mail() -> None:
    """In a mailbox, a mail that is not encoded would lose what looks like an escape."""
    assert texts(b"order=3D0, x=\ny\norder=0 =41\n") == ["order=0, xy", "order=0 =41"]


def test_line_numbers_over_chunks() -> None:
    """Quotes would point at the wrong lines."""
    rows = [b"x" * (index % 300) for index in range(2000)]
    found = lines(b"\n".join(rows))
    assert [line.number for line in found] == list(range(1, 2001))
    assert [len(line.text) for line in found] == [len(row) for row in rows]


def test_endless_line_is_cut() -> None:
    """A file without a line end would fill the memory."""
    data = b"a\n" + b"b" * (3 * LINE_BYTES) + b"\nc\n"
    found = lines(data)
    assert found[0] == Line(1, 1, "a")
    assert {line.number for line in found[1:-1]} == {2}
    assert (found[-1].number, found[-1].text) == (3, "c")
    assert "".join(line.text for line in found[1:-1]) == "b" * (3 * LINE_BYTES)


def test_skipped_lines_are_counted() -> None:
    """After a cold part of the log, line numbers would be too small."""
    reader = LineReader()
    reader.skip(b"a\nb\nhalf")
    reader.skip(b" a line\nc\n")
    assert list(reader.read(b"d\n")) == [Line(5, 5, "d")]


@pytest.mark.parametrize("size", [1, 7, 1000, CHUNK_BYTES])
def test_cuts_do_not_matter(size: int) -> None:
    """Whoever reads the file would decide what is found in it."""
    data = b"".join(b"line %d\n" % index for index in range(20_000))
    data = data[:CHUNK_BYTES] + b"y" * LINE_BYTES + data[CHUNK_BYTES:]
    cutter = Cutter()
    blocks = [data[at : at + size] for at in range(0, len(data), size)] if size > 1 else [data]
    chunks = [chunk for block in blocks for chunk in cutter.feed(block)] + list(cutter.close())
    whole = Cutter()
    assert chunks == [*whole.feed(data), *whole.close()]
