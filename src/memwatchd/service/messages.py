"""The service's ear at the kernel: messages and counters of kills, and when they make an incident."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from memwatchd.incidents.recorder import KERNEL_KILL, Note, Trigger
from memwatchd.kernel.clocks import read_clocks
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.oomreport.kills import Kill, KillParser
from memwatchd.procfs.kmsg import KmsgRecord
from memwatchd.ring.file import RingMap
from memwatchd.ring.reader import Segment, read_segments
from memwatchd.ring.stream import events
from memwatchd.ring.writer import Clocks
from memwatchd.service.eventring import EventRing
from memwatchd.service.ledger import Ledger
from memwatchd.views.text import printable

# The message about a kill follows the counter by microseconds; a trigger that can name the victim is worth
# this wait.
_MESSAGE_WAIT_NS = 150_000_000
# The service looks ten times a second. When it has not for so long, it stood still, and what it hears then is
# as old as it says itself.
_LATE_NS = 1_000_000_000
_BURST = 5000


@dataclass(slots=True)
class KillWatch:
    """Listens for kills.

    Args:
        kmsg: None where the kernel's log may not be read.
        samples: The sampler's ring, whose events tell of counters.
        trigger: Called for every kill.
        note: The journal, which is told of every kill that has a name.
    """

    kmsg: KmsgReader | None
    samples: RingMap
    event_ring: EventRing
    trigger: Callable[[Trigger], None]
    note: Note | None = None
    ledger: Ledger = field(init=False)
    _parser: KillParser = field(default_factory=KillParser)
    _counted_until_ns: int = field(default_factory=time.monotonic_ns)
    _counted: set[str] = field(default_factory=set)
    _sequence: int = 0
    _untold_ns: int | None = None
    _lost: int = 0
    _looked_ns: int = field(default_factory=time.monotonic_ns)
    _turned_ns: int = field(default_factory=time.monotonic_ns)

    def __post_init__(self) -> None:
        self.ledger = Ledger(messages_read=self.kmsg is not None)

    def read_messages(self) -> None:
        """Keep the kernel's new messages and look for kills among them."""
        if self.kmsg is None:
            return
        for raw, record in self.kmsg.read(_BURST):
            now = read_clocks()
            self.event_ring.message(now.monotonic_ns, raw)
            kill = record and self._parser.feed_record(record)
            if record and kill:
                moment = self._moment(record, now)
                self.ledger.told(moment.monotonic_ns, kill)
                self._untold_ns = None
                self._tell(kill)
                self.trigger(Trigger(KERNEL_KILL, in_words(kill), moment))
        if self.kmsg.lost != self._lost:
            lost, self._lost = self.kmsg.lost - self._lost, self.kmsg.lost
            self.event_ring.event("kmsg_lost", time.monotonic_ns(), records=lost)

    def _tell(self, kill: Kill) -> None:
        if self.note is not None:
            self.note(
                "warning",
                f"kernel: {in_words(kill)}",
                event="kernel_kill",
                victim=kill.comm,
                victim_pid=kill.pid,
                scope=kill.scope or "unknown",
                limit_cgroup=kill.limit_cgroup,
                victim_cgroup=kill.task_cgroup,
            )

    def _moment(self, record: KmsgRecord, now: Clocks) -> Clocks:
        """When a message was printed: now, or when the service stood still, as the message says.

        The kernel's clock for messages runs near the monotonic one, and may run apart from it. But it cannot
        have been printed before the last look.
        """
        if now.monotonic_ns - self._looked_ns < _LATE_NS:
            return now
        return _earlier(now, max(self._looked_ns, record.timestamp_usec * 1000))

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
        now_ns = time.monotonic_ns()
        # A wait during which this process stood still may end without what has come meanwhile: the turn
        # before this one is the last of which it is known that nothing was left unread.
        self._looked_ns, self._turned_ns = self._turned_ns, now_ns
        if self._untold_ns is not None and now_ns - self._untold_ns >= _MESSAGE_WAIT_NS:
            moment = _earlier(read_clocks(), self._untold_ns)
            self._untold_ns = None
            detail = "an oom_kill counter rose, and no kernel message says who was killed"
            self.trigger(Trigger(KERNEL_KILL, detail, moment))


def _earlier(now: Clocks, monotonic_ns: int) -> Clocks:
    """All clocks at an earlier moment of the monotonic one."""
    ago_ns = max(0, now.monotonic_ns - monotonic_ns)
    return Clocks(now.monotonic_ns - ago_ns, now.boottime_ns - ago_ns, now.realtime_ns - ago_ns)


def in_words(kill: Kill) -> str:
    """Say in one sentence who was killed, and by whose limit."""
    if kill.limit_cgroup is not None:
        limit = f"by the limit of cgroup {kill.limit_cgroup}"
    elif kill.scope == "cgroup":
        limit = "by the limit of its cgroup"
    else:
        limit = "because the machine was out of memory"
    return f"{printable(kill.comm)} (pid {kill.pid}) was killed {limit}"
