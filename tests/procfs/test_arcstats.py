"""The cache of ZFS."""

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.arcstats import parse_arcstats

TEXT = b"""13 1 0x01 147 39984 4312403271 1215094730410
name                            type data
hits                            4    1204533
deadlist                        7    some words
c                               4    8589934592
c_min                           4    1073741824
c_max                           4    17179869184
size                            4    8361294336
memory_available_bytes          3    -1073741824
"""


def test_every_number() -> None:
    """Signals of fields that a later release adds would not be there."""
    assert parse_arcstats(TEXT) == {
        "hits": 1_204_533,
        "c": 8_589_934_592,
        "c_min": 1_073_741_824,
        "c_max": 17_179_869_184,
        "size": 8_361_294_336,
        "memory_available_bytes": -1_073_741_824,
    }
    assert parse_arcstats(b"") == {}


@pytest.mark.parametrize("broken", [b"x", b"1_0", b"--1"])
def test_a_broken_number_is_an_error(broken: bytes) -> None:
    """A damaged file would be read as a cache of another size."""
    text = TEXT.replace(b"8361294336", broken)
    with pytest.raises(ParseError, match="size"):
        parse_arcstats(text)
