"""What the responder makes of decisions: done once, in time, measured, recorded, and put back."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.actions.machine import Recorded
from tests.conftest import S
from tests.service.conftest import wait_for

from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change, Changes
from memwatchd.actions.dump import Dump
from memwatchd.actions.protect import RULE as PROTECT
from memwatchd.actions.registry import ACTIONS
from memwatchd.config.conditions import read_condition
from memwatchd.config.rules import Acting, Rule, Step
from memwatchd.ring.file import RingMap
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import events
from memwatchd.roots import Roots
from memwatchd.service.eventring import EventRing
from memwatchd.service.responder import Responder


class Script:
    """What the pretended action does, and what it saw."""

    def __init__(self) -> None:
        self.outcome = Outcome(Verdict.HELPED, "it did", {"freed_bytes": 5})
        self.error: OSError | None = None
        self.may_end = threading.Event()
        self.may_end.set()
        self.began = threading.Event()
        self.acted: list[Occasion] = []
        self.may_be_ready = threading.Event()
        self.may_be_ready.set()
        self.prepared = 0
        self.undone: list[int] = []
        self.undo_verdict = Verdict.HELPED


SCRIPT = Script()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretended(Action):
    """An action that follows the script."""

    name: ClassVar[str] = "pretended"
    summary: ClassVar[str] = "Follow the script."

    def prepare(self, world: World) -> None:
        SCRIPT.prepared += 1
        SCRIPT.may_be_ready.wait(30)

    def aim(self, world: World) -> Intent:
        return Intent("do it", (Target("a", "it is largest"),))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        SCRIPT.acted.append(occasion)
        SCRIPT.began.set()
        SCRIPT.may_end.wait(30)
        if SCRIPT.error:
            raise SCRIPT.error
        world.changes.note(self.name, occasion.rule, {"n": len(SCRIPT.acted)})
        return SCRIPT.outcome

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        SCRIPT.undone.append(change.facts["n"])
        return Outcome(SCRIPT.undo_verdict, "put back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck(Pretended):
    """An action that waits for the script, and is of another kind."""

    name: ClassVar[str] = "stuck"


@dataclass
class Bench:
    """A responder with everything around it recorded.

    Attributes:
        done: Steps that the sampler would have been told of.
    """

    responder: Responder
    ring: RingMap
    outlets: Recorded
    changes: Changes
    done: list[tuple[str, int, bool]] = field(default_factory=list)

    def fire(self, rule: str = "r", step: int = 0, figures: dict[str, float] | None = None) -> None:
        """The sampler says that a rule has fired."""
        now_ns = time.monotonic_ns()
        message: dict[str, Any] = {"happening": "fire", "rule": rule, "step": step, "monotonic_ns": now_ns}
        self.responder.decide({**message, "figures": figures or {}})

    def clear(self, rule: str = "r") -> None:
        """The sampler says that a rule is over."""
        self.responder.decide({"happening": "clear", "rule": rule, "step": 0, "monotonic_ns": 1})

    def wait_for_done(self, count: int = 1) -> None:
        """Wait until so many steps have ended."""
        wait_for(lambda: len(self.done) >= count, f"{count} steps to end")

    def recorded(self, name: str) -> list[dict[str, Any]]:
        """Events of this name, oldest first."""
        return [event for event in events(read_segments(self.ring)) if event["event"] == name]

    def said(self) -> list[str]:
        """Lines of the journal."""
        return [message for _, message, _ in self.outlets.notes]


def rule(name: str = "r", actions: int = 1, **more: Any) -> Rule:
    steps = tuple(Step(Pretended(deadline_ns=5 * S)) for _ in range(actions))
    return Rule(name=name, when=read_condition("meminfo.MemFree < 1GiB"), **{"actions": steps, **more})


@pytest.fixture
def bench(
    make_ring: Callable[..., RingMap], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    global SCRIPT
    SCRIPT = Script()
    for action in (Pretended, Stuck):
        monkeypatch.setitem(ACTIONS, action.name, action)
    ring, outlets = make_ring(segments=16, segment_bytes=1 << 16), Recorded()
    changes = Changes(tmp_path / "changes.json")
    roots = Roots(tmp_path, tmp_path, tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 7 kB\nMemAvailable: 8 kB\n")
    world = World(
        roots=roots,
        changes=changes,
        outlets=outlets,
        own_pids=frozenset,
        now_ns=time.monotonic_ns,
    )
    done: list[tuple[str, int, bool]] = []
    responder = Responder(world, EventRing(ring), outlets.note, lambda *told: done.append(told))
    yield Bench(responder, ring, outlets, changes, done)
    SCRIPT.may_end.set()
    SCRIPT.may_be_ready.set()
    responder.stop(10.0)


def test_a_step_is_done_measured_and_recorded(bench: Bench) -> None:
    """Nobody could say the next morning what was done, why, and whether it helped."""
    bench.responder.configure((rule(),), Acting())
    bench.fire(figures={"meminfo.MemFree": 7168.0})
    bench.wait_for_done()
    (occasion,) = SCRIPT.acted
    assert (occasion.rule, occasion.reason) == ("r", "meminfo.MemFree (7 KiB) is below 1GiB")
    (event,) = bench.recorded("action")
    assert {
        key: event[key] for key in ("rule", "step", "action", "verdict", "detail", "figures", "late")
    } == {
        "rule": "r",
        "step": 0,
        "action": "pretended",
        "verdict": "helped",
        "detail": "it did",
        "figures": {"freed_bytes": 5},
        "late": False,
    }
    assert event["before"] == {"MemAvailable_bytes": 8192, "MemFree_bytes": 7168}
    assert event["fired_ns"] <= event["began_ns"] <= event["monotonic_ns"]
    assert [begun["began_ns"] for begun in bench.recorded("action")] == [event["began_ns"]]
    assert bench.done == [("r", 0, False)]
    assert bench.responder.state()[0]["outcomes"] == [
        {"action": "pretended", "verdict": "helped", "count": 1}
    ]
    assert "rule r: pretended: helped: it did" in bench.said()


def test_deeds_are_counted_from_the_start(bench: Bench) -> None:
    """An alert on an action that fails would never see the first one."""
    bench.responder.configure((rule(),), Acting())
    before = bench.responder.deeds()["pretended"]
    assert before["verdicts"] == dict.fromkeys(map(str, Verdict), 0)
    assert (before["took"]["count"], before["took"]["sum_s"]) == (0, 0)
    bench.fire()
    bench.wait_for_done()
    after = bench.responder.deeds()["pretended"]
    assert after["verdicts"] == {**before["verdicts"], "helped": 1}
    assert after["took"]["count"] == 1
    assert [bound for bound, count in after["took"]["buckets"] if count] == [
        bound for bound, _ in after["took"]["buckets"] if bound >= after["took"]["sum_s"]
    ]
    # A rule that is gone takes nothing of it along: counters only grow.
    bench.responder.configure((), Acting())
    assert bench.responder.deeds() == {"pretended": after}


def test_only_one_of_a_kind_at_a_time(bench: Bench) -> None:
    """Two drop_caches, or two kills, would be at work at once."""
    SCRIPT.may_end.clear()
    bench.responder.configure((rule("a"), rule("b")), Acting())
    bench.fire("a")
    assert SCRIPT.began.wait(30)
    bench.fire("b")
    bench.wait_for_done()
    assert bench.done == [("b", 0, False)]
    assert [each["verdict"] for each in bench.recorded("action")] == ["declined"]
    SCRIPT.may_end.set()
    bench.wait_for_done(2)
    assert len(SCRIPT.acted) == 1


def test_a_step_ends_by_its_deadline_for_the_sampler(bench: Bench) -> None:
    """A write that never returns would hold up the chain for ever."""
    SCRIPT.may_end.clear()
    bench.responder.configure((rule(),), Acting())
    bench.fire()
    assert SCRIPT.began.wait(30)
    bench.responder.poll(time.monotonic_ns(), armed=True)
    assert bench.done == []
    bench.responder.poll(time.monotonic_ns() + 6 * S, armed=True)
    assert bench.done == [("r", 0, True)]
    SCRIPT.may_end.set()
    wait_for(lambda: len(bench.recorded("action")) == 2, "the late end to be recorded")
    first, second = bench.recorded("action")
    assert (first["verdict"], first["late"]) == ("timed out", False)
    assert (second["verdict"], second["late"]) == ("helped", True)
    assert bench.done == [("r", 0, True)]


def test_refusals_of_the_kernel_are_failures(bench: Bench) -> None:
    """An action without a right would end the worker, or look as if it had worked."""
    SCRIPT.error = PermissionError(13, "Permission denied", "/proc/sys/vm/drop_caches")
    bench.responder.configure((rule(),), Acting())
    bench.fire()
    bench.wait_for_done()
    (event,) = bench.recorded("action")
    assert (event["verdict"], event["detail"]) == ("failed", "/proc/sys/vm/drop_caches: Permission denied")
    assert bench.done == [("r", 0, True)]
    assert bench.responder.alive


def test_an_action_without_effect_is_left_alone_for_longer_and_longer(bench: Bench) -> None:
    """What does not help would be done every few seconds for hours."""
    SCRIPT.outcome = Outcome(Verdict.NO_EFFECT, "nothing came free")
    bench.responder.configure((rule(),), Acting(back_off_ns=1600 * S))
    bench.fire()
    bench.wait_for_done(1)
    bench.fire()
    bench.wait_for_done(2)
    assert len(SCRIPT.acted) == 1
    assert bench.recorded("action")[1]["detail"] == "it had no effect, and is left alone for 100 s"
    assert bench.done[1] == ("r", 0, False)


def test_what_helped_may_be_done_again_at_once(bench: Bench) -> None:
    """A rule that works would be punished for it."""
    bench.responder.configure((rule(),), Acting())
    for count in (1, 2, 3):
        bench.fire()
        bench.wait_for_done(count)
    assert len(SCRIPT.acted) == 3


def test_the_reason_is_that_of_the_beginning(bench: Bench) -> None:
    """An incident would quote figures from after the kill, by which nothing had been short."""
    bench.responder.configure((rule(actions=2),), Acting())
    for step, free in enumerate((4096.0, 8192.0)):
        bench.fire(step=step, figures={"meminfo.MemFree": free})
        bench.wait_for_done(step + 1)
    assert [each.reason for each in SCRIPT.acted] == 2 * ["meminfo.MemFree (4 KiB) is below 1GiB"]
    assert [each.figures["meminfo.MemFree"] for each in SCRIPT.acted] == [4096.0, 8192.0]


def test_what_was_done_since_the_last_incident_is_known(bench: Bench) -> None:
    """A rule that goes on would write one incident after the other, or none of what it does later."""
    bench.responder.configure((replace(rule(), actions=(Step(Dump()), *rule().actions)),), Acting())
    for step, verdict in enumerate((Verdict.HELPED, Verdict.DECLINED)):
        SCRIPT.outcome = Outcome(verdict, "as told")
        for place in (0, 1):
            bench.fire(step=place)
            bench.wait_for_done(2 * step + place + 1)
    bench.fire()
    bench.wait_for_done(5)
    assert bench.outlets.dumps == 2 * ["rule r: meminfo.MemFree is below 1GiB"]
    bench.clear()
    bench.fire()
    bench.wait_for_done(6)
    assert len(bench.outlets.dumps) == 3


def test_what_is_declined_again_and_again_is_told_once(bench: Bench) -> None:
    """The journal of a machine that is short for a day would hold nothing else."""
    SCRIPT.outcome = Outcome(Verdict.DECLINED, "nobody is large")
    bench.responder.configure((rule(),), Acting())
    for count in (1, 2):
        bench.fire()
        bench.wait_for_done(count)
    bench.clear()
    bench.fire()
    bench.wait_for_done(3)
    fired, declined = "rule r: meminfo.MemFree is below 1GiB", "rule r: pretended: declined: nobody is large"
    said = [(level, text) for level, text, _ in bench.outlets.notes if "put back" not in text]
    assert said == [
        ("warning", fired),
        ("info", declined),
        ("debug", fired),
        ("debug", declined),
        ("info", "rule r is over"),
        ("warning", fired),
        ("info", declined),
    ]


@pytest.mark.parametrize("which", ["rule", "all"])
def test_a_dry_run_says_what_it_would_do(bench: Bench, which: str) -> None:
    """Somebody who tries a rule out would lose a process."""
    bench.responder.configure((rule(dry_run=which == "rule"),), Acting(dry_run=which == "all"))
    bench.fire()
    bench.wait_for_done()
    (event,) = bench.recorded("action")
    assert (event["verdict"], event["detail"]) == ("dry run", "would do it (a: it is largest)")
    assert SCRIPT.acted == []


def test_changes_are_put_back_when_the_rule_clears(bench: Bench) -> None:
    """A setting meant for the emergency would stay for good."""
    bench.responder.configure((rule("a"), rule("b")), Acting())
    for count, name in enumerate(("a", "b", "a"), 1):
        bench.fire(name)
        bench.wait_for_done(count)
    bench.clear("a")
    wait_for(lambda: len(SCRIPT.undone) == 2, "the changes to be put back")
    assert SCRIPT.undone == [3, 1]  # newest first
    wait_for(lambda: [each.rule for each in bench.changes.pending()] == ["b"], "them to be struck off")
    assert [each["verdict"] for each in bench.recorded("put_back")] == ["helped", "helped"]


def test_changes_are_put_back_at_the_end_and_by_the_next_run(bench: Bench, tmp_path: Path) -> None:
    """A daemon that was killed would leave the machine changed."""
    left = Changes(tmp_path / "changes.json")
    left.note("pretended", "rule of another run", {"n": 77})
    bench.changes._load()
    bench.responder.configure((rule(),), Acting())
    wait_for(lambda: SCRIPT.undone == [77], "what the last run left")
    bench.fire()
    bench.wait_for_done()
    bench.responder.stop(10.0)
    assert SCRIPT.undone == [77, 1]
    assert bench.changes.pending() == []


def test_what_cannot_be_put_back_is_tried_again(bench: Bench) -> None:
    """One refusal would make a change permanent."""
    SCRIPT.undo_verdict = Verdict.FAILED
    bench.responder.configure((rule(),), Acting())
    bench.fire()
    bench.wait_for_done()
    bench.clear()
    wait_for(lambda: SCRIPT.undone == [1], "the first try")
    SCRIPT.undo_verdict = Verdict.HELPED
    bench.responder.poll(time.monotonic_ns() + 1000 * S, armed=False)
    wait_for(lambda: bench.changes.pending() == [], "the second try")


def test_decisions_of_rules_that_are_gone_are_not_obeyed(bench: Bench) -> None:
    """After a reload, a rule that was taken out could still kill."""
    bench.responder.configure((rule("new"),), Acting())
    bench.fire("old")
    bench.fire("new")
    bench.wait_for_done()
    assert [occasion.rule for occasion in SCRIPT.acted] == ["new"]


def test_what_acts_is_kept_ready_while_armed(bench: Bench) -> None:
    """The process table would be read at the worst moment."""
    bench.responder.configure((rule(),), Acting())
    now_ns = time.monotonic_ns()
    bench.responder.poll(now_ns, armed=True)
    wait_for(lambda: SCRIPT.prepared == 1, "it to get ready")
    bench.responder.poll(now_ns + S // 2, armed=True)
    bench.responder.poll(now_ns + S + 1, armed=True)
    wait_for(lambda: SCRIPT.prepared == 2, "it to get ready again")


def test_a_rule_without_actions_only_tells(bench: Bench) -> None:
    """A warning would need an action to be a warning."""
    bench.responder.configure((rule(actions=0),), Acting())
    bench.fire(figures={"meminfo.MemFree": 1.0})
    assert "rule r: meminfo.MemFree (1 B) is below 1GiB" in bench.said()
    assert (bench.responder.state()[0]["fired"], bench.responder.state()[0]["active"]) == (1, True)


def test_getting_ready_does_not_count_as_acting(bench: Bench) -> None:
    """While armed everything gets ready once a second: now and then the one kill that counts was declined."""
    SCRIPT.may_be_ready.clear()
    bench.responder.configure((rule(),), Acting())
    bench.responder.poll(time.monotonic_ns(), armed=True)
    wait_for(lambda: SCRIPT.prepared == 1, "it to get ready")
    bench.fire()
    assert bench.done == []
    SCRIPT.may_be_ready.set()
    bench.wait_for_done()
    assert [each["verdict"] for each in bench.recorded("action")] == ["helped"]


def test_what_waited_for_longer_than_its_deadline_is_not_done(bench: Bench) -> None:
    """A kill would come when nobody wants it any more."""
    SCRIPT.may_be_ready.clear()
    bench.responder.configure((rule(),), Acting())
    bench.responder.poll(time.monotonic_ns(), armed=True)
    wait_for(lambda: SCRIPT.prepared == 1, "it to get ready")
    bench.fire()
    bench.responder.poll(time.monotonic_ns() + 6 * S, armed=False)
    assert bench.done == [("r", 0, True)]
    SCRIPT.may_be_ready.set()
    wait_for(lambda: bench.responder._given["pretended"].over, "it to be passed over")
    assert (SCRIPT.acted, bench.recorded("action_begun")) == ([], [])
    bench.fire()
    bench.wait_for_done(2)
    assert len(SCRIPT.acted) == 1


def test_what_was_decided_long_ago_is_not_done_now(bench: Bench) -> None:
    """A service that stood still would kill on a machine that has recovered, or end a later step."""
    bench.responder.configure((rule(),), Acting())
    message = {"happening": "fire", "rule": "r", "step": 0, "figures": {}}
    bench.responder.decide({**message, "monotonic_ns": time.monotonic_ns() - 8 * S})
    (answer,) = bench.recorded("action")
    assert (answer["verdict"], SCRIPT.acted, bench.done) == ("declined", [], [])
    assert "decided 8.0 s ago" in answer["detail"]
    bench.responder.decide({**message, "monotonic_ns": time.monotonic_ns() - 6 * S})
    bench.wait_for_done()
    assert len(SCRIPT.acted) == 1


def test_one_that_is_stuck_keeps_nothing_else_from_being_put_back(bench: Bench) -> None:
    """The end of a daemon with a drop_caches that hangs would leave a frozen process frozen for ever."""
    stuck = replace(rule("b"), actions=(Step(Stuck()),))
    bench.responder.configure((rule("a"), stuck), Acting())
    bench.fire("a")
    bench.wait_for_done()
    SCRIPT.may_end.clear()
    SCRIPT.began.clear()
    bench.fire("b")
    assert SCRIPT.began.wait(30)
    bench.responder.stop(1.0)
    assert SCRIPT.undone == [1]
    assert bench.changes.pending() == []


def test_what_is_protected_is_nothing_that_could_not_be_put_back(bench: Bench) -> None:
    """Every stop would end in a list of errors about what the next step of it puts back."""
    bench.responder.configure((rule(),), Acting())
    bench.changes.note("oom_score_adj", PROTECT, {"n": 1})
    bench.responder.stop(10.0)
    assert (SCRIPT.undone, bench.said()) == ([], [])


def test_a_rule_may_be_called_protect(bench: Bench) -> None:
    """Its clearing would end the protection of everything, and its own changes stay after the end."""
    bench.responder.configure((rule("protect"),), Acting())
    bench.changes.note("oom_score_adj", PROTECT, {"n": 1})
    for count in (1, 2):
        bench.fire("protect")
        bench.wait_for_done(count)
    bench.clear("protect")
    wait_for(lambda: SCRIPT.undone == [2, 1], "its changes to be put back")
    bench.fire("protect")
    bench.wait_for_done(3)
    bench.responder.stop(10.0)
    assert SCRIPT.undone == [2, 1, 3]
    assert [change.rule for change in bench.changes.pending()] == [PROTECT]


def test_after_the_samplers_death_only_what_fires_anew_stays_changed(bench: Bench) -> None:
    """The clearing of a rule that fired before would never come, and its change be there for good."""
    bench.responder.configure((rule("a"), rule("b")), Acting())
    for count, name in enumerate(("a", "b"), 1):
        bench.fire(name)
        bench.wait_for_done(count)
    now_ns = time.monotonic_ns()
    bench.responder.sampler_died(now_ns)
    bench.responder.poll(now_ns + 29 * S, armed=False)
    bench.fire("b")
    bench.wait_for_done(3)
    assert SCRIPT.undone == []
    bench.responder.poll(now_ns + 31 * S, armed=False)
    wait_for(lambda: SCRIPT.undone == [1], "the change of the rule that has not fired again")
    bench.clear("b")
    wait_for(lambda: SCRIPT.undone == [1, 3, 2], "the others, when their rule is over")


def test_a_sampler_that_never_comes_back_puts_nothing_off(bench: Bench) -> None:
    """A sampler that cannot be started would keep the machine as it was in the emergency."""
    bench.responder.configure((rule(),), Acting())
    bench.fire()
    bench.wait_for_done()
    now_ns = time.monotonic_ns()
    for after_s in (0, 10, 20):
        bench.responder.sampler_died(now_ns + after_s * S)
    bench.responder.poll(now_ns + 31 * S, armed=False)
    wait_for(lambda: SCRIPT.undone == [1], "the change to be put back")


def test_a_note_of_what_cannot_be_undone_ends_nothing(bench: Bench, tmp_path: Path) -> None:
    """A file of changes from another version would end the service at every start."""
    Changes(tmp_path / "changes.json").note("log", "rule of another version", {})
    bench.changes._load()
    bench.responder.configure((rule(),), Acting())
    wait_for(lambda: bench.changes.pending() == [], "the note to be struck off")
    assert [each["verdict"] for each in bench.recorded("put_back")] == ["declined"]
    assert bench.responder.alive
