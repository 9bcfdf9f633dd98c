"""From an incident to the history of an event in it."""

import dataclasses
from typing import Any

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident, meminfo, pressure, slabinfo

from memwatchd.diagnosis.history import CGROUP, PROCESS, SLAB, Grower, History, Reclaim, RuleAction, ZonePast
from memwatchd.incidents.history import place_of, read_history
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.oomreport.report import OOM_KILL, Event, Task, Victim

MIB = 1 << 20
HOST = {"page_size": 4096, "clock_ticks_per_s": 100}
ZERO_S = ZERO_NS / S
# The tape's clock of starts is seven seconds ahead.
ZERO_TICKS = round((ZERO_S + 7) * 100)
KILL = Event(OOM_KILL, seconds=ZERO_S, victims=(Victim(4711, "eater"),))
ZONEINFO = """Node 0, zone   Normal
  pages free     {free}
        min      {min}
        low      {low}
        high     3000
        spanned  4000
        present  4000
"""
OLD_VMSTAT = "nr_free_pages 1\npgscan_direct_normal {0}\npgscan_direct_dma {0}\npgsteal_direct_normal {1}\n"


def row(rss_mib: float, read_s: float, **changed: Any) -> dict[str, Any]:
    """A row of the process table."""
    return {
        "pid": 4711,
        "comm": "eater",
        "rss_kib": round(rss_mib * 1024),
        "swap_kib": 0,
        "start_ticks": 99,
        "read_ns": ZERO_NS + round(read_s * S),
        **changed,
    }


def near(value: float) -> Any:
    """Equal but for rounding."""
    return pytest.approx(value)


def history_of(incident: Incident, event: Event = KILL) -> History:
    history = read_history(incident, event)
    assert history is not None
    return history


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident) -> Incident:
    """Ten seconds of calm but for the last three, at ten samples a second; a cache and a process grow."""
    tape.watch("cgroup/app/memory.current", cgroup="/app")
    tape.watch("process/99/statm", pid=99, comm="watched")
    for tick in range(-100, 6):
        at_s = tick / 10
        grown = min(max(0, tick + 30), 30)  # 0 to 30
        tape.sample(
            at_s,
            {
                "meminfo": meminfo(
                    MemAvailable=100_000 - 3000 * grown,
                    AnonPages=102_400 + 10_240 * grown,
                    SwapTotal=100_000,
                    SwapFree=100_000 - 1000 * grown,
                    Shmem=1024,
                    Cached=2048,
                ),
                "vmstat": (
                    f"pgscan_direct {100 * grown}\npgsteal_direct {2 * grown}\npgscan_kswapd {9 * grown}\n"
                    f"pgsteal_kswapd {grown}\nallocstall_normal {grown}\nallocstall_movable 0\n"
                    f"pswpout {7 * grown}\npswpin 0\npgmajfault 3\nworkingset_refault {5 * grown}\n"
                ).encode(),
                "pressure": pressure(20_000 * grown),
                "zoneinfo": ZONEINFO.format(free=3000 - 95 * grown, min=1000, low=2000).encode(),
                "slabinfo": slabinfo(dentry=1000 + 1000 * grown, inode=500),
                "cgroup/app/memory.current": b"%d\n" % (20 * MIB + 5 * MIB * grown),
                "process/99/statm": b"99999 %d 1 1 0 1 0\n" % (512 + 256 * grown),
            },
            missed=int(tick == -50),
        )
        if tick % 10 == 0 and tick < 0:
            tape.processes(at_s, row(100 + 8 * grown, at_s), row(50, at_s, pid=1, comm="init", start_ticks=1))
    tape.happened(
        -1.0,
        "action",
        rule="slab",
        action="drop_caches",
        verdict="helped",
        detail="freed 3 MiB",
        began_ns=ZERO_NS - 2 * S,
    )
    return open_incident(write_incident({"host": HOST}))


def test_a_whole_history(incident: Incident) -> None:
    """A figure of the history would be another than what was recorded."""
    history = history_of(incident)
    assert dataclasses.replace(history, growers=(), zones=()) == History(
        from_s=-10.0,
        samples=101,
        newest_s=0.0,
        missed=1,
        longest_gap_s=near(0.1),
        seen_pids=frozenset({1, 99, 4711}),
        available_bytes=10_000 << 10,
        available_bytes_per_s=near(-30_000 * 1024),
        swap_total_bytes=100_000 << 10,
        swap_free_bytes=70_000 << 10,
        last_s=10.0,
        swap_free_bytes_per_s=-3000 << 10,
        direct=Reclaim(3000, 60),
        kswapd=Reclaim(270, 30),
        stalled_some_s=near(0.6),
        stalled_full_s=0.0,
        allocstalls=30,
        refaulted_file_pages=150,
        refaulted_anon_pages=None,
        swapped_in_pages=0,
        swapped_out_pages=210,
        major_faults=0,
        actions=(RuleAction(-2.0, "slab", "drop_caches", "helped", "freed 3 MiB"),),
    )
    assert history.zones == (ZonePast(0, "Normal", 150 * 4096, 1000 * 4096, 2000 * 4096, -1.9, -0.8),)


def test_what_grew(incident: Incident) -> None:
    """The cause would be missed, or dated to when the recording began."""
    history = history_of(incident)
    assert [each.kind for each in history.growers] == ["AnonPages", PROCESS, CGROUP, SLAB, PROCESS, "swap"]
    assert {(each.since_s, each.from_start, each.rising) for each in history.growers} == {(-3.0, False, True)}
    assert history.grower("AnonPages") == Grower(
        "AnonPages", "", None, 100 * MIB, 400 * MIB, -3.0, 0.0, near(100 * MIB)
    )
    assert history.grower(CGROUP) == Grower(
        CGROUP, "/app", None, 20 * MIB, 170 * MIB, -3.0, 0.0, near(50 * MIB)
    )
    assert history.grower(SLAB) == Grower(
        SLAB, "dentry", None, 1000 * 4096, 31_000 * 4096, -3.0, 0.0, near(10_000 * 4096)
    )
    assert history.grower(PROCESS, "eater") == Grower(
        PROCESS, "eater", 4711, 100 * MIB, 260 * MIB, -3.0, -1.0, near(80 * MIB)
    )
    assert history.grower(PROCESS, "watched", 99) == Grower(
        PROCESS, "watched", 99, 2 * MIB, 32 * MIB, -3.0, 0.0, near(10 * MIB)
    )


def test_what_came_after_the_event_is_not_part_of_it(incident: Incident) -> None:
    """An earlier kill would be explained by the later one's hog."""
    history = history_of(incident, Event(OOM_KILL, seconds=ZERO_S - 4))
    assert (history.from_s, history.newest_s, history.growers, history.actions) == (-6.0, 0.0, (), ())


def test_the_kernel_s_table_of_tasks_is_the_last_word(incident: Incident) -> None:
    """A process takes hundreds of megabytes between the last pass and the kill."""
    tasks = (
        Task(pid=4711, uid=0, tgid=4711, comm="eater", rss_pages=100_000, swap_pages=2400),
        Task(pid=1, uid=0, tgid=1, comm="init", rss_pages=None, swap_pages=None),
    )
    eater = history_of(incident, dataclasses.replace(KILL, tasks=tasks)).grower(PROCESS, "eater")
    assert eater is not None
    assert (eater.to_bytes, eater.until_s) == (400 * MIB, 0.0)


# -- where the event is ------------------------------------------------------------------------------------


def test_the_kernel_s_clock_is_not_the_monotonic_one(tape: Tape, write_incident: WriteIncident) -> None:
    """After weeks the two are seconds apart, and the last second before a kill would be a calm one."""
    tape.message(-0.5, b"6,1,57000000,-;read late\n")
    tape.message(0.0, b"6,2,58000100,-;read at once\n")
    incident = open_incident(write_incident())
    assert place_of(incident, Event(OOM_KILL, seconds=58.0)) == ZERO_NS - 100_000


def test_messages_from_long_before_do_not_set_the_clock(tape: Tape, write_incident: WriteIncident) -> None:
    """The clocks have drifted since."""
    tape.message(-1, b"6,1,1,-;an hour ago, as far as the kernel's clock knows\n")
    tape.message(0.0, b"6,2,3600000000,-;now\n")
    assert place_of(open_incident(write_incident()), Event(OOM_KILL, seconds=3599.5)) == ZERO_NS - S // 2


def test_a_kill_without_a_time_stamp_is_found_by_its_pid(tape: Tape, write_incident: WriteIncident) -> None:
    """Where printk.time is off nothing would be said of any kill."""
    kills = [{"monotonic_ns": ZERO_NS + at, "pid": pid, "comm": "x"} for at, pid in ((5, 1), (7, 4711))]
    incident = open_incident(write_incident({"kills": kills}))
    timeless = dataclasses.replace(KILL, seconds=None)
    assert place_of(incident, timeless) == ZERO_NS + 7
    assert place_of(incident, dataclasses.replace(timeless, victims=())) is None
    assert read_history(incident, dataclasses.replace(timeless, victims=())) is None


@pytest.mark.parametrize("seconds", [ZERO_S - 11, ZERO_S + 61, 0.0])
def test_an_event_outside_of_the_recording_has_no_history(incident: Incident, seconds: float) -> None:
    """What was recorded an hour later would be said of a kill of the morning."""
    assert read_history(incident, Event(OOM_KILL, seconds=seconds)) is None


def test_an_incident_without_samples_has_no_history(tape: Tape, write_incident: WriteIncident) -> None:
    """`explain` would fail on what a dead recorder left."""
    tape.message(0, b"6,2,60000000,-;alone\n")
    assert read_history(open_incident(write_incident()), KILL) is None


# -- processes ---------------------------------------------------------------------------------------------


def processes_of(tape: Tape, write_incident: WriteIncident, *rows: dict[str, Any]) -> list[Grower]:
    """What grew of the process table, with a sample at either end."""
    tape.sample(-10, {"meminfo": meminfo(MemFree=1)})
    for each in rows:
        tape.processes((each["read_ns"] - ZERO_NS) / S, each)
    tape.sample(-0.01, {"meminfo": meminfo(MemFree=1)})
    return list(history_of(open_incident(write_incident({"host": HOST}))).growers_of(PROCESS))


def test_a_young_process_had_nothing_when_it_began(tape: Tape, write_incident: WriteIncident) -> None:
    """A hog that lives for two seconds is in the table once, and would not seem to have grown."""
    born = ZERO_TICKS - 200
    grown = processes_of(tape, write_incident, row(700, -0.5, start_ticks=born))
    assert grown == [Grower(PROCESS, "eater", 4711, 0, 700 * MIB, -2.0, -0.5, near(700 * MIB / 1.5))]


def test_swap_counts(tape: Tape, write_incident: WriteIncident) -> None:
    """What is pushed out into swap would seem to shrink, however fast it grows."""
    rows = [row(100, at_s, swap_kib=1024 * 100 * place) for place, at_s in enumerate((-3, -2, -1))]
    assert [each.to_bytes for each in processes_of(tape, write_incident, *rows)] == [300 * MIB]


def test_a_process_that_had_ended_did_not_grow(tape: Tape, write_incident: WriteIncident) -> None:
    """A compiler that came and went would be said to hold its memory still."""
    gone = [row(10 + 90 * place, place - 9, pid=5, comm="cc1") for place in range(3)]
    lives = [row(100, at_s) for at_s in range(-9, 0)]
    rows = sorted(gone + lives, key=lambda each: int(each["read_ns"]))
    assert processes_of(tape, write_incident, *rows) == []


def test_a_pid_that_came_back_is_another_process(tape: Tape, write_incident: WriteIncident) -> None:
    """Two processes would be one that grew."""
    rows = [row(10, -3), row(10, -2), row(900, -1, comm="java", start_ticks=100)]
    assert processes_of(tape, write_incident, *rows) == []


# -- old kernels, odd data ---------------------------------------------------------------------------------


def test_kernels_that_count_reclaim_by_zone(tape: Tape, write_incident: WriteIncident) -> None:
    """Until 4.7 there is no pgscan_direct without a zone: reclaim would seem not to be counted."""
    tape.sample(-5, {"vmstat": OLD_VMSTAT.format(10, 10).encode()})
    tape.sample(-0.1, {"vmstat": OLD_VMSTAT.format(60, 30).encode()})
    history = history_of(open_incident(write_incident()))
    assert (history.direct, history.kswapd) == (Reclaim(100, 20), None)
    assert (history.stalled_some_s, history.available_bytes, history.allocstalls) == (None, None, None)


def test_what_is_watched_later_is_followed_from_then_on(tape: Tape, write_incident: WriteIncident) -> None:
    """A service that was started during the recording would not be seen."""
    tape.sample(-5, {"meminfo": meminfo(AnonPages=1)})
    tape.watch("cgroup/late/memory.current", cgroup="/late")
    for step in range(4):
        usage = b"%d\n" % (step * 10 * MIB)
        tape.sample(step - 3.5, {"meminfo": meminfo(AnonPages=1), "cgroup/late/memory.current": usage})
    grower = history_of(open_incident(write_incident())).grower(CGROUP)
    assert grower is not None
    assert (grower.name, grower.since_s, grower.to_bytes) == ("/late", -3.5, 30 * MIB)


def test_a_damaged_text_costs_itself(tape: Tape, write_incident: WriteIncident) -> None:
    """One line of rubbish would leave nothing of the history."""
    for step, text in enumerate((slabinfo(dentry=10), b"rubbish : tunables x\n", slabinfo(dentry=9000))):
        tape.sample(step - 2.5, {"slabinfo": text, "vmstat": b"pgscan_direct x\n", "zoneinfo": b"Node 0,\n"})
    history = history_of(open_incident(write_incident()))
    assert [each.name for each in history.growers] == ["dentry"]
    assert history.zones == ()


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"began_ns": 10**400}, id="no such time"),
        pytest.param({"began_ns": -(10**400)}, id="before all times"),
        pytest.param(
            {"began_ns": "x", "rule": [], "action": {}, "verdict": 7, "detail": None}, id="odd types"
        ),
    ],
)
def test_forged_actions(tape: Tape, write_incident: WriteIncident, facts: dict[str, Any]) -> None:
    """An incident from somewhere else could make `explain` fail."""
    tape.sample(-1, {"meminfo": meminfo(MemFree=1)})
    tape.happened(-0.5, "action", **facts)
    history = history_of(open_incident(write_incident({"host": {"clock_ticks_per_s": -5}})))
    assert len(history.actions) == (0 if isinstance(facts["began_ns"], int) else 1)


def test_an_action_that_was_put_back(tape: Tape, write_incident: WriteIncident) -> None:
    """A limit that had long been lifted would be blamed for the kill."""
    tape.sample(-4, {"meminfo": meminfo(MemFree=1)})
    facts = {"rule": "a", "action": "limit"}
    for at_s in (-3.0, -1.0):
        tape.happened(at_s, "action", **facts, verdict="helped", began_ns=ZERO_NS + round(at_s * S))
    tape.happened(-2.5, "put_back", **facts, verdict="failed")
    tape.happened(-2.0, "put_back", **facts, verdict="helped")
    tape.happened(0.5, "put_back", **facts, verdict="helped")
    assert history_of(open_incident(write_incident())).actions == (
        RuleAction(-3.0, "a", "limit", "helped", undone_s=-2.0),
        RuleAction(-1.0, "a", "limit", "helped"),
    )


def test_an_action_under_way_has_no_outcome(tape: Tape, write_incident: WriteIncident) -> None:
    """What was done when the kernel killed would be missing, or be told twice."""
    tape.sample(-2, {"meminfo": meminfo(MemFree=1)})
    tape.happened(-1.0, "action_begun", rule="a", step=0, action="compact")
    tape.happened(-0.5, "action_begun", rule="b", step=0, action="drop_caches")
    ended = {"verdict": "no effect", "detail": "freed nothing", "began_ns": ZERO_NS - S // 2}
    tape.happened(0.5, "action", rule="b", action="drop_caches", **ended)
    tape.happened(0.6, "action", rule="c", action="kill", verdict="helped", began_ns=ZERO_NS + 1)
    assert history_of(open_incident(write_incident())).actions == (
        RuleAction(-1.0, "a", "compact"),
        RuleAction(-0.5, "b", "drop_caches", "no effect", "freed nothing"),
    )
