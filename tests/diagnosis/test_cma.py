"""Free memory in CMA areas."""

import pytest
from tests.diagnosis.reports import asked, case, dismissed, found, quoted, report, zone

from memwatchd.diagnosis.cma import CONFIDENCE_KEPT, WEIGHT_KEPT, examine
from memwatchd.oomreport.report import ALLOCATION_FAILURE

LENT = (
    zone("Normal", 59860, (3508, 5260), free_cma=59828),
    zone("HighMem", 94648, (144, 480), free_cma=94616),
)
PAGES = {"free_cma": 38611}


def test_a_kernel_request_cannot_use_it() -> None:
    """Free memory that only looks free would leave the failure without a reason."""
    event = report(asked(None, mask=0xD0), *LENT, kind=ALLOCATION_FAILURE, pages=PAGES)
    finding = found(examine(case(event)))
    assert finding.summary == (
        "58.4 MiB of the 58.5 MiB free in Normal are in CMA areas, which this request (0xd0) may not use,"
        " since its pages cannot be moved: 32 KiB were left for it, and 3.43 MiB must stay free. 92.4 MiB"
        " more CMA is free in other zones."
    )
    assert quoted(finding) == ["the request", "zone Normal", "blocks Normal", "Mem-Info"]


def test_a_movable_request_can() -> None:
    """Every phone would be diagnosed with CMA."""
    easy = zone("HighMem", 94648, (144, 480), free_cma=60000)
    event = report(asked("GFP_HIGHUSER_MOVABLE"), LENT[0], easy, pages=PAGES)
    assert "is movable" in dismissed(examine(case(event)))


@pytest.mark.parametrize("flags", ["GFP_HIGHUSER_MOVABLE", None])
def test_a_movable_request_that_did_not_get_it(flags: str | None) -> None:
    """A kernel that keeps its CMA for drivers would be said to have killed without any reason."""
    finding = found(examine(case(report(asked(flags), *LENT, pages=PAGES))))
    assert (finding.weight, finding.confidence) == (WEIGHT_KEPT, CONFIDENCE_KEPT)
    assert "151 MiB of the 151 MiB that were free are in CMA areas" in finding.summary
    assert "only 64 KiB were free besides" in finding.summary


def test_enough_beside_it() -> None:
    """Some CMA is not the reason when there is other memory."""
    event = report(
        asked("GFP_KERNEL"), zone("Normal", 59860, (3508, 5260), free_cma=30000), pages={"free_cma": 7500}
    )
    assert "not what the request failed for" in dismissed(examine(case(event)))
