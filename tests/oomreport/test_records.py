"""Whole logs: cut anywhere, large, cold, hostile."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import FIXTURES

from memwatchd.oomreport.record import Record
from memwatchd.oomreport.records import RecordReader, read_records

REPORT = (FIXTURES / "oomreports" / "wrapping-6.12.txt").read_bytes()
COLD = b"".join(b"Mar  7 02:43:%02d www sshd[7]: session %d opened\n" % (at % 60, at) for at in range(4000))


def blocks(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        yield data[at : at + size]
        at += size


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_blocks_do_not_matter(sizes: list[int]) -> None:
    """What is found would depend on how the file was read."""
    data = COLD + REPORT.replace(b"batch", "bätch".encode()) + COLD + REPORT
    assert list(read_records(blocks(data, sizes))) == list(read_records([data]))


def test_cold_parts_are_counted() -> None:
    """Line numbers after a quiet day would be wrong, or the quiet day would be read."""
    reader = RecordReader()
    records = [*reader.feed(COLD * 5 + REPORT + COLD * 5), *reader.close()]
    before, report = COLD.count(b"\n") * 5, REPORT.count(b"\n")
    assert reader.lines == 2 * before + report
    trigger = next(record for record in records if "invoked" in record.text)
    assert trigger.number == before + 1
    assert len(records) < before
    assert {record.number for record in records} >= set(range(before - 99, before + report + 100))


def test_an_open_event_keeps_everything_coming() -> None:
    """The end of a long report could look cold, and be left out."""
    reader = RecordReader()
    count = 0
    for record in reader.feed(REPORT + COLD * 10):
        count += 1
        reader.open_event = record.number < 20_000
    count += sum(1 for _ in reader.close())
    assert 20_000 < count < 30_000


@given(st.binary(max_size=3000) | st.text(max_size=3000).map(lambda text: text.encode(errors="replace")))
@settings(max_examples=150, deadline=None)
def test_anything_may_come(data: bytes) -> None:
    """A damaged log would stop the command."""
    reader = RecordReader()
    records = [*reader.feed(b"[1.0] oom\n" + data), *reader.close()]
    numbers = [record.number for record in records]
    assert numbers == sorted(numbers)
    assert all(record.number <= record.last <= reader.lines for record in records)


_PARTS = [
    *("[1.000001] ", "Mar  7 02:43:11 ", "www ", "kernel: ", "2023-10-12T19:00:20Z stdout P ", "4,1,1,-;"),
    *(
        "\n",
        "\n",
        " ",
        "\r",
        "> ",
        "=3D",
        "=\n",
        "#012",
        "\\x0a",
        "{",
        "}",
        '"log":"',
        "__CURSOR=a",
        "MESSAGE=",
    ),
    *(
        "Node 0 DMA free:1kB",
        "order=0",
        "invoked oom-killer: ",
        "active_anon:1",
        "[ pid ] uid name",
        "[ 1] 0",
    ),
]


@given(st.lists(st.sampled_from(_PARTS), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_mixture_may_come(parts: list[str]) -> None:
    """A log out of the parts that are known could stop the command, or be counted wrongly."""
    data = "".join(parts)
    reader = RecordReader()
    records: list[Record] = [*reader.feed(data.encode()), *reader.close()]
    assert reader.lines == data.count("\n") + (not data.endswith("\n") and data != "")
    assert all(1 <= record.number <= record.last <= reader.lines for record in records)
    assert all(record.text == record.text.strip() != "" for record in records)
    assert all("\n" not in record.text or "ill" in record.text or "[" in record.text for record in records)
