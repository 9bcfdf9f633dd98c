"""What memwatchd's own rules did before."""

from dataclasses import replace

import pytest

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.history import History, RuleAction
from memwatchd.diagnosis.own_actions import cause_of, examine
from memwatchd.oomreport.report import GLOBAL, MEMCG, OOM_KILL, RECORDED, Event, Memcg

DROP = RuleAction(-7.0, "slab", "drop_caches", "helped", "freed 90 MiB")
COMPACT = RuleAction(-2.1, "slab", "compact", "no effect")
SYSRQ = RuleAction(-0.01, "last", "sysrq")
LIMIT = RuleAction(-3.0, "leak", "limit", "helped", "memory.max of /app is 10 MiB, 12 MiB used")
PRESSED = Event(OOM_KILL, GLOBAL, manner="sysrq")
IN_APP = Event(OOM_KILL, MEMCG, memcg=Memcg(limit_of="/app"))


def case(*actions: RuleAction, event: Event | None = None) -> Case:
    return Case(event or Event(OOM_KILL, GLOBAL), History(from_s=-20.0, actions=actions))


def test_what_was_done_and_whether_it_helped() -> None:
    """Nobody would know that the rules had tried."""
    assert examine(case(DROP, COMPACT)) == Finding(
        tag="own_actions",
        confidence=0.95,
        weight=0.0,
        summary=(
            "Rules of memwatchd asked for 2 actions before, of which 1 helped: "
            "drop_caches of rule slab 7.0 s before (helped) "
            "and compact of rule slab 2.1 s before (no effect)."
        ),
        figures={
            "actions": 2,
            "helped": 1,
            "last_action": "compact",
            "last_rule": "slab",
            "last_verdict": "no effect",
            "last_s": -2.1,
            "caused_by_rule": None,
        },
    )


def test_of_many_the_last_are_named() -> None:
    """A rule that acted a thousand times would fill the screen."""
    found = examine(case(*[DROP] * 40, COMPACT))
    assert found is not None
    assert found.summary.startswith(
        "Rules of memwatchd asked for 41 actions before, of which 40 helped: … drop_caches"
    )
    assert found.summary.count(" of rule ") == 3


def test_an_event_that_memwatchd_brought_about() -> None:
    """One would look for a shortage that somebody asked for."""
    found = examine(case(SYSRQ, event=PRESSED))
    assert found is not None
    assert found.figures["caused_by_rule"] == "last"
    assert found.summary == (
        "memwatchd itself brought it about, by sysrq of rule last. "
        "Rules of memwatchd asked for one action before: "
        "sysrq of rule last 0.0 s before (still under way)."
    )


@pytest.mark.parametrize(
    ("action", "event", "expected"),
    [
        pytest.param(LIMIT, IN_APP, True, id="a limit of ours"),
        pytest.param(
            LIMIT, Event(OOM_KILL, MEMCG, memcg=Memcg(limit_of="/ap")), False, id="of another cgroup"
        ),
        pytest.param(LIMIT, Event(OOM_KILL, GLOBAL), False, id="a limit, and the machine was full"),
        pytest.param(replace(LIMIT, verdict="declined"), IN_APP, False, id="declined"),
        pytest.param(replace(LIMIT, verdict="dry run"), IN_APP, False, id="not meant to act"),
        pytest.param(replace(LIMIT, undone_s=-1.0), IN_APP, False, id="put back before"),
        pytest.param(SYSRQ, PRESSED, True, id="SysRq of ours"),
        pytest.param(SYSRQ, Event(OOM_KILL, GLOBAL), False, id="SysRq, and the machine was full"),
        pytest.param(RuleAction(-60.0, "last", "sysrq", "helped"), PRESSED, False, id="a minute before"),
        pytest.param(DROP, PRESSED, False, id="something else"),
    ],
)
def test_which_action_brought_it_about(action: RuleAction, event: Event, expected: bool) -> None:
    """The daemon would be blamed for what others did, or others for what it did."""
    assert cause_of(case(action, event=event)) == (action if expected else None)


def test_what_was_put_back_says_so() -> None:
    """What helped would be taken for something that still held."""
    found = examine(case(replace(LIMIT, undone_s=-1.5)))
    assert found is not None
    assert found.summary == (
        "Rules of memwatchd asked for one action before: "
        "limit of rule leak 3.0 s before (helped, put back 1.5 s before)."
    )


def test_nothing_is_said_where_nothing_was_done() -> None:
    """Every recording would have a line about nothing."""
    assert examine(case()) is None
    assert examine(Case(Event(OOM_KILL))) is None


def test_what_was_done_after_a_moment_that_was_recorded() -> None:
    """What a rule did when it fired would be missing from the recording that it had written."""
    event = Event(RECORDED, GLOBAL, manner="rule_fired")
    history = History(from_s=-20.0, actions=(DROP,), after=(replace(COMPACT, at_s=0.4, undone_s=1.5),))
    finding = examine(Case(event, history))
    assert finding is not None
    assert finding.summary == (
        "Rules of memwatchd asked for 2 actions around it, of which 1 helped: "
        "drop_caches of rule slab 7.0 s before (helped) "
        "and compact of rule slab 0.4 s after (no effect, put back 1.5 s after)."
    )
