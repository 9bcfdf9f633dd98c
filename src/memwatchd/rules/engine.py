"""When rules fire, go on and clear: the state machine of every tick, and of a backtest over the past.

    idle ──condition true──▶ pending ──true for `for`──▶ active ──clear for `for`──▶ idle

While a rule is active its chain of steps goes on. The first is asked for at once; a step without `after` as
soon as the one before it is done; a step with `after` when it is done so long ago and the condition still
holds, measured anew. After the last step, if the condition holds all the same, the chain begins again, not
before `cooldown` has passed since the last step was done.

Everything is decided from the clock and the masks that are handed in; nothing is done here. What has been
decided is given out as a list of decisions, and whoever does the steps says `done`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from memwatchd.rules.program import Program

_HOUR_NS = 3_600_000_000_000
# Whoever does the steps is given this much longer than their deadline before a step counts as lost.
_LOST_NS = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A step of a rule's chain.

    Attributes:
        after_ns: How long after the step before, and only if the condition still holds; None at once.
        deadline_ns: How long it may take.
    """

    after_ns: int | None = None
    deadline_ns: int = 5_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the engine has to know of a rule beside its condition.

    Attributes:
        for_ns: How long the condition must hold before it fires, and be clear before it is over.
        max_per_hour: How often the chain may begin within an hour.
        acts: It changes something, so it is held back after a kill and spaced from others that do.
        go_on_after_failure: When a step fails the next is tried at once; otherwise the chain ends.
    """

    for_ns: int = 0
    cooldown_ns: int = 10_000_000_000
    max_per_hour: int = 60
    acts: bool = True
    go_on_after_failure: bool = True
    stages: tuple[Stage, ...] = ()


class Happening(StrEnum):
    """What was decided.

    FIRE   do this step now; the first of a chain is the rule firing
    HELD   the rule would fire, and is held back; `reason` says why, once each time
    CLEAR  the condition is over; what the rule changed is to be put back
    """

    FIRE = "fire"
    HELD = "held"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Decision:
    """Something to be done about a rule, by its place."""

    happening: Happening
    rule: int
    step: int = 0
    reason: str = ""


class _Phase(StrEnum):
    IDLE = "idle"
    PENDING = "pending"
    ACTIVE = "active"


@dataclass(slots=True)
class _RuleState:
    timing: Timing
    phase: _Phase = _Phase.IDLE
    true_since_ns: int = 0
    clear_since_ns: int | None = None
    step: int = 0
    asked_ns: int | None = None
    done_ns: int = 0
    hurry: bool = False
    ended: bool = False
    ready_ns: int = 0
    held: str = ""
    fired: deque[int] = field(default_factory=deque)


class Engine:
    """Runs the rules of one configuration.

    Args:
        program: Their conditions.
        timings: Their other halves, in the same order.
        hold_after_kill_ns: After the kernel has killed, rules that act wait this long.
        settle_ns: Between two steps of rules that act at least this much passes, so that the second sees what
            the first has done.
    """

    def __init__(
        self, program: Program, timings: Sequence[Timing], *, hold_after_kill_ns: int, settle_ns: int
    ) -> None:
        self.program = program
        self._states = [_RuleState(timing) for timing in timings]
        self._hold_after_kill_ns = hold_after_kill_ns
        self._settle_ns = settle_ns
        self._held_until_ns = 0
        self._settled_ns = 0
        self._live = 0
        self._decisions: list[Decision] = []

    @property
    def live(self) -> int:
        """Mask of the rules that are pending or active."""
        return self._live

    @property
    def active(self) -> int:
        """Mask of the rules that have fired and not cleared."""
        return sum(1 << rule for rule, state in enumerate(self._states) if state.phase is _Phase.ACTIVE)

    def kernel_killed(self, now_ns: int) -> None:
        """The kernel has just killed something: wait and see what that frees."""
        self._held_until_ns = now_ns + self._hold_after_kill_ns

    def tick(self, now_ns: int) -> list[Decision]:
        """Take in a tick; what was decided, valid until the next call."""
        if self._decisions:
            self._decisions = []
        true = self.program.evaluate(now_ns)
        concerned = true | self._live
        if concerned:
            clear = self.program.clear(now_ns) if self._live else 0
            rule = 0
            while concerned >> rule:
                bit = 1 << rule
                if concerned & bit:
                    self._advance(rule, now_ns, holds=bool(true & bit), clear=bool(clear & bit))
                rule += 1
        return self._decisions

    def done(self, rule: int, step: int, now_ns: int, *, failed: bool) -> None:
        """A step that was asked for has ended."""
        state = self._states[rule]
        if state.asked_ns is None or state.step != step:
            return  # it was given up before
        timing = state.timing
        state.asked_ns = None
        state.done_ns = now_ns
        state.hurry = failed and timing.go_on_after_failure
        state.ended = failed and not timing.go_on_after_failure
        state.step += 1
        state.ready_ns = now_ns + timing.cooldown_ns
        if timing.acts:
            self._settled_ns = now_ns + self._settle_ns

    def _advance(self, rule: int, now_ns: int, *, holds: bool, clear: bool) -> None:
        state = self._states[rule]
        if state.phase is _Phase.IDLE:
            state.phase, state.true_since_ns = _Phase.PENDING, now_ns
            self._live |= 1 << rule
        if state.phase is _Phase.PENDING:
            self._pend(rule, state, now_ns, holds)
        else:
            self._go_on(rule, state, now_ns, holds, clear)

    def _pend(self, rule: int, state: _RuleState, now_ns: int, holds: bool) -> None:
        if not holds:
            self._rest(rule, state)
        elif now_ns - state.true_since_ns >= state.timing.for_ns and self._may_begin(rule, state, now_ns):
            self._begin(rule, state, now_ns)

    def _begin(self, rule: int, state: _RuleState, now_ns: int) -> None:
        """Begin the chain; a rule without steps is active all the same, until it clears."""
        state.phase = _Phase.ACTIVE
        state.clear_since_ns = None
        state.step, state.ended, state.hurry = 0, False, False
        state.fired.append(now_ns)
        state.ready_ns = now_ns + state.timing.cooldown_ns
        self._ask(rule, state, now_ns)

    def _go_on(self, rule: int, state: _RuleState, now_ns: int, holds: bool, clear: bool) -> None:
        if state.asked_ns is not None:
            self._give_up_lost(rule, state, now_ns)
            return
        if self._over(state, now_ns, clear):
            self._decisions.append(Decision(Happening.CLEAR, rule))
            self._rest(rule, state)
        elif state.step < len(state.timing.stages) and not state.ended:
            self._next_step(rule, state, now_ns, holds)
        elif (
            holds
            and state.timing.stages
            and now_ns >= state.ready_ns
            and self._may_begin(rule, state, now_ns)
        ):
            self._begin(rule, state, now_ns)

    def _next_step(self, rule: int, state: _RuleState, now_ns: int, holds: bool) -> None:
        after_ns = state.timing.stages[state.step].after_ns
        if after_ns is None or state.hurry:
            ready = after_ns is None or holds
        else:
            ready = holds and now_ns - state.done_ns >= after_ns
        # A step that follows at once belongs to the one before it and is not spaced.
        if ready and (after_ns is None or not self._hold(state, now_ns)):
            self._ask(rule, state, now_ns)

    def _ask(self, rule: int, state: _RuleState, now_ns: int) -> None:
        if not state.timing.stages:
            self._decisions.append(Decision(Happening.FIRE, rule, 0))
            return
        state.asked_ns = now_ns
        if state.timing.acts:
            self._settled_ns = now_ns + self._settle_ns
        self._decisions.append(Decision(Happening.FIRE, rule, state.step))

    def _give_up_lost(self, rule: int, state: _RuleState, now_ns: int) -> None:
        assert state.asked_ns is not None
        if now_ns - state.asked_ns > state.timing.stages[state.step].deadline_ns + _LOST_NS:
            self.done(rule, state.step, now_ns, failed=True)

    def _over(self, state: _RuleState, now_ns: int, clear: bool) -> bool:
        if not clear:
            state.clear_since_ns = None
            return False
        if state.clear_since_ns is None:
            state.clear_since_ns = now_ns
        # Steps that follow at once are one with those before them.
        stages = state.timing.stages
        if state.step < len(stages) and stages[state.step].after_ns is None and not state.ended:
            return False
        return now_ns - state.clear_since_ns >= state.timing.for_ns

    def _may_begin(self, rule: int, state: _RuleState, now_ns: int) -> bool:
        """Whether the chain may begin now; says why not, once."""
        reason = self._hold(state, now_ns) or self._rationed(state, now_ns)
        if reason and reason != state.held and reason != _SETTLING:
            self._decisions.append(Decision(Happening.HELD, rule, reason=reason))
        state.held = reason
        return not reason

    def _hold(self, state: _RuleState, now_ns: int) -> str:
        if not state.timing.acts:
            return ""
        if now_ns < self._held_until_ns:
            return "the kernel has just killed something"
        return _SETTLING if now_ns < self._settled_ns else ""

    def _rationed(self, state: _RuleState, now_ns: int) -> str:
        if state.fired and now_ns < state.ready_ns:
            return "cooldown"
        while state.fired and now_ns - state.fired[0] >= _HOUR_NS:
            state.fired.popleft()
        if len(state.fired) >= state.timing.max_per_hour:
            return f"max_per_hour: fired {len(state.fired)} times within the last hour"
        return ""

    def _rest(self, rule: int, state: _RuleState) -> None:
        state.phase = _Phase.IDLE
        state.held = ""
        state.asked_ns = None
        self._live &= ~(1 << rule)


_SETTLING = "another rule has just acted"
