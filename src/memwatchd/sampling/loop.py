"""The sampler's loop: one tick reads what is due, appends it to the ring, and then looks at what it means.

It never forks, opens, logs, waits for anyone or, once warm, grows. What goes wrong is counted on the board,
remembered as an event in the ring, and the loop goes on.
"""

import errno
import json
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from memwatchd.ring.board import Slot
from memwatchd.ring.format import Kind
from memwatchd.ring.samples import SAMPLE_HEADER, pack_blob
from memwatchd.ring.writer import RingWriter
from memwatchd.sampling.observer import Observer
from memwatchd.sampling.pacing import Pacing
from memwatchd.sampling.ruling import Ruling
from memwatchd.sampling.source import Source
from memwatchd.sampling.tally import Tally

_BRIEF_NAME = 40
_LOOK_NS = 20_000_000


@dataclass(slots=True)
class Catalogue:
    """What the ring says of the sources, and the sources themselves in the order they are read.

    Attributes:
        entries: By source id; at least "id", "name" and "path".
    """

    entries: dict[int, dict[str, Any]] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)

    def add(self, source: Source, entry: dict[str, Any]) -> None:
        """Take in a source; one of the same id is replaced."""
        self.entries[source.number] = entry
        self.sources[source.number] = source

    def remove(self, number: int) -> Source | None:
        """Take a source out; None when there is none of this id."""
        self.entries.pop(number, None)
        return self.sources.pop(number, None)

    def by_name(self) -> tuple[dict[str, Source], dict[str, dict[str, Any]]]:
        """The sources, and their entries, by name."""
        sources = {source.name: source for source in self.sources.values()}
        return sources, {str(entry["name"]): entry for entry in self.entries.values()}

    def to_json(self, *, brief: bool = False) -> bytes:
        """The catalogue record; brief leaves out all but ids and the beginnings of names."""
        entries = list(self.entries.values())
        if brief:
            entries = [{"id": entry["id"], "name": str(entry["name"])[:_BRIEF_NAME]} for entry in entries]
        return json.dumps(entries).encode()


class Loop:
    """Samples until told to stop.

    Args:
        catalogue: The sources.
        pacing: Which sources are due when.
        writer: Where samples go.
        board: Live figures, format 'Q'.
        alarm: An eventfd that is raised when an oom_kill counter rises; -1 for none.
        on_doorbell: Called after a tick during which a command came.
        make_ruling: Makes the rules, given texts and catalogue entries by source name.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        pacing: Pacing,
        writer: RingWriter,
        board: memoryview,
        alarm: int,
        on_doorbell: Callable[[], None],
        make_ruling: Callable[[dict[str, Source], dict[str, dict[str, Any]]], Ruling],
    ) -> None:
        self.catalogue = catalogue
        self.observer = Observer({source.name: source for source in catalogue.sources.values()})
        self.ruling = make_ruling(*catalogue.by_name())
        self.stopping = False
        self.tick_number = max(board[Slot.NUMBER], board[Slot.TICKS] + board[Slot.MISSED])
        self._pacing = pacing
        self._writer = writer
        self._board = board
        self._alarm = alarm
        self._on_doorbell = on_doorbell
        self._doorbell = board[Slot.COMMANDS]
        self._catalogue_record = catalogue.to_json()
        self._new_segment = True
        self._alarming = False
        self._look_at_ns = 0
        self._tally = Tally(board)
        # More than this many between two ticks would be a storm; the board counts what the events tell.
        self._events: deque[bytes] = deque(maxlen=256)
        board[Slot.PERIOD_NS] = pacing.period_ns

    def run(self) -> None:
        """Tick on absolute deadlines of the monotonic clock until `stopping`."""
        now, sleep, board, pacing = time.monotonic_ns, time.sleep, self._board, self._pacing
        period_ns = pacing.period_ns
        deadline_ns = now() + period_ns
        while not self.stopping:
            wait_ns = deadline_ns - now()
            if wait_ns > 0:
                sleep(wait_ns * 1e-9)
            woke_ns = now()
            lag_ns = woke_ns - deadline_ns
            if lag_ns < 0:
                lag_ns = 0
            missed = lag_ns // (period_ns * pacing.stride)
            deadline_ns += missed * period_ns * pacing.stride
            self.tick(woke_ns, lag_ns, missed)
            deadline_ns += period_ns * pacing.stride
            if board[Slot.DOORBELL] != self._doorbell:
                self._doorbell = board[Slot.DOORBELL]
                self._on_doorbell()
                board[Slot.COMMANDS] = self._doorbell

    def tick(self, woke_ns: int, lag_ns: int, missed: int) -> None:
        """Read what is due, append it, look at it, account for it.

        Args:
            woke_ns: Now, on the monotonic clock.
            lag_ns: How long after its deadline that is.
            missed: Deadlines that passed meanwhile.
        """
        stride = self._pacing.stride
        self.tick_number = number = self.tick_number + (1 + missed) * stride
        entries: list[bytes] = []
        texts: list[memoryview] = []
        previous: list[memoryview] = []
        for source in self._pacing.steady:
            try:
                source.read(entries, texts, previous)
            except OSError as error:
                self._failed(source, error, woke_ns)
        for source in self._pacing.paced:
            if number >= source.due:
                began_ns = time.monotonic_ns()
                source.due = number + source.interval
                try:
                    source.read(entries, texts, previous)
                except OSError as error:
                    self._failed(source, error, woke_ns)
                source.cost_ns = time.monotonic_ns() - began_ns
        read_ns = time.monotonic_ns() - woke_ns
        header = SAMPLE_HEADER.pack(number, woke_ns, lag_ns, read_ns, missed, len(entries), stride)
        blob = pack_blob(texts, previous) if texts else ()
        if self._new_segment or not self._writer.append(Kind.SAMPLE, header, *entries, *blob):
            self._start_segment(woke_ns, lag_ns, missed, read_ns)
        # Nothing new means nothing to see, but that danger passes with time.
        if texts or woke_ns >= self._look_at_ns:
            self._look_at_ns = woke_ns + _LOOK_NS
            if self.observer.look(woke_ns):
                self._report(woke_ns)
        self._judge(woke_ns, lag_ns, read_ns, missed)
        self._account(woke_ns, lag_ns, missed, read_ns)
        if self._events:
            self._write_events()

    def _judge(self, woke_ns: int, lag_ns: int, read_ns: int, missed: int) -> None:
        """Ask the rules, also when no text is new: they look at the time as well."""
        ruling = self.ruling
        pulse = ruling.pulse
        pulse.lag_ns, pulse.read_ns, pulse.missed = lag_ns, read_ns, missed
        ruling.tick(woke_ns, self.event)
        near = ruling.near(woke_ns)
        if near:
            self.observer.danger.arm(woke_ns, f"rule {near} is near its threshold or has fired")

    def _write_events(self) -> None:
        while self._events:
            if not self._writer.append(Kind.EVENT, self._events[0]):
                # Whoever hears the alarm looks for the event now, not after the next sample.
                self._begin_segment()
                self._writer.append(Kind.EVENT, self._events[0])
                for source in self.catalogue.sources.values():
                    source.forget()
                    source.due = 0
            self._events.popleft()
        if self._alarming and self._alarm >= 0:
            # Full means that the responder has not come to the alarms before; it will see this one with them.
            with suppress(BlockingIOError):
                os.eventfd_write(self._alarm, 1)
        self._alarming = False

    def event(self, name: str, now_ns: int, **facts: object) -> None:
        """Remember something that happened; it goes into the ring after the present sample."""
        self._events.append(json.dumps({"event": name, "monotonic_ns": now_ns, **facts}).encode())

    def add(self, source: Source, entry: dict[str, Any], rate_hz: float | None) -> None:
        """Sample one more source from the next tick on; `rate_hz` None is on every tick."""
        source.forget()
        self.catalogue.add(source, entry)
        self._pacing.add(source, rate_hz)
        self._changed_catalogue()

    def remove(self, number: int) -> None:
        """Sample this source no more."""
        source = self.catalogue.remove(number)
        if source is not None:
            self._pacing.remove(source)
            self.observer.forget(source)
            source.close()
            self._changed_catalogue()

    def stop(self) -> None:
        """Leave `run` after the present tick."""
        self.stopping = True

    def close(self) -> None:
        """Seal the present segment, and put the last figures onto the board."""
        self._writer.seal()
        self._tally.show()

    def _changed_catalogue(self) -> None:
        self.ruling.rebind(*self.catalogue.by_name())
        self._catalogue_record = self.catalogue.to_json()
        # Where there is no room for it, the next sample must not be written before a new segment has it.
        self._new_segment = not self._writer.append(Kind.CATALOGUE, self._catalogue_record)

    def _start_segment(self, woke_ns: int, lag_ns: int, missed: int, read_ns: int) -> None:
        """Begin a new segment with the catalogue and a key sample: every source, whole."""
        self._begin_segment()
        sources = [source for source in self.catalogue.sources.values() if self._readable(source)]
        stride = self._pacing.stride
        while True:
            entries = [source.key_entry for source in sources]
            header = SAMPLE_HEADER.pack(
                self.tick_number, woke_ns, lag_ns, read_ns, missed, len(entries), stride
            )
            blob = pack_blob([source.text for source in sources], ())
            if self._writer.append(Kind.SAMPLE, header, *entries, *blob) or not sources:
                return
            # Cannot happen where the service has measured a sample before it chose the segments' size; a
            # machine that has grown tenfold since goes without its largest text as long as that is so large:
            # trying it again and again would begin a new segment on every tick, and so cost the past.
            largest = max(sources, key=lambda source: source.size)
            sources.remove(largest)
            largest.largest = largest.size - 1
            largest.forget()
            self._board[Slot.OVERSIZE] += 1
            self.event("source_error", woke_ns, source=largest.name, error=os.strerror(errno.EFBIG))

    def _begin_segment(self) -> None:
        """Begin a segment with the catalogue; every text has to be stored whole in it first."""
        self._new_segment = False
        self._writer.start_segment(self.tick_number)
        if not self._writer.append(Kind.CATALOGUE, self._catalogue_record):
            # Very long names of very many watched files: a reader cannot do without their bare names.
            self._board[Slot.OVERSIZE] += 1
            self._writer.append(Kind.CATALOGUE, self.catalogue.to_json(brief=True))

    def _readable(self, source: Source) -> bool:
        """Whether the source has a text to begin a segment with; one not read in this tick is read now."""
        read_now = source.interval == 1 or source.due == self.tick_number + source.interval
        if not read_now or source.fresh:
            try:
                source.read([], [], [])
            except OSError:
                source.forget()
        return not source.fresh

    def _failed(self, source: Source, error: OSError, now_ns: int) -> None:
        """Count a refused reading; the first of a row is also an event."""
        self._board[Slot.SOURCE_ERRORS] += 1
        source.errors += 1
        if not source.fresh:
            source.forget()
            self.event("source_error", now_ns, source=source.name, error=error.strerror)

    def _report(self, now_ns: int) -> None:
        observer, board = self.observer, self._board
        if observer.kills:
            self.ruling.kernel_killed(now_ns)
        for kill in observer.kills:
            board[Slot.KILLS_SEEN] += kill.rise
            self.event("oom_kill", now_ns, source=kill.source, rise=kill.rise, count=kill.count)
            self._alarming = True
        if observer.armed != bool(board[Slot.ARMED]):
            board[Slot.ARMED] = observer.armed
            self._pacing.arm(observer.armed)
            reason = observer.danger.reason if observer.armed else ""
            self.event("armed" if observer.armed else "calm", now_ns, reason=reason)

    def _account(self, woke_ns: int, lag_ns: int, missed: int, read_ns: int) -> None:
        self._tally.tick(self.tick_number, woke_ns, lag_ns, read_ns, self.observer.armed)
        if missed:
            self._board[Slot.MISSED] += missed
            self.event("missed", woke_ns, ticks=missed, lag_ns=lag_ns)
        if self._pacing.decide(woke_ns):
            self._tally.show()
            if self._pacing.stride != (self._board[Slot.STRIDE] or 1):
                self.event("pace", woke_ns, stride=self._pacing.stride)
            self._pacing.show(self._board)
            self._board[Slot.SEQUENCE] = self._writer.sequence
