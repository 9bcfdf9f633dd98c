"""Who was killed, in the words of every era."""

import pytest

from memwatchd.oomreport.report import CPUSET, GLOBAL, MEMCG, MEMPOLICY, Victim
from memwatchd.oomreport.statements.killed import (
    Chosen,
    is_remark,
    manner_of,
    parse_chosen,
    parse_killed,
    parse_reaped,
)

KILLED = {
    "Out of memory: Killed process 4846 (sa-learn).": Victim(4846, "sa-learn", scope=GLOBAL),
    "Killed process 21754 (apache2)": Victim(21754, "apache2"),
    "Killed process 2726 (y) vsz:25000kB, anon-rss:1000kB, file-rss:20kB": Victim(
        2726, "y", total_vm_kb=25000, anon_rss_kb=1000, file_rss_kb=20
    ),
    "Killed process 4711, UID 500, (java) total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB": Victim(
        4711, "java", uid=500, total_vm_kb=5022868, anon_rss_kb=4004484, file_rss_kb=0
    ),
    "Killed process 4711 (java), UID 500, total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB, "
    "shmem-rss:0kB": Victim(
        4711, "java", 500, total_vm_kb=5022868, anon_rss_kb=4004484, file_rss_kb=0, shmem_rss_kb=0
    ),
    "Memory cgroup out of memory: Killed process 7788 (bash) total-vm:7169492kB, anon-rss:7165824kB, "
    "file-rss:956kB, shmem-rss:0kB, UID:0 pgtables:14076kB oom_score_adj:1000": Victim(
        7788, "bash", 0, None, 7169492, 7165824, 956, 0, 14076, 1000, scope=MEMCG
    ),
    "Out of memory (oom_kill_allocating_task): Killed process 1 (a) b (c) total-vm:1kB, anon-rss:2kB, "
    "file-rss:3kB, shmem-rss:4kB": Victim(1, "a) b (c", None, None, 1, 2, 3, 4, scope=GLOBAL),
    "No available memory in cpuset: Killed process 12 (x)": Victim(12, "x", scope=CPUSET),
    "No available memory (MPOL_BIND): Killed process 12 (x)": Victim(12, "x", scope=MEMPOLICY),
    "oom_kill: Killed process 12 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:00": Victim(
        12, "x", total_vm_kb=1, anon_rss_kb=1, file_rss_kb=1
    ),
}


@pytest.mark.parametrize("line", KILLED)
def test_kill_lines(line: str) -> None:
    """The one line that is always printed; a cut number at its end is no number."""
    assert parse_killed(line) == KILLED[line]


CHOSEN = {
    "Out of Memory: Kill process 4809 (bash) score 2904 and children.": Chosen(4809, "bash", 2904, GLOBAL),
    "Out of memory: kill process 21754 (apache2) score 699064 or a child": Chosen(
        21754, "apache2", 699064, GLOBAL
    ),
    "Memory cgroup out of memory: Kill process 13536 (memorymonster) score 996 or sacrifice child": Chosen(
        13536, "memorymonster", 996, MEMCG
    ),
}


@pytest.mark.parametrize("line", CHOSEN)
def test_chosen_lines(line: str) -> None:
    """It is not yet the victim: a child may be killed in its stead."""
    assert parse_chosen(line) == CHOSEN[line]
    assert parse_killed(line) is None


def test_what_is_no_kill() -> None:
    """People write about kills."""
    assert parse_killed("systemd: Killed process 12 gracefully") is None
    assert parse_killed("why was Killed process 12 (x) total-vm:1kB printed?") is None
    assert parse_chosen("Kill process 12, please") is None


def test_reaped() -> None:
    """Only then is the memory back for sure."""
    assert parse_reaped("oom_reaper: reaped process 38690 (node), now anon-rss:0kB, file-rss:0kB") == 38690
    assert parse_reaped("oom_reaper: unable to reap pid:4711 (java)") is None


def test_endings_without_a_victim() -> None:
    """The machine panics, or nobody is left to kill."""
    assert manner_of("Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled") == (
        "panic_on_oom"
    )
    assert manner_of("Out of memory and no killable processes...") == "no_killable_process"
    assert manner_of("Kernel panic - not syncing: System is deadlocked on memory") == "deadlocked"
    assert is_remark("oom_reaper: unable to reap pid:4711 (java)")
    assert not is_remark("Out of memory: Killed process 1 (x)")
