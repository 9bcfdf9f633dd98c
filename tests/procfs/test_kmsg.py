"""Records of /dev/kmsg, in the forms of 3.5, of today, and written by processes."""

import pytest

from memwatchd.errors import ParseError
from memwatchd.procfs.kmsg import KmsgRecord, parse_kmsg, unescape


def test_plain_record() -> None:
    """If this fails, the ordinary line of the kernel is misread."""
    assert parse_kmsg(b"4,1203,94012345,-;cron invoked oom-killer: order=0\n") == KmsgRecord(
        0, 4, 1203, 94012345, "-", b"cron invoked oom-killer: order=0", {}
    )


def test_record_with_caller_and_dictionary() -> None:
    """If this fails, additions to heading or body are lost, or spoil the text."""
    raw = (
        b"6,339,5140900,c,caller=T12,new=1,x;usb 1-1; new; device\n"
        b" SUBSYSTEM=usb\n DEVICE=c189:0=a\n bare\nodd=1\n"
    )
    assert parse_kmsg(raw) == KmsgRecord(
        facility=0,
        level=6,
        sequence=339,
        timestamp_usec=5140900,
        flags="c",
        text=b"usb 1-1; new; device",
        tags={"caller": "T12", "new": "1", "SUBSYSTEM": "usb", "DEVICE": "c189:0=a"},
    )


def test_facility_and_level_share_a_number() -> None:
    """If this fails, a process can write "Out of memory" to /dev/kmsg and pass for the kernel."""
    record = parse_kmsg(b"30,340,5690716,-;Out of memory: Killed process 1\n")
    assert (record.facility, record.level) == (3, 6)


def test_record_without_flags() -> None:
    """If this fails, records of 3.5 are refused."""
    assert parse_kmsg(b"7,160,424069;pci_root") == KmsgRecord(0, 7, 160, 424069, "", b"pci_root", {})


def test_text_stays_verbatim_until_asked() -> None:
    r"""If this fails, odd names are damaged, or a literal backslash is taken for an escape."""
    record = parse_kmsg(rb"6,1,2,-;Killed process 7 (a\x5cx41\x0ab\xc3\xa9)" + b"\n")
    assert record.text == rb"Killed process 7 (a\x5cx41\x0ab\xc3\xa9)"
    assert unescape(record.text) == b"Killed process 7 (a\\x41\nb\xc3\xa9)"
    assert unescape(rb"half \x4 and \xzz stay") == rb"half \x4 and \xzz stay"


@pytest.mark.parametrize(
    ("raw", "item"),
    [
        (b"", "heading"),
        (b"4,1203,94012345,-", "heading"),
        (b"x,1,2,-;t", "priority"),
        (b"4,-1,2,-;t", "sequence"),
        (b"4,1,,-;t", "microseconds"),
        (b"4,1;t", "microseconds"),
        (b"4;t", "sequence"),
        (b";t", "priority"),
    ],
)
def test_broken_headings_are_named(raw: bytes, item: str) -> None:
    """If this fails, a record is placed at a wrong time or out of sequence."""
    with pytest.raises(ParseError) as raised:
        parse_kmsg(raw)
    assert (raised.value.path, raised.value.item) == ("/dev/kmsg", item)
