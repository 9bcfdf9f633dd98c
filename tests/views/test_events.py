"""Events in words, whoever wrote them."""

from typing import Any

import pytest
from tests.conftest import Tape

from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import events
from memwatchd.views.events import event_line

FIGURES = {"meminfo.MemFree": 7168.0, "rate(pressure.full, 5s)": 0.25, "swap.free": None}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"event": "rule_fire", "rule": "low", "step": 0, "figures": FIGURES},
            "rule low fired: meminfo.MemFree 7 KiB, rate(pressure.full, 5s) 0.25, swap.free not there",
        ),
        (
            {"event": "rule_fire", "rule": "low", "step": 1, "figures": {"vmstat.oom_kill": 3}},
            "rule low goes on: vmstat.oom_kill 3",
        ),
        ({"event": "rule_held", "rule": "low", "reason": "cooldown"}, "rule low is held back: cooldown"),
        ({"event": "rule_clear", "rule": "low", "step": 0}, "rule low is over"),
        ({"event": "action_begun", "rule": "low", "action": "kill"}, ""),
        (
            {"event": "action", "rule": "low", "action": "kill", "verdict": "helped", "detail": "it is dead"},
            "rule low: kill: helped: it is dead",
        ),
        (
            {"event": "action", "rule": "r", "action": "x", "verdict": "helped", "detail": "d", "late": True},
            "rule r: x: helped, after its deadline: d",
        ),
        (
            {"event": "put_back", "rule": "r", "action": "limit", "verdict": "declined", "detail": "gone"},
            "rule r: limit put back: declined: gone",
        ),
        ({"event": "missed", "at_s": -1.0, "ticks": 3, "lag_ns": 9}, "missed: ticks 3, lag_ns 9"),
        ({"event": "armed", "reason": "too little"}, "armed: too little"),
        ({"event": "calm", "at_s": 1.0, "reason": ""}, "calm"),
    ],
    ids=lambda value: value.get("event") if isinstance(value, dict) else "",
)
def test_an_event_in_words(event: dict[str, Any], line: str) -> None:
    """A person would have to read JSON to find out what was done."""
    assert event_line(event) == line


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"of.another.version": 5}, "of.another.version 5"),
        ({"meminfo.MemFree": 10**400}, "meminfo.MemFree not there"),
        ({"of.another.version": -(10**400)}, "of.another.version not there"),
        ({"meminfo.MemFree": "much"}, "meminfo.MemFree not there"),
        ({"meminfo.MemFree": float("nan")}, "meminfo.MemFree not there"),
        ({"meminfo.MemFree < 3": 1, "": 2, "(" * 9: 3}, f"meminfo.MemFree < 3 1,  2, {'(' * 9} 3"),
        (["meminfo.MemFree"], ""),
        (None, ""),
    ],
    ids=repr,
)
def test_figures_of_a_damaged_file(figures: Any, words: str) -> None:
    """One forged number would hide the rest of an incident behind a traceback."""
    assert event_line({"event": "rule_fire", "rule": "r", "figures": figures}) == f"rule r fired: {words}"


@pytest.mark.parametrize("name", [["a"], {}, None, 7], ids=repr)
def test_what_has_no_name_is_no_event(tape: Tape, name: Any) -> None:
    """A forged event would end whoever asks it for its name."""
    tape.noticed(-1, name)
    tape.noticed(0, "calm")
    assert [event["event"] for event in events(read_segments(tape.samples))] == ["calm"]
    assert event_line({"event": name, "monotonic_ns": 1}).endswith("monotonic_ns 1")
