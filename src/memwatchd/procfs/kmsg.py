r"""One record of the kernel's log.

Path ``/dev/kmsg``, printed by ``kernel/printk/printk.c`` (``info_print_ext_header``), described in
``Documentation/ABI/testing/dev-kmsg``; one read gives one record::

    6,339,5140900,-,caller=T1;NET: Registered protocol family 10
    30,340,5690716,-;udevd[80]: starting version 181
    4,1203,94012345,-;sda: lost\x0apage write
     SUBSYSTEM=scsi
     DEVICE=+scsi:0:0:0:0

Since 3.5; the flags (``-``, ``c`` and ``+`` for fragments of a line) since 3.6; ``caller=`` with
CONFIG_PRINTK_CALLER since 5.1. Bytes outside printable ASCII and the backslash itself are written as
``\xNN``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from memwatchd.procfs._text import decode_name, malformed, unsigned

_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class KmsgRecord:
    r"""One record.

    Attributes:
        facility: syslog's; 0 is the kernel, others were written by processes through /dev/kmsg.
        level: 0 (emergency) to 7 (debug).
        sequence: Counts up by one; a gap is a loss.
        timestamp_usec: On the kernel's local clock, near CLOCK_MONOTONIC, since start-up.
        flags: ``-``, ``c`` or ``+``; empty on 3.5.
        text: The message with its ``\xNN`` escapes; see `unescape`.
        tags: The dictionary lines (``SUBSYSTEM``, ``DEVICE``), and ``caller`` from the heading where there is
            one.
    """

    facility: int
    level: int
    sequence: int
    timestamp_usec: int
    flags: str
    text: bytes
    tags: Mapping[str, str]


def parse_kmsg(record: bytes, path: str = "/dev/kmsg") -> KmsgRecord:
    """Parse what one read returned.

    Raises:
        ParseError: No heading, or a broken number in it.
    """
    heading, separator, body = record.partition(b";")
    priority, sequence, timestamp, *rest = [*heading.split(b","), b"", b""]
    if not separator:
        raise malformed(path, record, "heading", "priority,sequence,microseconds,flags;text")
    text, *lines = body.split(b"\n")
    number = unsigned(priority, path, heading, "priority")
    return KmsgRecord(
        facility=number >> 3,
        level=number & 7,
        sequence=unsigned(sequence, path, heading, "sequence"),
        timestamp_usec=unsigned(timestamp, path, heading, "microseconds"),
        flags=decode_name(rest[0]) if rest else "",
        text=text,
        tags=_parse_tags(rest[1:] + [line[1:] for line in lines if line.startswith(b" ")]),
    )


def unescape(text: bytes) -> bytes:
    r"""Turn the ``\xNN`` of a record's text back into the bytes that were printed."""
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text)


def _parse_tags(pairs: list[bytes]) -> dict[str, str]:
    split = (pair.partition(b"=") for pair in pairs)
    return {decode_name(key): decode_name(value) for key, separator, value in split if key and separator}
