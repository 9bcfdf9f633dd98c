"""Kills by other programs."""

from tests.diagnosis.reports import case, found, quoted

from memwatchd.diagnosis.userspace_kill import examine
from memwatchd.oomreport.report import USERSPACE_KILL, Event, Victim


def test_who_and_why_by_its_own_words() -> None:
    """The kernel would be blamed for what earlyoom did."""
    event = Event(
        USERSPACE_KILL,
        killer="earlyoom",
        reason="mem 9.10%, swap 8.20%",
        victims=(Victim(4711, "java", anon_rss_kb=5_000_000, line=4),),
        texts={4: "sending SIGTERM"},
    )
    finding = found(examine(case(event)))
    assert finding.weight == 1
    assert finding.summary == (
        'earlyoom killed java (4711) with 4.77 GiB, for it said: "mem 9.10%, swap 8.20%".'
        " The kernel's OOM killer had no part in it."
    )
    assert quoted(finding) == ["sending SIGTERM"]


def test_one_that_says_nothing() -> None:
    """A program that nobody knows would end in a traceback."""
    assert found(examine(case(Event(USERSPACE_KILL)))).summary.startswith("another program killed a process.")


def test_the_kernels_own_kills_are_not() -> None:
    """Every kill would be somebody else's."""
    assert examine(case(Event("oom_kill"))) is None
