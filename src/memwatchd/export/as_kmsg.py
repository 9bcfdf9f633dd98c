"""The kernel's own messages: as /dev/kmsg gave them, or as dmesg(1) prints them.

What programs wrote to /dev/kmsg is left out, see `memwatchd.incidents.kernel_log`.
"""

from collections.abc import Iterator
from typing import BinaryIO

from memwatchd.export.options import Options
from memwatchd.incidents.kernel_log import all_messages, kernel_records
from memwatchd.incidents.recorded import Recorded
from memwatchd.procfs.kmsg import parse_kmsg, unescape
from memwatchd.units import printable


def write(recorded: Recorded, out: BinaryIO, _options: Options) -> None:
    """Write the records byte for byte, which `memwatchd explain` reads again."""
    out.writelines(_records(recorded))


def write_dmesg(recorded: Recorded, out: BinaryIO, _options: Options) -> None:
    """Write them as dmesg(1) does, with seconds since start-up; a message of several lines has several."""
    for raw in _records(recorded):
        record = parse_kmsg(raw)
        seconds, microseconds = divmod(record.timestamp_usec, 1_000_000)
        for line in unescape(record.text).split(b"\n"):
            text = printable(line.decode("utf-8", "surrogateescape"))
            out.write(f"[{seconds:5}.{microseconds:06}] {text}\n".encode())


def _records(recorded: Recorded) -> list[bytes]:
    if recorded.incident is not None:
        return kernel_records(all_messages(recorded.incident))
    return kernel_records(_raw(recorded))


def _raw(recorded: Recorded) -> Iterator[bytes]:
    return (message.raw for message in recorded.messages())
