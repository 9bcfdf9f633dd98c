"""The words for an event's facts."""

import pytest
from tests.views.explain.events import unaccounted

from memwatchd.diagnosis.case import Case
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    MEMORY_INFO,
    OOM_KILL,
    RECORDED,
    USERSPACE_KILL,
    Event,
    Memcg,
    Totals,
    Trigger,
    Victim,
)
from memwatchd.views.explain import words


def fact(event: Event, label: str) -> str | None:
    """The first fact with a label."""
    return dict(reversed(list(words.facts(Case(event))))).get(label)


@pytest.mark.parametrize(
    ("event", "kind", "why"),
    [
        (Event(OOM_KILL), "OOM kill", "the log does not say whose memory was short"),
        (Event(OOM_KILL, CPUSET), "OOM kill, cpuset", "the nodes of a cpuset were out of memory"),
        (Event(OOM_KILL, manner="sysrq"), "OOM kill", "somebody asked for it (SysRq-f)"),
        (Event(OOM_KILL, manner="new one"), "OOM kill", "new one"),
        (
            Event(USERSPACE_KILL, killer="earlyoom", reason="mem avail 3%"),
            "kill by earlyoom",
            "earlyoom: mem avail 3%",
        ),
        (Event(USERSPACE_KILL), "kill", "a program decided so"),
        (
            Event(ALLOCATION_FAILURE),
            "request failed",
            "a request for memory failed; nobody was killed for it",
        ),
        (
            Event(MEMORY_INFO),
            "memory shown",
            "the kernel printed its figures; nobody was killed for it",
        ),
        (
            Event(RECORDED, manner="machine_died", reason="the machine went down"),
            "machine died",
            "the machine went down",
        ),
        (Event(RECORDED), "recording", "it was recorded, and nobody knows why"),
    ],
)
def test_every_kind_has_words(event: Event, kind: str, why: str) -> None:
    """A request that failed would be taken for a kill."""
    assert (words.kind(event), fact(event, "why")) == (kind, why)


def test_who_was_killed() -> None:
    """A report that lost its last line would be taken for one in which nobody was killed."""
    assert fact(Event(OOM_KILL), "killed") == "nobody"
    assert fact(Event(OOM_KILL, missing=("kill",)), "killed") == "the log does not say whom"
    assert fact(Event(ALLOCATION_FAILURE), "killed") is None
    empty = Victim(None, None, anon_rss_kb=0)
    assert fact(Event(OOM_KILL, victims=(empty,)), "killed") == "a process without a name, nothing resident"


def test_what_is_not_known_is_not_said() -> None:
    """Figures that nobody printed would stand there as zeros."""
    assert list(words.facts(Case(Event(MEMORY_INFO, first_line=3, last_line=3)))) == [
        ("why", "the kernel printed its figures; nobody was killed for it"),
        ("when", "line 3"),
    ]


def test_no_swap_is_said() -> None:
    """No swap, and swap that is not printed, would be the same."""
    assert fact(Event(OOM_KILL, totals=Totals(swap_total_kb=0, swap_free_kb=0)), "swap") == "none"
    assert fact(Event(OOM_KILL), "swap") is None


def test_an_absurd_order_is_no_size() -> None:
    """A forged report could have the program compute with numbers of a gigabyte."""
    event = Event(OOM_KILL, trigger=Trigger(comm="x", order=10**9))
    assert fact(event, "asked") == "x"


def test_many_flags_are_cut() -> None:
    """The line would not end."""
    event = Event(ALLOCATION_FAILURE, trigger=Trigger(comm="x", gfp_flags=tuple("ABCDEFGH")))
    assert fact(event, "asked") == "x with A|B|C|D|E|F|… 2 more"


def test_no_limit_is_no_number() -> None:
    """18014398509481983 kB would be taken for a limit."""
    memcg = Memcg(memsw_usage_kb=12, memsw_limit_kb=18014398509481983)
    assert fact(Event(OOM_KILL, memcg=memcg), "cgroup") == "memory and swap 12 KiB, no limit"


def test_limits_of_what_was_read() -> None:
    """One would trust a verdict on half a report as much as one on a whole one."""
    assert list(words.limits(unaccounted())) == [
        "Missing: the lines at the end: swap, and how much RAM there is.",
        "1 line could not be read.",
        "The verdict, 90 % sure, allows for that.",
    ]


@pytest.mark.parametrize(
    ("sentence", "text", "commands"),
    [
        ("Wait.", "Wait.", []),
        ("Read `vm.swappiness`.", "Read `vm.swappiness`.", []),
        ("Drop it: `echo 2 > /x`.", "Drop it:", ["echo 2 > /x"]),
        ("Drop it with `echo 2 > /x`", "Drop it with:", ["echo 2 > /x"]),
        ("`free -m`", "", ["free -m"]),
        ("Run `a b` and `c d`.", "Run `a b` and:", ["a b", "c d"]),
        ("Run `a b` before noon.", "Run `a b` before noon.", ["a b"]),
        ("An odd ` one", "An odd ` one", []),
    ],
)
def test_commands_are_taken_out(sentence: str, text: str, commands: list[str]) -> None:
    """One would copy the words around a command, or half of it."""
    assert words.commands_of(sentence) == (text, commands)


def test_a_recording_has_no_lines_of_a_log_and_killed_nobody() -> None:
    """A reader would look for line 200 of a log that there is none of."""
    event = Event(RECORDED, first_line=1, last_line=300, time="2026-11-21T19:24:58.849+00:00")
    assert fact(event, "when") == "2026-11-21T19:24:58.849+00:00, as recorded"
    assert fact(event, "killed") is None


def test_what_was_available_is_said() -> None:
    """How near the end was would be left to guesses."""
    event = Event(RECORDED, totals=Totals({"free": 256}, available_kb=2048))
    assert fact(event, "memory") == "1 MiB free, 2 MiB available"
