"""The kernel's messages of an incident, as one log."""

from collections.abc import Iterable, Iterator
from itertools import chain

from memwatchd.errors import ParseError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident
from memwatchd.procfs.kmsg import parse_kmsg
from memwatchd.ring.stream import messages

# What a start after a crash found in the kernel's log that nobody had read before; see `service/remains.py`.
BACKLOG = "kmsg-backlog"
_KERNEL = 0


def kernel_log(incident: Incident) -> bytes:
    """Give the kernel's own messages in order, each once, as they were read from /dev/kmsg.

    What programs wrote to /dev/kmsg is left out: they may name processes and cgroups as they please. Nothing
    is taken off the records, so `memwatchd.oomreport.reader.read_events` gets time stamps and callers, too.
    """
    return b"".join(kernel_records(all_messages(incident)))


def all_messages(incident: Incident) -> Iterator[bytes]:
    """Yield every message of an incident, also those of programs, and some of them twice."""
    return chain(_messages(incident), _backlog(incident))


def kernel_records(messages: Iterable[bytes]) -> list[bytes]:
    """Pick out the kernel's own messages, each once and in order, with a newline at the end of each."""
    records: dict[int, bytes] = {}
    for raw in messages:
        try:
            record = parse_kmsg(raw)
        except ParseError:
            continue  # nobody can say whose it is
        if record.facility == _KERNEL:
            records.setdefault(record.sequence, raw.rstrip(b"\n") + b"\n")
    return [raw for _, raw in sorted(records.items())]


def _messages(incident: Incident) -> Iterator[bytes]:
    return (message.raw for message in messages(incident.segments(BlockType.EVENTS)))


def _backlog(incident: Incident) -> Iterator[bytes]:
    """Cut the backlog into its records: lines that begin with a blank belong to the one before."""
    record: list[bytes] = []
    for line in incident.texts().get(BACKLOG, b"").splitlines(keepends=True):
        if record and not line.startswith(b" "):
            yield b"".join(record)
            record = []
        record.append(line)
    if record:
        yield b"".join(record)
