"""From the bytes of a log to its events, as a stream: memory does not grow with the log."""

from collections.abc import Iterable, Iterator

from memwatchd.oomreport.assembler import Assembler
from memwatchd.oomreport.records import RecordReader
from memwatchd.oomreport.report import Event


class EventReader:
    """Reads a log piece by piece."""

    def __init__(self) -> None:
        self._assembler = Assembler()
        self._records = RecordReader()

    @property
    def lines(self) -> int:
        """Lines seen so far."""
        return self._records.lines

    def feed(self, block: bytes) -> Iterator[Event]:
        """Take in a piece of the log, cut anywhere; gives the events that are over."""
        for record in self._records.feed(block):
            yield from self._assembler.feed(record)
            self._records.open_event = self._assembler.is_busy

    def close(self) -> Iterator[Event]:
        """Give what is left at the end of the log."""
        for record in self._records.close():
            yield from self._assembler.feed(record)
        yield from self._assembler.close()


def read_events(blocks: Iterable[bytes]) -> Iterator[Event]:
    """Read a log.

    Args:
        blocks: The log, cut anywhere.

    Yields:
        Events in the order in which they begin.
    """
    reader = EventReader()
    for block in blocks:
        yield from reader.feed(block)
    yield from reader.close()
