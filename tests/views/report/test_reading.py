"""From an incident to panels."""

from collections.abc import Callable
from math import isnan

import pytest
from tests.conftest import Tape, WriteIncident, meminfo, slabinfo, zoneinfo
from tests.views.report.conftest import CACHE, CGROUP, COMM, TARGET, TOTAL_KIB, meminfo_kib

from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.views.report.curves import Curve, Kind, Panel, value_at
from memwatchd.views.report.reading import Course, read_course


@pytest.fixture
def course(incident: Incident) -> Course:
    found = read_course(incident)
    assert found is not None
    return found


def named(course: Course, key: str) -> Panel:
    return next(panel for panel in course.panels if panel.key == key)


def figures(panel: Panel, at_s: float) -> dict[str, float | None]:
    return {curve.name: value_at(panel, curve, at_s) for curve in panel.curves}


def test_every_panel_is_there_in_its_order(course: Course) -> None:
    """A chart that people look for would be missing, or stand elsewhere."""
    assert [(panel.key, panel.kind, [curve.name for curve in panel.curves]) for panel in course.panels] == [
        (
            "memory",
            Kind.STACK,
            [
                *("anonymous", "shared and tmpfs", "page cache", "slab, reclaimable", "slab, unreclaimable"),
                *("page tables", "kernel stacks and vmalloc", "per CPU", "unaccounted", "free"),
                *("available", "all memory"),
            ],
        ),
        ("zone-0-Normal", Kind.LOG, ["free", "min", "low", "high"]),
        ("stall", Kind.RATES, ["some task waited", "all tasks waited"]),
        (
            "reclaim",
            Kind.RATES,
            ["scanned by tasks themselves", "reclaimed by tasks themselves", "scanned by kswapd"],
        ),
        ("swap", Kind.LINES, ["used", "all swap"]),
        ("traffic", Kind.RATES, ["swapped out"]),
        ("slab", Kind.LINES, [CACHE, "dentry"]),
        ("buddy-0-Normal", Kind.HEAT, ["order 0", "order 1", "order 2", "order 3"]),
        ("processes", Kind.LINES, [f"{COMM} (4711)", "init (1)"]),
        ("process-4711", Kind.LINES, ["resident", f"position in {TARGET}"]),
        (f"cgroup-{CGROUP}", Kind.LINES, ["used", "its limit"]),
        ("sampler", Kind.LINES, ["behind its deadline", "time to read the kernel's files"]),
    ]


def test_the_parts_add_up_to_all_memory(course: Course) -> None:
    """Memory would be nowhere, or twice."""
    panel = named(course, "memory")
    parts = [curve for curve in panel.curves if not curve.is_limit]
    sums = {
        sum(curve.values[place] for curve in parts)
        for place in range(len(panel.times_s))
        if not isnan(parts[0].values[place])
    }
    assert sums == {TOTAL_KIB * 1024.0}
    before = meminfo_kib(-1.0)
    assert {name: value and value / 1024 for name, value in figures(panel, -1.0).items()} == {
        "anonymous": before["AnonPages"],
        "shared and tmpfs": before["Shmem"],
        "page cache": 101_000,
        "slab, reclaimable": before["SReclaimable"],
        "slab, unreclaimable": before["SUnreclaim"],
        "page tables": before["PageTables"],
        "kernel stacks and vmalloc": before["KernelStack"],
        "per CPU": before["Percpu"],
        "unaccounted": 7_000,
        "free": before["MemFree"],
        "available": before["MemAvailable"],
        "all memory": TOTAL_KIB,
    }


@pytest.mark.parametrize("machine", ["debian12-6.18", "vanilla-4.4", "vanilla-3.2-i386-pae"])
def test_the_parts_of_real_machines_add_up(
    machine: str, tape: Tape, write_incident: WriteIncident, kernel_text: Callable[[str, str], bytes]
) -> None:
    """A kernel that counts otherwise would leave a hole, or have more than it has."""
    text = kernel_text(machine, "proc/meminfo")
    tape.sample(-1, {"meminfo": text})
    found = read_course(open_incident(write_incident()))
    assert found is not None
    panel = named(found, "memory")
    total_kib = int(text.split()[1])
    parts = {curve.name: curve.values[0] / 1024 for curve in panel.curves if not curve.is_limit}
    assert sum(parts.values()) == pytest.approx(total_kib, rel=0.001)
    assert all(value > -0.02 * total_kib for value in parts.values())


def test_a_kernel_that_tells_less_gets_lines(tape: Tape, write_incident: WriteIncident) -> None:
    """What is known would not be shown because not all is."""
    tape.sample(-1, {"meminfo": meminfo(MemFree=100, MemAvailable=50)})
    found = read_course(open_incident(write_incident()))
    assert found is not None
    panel = named(found, "memory")
    assert (panel.kind, figures(panel, 0)) == (
        Kind.LINES,
        {"MemFree": 100 * 1024.0, "MemAvailable": 50 * 1024.0},
    )


def test_figures_have_the_values_of_the_files(course: Course) -> None:
    """A chart would show another machine."""
    found = {
        key: figures(named(course, key), 0.0)
        for key in ("zone-0-Normal", "stall", "slab", "process-4711", "buddy-0-Normal", f"cgroup-{CGROUP}")
    }
    assert found["zone-0-Normal"] == {
        "free": (770_000 - 600_000) * 1024.0,
        "min": 4000 * 4096.0,
        "low": 5000 * 4096.0,
        "high": 6000 * 4096.0,
    }
    assert found["stall"] == pytest.approx({"some task waited": 0.2, "all tasks waited": 0.05})
    assert found["slab"] == {CACHE: 70 * 4096.0, "dentry": 500 * 4096.0}
    assert found["process-4711"] == {"resident": 151_000 * 4096.0, f"position in {TARGET}": 60e6}
    assert found["buddy-0-Normal"] == {"order 0": 0.0, "order 1": 60.0, "order 2": 0.0, "order 3": 7.0}
    assert found[f"cgroup-{CGROUP}"] == {"used": 2500 * 4096.0, "its limit": 256.0 * (1 << 20)}


def test_what_is_watched_later_begins_later(tape: Tape, write_incident: WriteIncident) -> None:
    """A process that was not there yet would stop the reading, or have been nothing."""
    tape.sample(-2, {"meminfo": meminfo(MemFree=100)})
    tape.watch("process/7/statm", pid=7, comm="late")
    tape.sample(-1, {"meminfo": meminfo(MemFree=90), "process/7/statm": b"9 5 1 1 0 8 0\n"})
    tape.watch("process/7/fdinfo/4", pid=7, comm="late", target="/file")
    tape.sample(-0.5, {"process/7/statm": b"9 6 1 1 0 8 0\n", "process/7/fdinfo/4": b"pos:\t77\n"})
    found = read_course(open_incident(write_incident()))
    assert found is not None
    panel = named(found, "process-7")
    assert (list(panel.times_s), repr([list(curve.values) for curve in panel.curves])) == (
        [-1.0, -0.5],
        "[[20480.0, 24576.0], [nan, 77.0]]",
    )
    assert panel.curves[1] == Curve(
        "position in /file", "bytes", "fdinfo: pos", panel.curves[1].values, apart=True
    )


def test_of_many_zones_the_tightest_are_shown(tape: Tape, write_incident: WriteIncident) -> None:
    """The page of a machine with hundreds of zones would not open, or lack the one that was empty."""
    zones = b"".join(
        zoneinfo(free, 50).replace(b"Node 0", b"Node %d" % node)
        for node, free in enumerate([*range(500, 520), 3])
    )
    tape.sample(-1, {"zoneinfo": zones})
    found = read_course(open_incident(write_incident()))
    assert found is not None
    keys = [panel.key for panel in found.panels if panel.key.startswith("zone-")]
    assert (keys[0], len(keys)) == ("zone-20-Normal", 8)
    assert found.left_out[0] == "13 zones further from their marks"


def test_what_is_not_there_is_said(tape: Tape, write_incident: WriteIncident) -> None:
    """A reader would look for swap, and not know whether there was none or it was forgotten."""
    tape.sample(-1, {"meminfo": meminfo(MemFree=100, SwapTotal=0, SwapFree=0)})
    found = read_course(open_incident(write_incident()))
    assert found is not None
    assert found.left_out == [
        "the time lost waiting for memory, which was not recorded, or this kernel does not count (PSI)",
        "swap, of which there was none",
        "slab caches, which were not recorded",
    ]


def test_without_samples_there_is_no_course(write_incident: WriteIncident) -> None:
    """A report on an empty file would end in a traceback."""
    assert read_course(open_incident(write_incident())) is None


def test_progress_is_told(incident: Incident) -> None:
    """Nobody would know whether it still works."""
    told: list[float] = []
    read_course(incident, told.append)
    assert told[0] == 0.0
    assert told[-1] == pytest.approx(1.0)
    assert told == sorted(told)


def test_a_cache_that_was_dropped_has_grown_all_the_same(tape: Tape, write_incident: WriteIncident) -> None:
    """The cache a rule had emptied just before it had the incident written would not be shown."""
    others = {f"other-{number}": 50 + number for number in range(10)}
    for at_s, dentry in ((-3.0, 10), (-2.0, 900), (-1.0, 5)):
        tape.sample(at_s, {"slabinfo": slabinfo(dentry=dentry, **others)})
    found = read_course(open_incident(write_incident()))
    assert found is not None
    assert named(found, "slab").curves[0].name == "dentry"
    assert len(named(found, "slab").curves) == 8


def test_it_is_known_of_how_many_texts_some_are_shown(tape: Tape, write_incident: WriteIncident) -> None:
    """A reader would take every fourth reading for all of them."""
    for step in range(700):
        tape.sample(-7 + step / 100, {"slabinfo": slabinfo(dentry=step)})
    found = read_course(open_incident(write_incident()))
    assert found is not None
    panel = named(found, "slab")
    assert panel.samples > len(panel.times_s)
    assert panel.times_s[-1] == -0.01
