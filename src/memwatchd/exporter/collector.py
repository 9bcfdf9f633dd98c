"""The collector: fresh metrics on every scrape, from the ring's board, the state file and the last minutes.

Nothing here touches the recorder: the ring is mapped read-only, the state file is a file.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.metrics_core import Metric as Family

from memwatchd.errors import MemwatchdError
from memwatchd.exporter.follow import Follower
from memwatchd.exporter.metric import OwnFigures, View
from memwatchd.exporter.table import METRICS
from memwatchd.exporter.watch import Watch
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, open_ring
from memwatchd.state import read_state

_STALE_NS = 2_000_000_000
_PAST_NS = 60_000_000_000


class Source:
    """The ring and the state file, as they come and go.

    A ring outlives its daemon's death, and a new start makes a new one under the same name: the file is
    looked at, and mapped anew when it is another one. What is mapped stays mapped when the new one may not be
    read.

    Args:
        places: Where they are.
        clock: Reads the monotonic clock, in nanoseconds.

    Attributes:
        watch: What is remembered of the samples.
        problem: Why there is no ring, or not the newest one; empty when all is well.
    """

    def __init__(self, places: Places, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.watch = Watch(os.sysconf("SC_PAGE_SIZE"))
        self.own = OwnFigures()
        self.problem = ""
        self._places = places
        self._clock = clock
        self._ring: RingMap | None = None
        self._follower: Follower | None = None
        self._identity: tuple[int, int] | None = None
        self._lost_before = 0

    def look(self) -> None:
        """Map the ring if there is another one than before."""
        try:
            identity = _identity(self._places.ring)
            if identity != self._identity:
                ring = open_ring(self._places.ring)
                self._take(ring, identity)
        except (OSError, MemwatchdError) as error:
            text = getattr(error, "strerror", None) or str(error)
            self.problem = text if str(self._places.ring) in text else f"{self._places.ring}: {text}"
        else:
            self.problem = ""

    def _take(self, ring: RingMap, identity: tuple[int, int]) -> None:
        if self._follower is not None:
            self._lost_before += self._follower.lost
        self._ring, self._identity = ring, identity
        known_ns = self.watch.newest_ns or 0
        self._follower = Follower(ring, max(known_ns, self._clock() - _PAST_NS))

    def advance(self) -> bool:
        """Take in what one segment has for us; whether there is more in a later one.

        A segment of 128 KiB has some 450 samples: about 10 ms.
        """
        follower = self._follower
        if follower is None:
            return False
        for moment in follower.advance():
            # A segment that was begun with holds samples from before.
            if moment.sample.monotonic_ns > (self.watch.newest_ns or 0):
                self.watch.take(moment)
        self.own.segments_missed = self._lost_before + follower.lost
        return follower.behind

    @property
    def mapped(self) -> bool:
        """Whether there is a ring, be it an old one."""
        return self._ring is not None

    @property
    def alive(self) -> bool:
        """Whether the sampler has ticked a moment ago."""
        if self._ring is None:
            return False
        beat_ns = self._ring.figures()[Slot.HEARTBEAT_NS]
        return beat_ns > 0 and self._clock() - beat_ns < _STALE_NS

    def view(self) -> View:
        """Everything as of now."""
        try:
            state = read_state(self._places.state)
        except MemwatchdError:
            state = None
        board = self._ring.figures() if self._ring is not None else None
        return View(
            board=board,
            state=state,
            alive=self.alive,
            watch=self.watch,
            own=self.own,
            cpu_s=time.process_time(),
            now_ns=self._clock(),
        )


class MemwatchdCollector:
    """What the registry asks on every scrape."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Family]:
        """Yield all metrics that have a value; without a running daemon, memwatchd_up says so."""
        view = self._source.view()
        for metric in METRICS:
            family = metric.family(view)
            if family is not None:
                yield family


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
