"""The rules that come with the program for slab, against what virtual machines went through."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from tests.conftest import slabinfo
from tests.rules.conftest import MS, Panel
from tests.signals.conftest import make_desk, zone

from memwatchd.config.load import SHIPPED_CONFIG, parse_config
from memwatchd.rules.program import Condition, Program
from memwatchd.signals.catalogue import find_signal

MIB = 1 << 20
TICK_MS = 100


def shipped(name: str) -> Condition:
    rules = parse_config(SHIPPED_CONFIG.read_text(), SHIPPED_CONFIG.name).rules
    return Condition(next(each for each in rules if each.name == name).when.root, None)


# ---- zone-slab


def fires(text: bytes, rule: str = "zone-slab", slab_kib: int = 90_000, open_files: int = 4000) -> bool:
    """Whether the condition holds for a text of zoneinfo."""
    meminfo = b"MemTotal: 341764 kB\nSlab: %d kB\nSReclaimable: 72900 kB\n" % slab_kib
    desk = make_desk({"zoneinfo": text, "meminfo": meminfo, "slabinfo": slabinfo(filp=open_files)})
    return Program([shipped(rule)], lambda name: find_signal(name).bind(desk.recording)).evaluate(0) == 1


DMA = zone("DMA", 337, (26, 32, 38), 3840, protection="0, 309, 309, 309, 309", node_slab=18_000, file=900)


@pytest.mark.parametrize("free", [568, 20, 0])
def test_the_small_zone_of_every_pc_is_no_reason(free: int) -> None:
    """Caches would be dropped on every machine as soon as memory is in use, as was seen in a guest."""
    boosted = zone(
        "DMA", free, (538, 544, 550), 3840, boost=512, protection="0, 309", node_slab=18_000, file=900
    )
    assert not fires(boosted + zone("DMA32", 1360, (549, 686, 823), 81_601, boost=0, file=15_000))


def test_a_watermark_that_is_boosted_is_no_reason() -> None:
    """For seconds after fragmentation caches would be dropped with twice the reserve free."""
    assert not fires(DMA + zone("DMA32", 1100, (1061, 1198, 1335), 81_601, boost=512, file=3000))


def test_low_memory_full_of_dentries_fires_beside_free_high_memory() -> None:
    """The 32-bit server would die with 560 MB of HighMem free, and a machine's worth of files in it."""
    low = zone("Normal", 2014, (2012, 2515, 3018), 222_502, protection="0, 0, 252949, 252949", file=8000)
    high = zone("HighMem", 140_573, (128, 7637, 15_147), 8_087_360, protection="0, 0, 0, 0", file=4_000_000)
    dma = zone("DMA", 906, (35, 43, 52), 3952, protection="0, 869, 32487, 32487", node_slab=150_000, file=100)
    assert fires(dma + low + high)


@pytest.mark.parametrize(("slab", "file"), [(18_000, 40_000), (2000, 300)])
def test_where_there_is_more_to_take_than_slab_it_rests(slab: int, file: int) -> None:
    """Whoever writes fast beside a full page cache would lose all dentries; or they would go for nothing."""
    small = zone("DMA", 20, (26, 32, 38), 3840, protection="0, 309", node_slab=slab, file=0)
    assert not fires(small + zone("DMA32", 560, (549, 686, 823), 81_601, boost=0, file=file))


@pytest.mark.parametrize(
    ("free", "slab_kib", "open_files", "holds"),
    [
        pytest.param(2014, 700_000, 400_000, True, id="pinned"),
        pytest.param(3500, 700_000, 400_000, True, id="while there is still room"),
        pytest.param(20_000, 700_000, 400_000, False, id="much room"),
        pytest.param(2014, 90_000, 400_000, False, id="a hog"),
        pytest.param(2014, 700_000, 4000, False, id="a cache"),
    ],
)
def test_open_files_are_to_blame_only_where_they_fill_the_zone(
    free: int, slab_kib: int, open_files: int, holds: bool
) -> None:
    """Innocents would be shot for want of low memory, or a busy web server be limited for another's greed."""
    low = zone("Normal", free, (2012, 2515, 3018), 222_502, protection="0, 0, 252949, 252949", file=1500)
    high = zone("HighMem", 140_573, (128, 7637, 15_147), 8_087_360, protection="0, 0, 0, 0", file=4_000_000)
    assert fires(low + high, "zone-pinned", slab_kib, open_files) is holds


# ---- slab-leak

# What a guest of 384 MiB without swap went through until its kernel killed at 201.8 s: seconds, MemAvailable
# and SReclaimable in MiB, pgscan_direct. Measured are MemAvailable and the last SReclaimable; its others
# follow from MemAvailable and MemFree, with file pages as they were; of the scans only the sum is known.
TOTAL = 334 * MIB
PROTECTED = (
    (55.0, 215, 16, 0),
    (79.0, 205, 40, 0),
    (95.0, 204, 67, 0),
    (111.0, 203, 104, 0),
    (127.0, 194, 129, 0),
    (143.0, 201, 150, 1500),
    (201.8, 197, 182, 9000),
)
Course = Callable[[float], Mapping[str, float]]


def between(points: tuple[tuple[float, ...], ...], at_s: float) -> list[float]:
    """Figures at a time, on straight lines between the points."""
    for (from_s, *before), (to_s, *after) in pairwise(points):
        if at_s <= to_s:
            share = (at_s - from_s) / (to_s - from_s)
            return [old + share * (new - old) for old, new in zip(before, after, strict=True)]
    return list(points[-1][1:])


def protected(at_s: float) -> dict[str, float]:
    """The course of that guest."""
    available, reclaimable, scanned = between(PROTECTED, at_s)
    return {
        "meminfo.MemTotal": TOTAL,
        "meminfo.MemAvailable": available * MIB,
        "meminfo.SReclaimable": reclaimable * MIB,
        "vmstat.pgscan_direct": scanned,
        "slab.top.bytes": 0.5 * reclaimable * MIB,
    }


def first_fires(course: Course, from_s: float, to_s: float) -> float | None:
    """When slab-leak would first hold."""
    panel = Panel()
    program = Program([shipped("slab-leak")], panel.read)
    for tick in range(round((to_s - from_s) * 1000 / TICK_MS)):
        at_s = from_s + tick * TICK_MS / 1000
        panel.values = dict(course(at_s))
        if program.evaluate(round(at_s * 1000) * MS):
            return at_s
    return None


def server(anon: float, slab: Callable[[float], float], *, direct: float) -> Course:
    """A server of 16 GiB: shares of it, slab by time; and pages that tasks scan in a second."""

    def at(at_s: float) -> dict[str, float]:
        total = 16 * 1024 * MIB
        return {
            "meminfo.MemTotal": total,
            "meminfo.MemAvailable": (1 - anon) * total,
            "meminfo.SReclaimable": slab(at_s) * total,
            "vmstat.pgscan_direct": direct * at_s,
            "slab.top.bytes": 0.7 * slab(at_s) * total,
        }

    return at


def test_caches_the_kernel_may_not_take_fire_long_before_it_kills() -> None:
    """With two thirds of the memory in dentries and inodes MemAvailable looks good until innocents die."""
    fired_s = first_fires(protected, 55, 201.8)
    assert fired_s is not None
    assert 135 < fired_s < 160


def test_a_kernel_that_does_not_count_what_tasks_scan_is_helped_too() -> None:
    """Before 4.8 the rule would rest for good."""

    def old(at_s: float) -> dict[str, float]:
        return {name: value for name, value in protected(at_s).items() if not name.startswith("vmstat")}

    fired_s = first_fires(old, 55, 201.8)
    assert fired_s is not None
    assert fired_s < 200


@pytest.mark.parametrize(
    "course",
    [
        server(0.35, lambda at_s: min(0.45, 0.1 + at_s / 600), direct=0),
        server(0.35, lambda at_s: min(0.45, 0.1 + at_s / 600), direct=50),
        server(0.66, lambda at_s: min(0.25, 0.1 + at_s / 600), direct=0),
        server(0.66, lambda at_s: max(0.2, 0.26 - at_s / 1000), direct=500),
        server(0.88, lambda at_s: min(0.08, 0.02 + at_s / 600), direct=500),
    ],
    ids=[
        "backup beside much page cache",
        "the same with bursts of tasks that reclaim",
        "two thirds programs, kswapd keeps up",
        "the kernel takes from the caches",
        "a database that fills the machine",
    ],
)
def test_caches_that_nobody_needs_the_memory_of_are_left_alone(course: Course) -> None:
    """Every nightly backup would end with a cold cache, and a line that cries wolf."""
    assert first_fires(course, 0, 600) is None


def test_a_cache_that_cannot_be_dropped_is_recorded() -> None:
    """The cache of a driver that leaks would be found only by who was there."""

    def leak(at_s: float) -> dict[str, float]:
        return {
            "meminfo.MemTotal": TOTAL,
            "meminfo.MemAvailable": (250 - at_s) * MIB,
            "meminfo.SReclaimable": 12 * MIB,
            "slab.top.bytes": (10 + at_s) * MIB,
        }

    fired_s = first_fires(leak, 0, 240)
    assert fired_s is not None
    assert 149 < fired_s < 152


def test_what_was_dropped_leaves_an_incident_that_tells_of_it() -> None:
    """A shortage that was averted would leave nothing to learn from; or the incident would end before."""
    rules = parse_config(SHIPPED_CONFIG.read_text(), SHIPPED_CONFIG.name).rules
    for name in ("zone-slab", "slab-leak"):
        rule = next(each for each in rules if each.name == name)
        assert [(step.action.name, step.after_ns) for step in rule.actions] == [
            ("drop_caches", None),
            ("dump", None),
        ]
