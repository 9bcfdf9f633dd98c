"""The service's ear at the kernel: messages and counters of kills, and when they make an incident."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from memwatchd.incidents.recorder import KERNEL_KILL, Trigger
from memwatchd.kernel.clocks import read_clocks
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.oomreport.kills import Kill, KillParser
from memwatchd.ring.file import RingMap
from memwatchd.ring.reader import Segment, read_segments
from memwatchd.ring.stream import events
from memwatchd.service.eventring import EventRing
from memwatchd.service.ledger import Ledger
from memwatchd.views.text import printable

# The message about a kill follows the counter by microseconds; a trigger that can name the victim is worth
# this wait.
_MESSAGE_WAIT_NS = 150_000_000
_BURST = 5000


@dataclass(slots=True)
class KillWatch:
    """Listens for kills.

    Args:
        kmsg: None where the kernel's log may not be read.
        samples: The sampler's ring, whose events tell of counters.
        trigger: Called for every kill.
    """

    kmsg: KmsgReader | None
    samples: RingMap
    event_ring: EventRing
    trigger: Callable[[Trigger], None]
    ledger: Ledger = field(init=False)
    _parser: KillParser = field(default_factory=KillParser)
    _counted_until_ns: int = field(default_factory=time.monotonic_ns)
    _counted: set[str] = field(default_factory=set)
    _sequence: int = 0
    _untold_ns: int | None = None
    _lost: int = 0

    def __post_init__(self) -> None:
        self.ledger = Ledger(messages_read=self.kmsg is not None)

    def read_messages(self) -> None:
        """Keep the kernel's new messages and look for kills among them."""
        if self.kmsg is None:
            return
        for raw, record in self.kmsg.read(_BURST):
            now_ns = time.monotonic_ns()
            self.event_ring.message(now_ns, raw)
            kill = record and self._parser.feed_record(record)
            if kill:
                self.ledger.told(now_ns, kill)
                self._untold_ns = None
                self.trigger(Trigger(KERNEL_KILL, in_words(kill), read_clocks()))
        if self.kmsg.lost != self._lost:
            lost, self._lost = self.kmsg.lost - self._lost, self.kmsg.lost
            self.event_ring.event("kmsg_lost", time.monotonic_ns(), records=lost)

    def read_counters(self) -> None:
        """Take in the counters that the sampler saw rise."""
        for event in events(self._new_segments()):
            if event["event"] != "oom_kill" or not self._is_new(event["monotonic_ns"], str(event["source"])):
                continue
            self.ledger.counted(event["monotonic_ns"], str(event["source"]), int(event["rise"]))
            told = self.ledger.kills
            if not told or told[-1].monotonic_ns < event["monotonic_ns"] - _MESSAGE_WAIT_NS:
                self._untold_ns = event["monotonic_ns"]

    def _new_segments(self) -> Iterator[Segment]:
        """The newest segment that was looked at, for it may have grown, and those after it."""
        for segment in read_segments(self.samples, since_sequence=self._sequence):
            self._sequence = segment.header.sequence
            yield segment

    def _is_new(self, monotonic_ns: int, source: str) -> bool:
        """Whether this rise was not taken in before; several counters may rise in one tick."""
        if monotonic_ns > self._counted_until_ns:
            self._counted_until_ns = monotonic_ns
            self._counted.clear()
        if monotonic_ns < self._counted_until_ns or source in self._counted:
            return False
        self._counted.add(source)
        return True

    def poll(self) -> None:
        """A counter that rose with no message is an incident, too."""
        if self._untold_ns is not None and time.monotonic_ns() - self._untold_ns >= _MESSAGE_WAIT_NS:
            self._untold_ns = None
            detail = "an oom_kill counter rose, and no kernel message says who was killed"
            self.trigger(Trigger(KERNEL_KILL, detail, read_clocks()))


def in_words(kill: Kill) -> str:
    """Say in one sentence who was killed, and by whose limit."""
    if kill.limit_cgroup is not None:
        limit = f"by the limit of cgroup {kill.limit_cgroup}"
    elif kill.scope == "cgroup":
        limit = "by the limit of its cgroup"
    else:
        limit = "because the machine was out of memory"
    return f"{printable(kill.comm)} (pid {kill.pid}) was killed {limit}"
