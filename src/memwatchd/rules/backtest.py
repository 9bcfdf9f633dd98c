"""Rules tried on the past: the same engine over recorded samples, with steps that are done at once.

What the steps would have changed is not known: the recording goes on as it did. So a backtest tells when a
rule would have begun to act, not what would have become of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from memwatchd.ring.stream import Moment
from memwatchd.rules.book import Rulebook, make_engine, read_signal
from memwatchd.rules.engine import Engine, Happening
from memwatchd.signals.replay import Replay


@dataclass(slots=True)
class RulePast:
    """What a rule would have done.

    Attributes:
        fired_ns: When its chain would have begun, on the recording's monotonic clock.
        steps: When which step would have been done: (monotonic_ns, place in the chain).
        cleared: How often it would have been over again.
        held: Why it would have been held back, and how often.
        absent: Signals that were never there.
    """

    fired_ns: list[int] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)
    cleared: int = 0
    held: dict[str, int] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    @property
    def flaps(self) -> int:
        """How often it would have fired again after it had cleared."""
        return min(self.cleared, max(0, len(self.fired_ns) - 1))

    def lead_ns(self, kill_ns: int) -> int | None:
        """How long before a kill it would first have fired; None when it would not have."""
        first = min(self.fired_ns, default=None)
        return None if first is None or first > kill_ns else kill_ns - first


def run_over(
    book: Rulebook, moments: Iterable[Moment], kills_ns: Iterable[int], page_size: int
) -> list[RulePast]:
    """Run rules over the past.

    Args:
        book: The rules.
        moments: Samples, oldest first.
        kills_ns: When the kernel killed, on the clock of the samples.
        page_size: Of the recorded machine, in bytes.

    Returns:
        What each rule would have done, in the order of the rules.
    """
    pasts = [RulePast() for _ in book.rules]
    replay = Replay(page_size)
    engine = make_engine(book, replay.recording)
    unseen = [set(engine.program.absent(rule)) for rule in range(len(pasts))]
    kills = sorted(kills_ns, reverse=True)
    for moment in moments:
        if replay.take(moment):
            engine.program.bind(partial(read_signal, replay.recording))
        now_ns = moment.sample.monotonic_ns
        while kills and kills[-1] <= now_ns:
            kills.pop()
            engine.kernel_killed(now_ns)
        _decide(engine, pasts, now_ns)
        for rule, names in enumerate(unseen):
            if names:
                names &= set(engine.program.absent(rule))
    for past, names in zip(pasts, unseen, strict=True):
        past.absent = tuple(sorted(names))
    return pasts


def _decide(engine: Engine, pasts: list[RulePast], now_ns: int) -> None:
    for decision in engine.tick(now_ns):
        past = pasts[decision.rule]
        match decision.happening:
            case Happening.FIRE:
                if decision.step == 0:
                    past.fired_ns.append(now_ns)
                past.steps.append((now_ns, decision.step))
                engine.done(decision.rule, decision.step, now_ns, failed=False)
            case Happening.HELD:
                past.held[decision.reason] = past.held.get(decision.reason, 0) + 1
            case Happening.CLEAR:
                past.cleared += 1
