"""What several packages' tests share."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memwatchd.ring.file import RingMap, create_ring
from memwatchd.ring.format import RingHeader, Stream
from memwatchd.ring.writer import Clocks

BOOT_ID = bytes(range(16))


@pytest.fixture
def clocks() -> Callable[[], Clocks]:
    """Three clocks that move on by a millisecond whenever they are read."""
    steps: Iterator[int] = itertools.count(1)

    def read() -> Clocks:
        now_ns = next(steps) * 1_000_000
        return Clocks(now_ns, now_ns + 5, now_ns + 10**18)

    return read


@pytest.fixture
def make_ring(tmp_path: Path) -> Callable[..., RingMap]:
    """Make a small ring in a file of its own."""
    numbers = itertools.count()

    def make(segments: int = 4, segment_bytes: int = 4096, stream: Stream = Stream.SAMPLES) -> RingMap:
        header = RingHeader(segment_bytes, segments, stream, BOOT_ID, 10**18)
        return create_ring(tmp_path / f"ring{next(numbers)}", header)

    return make
