"""What grew before an event."""

import pytest

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.growth import examine
from memwatchd.diagnosis.history import CGROUP, PROCESS, SLAB, Grower, History
from memwatchd.oomreport.report import (
    GLOBAL,
    MEMCG,
    MEMORY_INFO,
    OOM_KILL,
    Event,
    Memcg,
    Task,
    Totals,
    Victim,
)

MIB = 1 << 20
ANON = Grower("AnonPages", "", None, 300 * MIB, 900 * MIB, -6.0, 0.0, 100.0 * MIB)
JAVA = Grower(PROCESS, "java", 17, 100 * MIB, 650 * MIB, -5.5, -0.2, 100.0 * MIB)
SLAB_GREW = Grower("SReclaimable", "", None, 20 * MIB, 420 * MIB, -20.0, 0.0, 20.0 * MIB, from_start=True)
NFS = Grower(SLAB, "nfs_inode_cache", None, 10 * MIB, 400 * MIB, -20.0, 0.0, 19.5 * MIB, from_start=True)
GROUP = Grower(CGROUP, "/app", None, 4 * MIB, 256 * MIB, -3.0, -0.1, 84.0 * MIB)
CRON = Victim(18, "cron")


def case(*growers: Grower, event: Event | None = None, **history: object) -> Case:
    ram = Totals(ram_pages=(1 << 30) // 4096, reserved_pages=0)
    past = History(from_s=-20.0, growers=growers, **history)  # type: ignore[arg-type]
    return Case(event or Event(OOM_KILL, GLOBAL, totals=ram), past)


def summary(found: Finding | Dismissal | None) -> str:
    assert isinstance(found, Finding)
    return found.summary


def test_processes_that_grew() -> None:
    """Nobody would know whether the memory was taken in six seconds or in six days."""
    assert examine(case(ANON, JAVA)) == Finding(
        tag="growth",
        confidence=0.95,
        weight=0.0,
        summary=(
            "In the 20 s recorded before it, "
            "processes' own memory grew from 300 MiB to 900 MiB in the last 6.0 s (100 MiB/s); "
            "java (pid 17) grew from 100 MiB to 650 MiB in the last 5.5 s (100 MiB/s)."
        ),
        figures={
            "recorded_s": 20.0,
            "part": "AnonPages",
            "part_kind": "AnonPages",
            "part_pid": None,
            "part_from_bytes": 300 * MIB,
            "part_to_bytes": 900 * MIB,
            "part_since_s": -6.0,
            "part_until_s": 0.0,
            "part_bytes_per_s": 100 * MIB,
            "owner": "java",
            "owner_kind": "process",
            "owner_pid": 17,
            "owner_from_bytes": 100 * MIB,
            "owner_to_bytes": 650 * MIB,
            "owner_since_s": -5.5,
            "owner_until_s": -0.2,
            "owner_bytes_per_s": 100 * MIB,
        },
    )


def test_a_slab_cache_that_grew_is_named() -> None:
    """The report names caches only since 4.15, and only where there is very much slab."""
    assert summary(examine(case(SLAB_GREW, NFS))) == (
        "In the 20 s recorded before it, "
        "reclaimable slab grew from 20 MiB to 420 MiB all the time (20 MiB/s); "
        "the slab cache nfs_inode_cache grew from 10 MiB to 400 MiB all the time (19.5 MiB/s)."
    )


def test_growth_that_ended_before_says_so() -> None:
    """What has been there for ten seconds would be taken for what brought the machine down."""
    ended = Grower("Shmem", "", None, 0, 500 * MIB, -19.0, -10.0, 55.0 * MIB, rising=False)
    assert "shared memory and tmpfs grew from 0 B to 500 MiB from 19.0 s to 10.0 s before (55 MiB/s)" in (
        summary(examine(case(ended)))
    )


def test_a_victim_that_did_not_grow() -> None:
    """One would look for the leak in the process that was killed for another's."""
    event = Event(OOM_KILL, GLOBAL, victims=(CRON,))
    found = examine(case(ANON, JAVA, event=event, seen_pids=frozenset({17, 18})))
    assert summary(found).endswith(" The process that was killed, cron (pid 18), did not grow.")


@pytest.mark.parametrize(
    ("growers", "seen"),
    [
        pytest.param((ANON, JAVA), {17}, id="it was too young to be seen"),
        pytest.param((ANON,), {18}, id="no process grew"),
        pytest.param(
            (ANON, JAVA, Grower(PROCESS, "cron", 18, 0, 2 * MIB, -3, 0, None)),
            {17, 18},
            id="it grew a little",
        ),
    ],
)
def test_a_victim_of_which_that_is_not_known(growers: tuple[Grower, ...], seen: set[int]) -> None:
    """A process that was started and killed between two readings would be called innocent."""
    event = Event(OOM_KILL, GLOBAL, victims=(CRON,))
    assert "was killed" not in summary(examine(case(*growers, event=event, seen_pids=frozenset(seen))))


def test_a_cgroup_s_event_is_about_the_cgroup() -> None:
    """Whatever else the machine did would be blamed for a limit that it had nothing to do with."""
    event = Event(
        OOM_KILL,
        MEMCG,
        memcg=Memcg(limit_of="/app", limit_kb=256 << 10),
        tasks=(Task(pid=17, uid=0, tgid=17, comm="java"),),
    )
    inside = Grower(PROCESS, "java", 17, 2 * MIB, 200 * MIB, -3.0, 0.0, None)
    outside = Grower(PROCESS, "backup", 99, 0, 700 * MIB, -9.0, 0.0, None)
    other = Grower(CGROUP, "/backup", None, 0, 700 * MIB, -9.0, 0.0, None)
    assert summary(examine(case(ANON, outside, other, GROUP, inside, event=event))) == (
        "In the 20 s recorded before it, "
        "cgroup /app grew from 4 MiB to 256 MiB in the last 3.0 s (84 MiB/s); "
        "java (pid 17) grew from 2 MiB to 200 MiB in the last 3.0 s."
    )


def test_strangers_names_cannot_write_into_a_terminal() -> None:
    """A process could draw over the diagnosis."""
    odd = Grower(PROCESS, "a\x1b[2Jb", 17, 0, 900 * MIB, -6.0, 0.0, None)
    assert "\x1b" not in summary(examine(case(odd)))


@pytest.mark.parametrize(
    ("growers", "said"),
    [
        pytest.param((), "between two samples.", id="nothing"),
        pytest.param(
            (Grower("AnonPages", "", None, 10 * MIB, 12 * MIB, -2.0, 0.0, None),),
            "between two samples; processes' own memory grew from 10 MiB to 12 MiB in the last 2.0 s.",
            id="next to nothing",
        ),
    ],
)
def test_nothing_grew(growers: tuple[Grower, ...], said: str) -> None:
    """One would search the recording for what is not in it."""
    found = examine(case(*growers))
    assert isinstance(found, Dismissal)
    assert found.reason.startswith("Nothing that could explain it grew in the 20 s recorded before")
    assert found.reason.endswith(said)


def test_without_a_recording_nothing_is_said() -> None:
    """Every log without a recording would be said to have had no growth."""
    assert examine(Case(Event(OOM_KILL, GLOBAL))) is None
    assert examine(case(ANON, event=Event(MEMORY_INFO))) is None
