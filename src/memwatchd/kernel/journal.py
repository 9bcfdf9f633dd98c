"""What systemd's journal has of the kernel's messages, and of those of programs that kill before the kernel.

Entries become lines as rsyslog writes them, so that one reader serves for all::

    2026-11-21T03:12:07.918273+00:00 db1 kernel: [ 5864.708440] java invoked oom-killer: gfp_mask=0xcc0(…
    2026-11-21T03:12:08.000112+00:00 db1 systemd-oomd[512]: Killed /a.slice/x.service due to memory press…

Only what came by the kernel's own way, with its own facility, is the kernel's: anybody may call himself
"kernel".
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, Protocol

# Who kills for want of memory, or says who was killed.
PROGRAMS = ("systemd", "systemd-oomd", "earlyoom", "nohang", "nohang-desktop", "oomd", "kubelet")
_BLOCK_BYTES = 1 << 20
_KERNEL = 0
# memory.stat, which some kernels since 4.19 print as one message; line feeds elsewhere are in names.
_STATISTICS = re.compile(rb"(?:[\w.():]{1,64} \d{1,20}\n)+[\w.():]{1,64} \d{1,20}\n?")

Entry = Mapping[str, Any]


class Reader(Protocol):
    """What is needed of `systemd.journal.Reader`."""

    def add_match(self, *matches: str) -> None:
        """Let only such entries through; of one field any, of several fields all must match."""

    def add_disjunction(self) -> None:
        """Let also those through that meet the matches to come."""

    def seek_realtime(self, realtime: float) -> None:
        """Go to a moment."""

    def get_next(self) -> dict[str, Any]:
        """Give the next entry; empty at the end."""

    def close(self) -> None:
        """Give the files back."""


def open_journal() -> Reader:
    """Open this machine's journal.

    Raises:
        OSError: There is none, or it may not be read.
    """
    library = import_module("systemd.journal")  # who reads no journal needs no library
    reader: Reader = library.Reader(library.LOCAL_ONLY, converters={"MESSAGE": bytes})
    return reader


def read_journal(reader: Reader, since: datetime) -> Iterator[bytes]:
    """Yield what the kernel and the other killers wrote since a moment, in blocks of whole lines.

    Raises:
        OSError: The journal cannot be read any further.
    """
    reader.add_match("_TRANSPORT=kernel")
    reader.add_disjunction()
    reader.add_match(*(f"SYSLOG_IDENTIFIER={name}" for name in PROGRAMS))
    reader.seek_realtime(since.timestamp())
    lines, size_bytes = [], 0
    with closing(reader):
        while entry := reader.get_next():
            for line in _lines(entry):
                lines.append(line)
                size_bytes += len(line)
            if size_bytes >= _BLOCK_BYTES:
                yield b"".join(lines)
                lines, size_bytes = [], 0
    yield b"".join(lines)


def _lines(entry: Entry) -> Iterator[bytes]:
    r"""An entry as lines: one, with the line feeds in it as ``\x0a``, for a name must not begin a line."""
    message, head = _first(entry.get("MESSAGE")), _head(entry)
    if not isinstance(message, bytes) or head is None:
        return
    for text in message.splitlines() if _STATISTICS.fullmatch(message) else [message]:
        yield head + text.replace(b"\n", rb"\x0a") + b"\n"


def _head(entry: Entry) -> bytes | None:
    """What rsyslog would put before a message; None when a program wrote to /dev/kmsg."""
    moment: datetime = entry["__REALTIME_TIMESTAMP"]
    host = str(_first(entry.get("_HOSTNAME")) or "localhost")
    name = str(_first(entry.get("SYSLOG_IDENTIFIER")) or "?")
    if _first(entry.get("_TRANSPORT")) == "kernel":
        if _first(entry.get("SYSLOG_FACILITY")) not in (None, _KERNEL):
            return None
        name = f"kernel: {_stamp(entry)}"
    else:
        pid = _first(entry.get("_PID")) or _first(entry.get("SYSLOG_PID"))
        name = f"{name}[{pid}]: " if pid else f"{name}: "
    return f"{moment.isoformat(timespec='microseconds')} {host} {name}".encode("utf-8", "surrogateescape")


def _stamp(entry: Entry) -> str:
    """The kernel's own time stamp, as it prints it."""
    since_start = _first(entry.get("_SOURCE_MONOTONIC_TIMESTAMP"))
    if not isinstance(since_start, timedelta):
        return ""
    usec = since_start // timedelta(microseconds=1)
    return f"[{usec // 1_000_000:5d}.{usec % 1_000_000:06d}] "


def _first(value: Any) -> Any:
    """A field may be there several times."""
    return value[0] if isinstance(value, list) and value else value
