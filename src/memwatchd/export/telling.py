"""Events and kernel messages in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from memwatchd.errors import ParseError
from memwatchd.incidents.recorded import Recorded
from memwatchd.procfs.kmsg import KmsgRecord, parse_kmsg, unescape
from memwatchd.views.events import event_line


def event_text(event: Mapping[str, Any]) -> str:
    """An event in words; nothing for one that another event says better."""
    return event_line({key: value for key, value in event.items() if key != "monotonic_ns"})


def kernel_messages(recorded: Recorded) -> Iterator[tuple[int, KmsgRecord, bytes]]:
    """Yield when each message was read, its record, and its text without escapes."""
    for message in recorded.messages():
        try:
            record = parse_kmsg(message.raw)
        except ParseError:
            continue  # nobody can say what it is
        yield message.monotonic_ns, record, unescape(record.text)
