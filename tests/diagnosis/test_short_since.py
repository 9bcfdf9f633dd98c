"""How long a zone had been below its watermarks."""

import pytest

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import History, ZonePast
from memwatchd.diagnosis.short_since import examine
from memwatchd.oomreport.report import GLOBAL, MEMCG, OOM_KILL, Event, Trigger, Zone

MIB = 1 << 20
NORMAL = ZonePast(0, "Normal", 3 * MIB, 4 * MIB, 5 * MIB, -2.4, -0.8)
HIGHMEM = ZonePast(0, "HighMem", 900 * MIB, 1 * MIB, 9 * MIB, None, None)
DMA = ZonePast(0, "DMA", 1 * MIB, 1 * MIB, 2 * MIB, -9.0, -9.0)


def case(*zones: ZonePast, scope: str = GLOBAL, trigger: Trigger | None = None) -> Case:
    printed = tuple(Zone(zone.node, zone.name) for zone in zones)
    past = History(from_s=-20.0, zones=zones, available_bytes=70 * MIB)
    return Case(Event(OOM_KILL, scope, zones=printed, trigger=trigger or Trigger()), past)


def test_a_zone_that_was_short() -> None:
    """One would not know whether a rule had had any time to act."""
    assert examine(case(DMA, NORMAL)) == Finding(
        tag="short_since",
        confidence=0.9,
        weight=0.0,
        summary=(
            "Zone Normal was below its low watermark for 2.4 s, and below min for 0.8 s; "
            "MemAvailable was 70 MiB at the end."
        ),
        figures={
            "zone": "Normal",
            "node": 0,
            "low_since_s": -2.4,
            "min_since_s": -0.8,
            "free_bytes": 3 * MIB,
            "min_bytes": 4 * MIB,
            "low_bytes": 5 * MIB,
            "available_bytes": 70 * MIB,
        },
    )


def test_the_zone_is_one_that_the_request_could_use() -> None:
    """On a 32-bit machine HighMem is the largest and has room: the shortage would be denied."""
    kernel = Trigger(gfp_mask=0xD0, gfp_flags=("GFP_KERNEL",))
    found = examine(case(DMA, NORMAL, HIGHMEM, trigger=kernel))
    assert isinstance(found, Finding)
    assert found.figures["zone"] == "Normal"


def test_a_zone_that_was_short_all_the_time() -> None:
    """It may have been so for hours; that it was for 20 s would be made up."""
    always = ZonePast(1, "Normal", 3 * MIB, 2 * MIB, 5 * MIB, -20.0, None)
    found = examine(case(DMA, always))
    assert isinstance(found, Finding)
    assert found.summary.startswith(
        "Zone Normal of node 1 was below its low watermark for all of the 20 s recorded, "
        "but not below min (3 MiB free, min 2 MiB);"
    )


def test_a_zone_that_was_not_short() -> None:
    """A shortage would be told of where the request failed for its order, or in no time at all."""
    found = examine(case(HIGHMEM))
    assert isinstance(found, Dismissal)
    assert found.reason == (
        "Zone HighMem was not below its low watermark before: 900 MiB were free when it was last read, "
        "and low is 9 MiB; MemAvailable was 70 MiB at the end."
    )


@pytest.mark.parametrize(
    "without",
    [
        pytest.param(Case(Event(OOM_KILL, GLOBAL)), id="a recording"),
        pytest.param(case(), id="zones"),
        pytest.param(case(NORMAL, scope=MEMCG), id="the machine being concerned"),
    ],
)
def test_nothing_is_said_without(without: Case) -> None:
    """A cgroup has no watermarks: the machine's would be blamed for its limit."""
    assert examine(without) is None
