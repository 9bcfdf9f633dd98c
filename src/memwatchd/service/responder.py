"""The responder does what the sampler's rules ask for, one of a kind at a time, measured and recorded.

The sampler decides when; the responder decides nothing but not to: an action of which one is still in
flight, or which had no effect a moment ago, is declined, and says so. Every step ends for the sampler by its
deadline, whatever the kernel is doing meanwhile.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from memwatchd.actions._memory import read_meminfo
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.actions.dump import Dump
from memwatchd.actions.protect import RULE as PROTECT
from memwatchd.actions.registry import ACTIONS
from memwatchd.config.conditions import explain
from memwatchd.config.rules import Acting, Rule
from memwatchd.errors import MemwatchdError
from memwatchd.incidents.recorder import Note
from memwatchd.kernel.privileges import as_ordinary
from memwatchd.rules.engine import LOST_NS, Happening
from memwatchd.service.deeds import Deeds
from memwatchd.service.eventring import EventRing
from memwatchd.service.workers import Worker

_S = 1_000_000_000
# While armed, and while all is well: names are read in the calm, sizes in the storm.
_PREPARE_ARMED_NS, _PREPARE_CALM_NS = _S, 15 * _S
_RETRY_NS = 30 * _S
_FIRST_BACK_OFF = 16
_MEASURED = ("MemAvailable", "MemFree", "SwapFree", "SReclaimable")
# Done, or as good as done: the chain goes on as if nothing had failed.
_FAILURES = (Verdict.FAILED, Verdict.TIMED_OUT)

Done = Callable[[str, int, bool], None]


@dataclass(slots=True, eq=False)
class _Job:
    """A step on its way.

    Attributes:
        fired_ns: When the condition was found true.
        closed: It has been answered for, by its end or by its deadline.
        given_up: The sampler has taken it for lost before it came here, and gone on without it.
        over: The worker is done with it, maybe long after its deadline.
    """

    rule: Rule
    step: int
    occasion: Occasion
    fired_ns: int
    began_ns: int = 0
    closed: bool = False
    given_up: bool = False
    over: bool = False

    @property
    def action(self) -> Action:
        """What is to be done."""
        return self.rule.actions[self.step].action


@dataclass(slots=True)
class _BackOff:
    """How long a step that had no effect is left alone."""

    until_ns: int = 0
    length_ns: int = 0


@dataclass(slots=True)
class RuleFigures:
    """How one rule has done since the service started; outcomes are by action and verdict.

    Attributes:
        active: It has fired and is not over.
        again: It has begun anew since, without having been over.
        told: Since it fired an incident was written, and nothing has been done since.
        reason: The condition with its figures as of when it fired last.
    """

    fired: int = 0
    held: int = 0
    active: bool = False
    again: bool = False
    told: bool = False
    reason: str = ""
    last_fired_ns: int | None = None
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)


class Responder:
    """Carries out decisions.

    Args:
        world: What actions work on.
        events: Where what was done is recorded.
        note: The journal.
        done: Tells the sampler that a step has ended: rule, step, whether it failed. Called from any thread.
    """

    def __init__(self, world: World, events: EventRing, note: Note, done: Done) -> None:
        self.figures: dict[str, RuleFigures] = {}
        self._deeds: dict[str, Deeds] = {}
        self._world = world
        self._events = events
        self._note = note
        self._done = done
        self._lock = threading.Lock()
        self._rules: dict[str, Rule] = {}
        self._acting = Acting()
        self._workers: dict[str, Worker] = {}
        self._undoer = Worker("put-back")
        # Not the workers that act: reading all processes takes a while just when one of them is wanted.
        self._readier = Worker("get-ready")
        self._flying: list[_Job] = []
        self._given: dict[str, _Job] = {}
        self._back_offs: dict[tuple[str, int], _BackOff] = {}
        self._prepared_ns = 0
        self._retry_ns = 0

    @property
    def alive(self) -> bool:
        """Whether all threads still run; one that has ended by itself is a mistake in an action."""
        return all(worker.alive for worker in (self._undoer, self._readier, *self._workers.values()))

    # ---- what the service's loop calls

    def configure(self, rules: tuple[Rule, ...], acting: Acting) -> None:
        """Go by these rules from now on; what others have changed, also before a crash, is put back."""
        with self._lock:
            self._rules = {rule.name: rule for rule in rules}
            self.figures = {name: self.figures.get(name, RuleFigures()) for name in self._rules}
            for step in (step for rule in rules for step in rule.actions):
                self._deeds.setdefault(step.action.name, Deeds())
            self._acting = acting
            self._back_offs = {}
        for figures in self.figures.values():
            figures.active = False
        for name in {step.action.name for rule in rules for step in rule.actions} - set(self._workers):
            self._workers[name] = Worker(name)
        self._put_back(self._changed())

    def state(self) -> list[dict[str, Any]]:
        """What each rule has done since the service started, for the state file; called from any thread."""
        with self._lock:
            return [self._state_of(rule, self.figures[name]) for name, rule in self._rules.items()]

    def deeds(self) -> dict[str, Any]:
        """What came of each action that a rule uses or used, for the state file; called from any thread."""
        with self._lock:
            return {name: deeds.facts() for name, deeds in sorted(self._deeds.items())}

    def _state_of(self, rule: Rule, figures: RuleFigures) -> dict[str, Any]:
        return {
            "name": rule.name,
            "severity": rule.severity,
            "dry_run": rule.dry_run or self._acting.dry_run,
            "active": figures.active,
            "fired": figures.fired,
            "held": figures.held,
            "last_fired_monotonic_ns": figures.last_fired_ns,
            "outcomes": [
                {"action": action, "verdict": verdict, "count": count}
                for (action, verdict), count in sorted(figures.outcomes.items())
            ],
        }

    def decide(self, message: dict[str, Any]) -> None:
        """Take in a decision of the sampler."""
        rule = self._rules.get(message["rule"])
        if rule is None:
            return  # decided before the configuration was changed
        figures = self.figures[rule.name]
        match message["happening"]:
            case Happening.FIRE:
                self._fire(rule, figures, message)
            case Happening.HELD:
                figures.held += 1
                why = f"rule {rule.name} is held back: {message['reason']}"
                self._note("info", why, event="rule_held", rule=rule.name)
            case Happening.CLEAR:
                figures.active = figures.told = False
                self._note("info", f"rule {rule.name} is over", event="rule_over", rule=rule.name)
                self._put_back(self._world.changes.pending(rule.name))

    def sampler_died(self, now_ns: int) -> None:
        """No rule is active in the next one, whatever was changed.

        It has a while to find out which rules still hold. What the others changed is put back then.
        """
        if any(figures.active for figures in self.figures.values()):
            self._retry_ns = now_ns + _RETRY_NS
        for figures in self.figures.values():
            figures.active = False

    def poll(self, now_ns: int, *, armed: bool) -> None:
        """Give up what has passed its deadline, and keep what acts ready."""
        with self._lock:
            late = [job for job in self._flying if now_ns > job.occasion.until_ns]
        for job in late:
            detail = "it was not done by its deadline, and is left to itself"
            self._close(job, Outcome(Verdict.TIMED_OUT, detail), {}, {})
        if now_ns - self._prepared_ns >= (_PREPARE_ARMED_NS if armed else _PREPARE_CALM_NS):
            self._prepared_ns = now_ns
            self._prepare()
        if now_ns >= self._retry_ns:
            self._retry_ns = now_ns + _RETRY_NS
            active = {name for name, figures in self.figures.items() if figures.active}
            self._put_back([change for change in self._changed() if change.rule not in active])

    def stop(self, timeout_s: float) -> None:
        """Put back what was changed, and end; half of the time is for what is still being done."""
        began_s = time.monotonic()
        workers = [self._readier, *self._workers.values()]
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.join(began_s + timeout_s / 2)
        self._put_back(self._changed())
        self._undoer.finish()
        self._undoer.join(began_s + timeout_s)
        for change in self._changed():
            self._note(
                "error",
                f"{change.action} of rule {change.rule} could not be put back: {change.facts}",
                event="not_put_back",
                rule=change.rule,
                action=change.action,
            )

    # ---- doing

    def _fire(self, rule: Rule, figures: RuleFigures, message: dict[str, Any]) -> None:
        fired_ns, step = message["monotonic_ns"], message["step"]
        values = {name: value for name, value in message["figures"].items() if value is not None}
        if step == 0 or not figures.reason:
            figures.reason = explain(rule.when, values)
        if step == 0:
            figures.fired += 1
            figures.again, figures.active = figures.active, True
            figures.last_fired_ns = fired_ns
            level = "debug" if figures.again else "warning"
            said = f"rule {rule.name}: {figures.reason}"
            self._note(level, said, event="rule_fired", rule=rule.name)
        if step >= len(rule.actions):
            return
        until_ns = time.monotonic_ns() + rule.actions[step].action.deadline_ns
        job = _Job(rule, step, Occasion(rule.name, figures.reason, until_ns, values, figures.told), fired_ns)
        refusal = self._refusal(job)
        with self._lock:
            self._flying.append(job)
        if refusal or not self._workers[job.action.name].give(partial(self._do, job)):
            self._close(job, Outcome(Verdict.DECLINED, refusal or "too much is waiting"), {}, {})
            return
        self._given[job.action.name] = job

    def _refusal(self, job: _Job) -> str:
        """Why not to do it, or nothing."""
        waited_ns = time.monotonic_ns() - job.fired_ns
        if waited_ns > job.action.deadline_ns + LOST_NS:
            # This process stood still meanwhile: what was right then would be done to another machine.
            job.given_up = True
            return f"it was decided {waited_ns / 1e9:.1f} s ago, and the chain has gone on without it"
        before = self._given.get(job.action.name)
        if job.action.single and before is not None and not before.over:
            return f"another {job.action.name} has not ended yet"
        back_off = self._back_offs.get((job.rule.name, job.step))
        if back_off is not None and time.monotonic_ns() < back_off.until_ns:
            return f"it had no effect, and is left alone for {back_off.length_ns / 1e9:.0f} s"
        return ""

    def _do(self, job: _Job) -> None:
        """In the worker's thread: act, and measure before and after."""
        if job.closed:  # it waited for longer than its deadline
            job.over = True
            return
        before = self._measure()
        job.began_ns = time.monotonic_ns()
        self._events.event(
            "action_begun", job.began_ns, rule=job.rule.name, step=job.step, action=job.action.name
        )
        outcome = self._outcome(job)
        after = self._measure()
        job.over = True  # before the sampler hears of it, which may then ask for the next one
        self._close(job, outcome, before, after)

    def _outcome(self, job: _Job) -> Outcome:
        try:
            if job.rule.dry_run or self._acting.dry_run:
                return Outcome(Verdict.DRY_RUN, f"would {describe(job.action.aim(self._world))}")
            with as_ordinary(job.action.heavy):
                return job.action.act(self._world, job.occasion)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return Outcome(Verdict.FAILED, f"{where}{error.strerror or error}", {"errno": error.errno})
        except MemwatchdError as error:
            return Outcome(Verdict.FAILED, str(error))

    def _close(
        self, job: _Job, outcome: Outcome, before: Mapping[str, int], after: Mapping[str, int]
    ) -> None:
        """Record how a step ended, once; the sampler goes on with the chain."""
        now_ns = time.monotonic_ns()
        with self._lock:
            if job.closed:
                took_s = (now_ns - job.began_ns) / 1e9
                late = f"{job.action.name} of rule {job.rule.name} ended after all, in {took_s:.1f} s"
            else:
                late = ""
                job.closed = True
                self._flying.remove(job)
                self._learn(job, outcome, now_ns)
        facts: dict[str, Any] = {
            "rule": job.rule.name,
            "step": job.step,
            "action": job.action.name,
            "verdict": str(outcome.verdict),
            "detail": outcome.detail,
            "figures": dict(outcome.figures),
            "before": dict(before),
            "after": dict(after),
            "fired_ns": job.fired_ns,
            "began_ns": job.began_ns or None,
            "late": bool(late),
        }
        self._events.event("action", now_ns, **facts)
        if late:
            self._note(
                "warning", f"{late}: {outcome.verdict}: {outcome.detail}", **self._fields(job, outcome)
            )
            return
        self._tell(job, outcome)
        if not job.given_up:  # or the sampler would take it for the end of a later one
            self._done(job.rule.name, job.step, outcome.verdict in _FAILURES)

    def _tell(self, job: _Job, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.DECLINED:
            # A shortage may last for hours, and with it the reason not to do more.
            figures = self.figures.get(job.rule.name)
            quiet = figures is not None and figures.again
        else:
            quiet = not job.action.single and outcome.verdict is Verdict.HELPED
        self._note(
            "debug" if quiet else "warning" if outcome.verdict in _FAILURES else "info",
            f"rule {job.rule.name}: {job.action.name}: {outcome.verdict}: {outcome.detail}",
            **self._fields(job, outcome),
        )

    @staticmethod
    def _fields(job: _Job, outcome: Outcome) -> dict[str, object]:
        """What the journal's entry says beside the sentence."""
        return {
            "event": "action",
            "rule": job.rule.name,
            "action": job.action.name,
            "verdict": outcome.verdict,
            "victim_pid": outcome.figures.get("pid"),
            **{f"figure_{name}": value for name, value in outcome.figures.items()},
        }

    def _learn(self, job: _Job, outcome: Outcome, now_ns: int) -> None:
        figures = self.figures.get(job.rule.name)
        if figures is not None:
            figures.outcomes[job.action.name, str(outcome.verdict)] += 1
            if outcome.verdict is Verdict.HELPED and (job.action.single or job.action.name == Dump.name):
                figures.told = job.action.name == Dump.name
        self._deeds[job.action.name].add(outcome.verdict, now_ns - job.fired_ns)
        if outcome.verdict is Verdict.DECLINED:
            return
        key = job.rule.name, job.step
        if outcome.verdict not in (Verdict.NO_EFFECT, Verdict.FAILED):
            self._back_offs.pop(key, None)
            return
        back_off = self._back_offs.setdefault(key, _BackOff())
        longest_ns = self._acting.back_off_ns
        back_off.length_ns = min(longest_ns, 2 * back_off.length_ns or longest_ns // _FIRST_BACK_OFF)
        back_off.until_ns = now_ns + back_off.length_ns

    def _measure(self) -> dict[str, int]:
        """The figures every action is measured by, in bytes; empty where meminfo cannot be read."""
        try:
            found = read_meminfo(self._world.roots).bytes_by_name
        except (OSError, MemwatchdError):
            return {}
        return {f"{name}_bytes": found[name] for name in _MEASURED if name in found}

    # ---- getting ready, and putting back

    def _prepare(self) -> None:
        if self._readier.idle:
            actions = [step.action for rule in self._rules.values() for step in rule.actions]
            self._readier.give(partial(self._prepare_all, actions))

    def _prepare_all(self, actions: list[Action]) -> None:
        for action in actions:
            try:
                action.prepare(self._world)
            except (OSError, MemwatchdError) as error:
                self._note("warning", f"{action.name} cannot get ready: {error}")

    def _changed(self) -> list[Change]:
        """What rules have changed; what is protected stays so as long as the service runs."""
        return [change for change in self._world.changes.pending() if change.rule != PROTECT]

    def _put_back(self, changes: list[Change]) -> None:
        if changes:
            self._undoer.give(partial(self._undo_all, changes))

    def _undo_all(self, changes: list[Change]) -> None:
        for change in changes:
            self._undo(change)

    def _undo(self, change: Change) -> None:
        if change.number not in {each.number for each in self._world.changes.pending()}:
            return  # put back by itself meanwhile
        action = ACTIONS.get(change.action)
        try:
            if action is None:
                raise MemwatchdError("no such action in this version")
            outcome = action.undo(self._world, change)
            if outcome.verdict not in _FAILURES:
                self._world.changes.forget(change)
        except OSError as error:
            outcome = Outcome(Verdict.FAILED, error.strerror or str(error))
        except MemwatchdError as error:
            outcome = Outcome(Verdict.FAILED, str(error))
        self._events.event(
            "put_back",
            time.monotonic_ns(),
            rule=change.rule,
            action=change.action,
            verdict=str(outcome.verdict),
            detail=outcome.detail,
        )
        level = "warning" if outcome.verdict in _FAILURES else "info"
        self._note(
            level,
            f"rule {change.rule}: {change.action} put back: {outcome.detail}",
            event="put_back",
            rule=change.rule,
            action=change.action,
            verdict=outcome.verdict,
        )


def describe(intent: Intent) -> str:
    """Say in one line what an action would do, and to whom."""
    targets = "; ".join(f"{target.name}: {target.why}" for target in intent.targets)
    return f"{intent.sentence} ({targets})" if targets else intent.sentence
