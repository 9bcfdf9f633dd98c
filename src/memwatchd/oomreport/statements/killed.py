"""Who was killed, and what became of it.

::

    Out of Memory: Kill process 4809 (bash) score 2904 and children.                            2.6.16
    Out of memory: Killed process 4846 (sa-learn).
    Out of memory: kill process 21754 (apache2) score 699064 or a child                         2.6.32
    Killed process 21754 (apache2)
    Killed process 2726 (y) vsz:25000kB, anon-rss:1000kB, file-rss:20kB                         2.6.33
    Out of memory: Kill process 4711 (java) score 911 or sacrifice child                        2.6.36-5.0
    Killed process 4711 (java) total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB, shmem-rss:0kB
    Killed process 4711, UID 500, (java) total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB   RHEL 6
    Killed process 4711 (java), UID 500, total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB   RHEL 7
    Memory cgroup out of memory: Killed process 4711 (java) total-vm:…, UID:0 pgtables:8076kB oom_score_adj:0
    oom_reaper: reaped process 4711 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
    oom_reaper: unable to reap pid:4711 (java)
    Out of memory and no killable processes...
    Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled

A process name may hold anything, so it ends at the last ')' before what the kernel prints after it.
"""

import re
from dataclasses import dataclass

from memwatchd.oomreport.report import CPUSET, GLOBAL, MEMCG, MEMPOLICY, Victim
from memwatchd.oomreport.statements._amounts import DIGITS, amounts_kb, integer

_HEAD = (
    r"(?:oom_kill: )?(?P<head>(?:Memory cgroup o|O)ut of [Mm]emory[^:]{0,80}:"
    r"|No available memory(?: in cpuset| \(MPOL_BIND\))?:|Memory cgroup out of memory:)?\s*"
)
_KILLED = re.compile(
    rf"{_HEAD}Killed process (?P<pid>{DIGITS})(?:, UID (?P<uid>{DIGITS}),)? \((?P<comm>.*)\)"
    r"(?P<rest>[.,]?\s*(?:(?:UID |total-vm:|vsz:).*)?)$",
    re.DOTALL,
)
_CHOSEN = re.compile(
    rf"{_HEAD}[Kk]ill process (?P<pid>{DIGITS}) \((?P<comm>.*)\)(?: score (?P<score>{DIGITS}))?"
    r"(?: (?:or|and) .*)?$",
    re.DOTALL,
)
_UID = re.compile(rf"\bUID[: ]({DIGITS})\b")
_ADJ = re.compile(r"oom_score_adj:(-?\d{1,5})\b")
_REAPED = re.compile(rf"oom_reaper: reaped process (?:pid:)?({DIGITS}) \((.*)\)", re.DOTALL)
_REMARKS = (
    "oom_reaper: unable to reap",
    "OOM victim ",
    "oom killer ",
    "excessive unreclaimable slab but cannot dump stats",
    "Out of memory and no killable processes",
    "System is deadlocked on memory",
    "Kernel panic - not syncing: Out of memory",
    "Kernel panic - not syncing: System is deadlocked on memory",
)
_PANICS = {
    "Out of memory and no killable processes": "no_killable_process",
    "Kernel panic - not syncing: Out of memory and no killable processes": "no_killable_process",
    "System is deadlocked on memory": "deadlocked",
    "Kernel panic - not syncing: System is deadlocked on memory": "deadlocked",
    "Kernel panic - not syncing: Out of memory": "panic_on_oom",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who was chosen, before 5.1; the one that is killed may be a child of it."""

    pid: int
    comm: str
    score: int | None
    scope: str | None
    line: int | None = None


def parse_killed(text: str, line: int | None = None) -> Victim | None:
    """Read the line that is always printed."""
    found = _KILLED.match(text)
    if found is None:
        return None
    rest = found["rest"]
    amounts = amounts_kb(rest.replace("-", "_"))
    uid, adj = _UID.search(rest), _ADJ.search(rest)
    return Victim(
        pid=int(found["pid"]),
        comm=found["comm"],
        uid=integer(uid[1] if uid else found["uid"]),
        total_vm_kb=amounts.get("total_vm", amounts.get("vsz")),
        anon_rss_kb=amounts.get("anon_rss"),
        file_rss_kb=amounts.get("file_rss"),
        shmem_rss_kb=amounts.get("shmem_rss"),
        pgtables_kb=amounts.get("pgtables"),
        oom_score_adj=integer(adj and adj[1]),
        scope=_scope(found["head"]),
        line=line,
    )


def parse_chosen(text: str, line: int | None = None) -> Chosen | None:
    """Read the line before it, until 5.0."""
    found = _CHOSEN.match(text)
    if found is None:
        return None
    return Chosen(int(found["pid"]), found["comm"], integer(found["score"]), _scope(found["head"]), line)


def parse_reaped(text: str) -> int | None:
    """Read whose memory the oom_reaper took back: its pid."""
    if "oom_reaper" not in text:
        return None
    found = _REAPED.match(text)
    return None if found is None else int(found[1])


def is_remark(text: str) -> bool:
    """Whether a line says something about the end of an event that has no field."""
    return text.startswith(_REMARKS)


def manner_of(text: str) -> str | None:
    """How an event without a victim ended: "panic_on_oom", "no_killable_process" or "deadlocked"."""
    return next((manner for words, manner in _PANICS.items() if text.startswith(words)), None)


def _scope(head: str | None) -> str | None:
    if not head:
        return None
    if head.startswith("Memory cgroup"):
        return MEMCG
    if head.startswith("No available memory"):
        return CPUSET if "cpuset" in head else MEMPOLICY
    return GLOBAL
