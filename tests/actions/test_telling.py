"""The actions that tell somebody: log, notify, dump, hook."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.actions.machine import Machine, fake_machine, occasion

from memwatchd.actions.base import Intent, Occasion, Outcome, Target, Verdict
from memwatchd.actions.dump import Dump
from memwatchd.actions.hook import Hook, hook_environment
from memwatchd.actions.log import Log
from memwatchd.actions.notify import MAX_MESSAGE_BYTES, Notify, pack_message

REASON = "meminfo.SReclaimable (9 GiB) is above 1 GiB"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return fake_machine(tmp_path)


def test_dump_asks_for_an_incident_and_says_why(machine: Machine) -> None:
    """An incident would not say which rule it is of."""
    assert Dump().act(machine.world, occasion()) == Outcome(Verdict.HELPED, "an incident is being written")
    assert machine.outlets.dumps == [f"rule slab: {REASON}"]
    assert Dump().aim(machine.world) == Intent("write an incident")
    assert (list(Dump().problems()), list(Dump().missing(machine.world))) == ([], [])


def test_a_rule_that_goes_on_and_does_nothing_has_one_incident(machine: Machine) -> None:
    """A shortage that lasts for hours would push every other incident out of the store."""
    outcome = Dump().act(machine.world, replace(occasion(), told=True))
    assert outcome == Outcome(Verdict.DECLINED, "nothing was done since the last incident of this rule")
    assert machine.outlets.dumps == []


# ---- log


def test_log_fills_in_what_is_known(machine: Machine) -> None:
    """The line would hold the placeholder, or the worker end for want of a figure."""
    message = "{rule}: {meminfo.SReclaimable} of {rate(vmstat.pgscan_kswapd, 1s)}, {meminfo.Slab} ({reason})"
    action = Log(level="error", message=message)
    figures = {"meminfo.SReclaimable": 9663676416.0, "rate(vmstat.pgscan_kswapd, 1s)": 0.5}
    assert list(action.problems()) == []
    outcome = action.act(machine.world, Occasion("slab", "{rule}", 10**18, figures))
    assert outcome == Outcome(Verdict.HELPED, "a line was logged")
    assert machine.outlets.notes == [("error", "slab: 9663676416 of 0.5, ? ({rule})", {"rule": "slab"})]


def test_log_says_why_by_itself(machine: Machine) -> None:
    """A bare `log` would write nothing of use."""
    Log().act(machine.world, occasion())
    assert machine.outlets.notes == [("warning", f"rule slab: {REASON}", {"rule": "slab"})]
    assert Log().aim(machine.world) == Intent("log as warning: rule {rule}: {reason}")
    assert list(Log().problems()) == []


@pytest.mark.parametrize(
    "message", ["{}", "{rul}", "{rule", "rule}", "{{rule}}", "{no.such}", "{5}", "{meminfo.MemFree < 1}"]
)
def test_a_placeholder_that_nothing_could_fill_is_a_problem(message: str) -> None:
    """A spelling mistake would be found out in the emergency."""
    problems = list(Log(message=message).problems())
    assert problems
    assert all(problem.startswith("message: expected ") for problem in problems)


# ---- notify


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[socket.socket]:
    """Somebody who listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "alerts"))
        listener.settimeout(30)
        yield listener


def test_notify_tells_journal_and_socket(machine: Machine, reader: socket.socket) -> None:
    """A pager would not go off, or not know which rule."""
    action = Notify(socket=machine.root / "alerts")
    outcome = action.act(machine.world, occasion(meminfo__SReclaimable=9e9))
    assert outcome == Outcome(Verdict.HELPED, f"the journal and {machine.root}/alerts were told")
    fields = {"event": "notify", "rule": "slab", "reason": REASON, "figure_meminfo_SReclaimable": 9e9}
    assert machine.outlets.notes == [("warning", f"rule slab: {REASON}", fields)]
    message = json.loads(reader.recv(65536))
    assert message.pop("realtime_ns") > 10**18
    assert message == {
        "program": "memwatchd",
        "event": "rule",
        "rule": "slab",
        "reason": REASON,
        "figures": {"meminfo.SReclaimable": 9e9},
        "truncated": False,
    }


def test_notify_without_a_socket_tells_the_journal(machine: Machine) -> None:
    """A machine without a pager could not use it."""
    assert Notify().act(machine.world, occasion()) == Outcome(Verdict.HELPED, "the journal was told")
    assert len(machine.outlets.notes) == 1
    assert Notify().aim(machine.world) == Intent("tell the journal")
    assert list(Notify().missing(machine.world)) == []


def test_notify_never_waits_for_a_slow_reader(machine: Machine, reader: socket.socket) -> None:
    """A pager that hangs would hold the rule up."""
    action = Notify(socket=machine.root / "alerts")
    with pytest.raises(BlockingIOError, match="alerts"):
        for _ in range(100_000):
            action.act(machine.world, occasion())


def test_a_message_fits_into_8_kib_whatever_is_in_it() -> None:
    """A reader with a fixed buffer would get half a JSON text."""
    for char in ("x", "\x00", "\U0001f600", "\udcff"):
        figures = {f"{number}.{char * 50}": float(number) for number in range(500)}
        packed = pack_message(Occasion(char * 5000, char * 5000, 0, figures), 1)
        assert len(packed) <= MAX_MESSAGE_BYTES
        message = json.loads(packed)
        assert list(message["figures"]) == list(figures)[: len(message["figures"])]
    numbers = {"a": float("nan"), "b": float("inf"), "c": 1.0}
    assert json.loads(pack_message(Occasion("r", "", 0, numbers), 1))["figures"] == {
        "a": None,
        "b": None,
        "c": 1.0,
    }


def test_a_socket_that_is_not_there_is_missing(machine: Machine) -> None:
    """It would be noticed at the first emergency."""
    path = machine.root / "alerts"
    assert list(Notify(socket=path).missing(machine.world)) == [f"{path}: No such file or directory"]
    path.write_text("")
    assert list(Notify(socket=path).missing(machine.world)) == [f"{path}: is no socket"]
    with pytest.raises(ConnectionRefusedError, match="alerts"):
        Notify(socket=path).act(machine.world, occasion())
    assert Notify(socket=path).aim(machine.world).targets == (Target(str(path), "named"),)


# ---- hook


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("status", "verdict", "detail"),
    [
        (0, Verdict.HELPED, "ended with status 0"),
        (3, Verdict.FAILED, "ended with status 3"),
        (-11, Verdict.FAILED, "ended by signal 11"),
        (None, Verdict.TIMED_OUT, "did not end in time and was ended"),
    ],
)
def test_how_a_hook_ended_is_told(
    machine: Machine, program: Path, status: int | None, verdict: Verdict, detail: str
) -> None:
    """A hook that fails would look like one that helps."""
    machine.outlets.hook_status = status
    outcome = Hook(program=program).act(machine.world, occasion())
    assert outcome == Outcome(verdict, f"{program} {detail}", {"status": status, "took_ns": 1_000_000})
    ((name, environment, budget_ns),) = machine.outlets.hooks
    assert (name, environment["MEMWATCHD_RULE"], budget_ns) == (str(program), "slab", 4_000_000_000)


def test_a_hook_has_no_longer_than_the_deadline_leaves(machine: Machine, program: Path) -> None:
    """The chain's next step would begin while it still runs."""
    Hook(program=program).act(machine.world, occasion(until_ns=1_000_000_000))
    assert machine.outlets.hooks[0][2] == 999_000_000
    (problem,) = Hook(program=program, budget_ns=6_000_000_000).problems()
    assert problem.startswith("budget: expected at most the deadline")


def test_what_strangers_say_is_made_harmless() -> None:
    """A process could name itself so that a hook's log or mail shows lines of its making."""
    said = hook_environment(
        Occasion(
            "r\n1",
            "process eater\x1b[2J\udcff\x00 (9 GiB)" + "x" * 9999,
            0,
            {'cgroup."/a=b\n".usage': 5.0, "meminfo.Active(anon)": 1.5},
        ),
        12.5,
    )
    assert said.pop("MEMWATCHD_REASON").startswith("process eater?[2J?? (9 GiB)xxx")
    assert said == {
        "MEMWATCHD_RULE": "r?1",
        "MEMWATCHD_TIME": "12.500",
        "MEMWATCHD_FIGURE_CGROUP_A_B_USAGE": "5",
        "MEMWATCHD_FIGURE_MEMINFO_ACTIVE_ANON": "1.5",
    }


def test_a_program_that_others_may_change_is_refused(machine: Machine, program: Path) -> None:
    """Whoever may write the file would be root."""
    assert list(Hook(program=program).missing(machine.world)) == []
    assert Hook(program=program).aim(machine.world) == Intent(
        f"run {program}", (Target(str(program), "named"),)
    )
    program.chmod(0o775)
    problem = f"{program}: has mode 0775: others could have anything run"
    assert list(Hook(program=program).missing(machine.world)) == [problem]
    assert Hook(program=program).act(machine.world, occasion()) == Outcome(Verdict.FAILED, problem)
    program.chmod(0o644)
    assert list(Hook(program=program).missing(machine.world)) == [f"{program}: is not executable"]
    assert list(Hook(program=machine.root).missing(machine.world)) == [f"{machine.root}: is no regular file"]
    gone = machine.root / "gone"
    assert list(Hook(program=gone).missing(machine.world)) == [f"{gone}: No such file or directory"]
    if os.geteuid() == 0:
        program.chmod(0o755)
        os.chown(program, 1, 1)
        assert "belongs to uid 1" in next(iter(Hook(program=program).missing(machine.world)))
    assert machine.outlets.hooks == []
