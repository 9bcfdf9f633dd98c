"""The reserve below the min watermark."""

from tests.diagnosis.reports import asked, case, dismissed, found, quoted, report, zone

from memwatchd.diagnosis.reserve_too_small import WEIGHT_ATOMIC, examine
from memwatchd.oomreport.report import ALLOCATION_FAILURE

NORMAL = zone("Normal", 300, (1024, 1536), managed=1_000_000)


def test_an_atomic_request_beside_much_page_cache() -> None:
    """Lost packets would be put on a shortage that there was none of."""
    event = report(
        asked("GFP_ATOMIC"),
        NORMAL,
        kind=ALLOCATION_FAILURE,
        pages={"active_file": 10_000, "inactive_file": 120_000},
    )
    finding = found(examine(case(event)))
    assert finding.weight == WEIGHT_ATOMIC
    assert finding.summary == (
        "The request for a single page (GFP_ATOMIC) could not wait, and Normal was down to 300 KiB (min 1"
        " MiB), though 508 MiB of page cache could have been dropped: the reserve is too small for such"
        " bursts."
    )
    assert finding.advice.change[0].startswith("Raise the reserve: `sysctl vm.min_free_kbytes=4000`")


def test_nothing_to_drop() -> None:
    """A machine that is really full would be told to tune a knob."""
    event = report(
        asked("GFP_ATOMIC"), NORMAL, kind=ALLOCATION_FAILURE, pages={"active_file": 100, "inactive_file": 90}
    )
    assert "waiting would not have helped" in dismissed(examine(case(event)))


def test_dirty_pages_cannot_be_dropped() -> None:
    """Page cache that waits for the disk is no reserve."""
    pages = {"active_file": 10_000, "inactive_file": 10_000, "dirty": 15_000, "writeback": 4_000}
    event = report(asked("GFP_ATOMIC"), NORMAL, kind=ALLOCATION_FAILURE, pages=pages)
    dismissed(examine(case(event)))


def test_a_request_that_could_wait() -> None:
    """Whoever can wait has no need of a reserve."""
    pages = {"active_file": 10_000, "inactive_file": 120_000}
    event = report(asked("GFP_KERNEL"), NORMAL, kind=ALLOCATION_FAILURE, pages=pages)
    assert getattr(examine(case(event)), "weight", 0) == 0


def test_watermarks_of_a_tenth_and_more() -> None:
    """Memory that is kept free by order would be missing without a reason."""
    event = report(asked("GFP_KERNEL"), zone("Normal", 299_000, (300_000, 450_000), managed=1_000_000))
    finding = found(examine(case(event)))
    assert (finding.weight, finding.figures["min_kb"]) == (0.3, 300_000)


def test_a_boost_is_a_circumstance() -> None:
    """Watermarks of five times the usual would be believed."""
    event = report(asked("GFP_KERNEL"), zone("Normal", 0, (5044, 5516), managed=57_428, boost=4096))
    finding = found(examine(case(event)))
    assert (finding.weight, quoted(finding)) == (0, ["zone Normal"])
    assert "raised the min watermarks by 4 MiB to 4.93 MiB" in finding.summary


def test_tiny_watermarks_are_a_circumstance() -> None:
    """A site that lowered them would not learn of it."""
    event = report(asked("GFP_KERNEL"), zone("Normal", 100, (128, 192), managed=8_000_000))
    assert found(examine(case(event))).weight == 0


def test_the_default_is_nothing_to_report() -> None:
    """Each report would have something about watermarks."""
    event = report(asked("GFP_KERNEL"), zone("Normal", 11_000, (11_300, 16_950), managed=8_000_000))
    assert examine(case(event)) is None


def test_page_cache_by_the_zones_alone() -> None:
    """Where the beginning of a report is lost, the lines of zones tell the same."""
    normal = zone("Normal", 124, (10088, 15132), managed=8_791_040, inactive_file=887_136, dirty=88)
    event = report(asked("GFP_ATOMIC"), normal, kind=ALLOCATION_FAILURE)
    assert found(examine(case(event))).figures["cache_kb"] == 887_136 - 88
