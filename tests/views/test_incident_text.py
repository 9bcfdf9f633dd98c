"""An incident on the screen."""

from typing import Any

import pytest
from tests.conftest import ZERO_REALTIME_NS, Tape, WriteIncident, meminfo, slabinfo
from tests.views.conftest import eater_row, kill_facts

from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorder import MACHINE_DIED
from memwatchd.views.incident import render
from memwatchd.views.summary import summarise

GOLDEN = """\
20231114T221320.123Z-kernel_kill.mwi
2023-11-14T22:13:20.123+00:00   eater (pid 4711) was killed because the machine was out of memory
vm1, Debian GNU/Linux 12, kernel 6.1.0

Killed by the kernel
  +0.000 s  4711  eater  3 MiB anonymous  the machine
  vmstat: oom_kill rose by 1

8 samples from -3.0 s to +1.0 s, 1 missed, longest gap 1000 ms
  gap of 1000 ms at -1.000 s, 1 missed

                      ──────────────────────┼───────     first   at zero      last
meminfo.MemAvailable  █  ▇   ▆      ▃   ▂   ▁   █  █   600 MiB       0 B   600 MiB
meminfo.Slab          ▁  ▁   ▁      ▁   ▁   ▁   ▁  ▁     2 MiB     2 MiB     2 MiB
zone.worst.ratio      █  ▇   ▆      ▃   ▂   ▁   █  █       2 ×     0.8 ×       2 ×
pressure.some           ▁   ▁      ▁   ▁   ▁   ▁  ▁      50.0%     50.0%     50.0%
vmstat.pswpout          ▁   ▁      ▁   ▁   ▁   ▁  ▁   2,000 /s  2,000 /s  2,000 /s

Slab caches that grew
  dentry  40 KiB  →  280 KiB

Processes that grew
  4711  eater  1 MiB  →  5 MiB  /user.slice

What the recorder noticed
  -0.500 s  armed: MemAvailable reaches zero in 0.5 s
  +0.001 s  oom_kill: source vmstat, rise 1, count 1
  +0.500 s  kmsg_lost: records 3
"""


def test_the_whole_screen(incident: Incident) -> None:
    """Someone who looks for the cause at night would not find it."""
    assert render(summarise(incident)) == GOLDEN


def test_an_incident_that_is_still_open_or_damaged_says_so(incident: Incident) -> None:
    """One would believe that the machine ended at the trigger."""
    incident.complete = False
    incident.problems.append("bytes 10 to 20 are damaged")
    text = render(summarise(incident))
    assert "(aftermath not in yet)" in text.splitlines()[0]
    assert "damaged: bytes 10 to 20 are damaged" in text


DEATH = {
    "last_realtime_ns": ZERO_REALTIME_NS,
    "next_start_realtime_ns": ZERO_REALTIME_NS + 83_200_000_000,
    "unrecorded_ns_at_most": 83_200_000_000,
    "every_ns": 250_000_000,
    "longest_write_ns": 12_400_000,
    "extents": 90,
    "missing_extents": 0,
    "damaged_extents": 0,
    "wrapped": False,
    "spent": False,
}


def death_lines(tape: Tape, write_incident: WriteIncident, **changed: Any) -> list[str]:
    """What is said of a machine's end."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    path = write_incident({"death": {**DEATH, **changed}}, kind=MACHINE_DIED, detail="the machine went down")
    text = render(summarise(open_incident(path)))
    return text.split("\n\n")[1].splitlines()


def test_how_much_of_a_death_is_missing(tape: Tape, write_incident: WriteIncident) -> None:
    """One would take the last sample for the machine's last moment, or trust it in nothing."""
    assert death_lines(tape, write_incident) == [
        "Next start 83.2 s after the last sample, by the clock: no more than that is missing",
        "  written every 250 ms, the longest write took 12.4 ms: as long as the daemon ran, "
        "no more is missing",
    ]


def test_what_else_is_known_of_a_death(tape: Tape, write_incident: WriteIncident) -> None:
    """A recording with holes would pass for a whole one, and a clock that was set for the truth."""
    changed = {"unrecorded_ns_at_most": None, "longest_write_ns": None, "missing_extents": 3}
    assert death_lines(tape, write_incident, **changed, damaged_extents=1, wrapped=True, spent=True) == [
        "Next start at 2023-11-14T22:14:43.323+00:00: the clock was set meanwhile",
        "  written every 250 ms: as long as the daemon ran, no more is missing",
        "  of 93 pieces 3 are missing, 1 were damaged",
        "  the black box had come round: what was in it first is overwritten",
        "  it had written all it may write in a day before the end",
    ]


@pytest.mark.parametrize("death", [None, 7, [], {"last_realtime_ns": "x"}, {"last_realtime_ns": 1}])
def test_a_death_of_which_nothing_is_known(tape: Tape, write_incident: WriteIncident, death: Any) -> None:
    """A forged incident would end in a traceback."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    assert "samples" in render(summarise(open_incident(write_incident({"death": death}))))


def test_kills_by_a_cgroup_are_told_apart(write_incident: WriteIncident) -> None:
    """A container's limit would be taken for the machine's."""
    kills = [
        kill_facts(0, scope="cgroup", limit_cgroup="/docker/34"),
        kill_facts(0.5, scope="cgroup", pid=12),
        kill_facts(1, scope=None, pid=13, amounts_kib={}),
    ]
    lines = render(summarise(open_incident(write_incident({"kills": kills})))).splitlines()
    at = lines.index("Killed by the kernel")
    assert lines[at + 1 : at + 4] == [
        "  +0.000 s  4711  eater  3 MiB anonymous  /docker/34",
        "  +0.500 s    12  eater  3 MiB anonymous  its cgroup",
        "  +1.000 s    13  eater  –                not said",
    ]


def test_disagreements_and_lost_functions_are_shown(write_incident: WriteIncident) -> None:
    """A kill without a message, or a sampler without priority, would go unsaid."""
    facts = {
        "disagreements": ["vmstat counts 2"],
        "degraded": ["sampler: mlockall: no"],
        "counters": {"vmstat": 2},
    }
    text = render(summarise(open_incident(write_incident(facts))))
    assert "  they disagree: vmstat counts 2\n" in text
    assert "degraded: sampler: mlockall: no\n" in text
    assert "No samples\n" in text


def test_figures_that_were_zero_all_along_are_left_out(tape: Tape, write_incident: WriteIncident) -> None:
    """Machines without swap would show empty lines."""
    for second in (-1, 0):
        tape.sample(second, {"meminfo": meminfo(MemAvailable=5, SwapFree=0)})
    text = render(summarise(open_incident(write_incident())))
    assert "MemAvailable" in text
    assert "SwapFree" not in text


def test_many_events_are_cut_short(tape: Tape, write_incident: WriteIncident) -> None:
    """Kills by the hundred would push the cause off the screen."""
    for number in range(40):
        tape.noticed(-1 + number / 100, "oom_kill", source="vmstat")
    text = render(summarise(open_incident(write_incident())))
    assert text.count("oom_kill: source") == 12
    assert "  … and 28 more (show --json has them all)\n" in text


# ---- hostile names


EVIL = "\x1b]0;owned\x07\x1b[2J\n\r\u202e\udcff\x9b31m"


def evil(value: Any) -> Any:
    """Put control characters into every text of a value."""
    if isinstance(value, dict):
        return {name: evil(each) for name, each in value.items()}
    if isinstance(value, list):
        return [evil(each) for each in value]
    return value + EVIL if isinstance(value, str) else value


@pytest.fixture
def hostile(tape: Tape, write_incident: WriteIncident) -> Incident:
    """Every name that a stranger can choose is a weapon: processes, cgroups, files, caches, hosts."""
    tape.watch("process/1/fdinfo/3" + EVIL, pid=1, comm="rsync" + EVIL, target="/srv/" + EVIL)
    tape.watch("cgroup/" + EVIL + "/memory.current", cgroup="/a" + EVIL)
    for second in (-1, 0):
        tape.sample(
            second,
            {
                "process/1/fdinfo/3" + EVIL: b"pos:\t%d\n" % (second + 2),
                "cgroup/" + EVIL + "/memory.current": b"%d\n" % (second + 2),
                "slabinfo": slabinfo(**{"x(1:\x1b[31m)": second + 2}),
            },
        )
        tape.processes(second, eater_row(1000 * (second + 2), second, comm="x" + EVIL, cgroup="/a" + EVIL))
    tape.noticed(0, "oom_kill" + EVIL, source="cgroup/" + EVIL)
    facts = {
        "kills": [evil(kill_facts(0)), evil(kill_facts(0, limit_cgroup="/a", scope="cgroup"))],
        "counters": {"cgroup/" + EVIL + "/memory.events": 1},
        "disagreements": ["x" + EVIL],
        "degraded": ["x" + EVIL],
        "host": evil({"hostname": "h", "os": "o", "kernel": "k"}),
    }
    return open_incident(write_incident(facts, detail="killed" + EVIL))


def test_hostile_names_never_reach_the_terminal(hostile: Incident) -> None:
    """Whoever may name a process could rewrite what the administrator sees, or type for them."""
    text = render(summarise(hostile))
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert "owned" in text  # they are shown, if in another form
    text.encode()


def test_hostile_names_make_no_lines(hostile: Incident) -> None:
    """A process could forge a line of the report."""
    tidy = [line for line in render(summarise(hostile)).splitlines() if "31m" in line or "owned" in line]
    assert all("owned" not in line or "\\x07" in line for line in tidy)


@pytest.mark.parametrize(
    "changed",
    [
        {"kills": [kill_facts(0, pid=EVIL)]},
        {"trigger": {"kind": "x", "detail": None, "realtime_ns": EVIL}},
        {"host": {"hostname": [EVIL], "kernel": {EVIL: EVIL}}},
    ],
    ids=["pid", "trigger", "host"],
)
def test_odd_facts_of_a_forged_incident_do_no_harm(incident: Incident, changed: dict[str, Any]) -> None:
    """An incident from elsewhere could do to the terminal what it likes."""
    incident.meta = {**incident.meta, **changed}
    text = render(summarise(incident))
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
