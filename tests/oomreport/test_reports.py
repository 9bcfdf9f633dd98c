"""Reports as people posted them, compared field by field with what a careful reader finds in them.

``pytest tests/oomreport/test_reports.py -s`` prints the score of each report and what differs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.conftest import FIXTURES

from memwatchd.oomreport.reader import read_events
from memwatchd.oomreport.report import MEMORY_INFO, USERSPACE_KILL, Event, Zone

REPORTS = sorted(path.stem for path in (FIXTURES / "oom").glob("*.json"))
KINDS = {"oom": "oom_kill", "page_alloc_failure": "allocation_failure"}
SCOPES = {"none": "global", None: None}
# What a reader knows from elsewhere: the mail around the report, or the run of several.
BEYOND_THE_TEXT = {
    ("013_3.0.101_sles_8node_mempolicy", "events[0].scope"),
}


@dataclass
class Score:
    """How many fields agree, and which do not."""

    name: str
    same: int = 0
    differences: list[str] = field(default_factory=list)

    def compare(self, what: str, expected: object, found: object) -> None:
        if expected == found or (self.name, what) in BEYOND_THE_TEXT:
            self.same += 1
        else:
            self.differences.append(f"{what}: expected {expected!r}, found {found!r}")

    @property
    def share(self) -> float:
        return self.same / (self.same + len(self.differences))


def events_of(name: str) -> list[Event]:
    text = (FIXTURES / "oom" / f"{name}.txt").read_bytes()
    return [event for event in read_events([text]) if event.kind != USERSPACE_KILL]


def score(name: str) -> Score:
    """Compare a report with what stands beside it."""
    expected = json.loads((FIXTURES / "oom" / f"{name}.json").read_text())
    result = Score(name)
    events = events_of(name)
    kernel = [event for event in events if event.kind != MEMORY_INFO]
    result.compare("events", len(expected["events"]), len(kernel))
    for index, (wanted, event) in enumerate(zip(expected["events"], kernel, strict=False)):
        for what, left, right in event_fields(wanted, event):
            result.compare(f"events[{index}].{what}", left, right)
    detailed = kernel[expected["details_event_index"]] if expected["events"] else events[0]
    for what, left, right in machine_fields(expected, detailed):
        result.compare(what, left, right)
    killed = [{"pid": victim.pid, "name": victim.comm} for event in events for victim in event.victims]
    result.compare("all_killed", expected["all_killed"], killed)
    return result


def event_fields(wanted: dict[str, Any], event: Event) -> Iterator[tuple[str, object, object]]:
    """What is said of one event: name, what is expected, what was found."""
    trigger = event.trigger
    victim = event.victims[0] if event.victims else None
    mask = None if trigger.gfp_mask is None else f"{trigger.gfp_mask:#x}"
    yield "kind", KINDS[wanted["kind"]], event.kind
    yield "scope", SCOPES.get(wanted["constraint"], wanted["constraint"]), event.scope
    yield "comm", wanted["trigger_process"], trigger.comm
    yield "pid", wanted["trigger_pid"], trigger.pid
    yield "gfp_mask", wanted["gfp_mask_hex"], mask
    if wanted["gfp_mask_names"]:
        yield "gfp_flags", wanted["gfp_mask_names"], "|".join(trigger.gfp_flags)
    yield "order", wanted["order"], trigger.order
    yield "oom_score_adj", wanted["oom_score_adj"], trigger.oom_score_adj
    if "kernel" in wanted:
        yield "kernel", wanted["kernel"], event.kernel
    if "n_process_rows" in wanted:
        yield "tasks", wanted["n_process_rows"], len(event.tasks)
    for key, name in (
        ("killed_pid", "pid"),
        ("killed_name", "comm"),
        ("total_vm_kb", "total_vm_kb"),
        ("anon_rss_kb", "anon_rss_kb"),
        ("file_rss_kb", "file_rss_kb"),
        ("shmem_rss_kb", "shmem_rss_kb"),
        ("uid", "uid"),
        ("score", "score"),
        ("reaped", "reaped"),
    ):
        yield (
            name,
            wanted[key],
            (victim is not None and victim.reaped) if name == "reaped" else getattr(victim, name, None),
        )
    yield from memcg_fields(wanted, event)


def memcg_fields(wanted: dict[str, Any], event: Event) -> Iterator[tuple[str, object, object]]:
    """What is said of a cgroup's limit."""
    if wanted["constraint"] != "memcg":
        return
    memcg = event.memcg
    yield "limit_of", wanted["memcg_path"], memcg and memcg.limit_of
    for key, names in (
        ("memcg_usage_kb", ("usage_kb",)),
        ("memcg_limit_kb", ("limit_kb",)),
        ("memcg_failcnt", ("failcnt",)),
        ("memcg_swap_usage_kb", ("swap_usage_kb", "memsw_usage_kb")),
        ("memcg_swap_limit_kb", ("swap_limit_kb", "memsw_limit_kb")),
    ):
        if key in wanted:
            found = [getattr(memcg, name) for name in names if getattr(memcg, name, None) is not None]
            yield key, wanted[key], found[0] if found else None


def machine_fields(expected: dict[str, Any], event: Event) -> Iterator[tuple[str, object, object]]:
    """What is said of the machine."""
    zones = [zone for zone in event.zones if zone.line is not None]
    yield "zones", [zone_facts(zone) for zone in expected["zones"]], [zone_fields(zone) for zone in zones]
    blocks = {
        (f"Node {zone.node} " if zone.node is not None else "") + zone.name: {
            str(order): found.count for order, found in sorted(zone.free_blocks.items())
        }
        for zone in event.zones
        if zone.free_blocks
    }
    yield "free_blocks", expected["free_pages_by_order"], blocks
    totals = event.totals
    page_kb = next((zone.block_kb for zone in event.zones if zone.block_kb), None)
    yield "page_kb", expected["page_kb"], page_kb
    yield "swap_total_kb", expected["swap_total_kb"], totals.swap_total_kb
    yield "swap_free_kb", expected["swap_free_kb"], totals.swap_free_kb
    yield "ram_pages", expected["pages_ram"], totals.ram_pages
    yield "reserved_pages", expected["pages_reserved"], totals.reserved_pages
    for name in ("slab_reclaimable", "slab_unreclaimable"):
        pages = totals.pages.get(name)
        yield name, expected[f"{name}_kb"], None if pages is None else pages * (page_kb or 4)
    huge = [pool.total * pool.size_kb for pool in event.hugepages]
    yield "hugetlb_kb", expected["hugetlb_kb"], sum(huge) if huge else None
    largest = max(event.tasks, key=lambda task: task.rss_pages or 0, default=None)
    yield (
        "largest",
        expected["largest_rss_process"],
        largest and {"name": largest.comm, "pid": largest.pid, "rss_pages": largest.rss_pages},
    )


def zone_facts(zone: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in zone.items() if key != "all_unreclaimable" or value is not None}


def zone_fields(zone: Zone) -> dict[str, Any]:
    fields = {
        "node": zone.node,
        "name": zone.name,
        "free_kb": zone.free_kb,
        "min_kb": zone.min_kb,
        "low_kb": zone.low_kb,
        "high_kb": zone.high_kb,
        "present_kb": zone.present_kb,
        "managed_kb": zone.managed_kb,
    }
    return (
        fields if zone.all_unreclaimable is None else {**fields, "all_unreclaimable": zone.all_unreclaimable}
    )


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_read_as_a_careful_reader_does(name: str) -> None:
    """A field that is wrong here is wrong in somebody's log."""
    result = score(name)
    print(f"\n{name}: {result.same} of {result.same + len(result.differences)} fields")
    for difference in result.differences:
        print(f"    {difference}")
    assert result.differences == []
