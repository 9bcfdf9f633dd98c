"""A kernel file that is read again and again into the same two buffers."""

import errno
import os
import sys
from os import preadv

from memwatchd.ring.samples import Encoding, pack_entry

_FIRST_BYTES = 8 << 10


class Source:
    """One open kernel file and its last two texts.

    A text is read in pieces until the end: seq_file hands out a page at a time, and only an empty read says
    that there is no more. Buffers grow by doubling and are kept.

    Args:
        number: Id in the ring's catalogue.
        name: Name in the catalogue.
        descriptor: Open for reading; owned by the source from now on.
        capacity: Bytes to begin with.

    Attributes:
        text: The last text read, in the first `size` bytes of `buffer`; valid until the next reading.
        largest: Texts longer than this are refused.
        fresh: The next text is to be stored without the help of the one before.
        interval: Read every so many ticks; the loop's business.
        due: Next tick to be read on; the loop's business.
    """

    __slots__ = (
        "_buffer",
        "_capacity",
        "_spare",
        "_spare_view",
        "_view",
        "cost_ns",
        "delta_entry",
        "descriptor",
        "due",
        "errors",
        "fresh",
        "grown",
        "interval",
        "key_entry",
        "largest",
        "name",
        "number",
        "reads",
        "same_entry",
        "size",
        "text",
    )

    def __init__(self, number: int, name: str, descriptor: int, capacity: int = _FIRST_BYTES) -> None:
        self.number = number
        self.name = name
        self.descriptor = descriptor
        self.interval = 1
        self.due = 0
        self.cost_ns = 0
        self.reads = 0
        self.errors = 0
        self.grown = 0
        self.largest = sys.maxsize
        self._capacity = capacity
        self._buffer, self._spare = bytearray(capacity), bytearray(capacity)
        self._view, self._spare_view = memoryview(self._buffer), memoryview(self._spare)
        self.text = self._view[:0]
        self.fresh = True
        self.size = -1
        self.same_entry = self.delta_entry = self.key_entry = b""

    @property
    def buffer(self) -> bytearray:
        """Where `text` lies; for cursors, which search without a copy."""
        return self._spare

    def read(self, entries: list[bytes], texts: list[memoryview], previous: list[memoryview]) -> None:
        """Read the file once and add it to the sample being put together.

        Args:
            entries: Gets what the sample says of this source.
            texts: Gets the text, if it is a new one.
            previous: Gets the text before, if the new one is stored against it.

        Raises:
            OSError: The kernel refused, for instance ESRCH when a watched process is gone, or the text is
                larger than `largest`. Nothing was added.
        """
        view = self._view
        descriptor = self.descriptor
        size = more = preadv(descriptor, (view,), 0)
        while more:
            if size == self._capacity:
                view = self._grow(size)
            more = preadv(descriptor, (view[size:],), size)
            size += more
        self.reads += 1
        if size > self.largest:
            self.forget()
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if size == self.size and self._buffer.startswith(self.text):
            entries.append(self.same_entry)
            return
        before, self.text = self.text, view[:size]
        self._buffer, self._spare = self._spare, self._buffer
        self._view, self._spare_view = self._spare_view, view
        if size != self.size:
            self._size_changed(size)
        texts.append(self.text)
        if self.fresh:
            self.fresh = False
            entries.append(self.key_entry)
        else:
            entries.append(self.delta_entry)
            previous.append(before)

    def forget(self) -> None:
        """Store the next text whole, whatever it is: the segment knows nothing of this source yet."""
        self.fresh = True
        self.size = -1

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)

    def _size_changed(self, size: int) -> None:
        self.size = size
        self.same_entry = pack_entry(self.number, Encoding.SAME, size)
        self.delta_entry = pack_entry(self.number, Encoding.DELTA, size)
        self.key_entry = pack_entry(self.number, Encoding.KEY, size)

    def _grow(self, size: int) -> memoryview:
        """Double both buffers; `text` stays alive in the buffer it was read into."""
        self._capacity *= 2
        self.grown += 1
        kept = self._view[:size]
        self._buffer = bytearray(self._capacity)
        self._view = memoryview(self._buffer)
        self._view[:size] = kept
        old_text = self.text
        self._spare = bytearray(self._capacity)
        self._spare_view = memoryview(self._spare)
        self._spare_view[: len(old_text)] = old_text
        self.text = self._spare_view[: len(old_text)]
        return self._view
