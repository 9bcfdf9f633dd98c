"""The one line of a zram device."""

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.zram import MmStat, parse_mm_stat


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            b" 1073741824 268435456 281018368        0 301989888    12044        7      311      312\n",
            MmStat(1_073_741_824, 268_435_456, 281_018_368, None, 301_989_888, 12_044, 7, 311, 312),
        ),
        (b"4096 74 12288 1048576 16384 1 0 2\n", MmStat(4096, 74, 12_288, 1_048_576, 16_384, 1, 0, 2, None)),
        (b"0 0 0 0 0 0 0", MmStat(0, 0, 0, None, 0, 0, 0, None, None)),
        (b"1 2 3 4 5 6 7 8 9 10 11\n", MmStat(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ],
)
def test_the_figures_of_every_era(text: bytes, expected: MmStat) -> None:
    """A figure of an older kernel would be taken for another, or one that is not there for 0."""
    assert parse_mm_stat(text) == expected


@pytest.mark.parametrize(
    "text", [b"", b"1 2 3\n", b"1 2 3 4 5 6 x\n", b"-1 2 3 4 5 6 7\n", b"1_0 2 3 4 5 6 7\n"]
)
def test_what_is_broken_is_an_error(text: bytes) -> None:
    """A damaged line would be read as a device that takes no memory."""
    with pytest.raises(ParseError, match="mm_stat"):
        parse_mm_stat(text)
