"""The verdict on an incident in one sentence."""

from typing import Any

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident, meminfo
from tests.views.conftest import kill_facts

from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorder import MACHINE_DIED
from memwatchd.views.incident import render
from memwatchd.views.summary import summarise
from memwatchd.views.verdict import verdict_of


def report(at_s: float, cgroup: str, pid: int, comm: str, sequence: int) -> list[bytes]:
    """A cgroup's kill as /dev/kmsg gives it; the tape's clock began a minute before moment zero."""
    lines = [
        f"{comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        f"CPU: 0 PID: {pid} Comm: {comm} Not tainted 6.1.0 #1",
        "Call Trace:",
        " out_of_memory+0x214/0x500",
        "memory: usage 262144kB, limit 262144kB, failcnt 36",
        "memory+swap: usage 262144kB, limit 9007199254740988kB, failcnt 0",
        f"Memory cgroup stats for {cgroup}:",
        "cache 0",
        "rss 267907072",
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
        f"[  {pid}]     0  {pid}    67000    65500   560000        0             0 {comm}",
        f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={cgroup},"
        f"task_memcg={cgroup},task={comm},pid={pid},uid=0",
        f"Memory cgroup out of memory: Killed process {pid} ({comm}) total-vm:268000kB, anon-rss:262000kB, "
        "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:560kB oom_score_adj:0",
    ]
    usec = round((ZERO_NS / S + at_s) * 1e6)
    return [b"4,%d,%d,-;%s\n" % (sequence + i, usec + i, line.encode()) for i, line in enumerate(lines)]


def tell(tape: Tape, at_s: float, cgroup: str, pid: int, comm: str, sequence: int = 1) -> None:
    for raw in report(at_s, cgroup, pid, comm, sequence):
        tape.message(at_s, raw)


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident) -> Incident:
    """A kill by a cgroup's limit, and the messages of another one, half a minute before."""
    tell(tape, -40, "/old", 4710, "former", 1)
    tape.sample(-1, {"meminfo": meminfo(MemAvailable=5)})
    tell(tape, 0, "/app", 4711, "eater", 100)
    return open_incident(write_incident({"kills": [kill_facts(0)]}))


def test_the_verdict_is_on_the_incident_s_kill(incident: Incident) -> None:
    """The one before, of which the kernel's log still has the report, would be explained instead."""
    verdict = verdict_of(incident)
    assert verdict is not None
    assert (set(verdict), verdict["tag"]) == ({"tag", "confidence", "summary"}, "memcg_limit")
    assert "/app" in verdict["summary"]
    assert 0 < verdict["confidence"] <= 1


def test_show_says_it_under_the_title(incident: Incident) -> None:
    """Whoever looks at an incident would have to know that there is another command."""
    summary = summarise(incident)
    said = summary["verdict"]["summary"]
    assert render(summary).splitlines()[3] == f"Why: {said}  (memwatchd explain {incident.path.name})"


@pytest.mark.parametrize(
    ("window", "found"),
    [
        pytest.param({"from_ns": ZERO_NS - S, "to_ns": ZERO_NS + S}, True, id="within"),
        pytest.param({"from_ns": ZERO_NS + S, "to_ns": ZERO_NS + 2 * S}, False, id="before"),
        pytest.param({}, False, id="of no known span"),
    ],
)
def test_a_report_of_which_no_kill_was_counted(
    tape: Tape, write_incident: WriteIncident, window: dict[str, Any], found: bool
) -> None:
    """An incident that an operator wished for would be explained by a kill of yesterday."""
    tell(tape, 0, "/app", 4711, "eater")
    incident = open_incident(write_incident({"window": window}))
    assert (verdict_of(incident) is not None) == found


def test_without_a_report_there_is_no_verdict(tape: Tape, write_incident: WriteIncident) -> None:
    """`show` would guess."""
    tape.message(0, b"6,1,60000000,-;eth0: link is up\n")
    incident = open_incident(write_incident({"kills": [kill_facts(0)]}))
    assert verdict_of(incident) is None
    assert "Why:" not in render(summarise(incident))


def test_names_in_it_cannot_write_into_a_terminal(tape: Tape, write_incident: WriteIncident) -> None:
    """A process could draw over the screen of whoever looks for it."""
    tell(tape, 0, r"/app\x1b[31m", 4711, r"e\x1b[31mvil")
    assert "\x1b" not in render(summarise(open_incident(write_incident({"kills": [kill_facts(0)]}))))


def test_without_a_report_the_samples_tell(tape: Tape, write_incident: WriteIncident) -> None:
    """`show` would be silent on why a machine died."""
    amounts = {"Active(anon)": 900_000, "Inactive(anon)": 0, "Active(file)": 0, "Inactive(file)": 0}
    tape.sample(-1, {"meminfo": meminfo(MemFree=8000, MemAvailable=9000, SwapTotal=0, SwapFree=0, **amounts)})
    verdict = verdict_of(open_incident(write_incident(kind=MACHINE_DIED)))
    assert verdict is not None
    assert (verdict["tag"], verdict["summary"].partition(":")[0]) == (
        "anon_exhaustion",
        "Memory was short when the recording ends, before the machine went down",
    )
