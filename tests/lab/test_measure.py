"""From what came home to figures."""

from pathlib import Path
from typing import Any

import pytest
from lab.course import Course
from lab.daemons import DAEMONS
from lab.guest import Report
from lab.scenario import Scenario
from tests.lab.conftest import ZERO, Make, sample, signal

from lab import evidence, measure

EARLYOOM, NONE, MEMWATCHD = DAEMONS["earlyoom"], DAEMONS["none"], DAEMONS["memwatchd"]
LOG = Path(__file__).parent / "hog-dmesg.txt"


def test_a_kill_is_ascribed_to_its_unit(story: Scenario, make: Make) -> None:
    """An innocent's death could not be told from the hog's."""
    home = make(
        kernel_log=LOG.read_bytes(),
        signals=[
            {"at": ZERO + 5.5, "event": "mark_victim", "by": "eat", "by_pid": 316, "pid": 316, "comm": None}
        ],
    )
    (kill,) = measure.kernel_kills(story, NONE, home)
    assert kill == {
        "at_s": 5.5,
        "pid": 316,
        "comm": "python3",
        "unit": "lab-hog.service",
        "role": "harm",
        "scope": "global",
        "anon_kib": 356440,
    }


def test_only_the_daemons_own_signals_are_its_deeds(story: Scenario, make: Make) -> None:
    """Signals of systemd, of the kernel, or to the daemon's own children would pass for its actions."""
    home = make(
        signals=[
            signal(2.0, by_pid=12, pid=10, sig=15),
            signal(2.1, by_pid=12, pid=10, sig=15),
            signal(2.2, by_pid=1, pid=10, sig=15),
            signal(2.3, by_pid=12, pid=12, sig=9),
            signal(2.4, by_pid=12, pid=10, sig=9, code=128),
            signal(-1.0, by_pid=12, pid=11, sig=9),
            signal(99.0, by_pid=12, pid=11, sig=9),
        ]
    )
    assert [
        (each["at_s"], each["signal"], each["role"]) for each in measure.daemon_signals(story, EARLYOOM, home)
    ] == [(2.0, "TERM", "harm")]


def test_losses_are_kills_and_services_that_are_gone(story: Scenario, make: Make) -> None:
    """A service that systemd restarted would count as untouched."""
    home = make(
        notes={"states": {"ssh.service": {"MainPID": "77"}, "lab-service.service": {"MainPID": "11"}}}
    )
    killed = [{"role": "innocent", "unit": "backup.service", "comm": "tar", "pid": 1}]
    stopped = [{"role": "innocent", "unit": "other.service", "comm": "x", "pid": 2, "signal": "STOP"}]
    assert measure.lost(story, home, killed, stopped) == {
        "innocent": ["backup.service"],
        "critical": ["ssh.service"],
    }


def test_danger_needs_more_than_a_dip_of_a_zone(make: Make) -> None:
    """A healthy machine that reclaims at its low watermark would be in danger all the time."""
    home = make(samples=[sample(1.0, 0.5, 0.9), sample(1.05, 0.5, 0.9), sample(1.1, 0.5, 1.2)])
    assert measure.dangers(home)["at_s"] is None
    dips = [0.9 if at % 16 else 1.2 for at in range(60)]
    home = make(samples=[sample(at / 20, 0.5, low) for at, low in enumerate(dips)])
    assert measure.dangers(home)["at_s"] is None
    home = make(samples=[sample(at / 20, 0.5, 1.2 if at < 10 else 0.9) for at in range(40)])
    assert measure.dangers(home)["zone_at_s"] == pytest.approx(0.5)


def test_relief_lasts_a_second_and_is_not_the_end_of_the_run(make: Make) -> None:
    """A moment's breath, or the harm's end by the lab itself, would pass for the daemon's success."""
    shares = [(0, 0.5), (4, 0.08), (5, 0.2), (5.5, 0.05), (7, 0.3), (7.6, 0.3), (8.2, 0.3), (9, 0.3)]
    found = measure.dangers(make(samples=[sample(at, share) for at, share in shares]))
    assert (found["at_s"], found["relief_s"]) == (4.0, 7.0)
    assert found["lowest_available_share"] == 0.05
    late = make(samples=[sample(4, 0.08), sample(31, 0.5), sample(33, 0.5)])
    assert measure.dangers(late)["relief_s"] is None


def test_memwatchds_own_records_count_as_actions(make: Make) -> None:
    """What is no signal, such as dropping caches, would never have been done."""
    entry = {
        "MEMWATCHD_ACTION": "drop_caches",
        "MEMWATCHD_VERDICT": "helped",
        "_SOURCE_REALTIME_TIMESTAMP": "1000003500000",
    }
    told = {**entry, "MEMWATCHD_ACTION": "dump", "_SOURCE_REALTIME_TIMESTAMP": "1000001000000"}
    clocks = [{"monotonic": ZERO, "realtime": 1_000_000.0, "boottime": ZERO}]
    home = make(notes={"clocks": clocks}, journal=[told, entry])
    assert measure.first_action(MEMWATCHD, home, []) == {"at_s": 3.5, "what": "drop_caches"}
    assert measure.first_action(NONE, home, []) == {"at_s": None, "what": None}


def test_a_whole_run_is_measured(story: Scenario, course: Course, make: Make) -> None:
    """Clocks of host and guest would be mixed up, or stalls of other times counted."""
    probe = {
        "bounds_ms": [10, 100, 10**9],
        "histogram": {"allocate": [90, 5, 2], "read": [3, 0, 0], "exec": [0, 0, 0]},
        "slow": [[ZERO - 50, 9.0, "exec"], [ZERO + 3, 1.5, "allocate"], [ZERO + 6, 0.5, "exec"]],
    }
    home = make(
        probe=probe,
        samples=[sample(0, 0.5), sample(2, 0.05), sample(4, 0.5), sample(6, 0.5, oom_kill=1.0)],
        signals=[signal(2.5, by_pid=12, pid=10, sig=15)],
        notes={"cron_after": True},
    )
    result = measure.measure(story, EARLYOOM, course, home)
    assert result["probe"] == {
        "longest_s": 1.5,
        "longest_at_s": 3.0,
        "longest_kind": "allocate",
        "above_1s_s": 1.5,
        "p50_ms": 10,
        "p99_ms": 10**9,
        "steps": 100,
    }
    assert result["action"] == {"at_s": 2.5, "what": "TERM to eat", "after_danger_s": 0.5}
    assert result["danger"]["relief_after_s"] == 2.0
    assert [each["at_s"] for each in result["critical"]["logins"]] == [-1.0, 40.0, 71.0]
    assert result["critical"]["login_after"] is True
    assert result["kernel_kills"]["counted"] == 1


def test_what_a_death_cost_is_counted_from_the_last_sign_of_life(course: Course, make: Make) -> None:
    """Incidents of other things, or of a death that was told worse, would hide what is missing."""
    incidents: list[dict[str, Any]] = [
        {"death": {"unrecorded_s_at_most": 9.0}, "last_sample_monotonic_s": 103.75},
        {"death": {"unrecorded_s_at_most": 9.0}, "last_sample_monotonic_s": None},
        {"death": None, "last_sample_monotonic_s": 104.5},
    ]
    assert measure.stream(course, make(stream=[99.0, 104.0]), incidents) == {
        "samples": 2,
        "last_s": 4.0,
        "last_monotonic_s": 104.0,
        "unrecorded_s": 0.25,
    }
    assert measure.stream(course, make(), incidents) is None
    nothing = measure.stream(course, make(stream=[104.0]), [])
    assert nothing is not None
    assert nothing["unrecorded_s"] is None


def test_a_machine_that_was_started_again_has_another_clock(
    story: Scenario, course: Course, make: Make
) -> None:
    """The moment of a power cut would lie before the harm, or days after it."""
    course.deaths = [5120.0]
    course.deeds = [{"do": "quit", "at": 5119.5, "problem": None}]
    course.reports.append(Report(5150.0, {"report": "hello", "at": 9.0}))
    result = measure.measure(story, MEMWATCHD, course, make(notes={"harm_at": None, "mains": {}}))
    assert result["monitor"] == [{"at_s": 19.5, "do": "quit", "problem": None}]
    assert result["service"]["never_died"] is None


def test_what_was_declined_is_no_action() -> None:
    """A rule that found nobody to act on would count as help in time."""

    def event(kind: str, action: str, **facts: object) -> dict[str, object]:
        return {"event": kind, "rule": "r", "step": 0, "action": action, **facts}

    events = [
        (1.0, event("action_begun", "freeze")),
        (1.1, event("action", "freeze", verdict="declined")),
        (2.0, event("action_begun", "freeze")),
        (2.4, event("action", "freeze", verdict="helped", began_ns=2_000_000_000)),
        (3.0, event("action_begun", "drop_caches")),
        (4.0, event("action_begun", "dump")),
    ]
    assert sorted(evidence.acts(events)) == [(2.0, "freeze"), (3.0, "drop_caches")]


def test_gaps_are_counted_in_periods_as_they_were(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler that was told to go slower would seem to have stumbled, or one that stumbled not."""
    summaries = {
        "calm.mwi": {"samples": {"longest_gap_s": 0.1, "gaps": []}},
        "late.mwi": {"samples": {"longest_gap_s": 0.05, "gaps": [{"missed": 2}, {"missed": 1}]}},
        "torn.mwi": None,
    }
    monkeypatch.setattr(evidence, "_summary", lambda path: summaries[path.name])
    home = make(incidents=[Path(name) for name in summaries])
    assert (evidence.longest_gap(home), evidence.longest_gap_periods(home)) == (0.1, 3)
    assert evidence.longest_gap_periods(make()) is None


def test_a_run_of_which_nothing_came_home_has_a_result(story: Scenario, course: Course, make: Make) -> None:
    """A machine that died for good would break off the whole night's runs."""
    course.ended = "died"
    result = measure.measure(story, MEMWATCHD, course, make(notes={"harm_at": None}))
    assert result["ended"] == "died"
    assert result["danger"]["at_s"] is None
    assert result["probe"] is None
