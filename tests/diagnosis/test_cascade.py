"""Several kills in a row."""

from dataclasses import replace

from tests.diagnosis.reports import case, found

from memwatchd.diagnosis.cascade import examine
from memwatchd.oomreport.report import GLOBAL, MEMCG, Event, Memcg, Victim


def kill(
    seconds: float | None, *names: str, scope: str | None = GLOBAL, missing: tuple[str, ...] = ()
) -> Event:
    victims = tuple(
        Victim(round((seconds or 0) * 10) + at, name, anon_rss_kb=1000) for at, name in enumerate(names)
    )
    return Event("oom_kill", scope=scope, seconds=seconds, victims=victims, missing=missing)


def test_kills_within_seconds() -> None:
    """The third report would be judged as if it were the first."""
    finding = found(
        examine(
            case(
                kill(112.5, "sshd"),
                kill(100, "bash"),
                kill(110, "cron", missing=("head",)),
                kill(112, "cron"),
            )
        )
    )
    assert finding.weight == 0
    assert finding.summary == (
        "4 processes were killed within 12.5 s (bash, 2 × cron and sshd); they had 3.91 MiB resident,"
        " which did not end the shortage before this kill. 1 of these kills has no report of its own,"
        " since the kernel prints at most ten in five seconds."
    )
    assert finding.figures == {"kills": 4, "events": 4, "freed_kb": 4000, "headless": 1}


def test_kills_that_do_not_belong_together() -> None:
    """A kill of yesterday, of a cgroup or of another host would be counted."""
    others = [
        kill(10, "old"),
        kill(199, "contained", scope=MEMCG),
        kill(None, "timeless"),
        Event("allocation_failure", seconds=199),
    ]
    assert examine(case(kill(200, "sshd"), *others)) is None


def limited(seconds: float, path: str) -> Event:
    return replace(kill(seconds, "java", scope=MEMCG), memcg=Memcg(limit_of=path))


def test_kills_by_different_limits() -> None:
    """Three containers that meet limits of their own at once would be told as one shortage."""
    assert examine(case(limited(200, "/a/c"), limited(198, "/a/b"), limited(199, "/a/cc"))) is None


def test_kills_by_nested_limits() -> None:
    """What a kill within the group freed would not count for the group's own limit."""
    finding = found(examine(case(limited(200, "/a"), limited(198, "/a/b"), limited(199, "/"))))
    assert finding.figures["kills"] == 3


def test_a_whole_group() -> None:
    """memory.oom.group makes five kills of one, of which the first is named twice."""
    victims = tuple(Victim(pid, "nginx", anon_rss_kb=1000) for pid in (1, 2, 3, 1))
    event = Event("oom_kill", scope=MEMCG, victims=victims, memcg=Memcg(group_kill="/a"))
    assert found(examine(case(event))).summary == (
        "3 processes were killed at once (3 × nginx), with 2.93 MiB resident. memory.oom.group is set for"
        " /a, so all of it dies at once."
    )
