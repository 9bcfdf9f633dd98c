"""The cause of real reports, as a careful reader gives it.

``pytest tests/diagnosis/test_posted_reports.py -s`` prints the verdict of each.
"""

import json
from typing import Any

import pytest
from tests.conftest import FIXTURES

from memwatchd.diagnosis.verdict import Diagnosis, diagnose
from memwatchd.oomreport.reader import read_events
from memwatchd.oomreport.report import MEMORY_INFO

REPORTS = sorted(path.stem for path in (FIXTURES / "oom").glob("*.json"))


def diagnosis_of(name: str) -> tuple[Diagnosis, dict[str, Any]]:
    """The diagnosis of the event that the reader looked at, and what he said."""
    expected = json.loads((FIXTURES / "oom" / f"{name}.json").read_text())
    events = list(read_events([(FIXTURES / "oom" / f"{name}.txt").read_bytes()]))
    kernel = [event for event in events if event.kind != MEMORY_INFO] or events
    event = kernel[expected["details_event_index"]]
    return diagnose(event, earlier=events[: events.index(event)]), expected


@pytest.mark.parametrize("name", REPORTS)
def test_the_cause_is_the_careful_readers(name: str) -> None:
    """A wrong cause sends somebody to mend what is not broken."""
    diagnosis, expected = diagnosis_of(name)
    print(
        f"\n{name}: {diagnosis.verdict.tag}, {diagnosis.verdict.confidence:.0%}: {diagnosis.verdict.summary}"
    )
    assert diagnosis.verdict.tag == expected["cause_tag"]
    assert diagnosis.verdict.tag == "unknown" or diagnosis.verdict.evidence
    assert all(quote.text == diagnosis.case.event.texts[quote.line] for quote in diagnosis.verdict.evidence)


def test_the_32_bit_server() -> None:
    """The story: 32 GB, a large file being copied, the low 870 MB full of slab, and swap untouched."""
    diagnosis, _ = diagnosis_of("000_seed_3.2.59_i386_highmem_metalog")
    assert diagnosis.verdict.tag == "lowmem_zone"
    assert "549 MiB were free in HighMem" in diagnosis.verdict.summary
    assert "slab 501 MiB (58 %)" in diagnosis.verdict.summary
    assert {finding.tag for finding in diagnosis.findings} >= {"swap_untouched"}
    assert "swap_full" in {dismissal.tag for dismissal in diagnosis.dismissals}
    assert any("Normal free:8056kB min:8048kB" in quote.text for quote in diagnosis.verdict.evidence)


def test_the_virtual_machine() -> None:
    """The story: everything swapped out, 3 GB of swap left, and nearly all of its pages in no list at all."""
    diagnosis, _ = diagnosis_of("001_seed_4.4.0_linode_vmalloc_syslog")
    assert diagnosis.verdict.tag == "unaccounted"
    assert diagnosis.verdict.summary.startswith(
        "97 % of RAM is in no counter of the kernel: 992 MiB of RAM less free"
    )
    assert "leaves 957 MiB" in diagnosis.verdict.summary
    total, known = diagnosis.case.ram_kb, diagnosis.case.accounted_kb
    assert total is not None
    assert known is not None
    assert diagnosis.case.unaccounted_kb == total - known
    assert {finding.tag for finding in diagnosis.findings} >= {"swap_untouched", "victim_mismatch"}
