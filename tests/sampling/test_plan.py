"""The plan on its way from the service to the sampler."""

from pathlib import Path

from memwatchd.roots import Roots
from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Stage, Timing
from memwatchd.sampling.plan import (
    DEAR_SOURCES,
    FIRST_WATCH_ID,
    SOURCE_PATHS,
    Plan,
    SourcePlan,
    extra_sources,
)


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
        book=Rulebook(
            rules=(
                RulePlan(name="bare", when="x < 1", clear=None, timing=Timing()),
                RulePlan(
                    name="full \udcff",
                    when='cgroup."/a b".usage > 1GiB',
                    clear="x > 2",
                    timing=Timing(
                        for_ns=1,
                        cooldown_ns=2,
                        max_per_hour=3,
                        acts=False,
                        go_on_after_failure=False,
                        stages=(Stage(), Stage(after_ns=4, deadline_ns=5)),
                    ),
                ),
            ),
            hold_after_kill_ns=6,
            settle_ns=7,
        ),
    )
    assert Plan.from_json(plan.to_json()) == plan
    bare = Plan("ring", 1, 200.0, 0.05, 0.35, ())
    assert Plan.from_json(bare.to_json()) == bare


def test_the_alarm_is_read_first_and_the_dear_sources_last() -> None:
    """A kill would be noticed only after slabinfo has been walked."""
    names = list(SOURCE_PATHS)
    assert names[0] == "vmstat"
    assert tuple(names[-2:]) == DEAR_SOURCES[:2]


def make_extra(tmp_path: Path, *devices: str, arcstats: bool = False) -> Roots:
    roots = Roots(procfs=tmp_path / "proc", sysfs=tmp_path / "sys")
    for device in devices:
        (roots.sysfs / "block" / device).mkdir(parents=True)
        (roots.sysfs / "block" / device / "mm_stat").write_text("0 0 0 0 0 0 0\n")
    if arcstats:
        (roots.procfs / "spl/kstat/zfs").mkdir(parents=True)
        (roots.procfs / "spl/kstat/zfs/arcstats").touch()
    return roots


def test_what_most_machines_do_not_have_is_found(tmp_path: Path) -> None:
    """Memory in zram or in the cache of ZFS would be missing in the recording."""
    roots = make_extra(tmp_path, "zram0", "zram10", "zram2", "vda", "zramx", arcstats=True)
    (roots.sysfs / "block/zram3").mkdir()  # before 4.1 there is no mm_stat
    assert list(extra_sources(roots).items()) == [
        ("arcstats", roots.procfs / "spl/kstat/zfs/arcstats"),
        ("zram/zram0", roots.sysfs / "block/zram0/mm_stat"),
        ("zram/zram2", roots.sysfs / "block/zram2/mm_stat"),
        ("zram/zram10", roots.sysfs / "block/zram10/mm_stat"),
    ]
    assert extra_sources(Roots(procfs=tmp_path / "none", sysfs=tmp_path / "none")) == {}


def test_many_devices_leave_the_watches_their_ids(tmp_path: Path) -> None:
    """A watched file would take the place of a device in the ring."""
    roots = make_extra(tmp_path, *(f"zram{number}" for number in range(40)), arcstats=True)
    assert len(SOURCE_PATHS) + len(extra_sources(roots)) == FIRST_WATCH_ID
