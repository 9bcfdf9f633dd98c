"""An incident as one plain value."""

from typing import Any

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident, meminfo, slabinfo, vmstat
from tests.views.conftest import HOST, eater_row

from memwatchd.incidents.meta import fit_meta
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.views.incident import render
from memwatchd.views.summary import summarise

MIB = 1 << 20


def figure(summary: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in summary["figures"] if each["name"] == name)
    return found


def test_the_whole_summary(incident: Incident) -> None:
    """A figure of a report would be another than what was recorded."""
    summary = summarise(incident)
    figures = [
        {**each, "run": [value for value in each["run"] if value is not None]}
        for each in summary.pop("figures")
    ]
    assert summary == {
        "name": "20231114T221320.123Z-kernel_kill.mwi",
        "path": str(incident.path),
        "complete": True,
        "problems": [],
        "trigger": {
            "kind": "kernel_kill",
            "detail": "eater (pid 4711) was killed because the machine was out of memory",
            "time": "2023-11-14T22:13:20.123+00:00",
        },
        "verdict": None,
        "host": HOST,
        "program": {"name": "memwatchd", "version": "0.1.0", "python": "3.11.2"},
        "kills": [
            {
                "at_s": 0.0,
                "pid": 4711,
                "comm": "eater",
                "scope": "global",
                "limit_cgroup": None,
                "task_cgroup": "/user.slice",
                "amounts_kib": {"total-vm": 4000, "anon-rss": 3072},
                "sequence": 17,
                "timestamp_usec": 60_000_000,
            }
        ],
        "counters": {"vmstat": 1},
        "disagreements": [],
        "degraded": [],
        "death": None,
        "samples": {
            "count": 8,
            "missed": 1,
            "from_s": -3.0,
            "to_s": 1.0,
            "longest_gap_s": 1.0,
            "gaps": [{"at_s": -1.0, "missed": 1, "length_s": 1.0}],
        },
        "slab_growth": [{"cache": "dentry", "from_bytes": 10 * 4096, "to_bytes": 70 * 4096}],
        "process_growth": [
            {
                "pid": 4711,
                "comm": "eater",
                "cgroup": "/user.slice",
                "from_bytes": MIB,
                "to_bytes": 5 * MIB,
                "oom_score_adj": 0,
            }
        ],
        "events": [
            {"at_s": -0.5, "event": "armed", "reason": "MemAvailable reaches zero in 0.5 s"},
            {"at_s": 0.001, "event": "oom_kill", "source": "vmstat", "rise": 1, "count": 1},
            {"at_s": 0.5, "event": "kmsg_lost", "records": 3},
        ],
    }

    def track(name: str, unit: str, at_trigger: float, last: float, *run: float) -> dict[str, Any]:
        ends = {"first": run[0], "at_trigger": at_trigger, "last": last, "min": min(run), "max": max(run)}
        return {"name": name, "unit": unit, **ends, "run": list(run)}

    available = [each * 100.0 * MIB for each in (6, 5, 4, 2, 1, 0, 6, 6)]
    assert figures == [
        track("meminfo.MemAvailable", "bytes", 0, 600 * MIB, *available),
        track("meminfo.Slab", "bytes", 2 * MIB, 2 * MIB, *[2.0 * MIB] * 8),
        track("zone.worst.ratio", "ratio", 0.8, 2, 2, 1.8, 1.6, 1.2, 1, 0.8, 2, 2),
        track("pressure.some", "share", 0.5, 0.5, *[0.5] * 7),
        track("vmstat.pswpout", "pages/s", 2000, 2000, *[2000.0] * 7),
    ]


def test_a_value_stands_in_the_column_of_its_time(tape: Tape, write_incident: WriteIncident) -> None:
    """The chart would show the fall after the kill."""
    for step in range(31):
        tape.sample(-3 + step / 10, {"meminfo": meminfo(MemAvailable=step)})
    run = figure(summarise(open_incident(write_incident())), "meminfo.MemAvailable")["run"]
    assert len(run) == 30
    assert run == sorted(run)
    assert (run[0], run[-1]) == (1024, 30 * 1024)  # the last value of each column


@pytest.mark.parametrize("quiet_s", [1, 5])
def test_growth_of_a_counter_is_per_second(tape: Tape, write_incident: WriteIncident, quiet_s: int) -> None:
    """A long gap would look like a burst, or a burst like nothing."""
    for second in (-10, -9, -9 + quiet_s, 0):
        tape.sample(second, {"vmstat": vmstat(pswpout=100 * (second + 10))})
    found = figure(summarise(open_incident(write_incident())), "vmstat.pswpout")
    assert (found["unit"], found["min"], found["max"], found["at_trigger"]) == ("pages/s", 100, 100, 100)


def test_a_counter_before_its_first_growth_has_no_value(tape: Tape, write_incident: WriteIncident) -> None:
    """Everything since start-up would be charged to the first column."""
    tape.sample(-1, {"vmstat": vmstat(pswpout=10**9)})
    summary = summarise(open_incident(write_incident()))
    assert [each["name"] for each in summary["figures"]] == []


# ---- gaps


def test_gaps_between_two_samplers_are_gaps(tape: Tape, write_incident: WriteIncident) -> None:
    """The seconds without a sampler, the most interesting of all, would look like a quiet time."""
    for at_s in (-3.0, -2.995, -0.5, -0.495, 0.0):
        tape.sample(at_s, {"vmstat": b"x"})
    samples = summarise(open_incident(write_incident({"sampling": {"rate_hz": 200}})))["samples"]
    assert samples == {
        "count": 5,
        "missed": 498 + 98,
        "from_s": -3.0,
        "to_s": 0.0,
        "longest_gap_s": 2.495,
        "gaps": [
            {"at_s": -0.5, "missed": 498, "length_s": 2.495},
            {"at_s": 0.0, "missed": 98, "length_s": 0.495},
        ],
    }


def test_a_slow_machine_has_fewer_ticks_and_no_gaps(tape: Tape, write_incident: WriteIncident) -> None:
    """Every recording of a small machine would seem to be full of holes."""
    strides = [4, 4, 4, 1, 1, 4, 4]
    times = [sum(strides[: place + 1]) * 0.005 for place in range(len(strides))]
    for at_s, stride in zip(times, strides, strict=True):
        tape.sample(at_s - times[-1], {"vmstat": b"x"}, stride=stride)
    samples = summarise(open_incident(write_incident({"sampling": {"rate_hz": 200}})))["samples"]
    assert (samples["count"], samples["missed"], samples["gaps"]) == (7, 0, [])


def test_many_gaps_are_counted_and_some_listed(tape: Tape, write_incident: WriteIncident) -> None:
    """A machine that stalls a thousand times would fill the screen with gaps."""
    for step in range(-300, 1):
        tape.sample(step * 0.015, {"vmstat": b"x"}, missed=2)
    summary = summarise(open_incident(write_incident({"sampling": {"rate_hz": 200}})))
    assert summary["samples"]["missed"] == 600
    assert 0 < render(summary).count("  gap of ") <= 20


# ---- the window


def test_only_the_window_is_summarised(tape: Tape, write_incident: WriteIncident) -> None:
    """A segment that begins long before the window would stretch the chart."""
    for second in range(-20, 10):
        tape.sample(second, {"meminfo": meminfo(MemAvailable=second + 100)})
    window = {"from_ns": ZERO_NS - 5 * S, "to_ns": ZERO_NS + 2 * S}
    summary = summarise(open_incident(write_incident({"window": window})))
    assert (summary["samples"]["from_s"], summary["samples"]["to_s"]) == (-5, 2)
    found = figure(summary, "meminfo.MemAvailable")
    assert (found["first"], found["at_trigger"], found["last"]) == (95 * 1024, 100 * 1024, 102 * 1024)


def test_an_incident_without_samples(write_incident: WriteIncident) -> None:
    """A sampler that never came up would leave an incident nobody can look at."""
    summary = summarise(open_incident(write_incident()))
    assert summary["samples"]["count"] == 0
    assert (summary["figures"], summary["slab_growth"], summary["process_growth"]) == ([], [], [])


def test_an_incident_without_facts(incident: Incident) -> None:
    """An incident of a first version, or of a program that says less, could not be looked at."""
    incident.facts = fit_meta({"trigger": incident.meta["trigger"]})
    summary = summarise(incident)
    assert (summary["kills"], summary["counters"], summary["host"]) == ([], {}, {"page_size": None})


# ---- what grew


def test_slab_growth_is_up_to_the_trigger_and_by_size(tape: Tape, write_incident: WriteIncident) -> None:
    """The cache that filled the machine would be blamed least, or be named after the kill has freed it."""
    tape.sample(-2, {"slabinfo": slabinfo(dentry=100, nfs_inode_cache=10, same=7, shrinks=9)})
    tape.sample(-1, {"slabinfo": slabinfo(dentry=150, nfs_inode_cache=700, same=7, shrinks=1, fresh=1)})
    tape.sample(1, {"slabinfo": slabinfo(dentry=1, nfs_inode_cache=1, after=10**6)})
    summary = summarise(open_incident(write_incident({"host": {"page_size": 65536}})))
    assert summary["slab_growth"] == [
        {"cache": "nfs_inode_cache", "from_bytes": 10 << 16, "to_bytes": 700 << 16},
        {"cache": "dentry", "from_bytes": 100 << 16, "to_bytes": 150 << 16},
        {"cache": "fresh", "from_bytes": 0, "to_bytes": 1 << 16},
    ]


def test_a_slabinfo_that_cannot_be_read_is_said(tape: Tape, write_incident: WriteIncident) -> None:
    """One odd line would keep the whole incident from being shown."""
    tape.sample(-1, {"slabinfo": slabinfo(dentry=1).replace(b"192", b"many")})
    (said,) = summarise(open_incident(write_incident()))["slab_growth"]
    assert "objsize" in said["problem"]


def test_process_growth_counts_swap_and_tells_processes_of_one_pid_apart(
    tape: Tape, write_incident: WriteIncident
) -> None:
    """A hog in swap would look as if it had shrunk, a new process as if it had grown out of an old one."""
    tape.processes(-2, eater_row(4096, -2), {**eater_row(0, -2, pid=5), "rss_kib": None})
    tape.processes(-1, eater_row(1024, -1, swap_kib=8192), eater_row(100, -1, pid=7, start_ticks=50))
    tape.processes(-0.5, eater_row(90_000, -0.5, pid=7, start_ticks=51, comm="other"))
    tape.processes(1, eater_row(10**9, 1))
    growth = summarise(open_incident(write_incident()))["process_growth"]
    assert [(row["pid"], row["from_bytes"], row["to_bytes"]) for row in growth] == [
        (4711, 4096 * 1024, 9216 * 1024)
    ]


def test_the_position_in_a_watched_file_is_a_figure(tape: Tape, write_incident: WriteIncident) -> None:
    """One would not see which file rsync was copying when the zone ran out."""
    facts = {"pid": 4711, "comm": "rsync", "target": "/srv/backup.img"}
    tape.sample(-2, {"meminfo": meminfo(MemAvailable=1)})
    tape.watch("process/4711/fdinfo/3", **facts)
    for second in (-1, 0):
        tape.sample(
            second, {"process/4711/fdinfo/3": b"pos:\t%d\nflags:\t0100000\n" % (10**9 * (second + 2))}
        )
    found = figure(summarise(open_incident(write_incident())), "rsync 4711 /srv/backup.img")
    assert (found["unit"], found["first"], found["last"]) == ("bytes", 10**9, 2 * 10**9)
