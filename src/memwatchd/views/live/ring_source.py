"""The machine as it is now, read along with the daemon's rings; needs no right but to read them."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from memwatchd.errors import FormatError, MemwatchdError, NotFoundError, NotRunningError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorded import LIVE, Recorded
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, open_ring
from memwatchd.ring.follow import Follower, Stretch
from memwatchd.ring.format import Kind
from memwatchd.ring.reader import Segment, read_segments
from memwatchd.ring.stream import Moment, MomentDecoder, events, messages, process_rows
from memwatchd.state import read_state
from memwatchd.views.live.frame import Frame
from memwatchd.views.live.gauges import Gauges
from memwatchd.views.live.happenings import Happenings
from memwatchd.views.live.making import Maker, Setting, describe_rules
from memwatchd.views.live.past import Past
from memwatchd.views.live.rulewatch import RuleNow, RuleWatch, Standing
from memwatchd.views.live.source import Move, Rules
from memwatchd.views.live.table import ProcessTable

# Rules are looked at so often, and not on each of 200 samples a second.
_RULES_NS = 50_000_000
# How near they are is told so often: it is dear, and more than anybody can read.
_NEAR_NS = 200_000_000
_MARK_NS = 250_000_000
_KEPT_NS = 120_000_000_000
# Something of the past is read at the start, so that growth is known at once.
_REACH_NS = 12_000_000_000
_EVENTS_REACH_NS = 600_000_000_000
# Of a frozen machine so much can be gone back to.
_FROZEN_NS = 60_000_000_000
_STALE_NS = 2_000_000_000
_LOOK_NS = 1_000_000_000
_MOST_HAPPENINGS = 1000


@dataclass(frozen=True, slots=True)
class _Rings:
    """Both rings, and which files they are."""

    samples: RingMap
    events: RingMap
    file_id: tuple[int, int]


class RingSource:
    """Follows a daemon that runs.

    Args:
        places: Where its files are.
        rules: Whose nearness is to be told.

    Raises:
        NotRunningError: There is no ring, it may not be read, or nobody writes it.
    """

    def __init__(self, places: Places, rules: Rules) -> None:
        self.title = f"{os.uname().nodename}"
        self._places, self.rules = places, rules
        self._looked_ns = self._ruled_ns = self._wall_ns = 0
        self._state: dict[str, Any] = {}
        self._moment: Moment | None = None
        self._watch: RuleWatch | None
        self._near: tuple[RuleNow, ...]
        self._near_ns: int
        self._open()
        if not self._is_alive(time.monotonic_ns()):
            raise NotRunningError(f"memwatchd is not running: nobody writes {places.ring}; try: replay last")
        self._advance()
        self._look_around(time.monotonic_ns())
        if self._moment is None:
            raise NotRunningError(f"{places.ring}: no samples yet")

    # -- frames --------------------------------------------------------------------------------------------

    def frame(self, span_s: float) -> Frame:
        """See `Source.frame`."""
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _LOOK_NS:
            self._look_around(now_ns)
        self._advance()
        moment = self._moment
        assert moment is not None
        at_ns = moment.sample.monotonic_ns
        setting = Setting(
            title=self.title,
            mode="live",
            at_ns=at_ns,
            zero_ns=None,
            wall_ns=self._wall_ns,
            from_ns=at_ns,
            to_ns=at_ns,
            notes=tuple(self._notes(now_ns)),
            rules_note=self._rules_note(),
        )
        if self._watch is not None and at_ns - self._near_ns >= _NEAR_NS:
            self._near_ns, self._near = at_ns, self._watch.look()
        rules = describe_rules(self._watch, self._near, at_ns, self._standing())
        return self._maker.frame(moment, setting, span_s, self._table, self._happenings, rules)

    def put_aside(self) -> Recorded:
        """Copy what is in the rings, to go to and fro in.

        Raises:
            NotFoundError: There is nothing in them.
        """
        now_ns = time.monotonic_ns()
        kept = {
            BlockType.SAMPLES: list(read_segments(self._rings.samples, from_ns=now_ns - _FROZEN_NS)),
            BlockType.EVENTS: list(read_segments(self._rings.events, from_ns=now_ns - _FROZEN_NS)),
        }
        if not kept[BlockType.SAMPLES]:
            raise NotFoundError(f"{self._places.ring}: no samples")
        zero_ns = now_ns if self._moment is None else self._moment.sample.monotonic_ns

        def segments(kind: BlockType, from_ns: int | None) -> Iterator[Segment]:
            for segment, following in zip_longest(kept[kind], kept[kind][1:]):
                if from_ns is None or following is None or following.header.monotonic_ns > from_ns:
                    yield segment

        return Recorded(
            name=LIVE,
            incident_id="",
            boot_id=self._rings.samples.header.boot_id.hex(),
            kind=LIVE,
            detail="",
            zero_ns=zero_ns,
            zero_realtime_ns=self._wall_ns + zero_ns,
            zero_boottime_ns=None,
            page_size=os.sysconf("SC_PAGE_SIZE"),
            host={"clock_ticks_per_s": os.sysconf("SC_CLK_TCK")},
            kills=[],
            from_ns=None,
            to_ns=None,
            segment_count=len(kept[BlockType.SAMPLES]),
            segments=segments,
            incident=None,
        )

    # -- what a recording can and a present cannot ---------------------------------------------------------

    def move(self, move: Move) -> str:
        """See `Source.move`."""
        return f"{move}: freeze first, with the space bar"

    def move_to(self, text: str) -> str:
        """See `Source.move_to`."""
        return "to go to another time, freeze first, with the space bar"

    def play(self, elapsed_s: float) -> bool:
        """See `Source.play`: time passes by itself."""
        return True

    def work(self, budget_s: float) -> bool:
        """See `Source.work`: nothing is read beforehand."""
        return False

    # -- following -----------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            status = self._places.ring.stat()
            samples, events_ring = open_ring(self._places.ring), open_ring(self._places.events)
        except (OSError, MemwatchdError) as error:
            reason = getattr(error, "strerror", None)
            reason = f"{self._places.ring}: {reason}" if reason else str(error)
            raise NotRunningError(
                f"memwatchd is not running, or its ring may not be read: {reason}"
            ) from error
        now_ns = time.monotonic_ns()
        self._rings = _Rings(samples, events_ring, (status.st_dev, status.st_ino))
        self._samples = Follower(samples, now_ns - _REACH_NS)
        self._events = Follower(events_ring, now_ns - _EVENTS_REACH_NS)
        self._decoder: MomentDecoder | None = None
        gauges = Gauges(os.sysconf("SC_PAGE_SIZE"))
        self._maker = Maker(gauges, Past(_KEPT_NS), _MARK_NS)
        self._table = ProcessTable(_KEPT_NS, os.sysconf("SC_CLK_TCK"))
        self._happenings = Happenings(_MOST_HAPPENINGS)
        rules = self.rules
        recording = gauges.replay.recording
        self._near, self._near_ns = (), 0
        self._watch = RuleWatch(rules.rules, recording, dry_run=rules.dry_run) if rules.rules else None

    def _advance(self) -> None:
        """Take in what is new in both rings."""
        for stretch in self._samples.take():
            self._take_samples(stretch)
            self._happenings.take_events(events([stretch.segment]))
        for stretch in self._events.take():
            segment = stretch.segment
            self._happenings.take_events(events([segment]))
            self._happenings.take_messages(messages([segment]))
            self._table.take(process_rows([segment]))
        if self._moment is not None:
            self._take(self._moment)

    def _take_samples(self, stretch: Stretch) -> None:
        if stretch.begins:
            self._decoder = MomentDecoder()
        if self._decoder is None:
            return
        for record in stretch.segment.records():
            if record.kind not in (Kind.CATALOGUE, Kind.SAMPLE):
                continue
            try:
                moment = self._decoder.take(record)
            except FormatError:
                self._decoder = None  # until the next segment, which needs nothing from this one
                return
            if moment is not None:
                self._moment = moment
                if moment.sample.monotonic_ns - self._ruled_ns >= _RULES_NS:
                    self._take(moment)

    def _take(self, moment: Moment) -> None:
        """Make a sample the present."""
        now_ns, gauges = moment.sample.monotonic_ns, self._maker.gauges
        if now_ns == self._ruled_ns:
            return
        self._ruled_ns = now_ns
        if gauges.take(moment) and self._watch is not None:
            self._watch.bind()
        if self._watch is not None:
            self._watch.take(now_ns)
        self._maker.mark(now_ns)

    # -- the daemon ----------------------------------------------------------------------------------------

    def _look_around(self, now_ns: int) -> None:
        """See whether it is still the same daemon, and what it says of itself."""
        self._looked_ns = now_ns
        self._wall_ns = time.time_ns() - time.monotonic_ns()
        try:
            status = self._places.ring.stat()
            if (status.st_dev, status.st_ino) != self._rings.file_id:
                self._open()
            self._state = read_state(self._places.state)
        except (OSError, MemwatchdError):
            self._state = {}  # it has gone; the frame says so by its heartbeat

    def _is_alive(self, now_ns: int) -> bool:
        return abs(now_ns - self._rings.samples.board[Slot.HEARTBEAT_NS]) < _STALE_NS

    def _notes(self, now_ns: int) -> Iterator[str]:
        if not self._is_alive(now_ns):
            silent_s = (now_ns - self._rings.samples.board[Slot.HEARTBEAT_NS]) / 1e9
            yield f"memwatchd has been silent for {silent_s:.0f} s: these are its last figures"
        if self._rings.samples.board[Slot.ARMED]:
            yield "armed"
        degraded = self._state.get("degraded")
        if isinstance(degraded, list) and degraded:
            yield f"{len(degraded)} degraded, see memwatchd status"

    def _standing(self) -> dict[str, Standing]:
        found = {}
        for rule in _told_rules(self._state):
            fired = rule.get("fired")
            found[str(rule.get("name"))] = Standing(
                bool(rule.get("active")), fired if _is_int(fired) else None
            )
        return found

    def _rules_note(self) -> str:
        told = {str(rule.get("name")) for rule in _told_rules(self._state)}
        known = {rule.name for rule in self.rules.rules}
        if self._state and told != known and not self.rules.note:
            return "the daemon runs other rules: name its configuration with --config"
        return self.rules.note


def _told_rules(state: dict[str, Any]) -> list[dict[str, Any]]:
    rules = state.get("rules")
    return [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
