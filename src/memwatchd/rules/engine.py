"""When rules fire, go on and clear: the state machine of every tick, and of a backtest over the past.

    idle ──condition true──▶ pending ──true for `for`──▶ active ──clear for `for`──▶ idle

While a rule is active its chain of steps goes on:

- The first step is asked for at once, a step without `after` as soon as the one before it is done, whatever
  the condition: they are one.
- A step with `after` is asked for when the one before it was done so long ago and the condition holds,
  measured anew. Has it failed for that long, the steps so far were enough, and the chain is at its end.
- A step that fails, or of which nothing is heard, is followed at once by the next, if the condition holds or
  the next has no `after`; with `on_failure: stop` by none until the rule has cleared.
- After its last step, if the condition holds all the same, the chain begins again, not before `cooldown` has
  passed since that step was done. A rule without steps fires again only after it has cleared.

A rule never clears while its condition holds or a step is on its way.

After a kill by the kernel, rules that act wait: nothing begins, and nothing goes on, not even a step without
`after`, which then needs the condition to hold, too. Kills in a row cannot hold the rules for ever: a group
that is killed again and again for its own limit must not leave the machine without a watchdog.

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
LOST_NS = 2_000_000_000
# A row of kills holds the rules for so many times the hold, and then leaves them one to act in.
_LONGEST_ROW = 3


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
        go_on_after_failure: When a step fails the next is tried at once; otherwise none until the rule has
            cleared.
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
    HELD   the rule would go on, and is held back; `reason` says why, once as long as that lasts
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
    """Where a rule is.

    Attributes:
        true_since_ns: While pending, since when the condition holds.
        failed_since_ns: While active, since when it does not; None while it does.
        clear_since_ns: While active, since when the rule could be over; None while it could not.
        step: The step that is on its way, or else the next one.
        in_flight: A step was asked for and is not done.
        asked_ns: When the last step was asked for.
        done_ns: When the last one was done.
        hurry: It failed, and the next one is to be tried at once.
        ended: It failed, and the chain is not to go on until the rule has cleared.
        ready_ns: When the chain may begin again, by its cooldown.
        held: The last reason for holding it back, told already.
        held_until_ns: As long as that lasts.
        fired: When the chain began, within the last hour.
    """

    timing: Timing
    phase: _Phase = _Phase.IDLE
    true_since_ns: int = 0
    failed_since_ns: int | None = None
    clear_since_ns: int | None = None
    step: int = 0
    in_flight: bool = False
    asked_ns: int = 0
    done_ns: int = 0
    hurry: bool = False
    ended: bool = False
    ready_ns: int = 0
    held: str = ""
    held_until_ns: int = 0
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
        self._killed_ns = -1
        self._row_ns = 0
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
        hold_ns = self._hold_after_kill_ns
        longest_ns = _LONGEST_ROW * hold_ns
        in_row = now_ns < self._held_until_ns or self._held_until_ns == self._row_ns + longest_ns
        if not in_row or now_ns >= self._row_ns + longest_ns + hold_ns:
            self._row_ns = now_ns
        self._killed_ns = now_ns
        self._held_until_ns = min(now_ns + hold_ns, self._row_ns + longest_ns)

    def tick(self, now_ns: int) -> list[Decision]:
        """Take in a tick; what was decided, valid until the next call."""
        if self._decisions:
            self._decisions = []
        true = self.program.evaluate(now_ns)
        concerned = true | self._live
        if concerned:
            clear = self.program.clear(now_ns) & ~true if self._live else 0
            while concerned:
                bit = concerned & -concerned
                concerned ^= bit
                self._advance(bit.bit_length() - 1, now_ns, holds=bool(true & bit), clear=bool(clear & bit))
        return self._decisions

    def done(self, rule: int, step: int, now_ns: int, *, failed: bool) -> None:
        """A step that was asked for has ended."""
        state = self._states[rule]
        if not state.in_flight or state.step != step:
            return  # it was given up before
        timing = state.timing
        state.in_flight = False
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
        state.failed_since_ns = state.clear_since_ns = None
        state.step, state.ended, state.hurry = 0, False, False
        state.fired.append(now_ns)
        state.ready_ns = now_ns + state.timing.cooldown_ns
        if state.timing.stages:
            self._ask(rule, state, now_ns)
        else:
            self._decisions.append(Decision(Happening.FIRE, rule))

    def _ask(self, rule: int, state: _RuleState, now_ns: int) -> None:
        state.in_flight, state.asked_ns = True, now_ns
        if state.timing.acts:
            self._settled_ns = now_ns + self._settle_ns
        self._decisions.append(Decision(Happening.FIRE, rule, state.step))

    def _go_on(self, rule: int, state: _RuleState, now_ns: int, holds: bool, clear: bool) -> None:
        timing = state.timing
        state.failed_since_ns = None if holds else _since(state.failed_since_ns, now_ns)
        state.clear_since_ns = _since(state.clear_since_ns, now_ns) if clear else None
        if state.in_flight:
            self._give_up_lost(rule, state, now_ns)
        elif self._follows(state):
            self._ask(rule, state, now_ns)
        elif state.clear_since_ns is not None and now_ns - state.clear_since_ns >= timing.for_ns:
            self._decisions.append(Decision(Happening.CLEAR, rule))
            self._rest(rule, state)
        elif state.ended or not timing.stages:
            return
        elif state.step < len(timing.stages):
            self._escalate(rule, state, now_ns)
        elif holds and now_ns >= state.ready_ns and self._may_begin(rule, state, now_ns):
            self._begin(rule, state, now_ns)

    def _follows(self, state: _RuleState) -> bool:
        """Whether the next step is one with the step before it, during which the kernel has not killed."""
        stages = state.timing.stages
        if state.ended or state.step >= len(stages) or stages[state.step].after_ns is not None:
            return False
        return not state.timing.acts or self._killed_ns < state.asked_ns

    def _escalate(self, rule: int, state: _RuleState, now_ns: int) -> None:
        after_ns = state.timing.stages[state.step].after_ns or 0
        if state.failed_since_ns is not None:
            if now_ns - max(state.failed_since_ns, state.done_ns) >= after_ns:
                state.step = len(state.timing.stages)
        elif (state.hurry or now_ns - state.done_ns >= after_ns) and self._may_act(rule, state, now_ns):
            self._ask(rule, state, now_ns)

    def _give_up_lost(self, rule: int, state: _RuleState, now_ns: int) -> None:
        if now_ns - state.asked_ns > state.timing.stages[state.step].deadline_ns + LOST_NS:
            self.done(rule, state.step, now_ns, failed=True)

    def _may_begin(self, rule: int, state: _RuleState, now_ns: int) -> bool:
        """Whether the chain may begin now; says why not, once."""
        if now_ns < state.ready_ns:
            self._hold_back(rule, state, now_ns, "cooldown", state.ready_ns)
            return False
        fired = state.fired
        while fired and now_ns - fired[0] >= _HOUR_NS:
            fired.popleft()
        if len(fired) >= state.timing.max_per_hour:
            reason = f"max_per_hour: fired {len(fired)} times within the last hour"
            self._hold_back(rule, state, now_ns, reason, fired[0] + _HOUR_NS)
            return False
        return self._may_act(rule, state, now_ns)

    def _may_act(self, rule: int, state: _RuleState, now_ns: int) -> bool:
        if not state.timing.acts:
            return True
        if now_ns < self._held_until_ns:
            self._hold_back(rule, state, now_ns, "the kernel has just killed something", self._held_until_ns)
            return False
        return now_ns >= self._settled_ns

    def _hold_back(self, rule: int, state: _RuleState, now_ns: int, reason: str, until_ns: int) -> None:
        # A condition that comes and goes is held back many times for one and the same reason.
        if reason != state.held or now_ns >= state.held_until_ns:
            self._decisions.append(Decision(Happening.HELD, rule, reason=reason))
        state.held, state.held_until_ns = reason, until_ns

    def _rest(self, rule: int, state: _RuleState) -> None:
        state.phase = _Phase.IDLE
        self._live &= ~(1 << rule)


def _since(before_ns: int | None, now_ns: int) -> int:
    return now_ns if before_ns is None else before_ns
