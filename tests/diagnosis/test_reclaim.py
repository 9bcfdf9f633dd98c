"""What reclaim came to."""

import pytest

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import History, Reclaim
from memwatchd.diagnosis.reclaim import examine
from memwatchd.oomreport.report import GLOBAL, MEMCG, OOM_KILL, Event

MIB = 1 << 20


def case(direct: Reclaim | None, kswapd: Reclaim | None, scope: str = GLOBAL, **history: object) -> Case:
    past = History(from_s=-20.0, last_s=10.0, direct=direct, kswapd=kswapd, **history)  # type: ignore[arg-type]
    return Case(Event(OOM_KILL, scope), past)


def test_nothing_left_to_reclaim() -> None:
    """One could not tell a machine that is full from one whose reclaim was not let in."""
    found = examine(
        case(
            Reclaim(480_000, 1_200),
            Reclaim(20_000, 300),
            swap_total_bytes=100 * MIB,
            swap_free_bytes=3 * MIB,
            swap_free_bytes_per_s=-2.4 * MIB,
            swapped_out_pages=900,
        )
    )
    assert found == Finding(
        tag="reclaim",
        confidence=0.9,
        weight=0.0,
        summary=(
            "Reclaim found next to nothing: of 500,000 pages looked at, 1,500 were freed (0.3%; "
            "by tasks themselves 1,200 of 480,000, by kswapd 300 of 20,000) in the last 10.0 s; "
            "900 pages were swapped out, 3 MiB of swap were free."
        ),
        figures={
            "last_s": 10.0,
            "direct_scanned_pages": 480_000,
            "direct_reclaimed_pages": 1_200,
            "kswapd_scanned_pages": 20_000,
            "kswapd_reclaimed_pages": 300,
            "swapped_out_pages": 900,
            "swap_free_bytes": 3 * MIB,
            "swap_free_bytes_per_s": round(-2.4 * MIB),
        },
    )


def test_hard_reclaim_without_swap() -> None:
    """Swap that does not exist would be said to have taken nothing."""
    found = examine(case(Reclaim(1000, 300), Reclaim(0, 0), swap_total_bytes=0, swapped_out_pages=0))
    assert isinstance(found, Finding)
    assert found.summary == (
        "Reclaim was hard: of 1,000 pages looked at, 300 were freed (30.0%; by tasks themselves 300 of "
        "1,000, by kswapd none) in the last 10.0 s."
    )


def test_swap_that_took_nothing() -> None:
    """Swap that was there and not used is half of the answer."""
    found = examine(
        case(
            Reclaim(1000, 0),
            Reclaim(0, 0),
            swap_total_bytes=9 * MIB,
            swap_free_bytes=9 * MIB,
            swapped_out_pages=0,
        )
    )
    assert isinstance(found, Finding)
    assert found.summary.endswith("; nothing was swapped out, 9 MiB of swap were free.")


def test_reclaim_that_was_not_tried() -> None:
    """A request that may not wait fails without reclaim, and 0 of 0 pages is no efficiency."""
    found = examine(case(Reclaim(0, 0), Reclaim(0, 0)))
    assert isinstance(found, Finding)
    assert found.summary == "Reclaim was not tried: not one page was looked at in the last 10.0 s."


def test_reclaim_that_worked() -> None:
    """One would look for what was not reclaimable where everything was."""
    found = examine(case(Reclaim(1000, 900), Reclaim(1000, 800)))
    assert isinstance(found, Dismissal)
    assert found.reason.startswith(
        "Reclaim was not at its end: of 2,000 pages looked at, 1,700 were freed (85.0%"
    )


@pytest.mark.parametrize(
    "without",
    [
        pytest.param(Case(Event(OOM_KILL, GLOBAL)), id="a recording"),
        pytest.param(case(None, Reclaim(5, 5)), id="the counters"),
        pytest.param(case(Reclaim(0, 0), Reclaim(0, 0), MEMCG), id="the machine being concerned"),
    ],
)
def test_nothing_is_said_without(without: Case) -> None:
    """Reclaim within a cgroup is not counted in vmstat: it would be said not to have been tried."""
    assert examine(without) is None
