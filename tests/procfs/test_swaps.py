"""The swap areas that are on."""

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.swaps import SwapArea, parse_swaps

HEAD = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def test_areas_in_the_kernels_order() -> None:
    """A swap file would be turned on twice, or somebody else's be turned off."""
    text = HEAD + (
        b"/dev/vda2                               partition\t8388604\t\t1024\t\t-2\n"
        b"/var/a\\040b\\012\\134\xff                          file\t\t1020\t\t0\t\t32767\n"
        b"/var/gone\\040(deleted)                 file\t\t1020\t\t0\t\t-3\n"
    )
    assert parse_swaps(text) == (
        SwapArea("/dev/vda2", "partition", 8388604 << 10, 1 << 20, -2),
        SwapArea("/var/a b\n\\\udcff", "file", 1020 << 10, 0, 32767),
        SwapArea("/var/gone", "file", 1020 << 10, 0, -3),
    )


def test_without_swap_there_are_none() -> None:
    """A machine without swap would be an error."""
    assert parse_swaps(HEAD) == parse_swaps(b"") == ()


@pytest.mark.parametrize("line", [b"/dev/vda2 partition 8388604 1024", b"/x file a 0 1", b"/x file 1 0 1 1"])
def test_a_broken_line_is_an_error(line: bytes) -> None:
    """A file would be thought off that is on."""
    with pytest.raises(ParseError, match="/proc/swaps"):
        parse_swaps(HEAD + line + b"\n")
