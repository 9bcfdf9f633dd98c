"""A recording to go to and fro in: an incident, or the last seconds of a ring that were put aside."""

import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorded import Recorded
from memwatchd.ring.stream import Moment, process_rows
from memwatchd.views.live.frame import Frame, Happening, Sort
from memwatchd.views.live.gauges import Gauges
from memwatchd.views.live.happenings import Happenings
from memwatchd.views.live.making import Maker, Setting, describe_rules
from memwatchd.views.live.past import Past
from memwatchd.views.live.reel import Reel
from memwatchd.views.live.rulewatch import RuleNow, RuleWatch
from memwatchd.views.live.source import Move, Rules
from memwatchd.views.live.table import ProcessTable
from memwatchd.views.live.typed import moment_of

# Rules are looked at so often, which is also how fine functions over time can be.
_MARK_NS = 50_000_000
_SECOND_NS = 1_000_000_000
_NOT_YET = "not known before the recording has been read this far"
_LATEST_NS = 2**63 - 1


@dataclass(slots=True)
class _Index:
    """What is read beforehand, from the first sample to the last.

    Attributes:
        read_ns: The last sample that was read.
        times_ns, rules: How near the rules were, and when.
    """

    read_ns: int = -1
    times_ns: list[int] = field(default_factory=list)
    rules: list[tuple[RuleNow, ...]] = field(default_factory=list)


class TapeSource:
    """Goes to and fro in a recording.

    What growth and rules need of the past is read once, from the beginning, by `work`; until that has come to
    the present moment they are not known.

    Args:
        recorded: What was recorded.
        rules: Whose nearness is to be told.
        title: What it is.
        notes: What is to be said of the whole.
    """

    def __init__(
        self,
        recorded: Recorded,
        rules: Rules,
        *,
        title: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.title = title
        self._recorded, self._notes, self._rules = recorded, notes, rules
        self._reel = Reel(recorded)
        self._maker = Maker(Gauges(recorded.page_size), Past(), _MARK_NS)
        self._reader = Maker(Gauges(recorded.page_size), self._maker.past, _MARK_NS)
        recording = self._reader.gauges.replay.recording
        self._watch = RuleWatch(rules.rules, recording, dry_run=rules.dry_run) if rules.rules else None
        self._index = _Index()
        self._left: Iterator[Moment] | None = recorded.moments(self._tell)
        self._read_share = 0.0
        self._table = ProcessTable(ticks_per_s=_ticks_per_s(recorded))
        self._happenings = Happenings()
        self._read_events()
        self._from_ns = self._reel.at(0).sample.monotonic_ns
        self._to_ns = self._reel.at(_LATEST_NS).sample.monotonic_ns
        self._at_ns = self._played_ns = self._reel.at(recorded.zero_ns).sample.monotonic_ns

    # -- the present moment --------------------------------------------------------------------------------

    def frame(self, span_s: float) -> Frame:
        """See `Source.frame`."""
        moment = self._reel.at(self._at_ns)
        at_ns = moment.sample.monotonic_ns
        self._maker.gauges.take(moment)
        shown_ns = max(self._at_ns, at_ns)
        now = self._rules_at(at_ns)
        setting = Setting(
            title=self.title,
            mode="replay",
            at_ns=shown_ns,
            zero_ns=self._recorded.zero_ns,
            wall_ns=self._wall_ns(),
            from_ns=self._from_ns,
            to_ns=self._to_ns,
            notes=(*self._notes, *self._reading()),
            rules_note=self._rules.note or (_NOT_YET if self._watch and not now else ""),
        )
        names = (rule.name for rule in self._rules.rules)
        standing = {name: self._happenings.standing(name, shown_ns) for name in names}
        rules = describe_rules(self._watch, now, at_ns, standing)
        return self._maker.frame(moment, setting, span_s, self._table, self._happenings, rules)

    def _reading(self) -> Iterator[str]:
        if self._left is not None:
            yield f"reading, {self._read_share:.0%}: growth and rules come when it has been read"

    def _wall_ns(self) -> int | None:
        realtime_ns = self._recorded.zero_realtime_ns
        return None if realtime_ns is None else realtime_ns - self._recorded.zero_ns

    def _rules_at(self, at_ns: int) -> tuple[RuleNow, ...]:
        place = bisect_right(self._index.times_ns, at_ns) - 1
        read = self._left is None or self._index.read_ns >= at_ns
        return self._index.rules[place] if place >= 0 and read else ()

    # -- going to and fro ----------------------------------------------------------------------------------

    def move(self, move: Move) -> str:
        """See `Source.move`."""
        match move:
            case Move.SAMPLE_BACK:
                return self._step(self._reel.before(self._at_ns), "this is the first sample")
            case Move.SAMPLE_ON:
                return self._step(self._reel.after(self._at_ns), "this is the last sample")
            case Move.SECOND_BACK | Move.SECOND_ON:
                self.go(self._at_ns + (-_SECOND_NS if move is Move.SECOND_BACK else _SECOND_NS))
            case Move.EVENT_BACK:
                return self._go_to(self._happenings.before(self._at_ns), "nothing happened before")
            case Move.EVENT_ON:
                return self._go_to(self._happenings.after(self._at_ns), "nothing happens after this")
            case Move.KILL:
                return self._go_to_kill()
            case Move.ZERO:
                self.go(self._recorded.zero_ns)
            case Move.FIRST:
                self.go(self._from_ns)
            case Move.LAST:
                self.go(self._to_ns)
        return ""

    def move_to(self, text: str) -> str:
        """See `Source.move_to`."""
        try:
            self.go(moment_of(text, self._recorded))
        except NotFoundError as error:
            return str(error)
        return ""

    def play(self, elapsed_s: float) -> bool:
        """See `Source.play`."""
        at_ns = self._played_ns + round(elapsed_s * 1e9)
        self.go(at_ns)
        # Between two samples time passes all the same, but not beyond the last one.
        self._played_ns = min(max(at_ns, self._from_ns), self._to_ns)
        return self._from_ns < at_ns if elapsed_s < 0 else at_ns < self._to_ns

    def _step(self, found: Moment | None, why_not: str) -> str:
        if found is None:
            return why_not
        self.go(found.sample.monotonic_ns)
        return ""

    def _go_to(self, happening: Happening | None, why_not: str) -> str:
        """Go to where something happened, which is mostly between two samples."""
        if happening is None:
            return why_not
        self._at_ns = self._played_ns = happening.at_ns
        return ""

    def _go_to_kill(self) -> str:
        kill = self._happenings.after(self._at_ns, only=Sort.KILL)
        if kill is None:  # round to the first
            kill = self._happenings.after(-1, only=Sort.KILL)
        if kill is not None:
            return self._go_to(kill, "")
        self.go(self._recorded.zero_ns)
        return "no kill by the kernel was recorded; this is moment zero"

    def go(self, at_ns: int) -> None:
        """Go to the last sample at or before a moment, or else to the first."""
        self._at_ns = self._played_ns = self._reel.at(at_ns).sample.monotonic_ns

    # -- reading beforehand --------------------------------------------------------------------------------

    def work(self, budget_s: float) -> bool:
        """See `Source.work`."""
        until_s = time.monotonic() + budget_s
        while self._left is not None and time.monotonic() < until_s:
            self._read_some()
        return self._left is not None

    def _read_some(self) -> None:
        assert self._left is not None
        for _ in range(16):
            moment = next(self._left, None)
            if moment is None:
                self._left = None
                return
            self._take(moment)

    def _take(self, moment: Moment) -> None:
        now_ns, reader = moment.sample.monotonic_ns, self._reader
        self._index.read_ns = now_ns
        if reader.gauges.take(moment) and self._watch is not None:
            self._watch.bind()
        if reader.mark(now_ns) and self._watch is not None:
            self._watch.take(now_ns)
            self._index.times_ns.append(now_ns)
            self._index.rules.append(self._watch.look())

    def _tell(self, share: float) -> None:
        self._read_share = share

    def _read_events(self) -> None:
        recorded, happenings = self._recorded, self._happenings
        happenings.take_events(recorded.events())
        if recorded.kills:
            for kill in recorded.kills:
                limit = kill["limit_cgroup"]
                happenings.add_kill(kill["monotonic_ns"], kill["comm"], kill["pid"], kill["scope"], limit)
        else:
            happenings.take_messages(recorded.messages())
        self._table.take(process_rows(recorded.segments(BlockType.EVENTS, recorded.from_ns)))


def _ticks_per_s(recorded: Recorded) -> int:
    ticks = recorded.host.get("clock_ticks_per_s")
    return ticks if isinstance(ticks, int) and not isinstance(ticks, bool) and ticks > 0 else 100
