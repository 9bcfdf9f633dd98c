"""Turning triggers into incident files: when one begins, is extended, gets its aftermath, and is complete.

Everything here runs in one thread that may wait for the disk; nobody waits for it. The samples are in the
ring, so being late costs nothing until the ring has come round.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.store import MAX_PENDING, Keep, Store
from memwatchd.incidents.writer import IncidentWriter
from memwatchd.ring.file import RingMap
from memwatchd.ring.reader import Segment, read_segments
from memwatchd.ring.writer import Clocks

KERNEL_KILL = "kernel_kill"
REQUESTED = "requested"
RECORDER_DIED = "recorder_died"
MACHINE_DIED = "machine_died"
RULE_FIRED = "rule_fired"
KINDS = (KERNEL_KILL, RULE_FIRED, REQUESTED, RECORDER_DIED, MACHINE_DIED)
_RECENT = 8
_CHECKPOINT_NS = 1_000_000_000
_RETRY_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why an incident is written.

    Attributes:
        kind: KERNEL_KILL, RULE_FIRED, REQUESTED, RECORDER_DIED or MACHINE_DIED; becomes part of the
            file's name.
        detail: One sentence.
        moment: When, on all clocks.
    """

    kind: str
    detail: str
    moment: Clocks


@dataclass(frozen=True, slots=True)
class Windows:
    """How much is kept around a trigger, in nanoseconds."""

    before_ns: int
    after_ns: int
    merge_limit_ns: int


# Read one after the other as they are written, and read again when the first place would not have them.
Segments = dict[BlockType, Callable[[], Iterable[Segment]]]


@dataclass(frozen=True, slots=True)
class Whole:
    """All that goes into an incident's first version.

    Attributes:
        boot_id: Of the boot the segments are from.
        facts: For the meta block.
        texts: Kept byte for byte, by name.
    """

    trigger: Trigger
    boot_id: bytes
    segments: Segments
    facts: dict[str, Any]
    texts: dict[str, bytes]


class Describe(Protocol):
    """Says what is known about a span of time: kills, counters, the machine, the configuration."""

    def __call__(self, from_ns: int, to_ns: int) -> dict[str, Any]:
        """Facts for the incident's meta block."""
        ...


class Note(Protocol):
    """Tells the administrator something."""

    def __call__(self, level: str, message: str, **fields: object) -> None:
        """Log one line; `level` is error, warning or info."""
        ...


@dataclass(slots=True)
class _Open:
    """An incident whose aftermath is still coming in."""

    trigger: Trigger
    header: IncidentHeader
    last_ns: int
    writer: IncidentWriter
    path: Path
    next_checkpoint_ns: int
    from_ns: int


class Recorder:
    """Writes incidents from two rings.

    Args:
        store: Where they go.
        samples: The sampler's ring.
        events: The service's ring.
        windows: How much goes into each.
        describe: Facts for the meta block.
        clocks: Reads the three clocks.
        texts: Texts kept with each incident, by name.
        note: Tells the administrator.
    """

    def __init__(
        self,
        *,
        store: Store,
        samples: RingMap,
        events: RingMap,
        windows: Windows,
        describe: Describe,
        clocks: Callable[[], Clocks],
        texts: dict[str, bytes],
        note: Note,
    ) -> None:
        self.written = 0
        self.by_kind = dict.fromkeys(KINDS, 0)
        # Names of the newest incidents, also of earlier runs, the oldest first.
        self.recent = tuple(path.name for path in store.paths()[-_RECENT:])
        self.last_path: Path | None = None
        self.problem = ""
        self._store = store
        self._boot_id = samples.header.boot_id
        self._rings = {BlockType.EVENTS: events, BlockType.SAMPLES: samples}
        self._windows = windows
        self._describe = describe
        self._clocks = clocks
        self._texts = texts
        self._note = note
        self._open: _Open | None = None
        self._unwritten: Trigger | None = None
        self._salvage: Callable[[], None] | None = None
        self._retry_ns = 0
        self._own: dict[str, int] = {}

    def configure(self, windows: Windows, keep: Keep, texts: dict[str, bytes]) -> None:
        """Go by another configuration from the next incident on."""
        self._windows, self._texts = windows, texts
        self._store.keep = keep

    def happened(self, trigger: Trigger) -> None:
        """Begin an incident that goes on for a while, or extend the one that is open."""
        now_ns = trigger.moment.monotonic_ns
        current = self._open
        if current is not None:
            if now_ns - current.trigger.moment.monotonic_ns <= self._windows.merge_limit_ns:
                current.last_ns = max(current.last_ns, now_ns)
                self._checkpoint(current)
                return
            self._complete(current)
        if self._unwritten is None:
            self._begin(trigger)

    def dump(self, trigger: Trigger) -> Path:
        """Write an incident about what has been so far; it is complete at once.

        Raises:
            OSError: It could be written nowhere.
        """
        to_ns = trigger.moment.monotonic_ns
        from_ns = to_ns - self._windows.before_ns
        facts = self._describe(from_ns, to_ns)
        return self.write_whole(Whole(trigger, self._boot_id, self._since(from_ns), facts, self._texts))

    def write_whole(self, whole: Whole) -> Path:
        """Write an incident that is complete at once.

        Raises:
            OSError: It could be written nowhere.
        """
        path = write_whole(self._store, whole, self._trouble)
        self._wrote(path, whole.trigger)
        self._tidy()
        return path

    def salvage(self, save: Callable[[], None]) -> None:
        """Have `save` write down what a previous run left, now or as soon as the disk takes it."""
        self._salvage = save

    def poll(self) -> None:
        """Do what time has made due: checkpoints, completion, another try at what failed."""
        now_ns = self._clocks().monotonic_ns
        current = self._open
        if current is not None:
            if now_ns >= current.last_ns + self._windows.after_ns:
                self._complete(current)
            elif now_ns >= current.next_checkpoint_ns:
                self._checkpoint(current)
        if now_ns >= self._retry_ns:
            self._retry_ns = now_ns + _RETRY_NS
            self._retry()

    @property
    def busy(self) -> bool:
        """Whether an incident is open."""
        return self._open is not None

    def close(self) -> None:
        """Complete what is open; the service ends."""
        if self._open is not None:
            self._complete(self._open)

    # ---- beginning

    def _begin(self, trigger: Trigger) -> None:
        to_ns = trigger.moment.monotonic_ns
        from_ns = to_ns - self._windows.before_ns
        facts = self._describe(from_ns, self._clocks().monotonic_ns)
        whole = Whole(trigger, self._boot_id, self._since(from_ns), facts, self._texts)
        header = make_header(whole)
        try:
            writer, path = create(self._store, whole, header, self._trouble, complete=False)
        except OSError as error:
            self._unwritten = trigger
            self._trouble(f"an incident cannot be written anywhere: {error.strerror}; it is kept in the ring")
            return
        self._unwritten = None
        next_ns = self._clocks().monotonic_ns + _CHECKPOINT_NS
        self._open = _Open(trigger, header, to_ns, writer, path, next_ns, from_ns)
        self._wrote(path, trigger)

    def _since(self, from_ns: int) -> Segments:
        return {kind: partial(read_segments, ring, from_ns=from_ns) for kind, ring in self._rings.items()}

    # ---- going on

    def _checkpoint(self, current: _Open) -> None:
        """Put on disk what has come since; a disk that fails now costs nothing that is in the ring."""
        current.next_checkpoint_ns = self._clocks().monotonic_ns + _CHECKPOINT_NS
        try:
            self._append(current)
            current.writer.sync()
        except OSError as error:
            self._move_to_memory(current, error)

    def _append(self, current: _Open) -> None:
        writer = current.writer
        for kind, ring in self._rings.items():
            # The ring may have been empty of this kind when the incident began, or come round since.
            since = writer.last_sequence(kind)
            writer.add_segments(kind, read_segments(ring, since_sequence=since, from_ns=current.from_ns))

    def _complete(self, current: _Open) -> None:
        """Store the aftermath and the last word on what happened."""
        self._open = None
        facts = self._describe(current.from_ns, current.last_ns + self._windows.after_ns)
        meta = _meta(current.trigger, current.header, facts, complete=True)
        try:
            self._append(current)
            current.writer.add_meta(meta)
            current.writer.finish()
        except OSError as error:
            current.writer.close()
            self._trouble(f"{current.path}: {error.strerror}; it is written anew in {self._store.pending}")
            self._write_anew(
                Whole(current.trigger, self._boot_id, self._since(current.from_ns), facts, self._texts)
            )
            return
        self._note(
            "info", f"incident complete: {current.path}", event="incident_complete", incident=current.path
        )
        self._tidy()

    def _write_anew(self, whole: Whole) -> None:
        try:
            self.write_whole(whole)
        except OSError as error:
            self._trouble(
                f"an incident cannot be written anywhere: {error.strerror}; its first version stays"
            )

    def _move_to_memory(self, current: _Open, error: OSError) -> None:
        """The disk failed in the middle: write the whole of it anew to where there is room."""
        current.writer.close()
        self._open = None
        self._trouble(f"{current.path}: {error.strerror}; it is written anew in {self._store.pending}")
        self._begin(current.trigger)
        if self._open is not None:
            self._open.last_ns = current.last_ns

    # ---- keeping order

    def _retry(self) -> None:
        if self._unwritten is not None:
            trigger, self._unwritten = self._unwritten, None
            self._begin(trigger)
        if self._open is not None:
            return
        try:
            if self._salvage is not None:
                self._salvage()
                self._salvage = None
            for path in self._store.settle_pending():
                self.last_path = path
                self._note(
                    "info", f"incident moved to its place: {path}", event="incident_complete", incident=path
                )
            self._store.reserve()
            self.problem = ""
        except OSError as error:
            self._trouble(f"{self._store.directory}: no room for the next incident: {error.strerror}")

    def _tidy(self) -> None:
        self._retry_ns = 0
        now = self._clocks()
        ages_s = {name: (now.monotonic_ns - at_ns) / 1e9 for name, at_ns in self._own.items()}
        spare = "" if self._open is None else self._open.path.name
        try:
            for path in self._store.prune(now.realtime_ns / 1e9, ages_s, spare):
                self._own.pop(path.name, None)
                self._note(
                    "info",
                    f"incident removed to make room: {path.name}",
                    event="incident_removed",
                    incident=path,
                )
        except OSError as error:
            self._trouble(f"{error.filename}: the old incident cannot be removed: {error.strerror}")

    def _wrote(self, path: Path, trigger: Trigger) -> None:
        self.written += 1
        self.by_kind[trigger.kind] += 1
        self.recent = (*self.recent, path.name)[-_RECENT:]
        self.last_path = path
        self._own[path.name] = self._clocks().monotonic_ns
        if len(self._own) > self._store.keep.count + MAX_PENDING:  # somebody else has removed some
            del self._own[next(iter(self._own))]
        said = f"incident: {trigger.detail}: {path}"
        self._note("warning", said, event="incident", incident=path, kind=trigger.kind)

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            self._note("error", problem, event="incident_trouble")
        self.problem = problem


def make_header(whole: Whole) -> IncidentHeader:
    """Give an incident its name in the world."""
    return IncidentHeader(uuid.uuid4().bytes, whole.boot_id, whole.trigger.moment.realtime_ns)


def write_whole(store: Store, whole: Whole, trouble: Callable[[str], None]) -> Path:
    """Write an incident that is complete at once.

    Args:
        store: Where to.
        whole: All of it.
        trouble: Told when it is not written where it belongs.

    Raises:
        OSError: It could be written nowhere.
    """
    writer, path = create(store, whole, make_header(whole), trouble, complete=True)
    writer.finish()
    return path


def create(
    store: Store, whole: Whole, header: IncidentHeader, trouble: Callable[[str], None], *, complete: bool
) -> tuple[IncidentWriter, Path]:
    """Write an incident's first version where it belongs, or else in memory.

    Raises:
        OSError: Neither would have it.
    """
    try:
        return _first_version(store, whole, header, complete=complete, pending=False)
    except OSError as error:
        trouble(f"{store.directory}: {error.strerror}; the incident waits in {store.pending}")
    return _first_version(store, whole, header, complete=complete, pending=True)


def _first_version(
    store: Store, whole: Whole, header: IncidentHeader, *, complete: bool, pending: bool
) -> tuple[IncidentWriter, Path]:
    writer = store.begin_pending(header) if pending else store.begin(header)
    try:
        writer.add_meta(_meta(whole.trigger, header, whole.facts, complete=complete))
        for kind, wanted in whole.segments.items():
            writer.add_segments(kind, wanted())
        for number, (name, text) in enumerate(whole.texts.items()):
            writer.add_text(number, name, text)
        directory = store.pending if pending else store.directory
        path = store.name(header.realtime_ns, whole.trigger.kind, directory)
        writer.publish(path)
    except OSError:
        writer.close()
        raise
    return writer, path


def _meta(
    trigger: Trigger, header: IncidentHeader, facts: dict[str, Any], *, complete: bool
) -> dict[str, Any]:
    moment = trigger.moment
    return {
        "id": uuid.UUID(bytes=header.incident_id).hex,
        "boot_id": uuid.UUID(bytes=header.boot_id).hex,
        "complete": complete,
        "trigger": {
            "kind": trigger.kind,
            "detail": trigger.detail,
            "monotonic_ns": moment.monotonic_ns,
            "boottime_ns": moment.boottime_ns,
            "realtime_ns": moment.realtime_ns,
        },
        **facts,
    }
