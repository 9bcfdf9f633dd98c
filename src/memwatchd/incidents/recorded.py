"""What was recorded around a moment: in an incident, or lately in the rings of a daemon that runs."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from memwatchd.errors import MemwatchdError, NotFoundError, NotRunningError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.moment import page_size_of
from memwatchd.incidents.reader import Incident
from memwatchd.places import Places
from memwatchd.ring.file import RingMap, open_ring
from memwatchd.ring.reader import Segment, read_segments, segment_headers
from memwatchd.ring.stream import Message, Moment, events, messages, moments

LIVE = "live"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_DAY = 86_400_000_000_000


def _untold(_share: float) -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Some seconds of one machine.

    Attributes:
        name: What a person calls it.
        incident_id: 32 hex digits; empty for a live ring.
        boot_id: 32 hex digits.
        kind, detail: Of the trigger; ``live`` and nothing for a live ring.
        zero_ns: Moment zero on the monotonic clock: the trigger, or now.
        zero_realtime_ns, zero_boottime_ns: The same on the other clocks; None where that is not known.
        page_size: In bytes.
        host: See `memwatchd.incidents.meta`.
        kills: The same.
        from_ns, to_ns: What lies outside is left out; None for no bound.
        segment_count: Of samples.
        segments: Opens a stream, from the segment on that has this moment.
        incident: None for a live ring.
    """

    name: str
    incident_id: str
    boot_id: str
    kind: str
    detail: str
    zero_ns: int
    zero_realtime_ns: int | None
    zero_boottime_ns: int | None
    page_size: int
    host: dict[str, Any]
    kills: list[dict[str, Any]]
    from_ns: int | None
    to_ns: int | None
    segment_count: int
    segments: Callable[[BlockType, int | None], Iterator[Segment]]
    incident: Incident | None

    def moments(self, tell: Callable[[float], None] = _untold) -> Iterator[Moment]:
        """Yield the samples, oldest first.

        Args:
            tell: Is called with the share of them that has been read.
        """
        for done, segment in enumerate(self.segments(BlockType.SAMPLES, self.from_ns)):
            for moment in moments([segment]):
                if self._holds(moment.sample.monotonic_ns):
                    yield moment
            tell(min(1.0, (done + 1) / max(1, self.segment_count)))

    def events(self) -> list[dict[str, Any]]:
        """What sampler and service noticed, by time."""
        streams = (BlockType.SAMPLES, BlockType.EVENTS)
        found = (event for kind in streams for event in events(self.segments(kind, self.from_ns)))
        return sorted(
            (event for event in found if self._holds(event["monotonic_ns"])),
            key=lambda event: int(event["monotonic_ns"]),
        )

    def messages(self) -> Iterator[Message]:
        """Yield what the kernel said, verbatim, with when it was read."""
        for message in messages(self.segments(BlockType.EVENTS, self.from_ns)):
            if self._holds(message.monotonic_ns):
                yield message

    def seconds(self, at_ns: int) -> float:
        """Seconds from moment zero, to the microsecond."""
        return round((at_ns - self.zero_ns) / 1e9, 6)

    def realtime_ns(self, at_ns: int) -> int | None:
        """A moment of the monotonic clock on the wall clock, as that stood at moment zero."""
        return None if self.zero_realtime_ns is None else self.zero_realtime_ns + at_ns - self.zero_ns

    def wall_clock(self, at_ns: int) -> str:
        """The same as ISO 8601, UTC, to the microsecond; empty where it is not known, or no date."""
        realtime_ns = self.realtime_ns(at_ns)
        return "" if realtime_ns is None else iso(realtime_ns)

    def _holds(self, at_ns: int) -> bool:
        return (self.from_ns is None or at_ns >= self.from_ns) and (self.to_ns is None or at_ns <= self.to_ns)


def iso(realtime_ns: int) -> str:
    """Write a moment as ISO 8601, UTC, to the microsecond; empty where that is no date."""
    try:
        moment = _EPOCH + timedelta(days=realtime_ns // _NS_PER_DAY)
        moment += timedelta(microseconds=realtime_ns % _NS_PER_DAY // 1000)
    except OverflowError:
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment.year >= 1000 else ""


def from_incident(incident: Incident) -> Recorded:
    """Take an incident as it is."""
    facts, trigger = incident.facts, incident.facts["trigger"]
    return Recorded(
        name=incident.path.name,
        incident_id=incident.header.incident_id.hex(),
        boot_id=incident.header.boot_id.hex(),
        kind=trigger["kind"] or "",
        detail=trigger["detail"] or "",
        zero_ns=incident.trigger_ns,
        zero_realtime_ns=trigger["realtime_ns"],
        zero_boottime_ns=trigger["boottime_ns"],
        page_size=page_size_of(incident),
        host=facts["host"],
        kills=facts["kills"],
        from_ns=None,
        to_ns=None,
        segment_count=incident.segment_count(BlockType.SAMPLES),
        segments=incident.segments,
        incident=incident,
    )


def from_rings(places: Places, span_ns: int) -> Recorded:
    """Take the last seconds of a daemon's rings; moment zero is now.

    Raises:
        NotRunningError: There are none, or they may not be read.
        NotFoundError: There is nothing in them from so late.
    """
    try:
        rings = {BlockType.SAMPLES: open_ring(places.ring), BlockType.EVENTS: open_ring(places.events)}
    except MemwatchdError as error:
        raise NotRunningError(f"no live samples: {error}") from error
    now_ns, machine = time.clock_gettime_ns(time.CLOCK_MONOTONIC), os.uname()
    if not _begun(rings[BlockType.SAMPLES]):
        raise NotFoundError(f"{places.ring}: no samples yet")

    def segments(kind: BlockType, from_ns: int | None) -> Iterator[Segment]:
        return read_segments(rings[kind], from_ns=from_ns)

    return Recorded(
        name=LIVE,
        incident_id="",
        boot_id=rings[BlockType.SAMPLES].header.boot_id.hex(),
        kind=LIVE,
        detail="",
        zero_ns=now_ns,
        zero_realtime_ns=time.clock_gettime_ns(time.CLOCK_REALTIME),
        zero_boottime_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        page_size=os.sysconf("SC_PAGE_SIZE"),
        host={"hostname": machine.nodename, "kernel": machine.release, "machine": machine.machine},
        kills=[],
        from_ns=now_ns - span_ns,
        to_ns=now_ns,
        segment_count=len(segment_headers(rings[BlockType.SAMPLES])),
        segments=segments,
        incident=None,
    )


def _begun(ring: RingMap) -> bool:
    return bool(segment_headers(ring))
