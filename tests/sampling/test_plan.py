"""The plan on its way from the service to the sampler."""

from pathlib import Path

from memwatchd.roots import Roots
from memwatchd.sampling.plan import DEAR_SOURCES, MAX_MESSAGE_BYTES, SOURCE_PATHS, Plan, SourcePlan


def test_a_plan_comes_through_as_it_was_sent() -> None:
    """The sampler would sample something else than the configuration says."""
    plan = Plan(
        ring="/run/memwatchd/ring",
        service_pid=4711,
        rate_hz=200.0,
        budget_calm_share=0.05,
        budget_armed_share=0.35,
        sources=(SourcePlan("vmstat", "/proc/vmstat"), SourcePlan("slabinfo", "/proc/slabinfo", 0.5)),
        realtime_priority=10,
        lock_memory=False,
        oom_score_adj=-999,
        roots=Roots(Path("/host/proc"), Path("/host/sys"), Path("/host/cg"), Path("/host/kmsg")),
    )
    message = plan.to_json()
    assert Plan.from_json(message) == plan
    assert len(message) < MAX_MESSAGE_BYTES


def test_the_alarm_is_read_first_and_the_dear_sources_last() -> None:
    """A kill would be noticed only after slabinfo has been walked."""
    names = list(SOURCE_PATHS)
    assert names[0] == "vmstat"
    assert tuple(names[-2:]) == DEAR_SOURCES
