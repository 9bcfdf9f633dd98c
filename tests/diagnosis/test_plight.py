"""Whether memory was short at a moment that was recorded."""

from dataclasses import replace

import pytest
from tests.diagnosis.machines import MIB, machine, zone

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.history import History, Reclaim
from memwatchd.diagnosis.plight import Plight, plight_of, seconds_left
from memwatchd.oomreport.report import RECORDED, Event

CALM = History(available_bytes=60 << 20, available_bytes_per_s=0.0)
RECLAIMING = History(direct=Reclaim(500, 20))


def recorded(available: float | None, ram: float = 1024, **others: object) -> Event:
    """A machine with so many MiB available, and no more free than its watermarks ask for."""
    event = machine(ram, kind=RECORDED, gfp=None, **others)  # type: ignore[arg-type]
    kb = None if available is None else round(available * MIB)
    return replace(event, totals=replace(event.totals, available_kb=kb))


@pytest.mark.parametrize(
    ("event", "history", "plight"),
    [
        pytest.param(recorded(50), CALM, Plight.SHORT, id="little available"),
        pytest.param(recorded(70), CALM, Plight.CALM, id="more than little"),
        pytest.param(recorded(50, free=500), CALM, Plight.CALM, id="free all the same"),
        pytest.param(recorded(5000, 100_000), CALM, Plight.CALM, id="gigabytes of a large machine"),
        pytest.param(recorded(4000, 100_000), CALM, Plight.SHORT, id="the last ones of a large machine"),
        pytest.param(recorded(140), RECLAIMING, Plight.SHORT, id="tasks reclaim"),
        pytest.param(recorded(160), RECLAIMING, Plight.CALM, id="tasks reclaim, and there is enough"),
        pytest.param(
            recorded(400, slab=350, slab_reclaimable=300), RECLAIMING, Plight.SHORT, id="slab is held"
        ),
        pytest.param(
            recorded(400, slab=350, slab_reclaimable=300), CALM, Plight.CALM, id="slab can be dropped"
        ),
        pytest.param(recorded(None, file=40), None, Plight.SHORT, id="before 3.14"),
        pytest.param(recorded(None, file=400), None, Plight.CALM, id="before 3.14, with page cache"),
        pytest.param(recorded(50, zones=()), None, Plight.SHORT, id="without zones"),
        pytest.param(
            recorded(50, zones=(zone(ram=1024, free=1),), pages={}), None, Plight.SHORT, id="below min"
        ),
        pytest.param(replace(recorded(None), totals=Event(RECORDED).totals), None, None, id="nothing tells"),
    ],
)
def test_how_memory_stood(event: Event, history: History | None, plight: Plight | None) -> None:
    """A healthy machine would get a cause, or one that died of want of memory none."""
    assert plight_of(Case(event, history)) is plight


@pytest.mark.parametrize(
    ("available", "fall_mib", "plight"),
    [
        pytest.param(300, 50, Plight.RUNNING_OUT, id="six seconds"),
        pytest.param(300, 20, Plight.CALM, id="fifteen seconds"),
        pytest.param(900, 500, Plight.CALM, id="with nearly everything left"),
    ],
)
def test_memory_that_runs_out(available: int, fall_mib: int, plight: Plight) -> None:
    """The last sample before a hang may be of a moment with some memory left."""
    history = History(available_bytes=available << 20, available_bytes_per_s=-float(fall_mib << 20))
    case = Case(recorded(available, free=200), history)
    assert (seconds_left(case), plight_of(case)) == (available / fall_mib, plight)
