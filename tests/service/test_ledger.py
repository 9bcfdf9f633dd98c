"""Kills from three sides, and whether they agree."""

from typing import Any

import pytest

from memwatchd.oomreport.kills import Kill
from memwatchd.service.ledger import Ledger


def kill(pid: int = 1, scope: str | None = "global") -> Kill:
    return Kill(pid, "eater", scope, None, None, {"anon-rss": 5}, 17, 99)


def test_an_incident_gets_the_kills_of_its_span() -> None:
    """An incident would tell of kills of another day."""
    ledger = Ledger(messages_read=True)
    for at_ns in (10, 20, 30):
        ledger.told(at_ns, kill(at_ns))
        ledger.counted(at_ns, "vmstat", 1)
    assert ledger.between(20, 30) == {
        "kills": [
            {
                "monotonic_ns": at_ns,
                "pid": at_ns,
                "comm": "eater",
                "scope": "global",
                "limit_cgroup": None,
                "task_cgroup": None,
                "amounts_kib": {"anon-rss": 5},
                "sequence": 17,
                "timestamp_usec": 99,
            }
            for at_ns in (20, 30)
        ],
        "counters": {"vmstat": 2},
        "disagreements": [],
    }
    assert ledger.between(31, 99) == {"kills": [], "counters": {}, "disagreements": []}


@pytest.mark.parametrize(
    ("told", "rises", "said"),
    [
        (1, {"vmstat": 1}, []),
        (0, {"vmstat": 2}, ["vmstat counts 2 kills, the kernel's messages tell of 0"]),
        (2, {"vmstat": 1}, ["the kernel's messages tell of 2 kills, vmstat counts 1"]),
        (1, {}, ["the kernel's messages tell of 1 kills, vmstat counts 0"]),
        (1, {"vmstat": 1, "cgroup/a/memory.events": 1}, []),
        (
            1,
            {"vmstat": 1, "cgroup/a/memory.events": 3},
            ["cgroup/a/memory.events counts 3 kills, vmstat 1 and the kernel's messages 1"],
        ),
    ],
)
def test_disagreements_are_said(told: int, rises: dict[str, int], said: list[str]) -> None:
    """A kill nobody was told of would pass unnoticed, or every kill be called doubtful."""
    ledger = Ledger(messages_read=True)
    for number in range(told):
        ledger.told(5, kill(number))
    for source, rise in rises.items():
        ledger.counted(5, source, rise)
    assert ledger.between(0, 10)["disagreements"] == said


def test_without_messages_the_victim_is_unknown_and_that_is_said() -> None:
    """An incident without a victim would look as if there had been none."""
    ledger = Ledger(messages_read=False)
    ledger.counted(5, "vmstat", 1)
    (sentence,) = ledger.between(0, 10)["disagreements"]
    assert "it is not known who was killed" in sentence


def test_kills_are_counted_by_scope() -> None:
    """The metric that tells container kills from machine kills would be wrong."""
    ledger = Ledger(messages_read=True)
    assert ledger.by_scope == {"global": 0, "cgroup": 0, "unknown": 0}
    for scope in ("global", "cgroup", "cgroup", None):
        ledger.told(1, kill(scope=scope))
    assert ledger.by_scope == {"global": 1, "cgroup": 2, "unknown": 1}


def test_a_storm_takes_no_memory_without_end() -> None:
    """A machine that kills for days would be killed by its recorder in the end."""
    ledger = Ledger(messages_read=True)
    for number in range(10_000):
        ledger.told(number, kill(number))
        ledger.counted(number, "vmstat", 1)
    facts: dict[str, Any] = ledger.between(0, 10_000)
    assert len(facts["kills"]) == facts["counters"]["vmstat"] == 4096
    assert facts["kills"][-1]["pid"] == 9_999
    assert ledger.by_scope["global"] == 10_000


class Interrupting(int):
    """A time at whose comparison another thread gets its turn, and with it another kill."""

    ledger: Ledger

    def __le__(self, other: int) -> bool:
        if len(self.ledger.kills) < 10:
            self.ledger.told(7, kill())
            self.ledger.counted(7, "vmstat", 1)
        return int(self) <= other


def test_a_kill_may_be_told_while_an_incident_is_described() -> None:
    """The thread that writes incidents would end in the middle of a storm of kills."""
    ledger = Ledger(messages_read=True)
    ledger.told(5, kill())
    ledger.counted(5, "vmstat", 1)
    from_ns = Interrupting(0)
    from_ns.ledger = ledger
    assert len(ledger.between(from_ns, 10)["kills"]) >= 1
