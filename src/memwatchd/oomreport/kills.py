"""Recognising a kill in the kernel's messages, as they come.

The line that is always printed, never rate-limited, is the one that says *Killed process*; what stands before
it, or in front of it, tells whose limit it was. By kernel (mm/oom_kill.c):

    before 5.0   Out of memory: Kill process 4711 (java) score 911 or sacrifice child
                 Killed process 4711 (java) total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB
    since 5.0    Out of memory: Killed process 4711 (java) total-vm:…, UID:0 pgtables:8076kB oom_score_adj:0
    cgroups      Memory cgroup out of memory: Killed process 4711 (java) total-vm:…
                 oom-kill:constraint=CONSTRAINT_MEMCG,…,oom_memcg=/a,task_memcg=/a/b,task=java,pid=4711,uid=0
    before 5.0   Task in /a/b killed as a result of limit of /a

A process name may hold anything, so the name ends at the last ')' that is followed by what the kernel prints
after it.
"""

from dataclasses import dataclass

from memwatchd.oomreport.report import MEMCG, Victim
from memwatchd.oomreport.statements.killed import Chosen, parse_chosen, parse_killed
from memwatchd.oomreport.statements.memcg import parse_constraint, parse_group, parse_limit
from memwatchd.procfs.kmsg import KmsgRecord, unescape

_AMOUNTS = {
    "total-vm": "total_vm_kb",
    "anon-rss": "anon_rss_kb",
    "file-rss": "file_rss_kb",
    "shmem-rss": "shmem_rss_kb",
    "pgtables": "pgtables_kb",
}
_KERNEL = 0
GLOBAL = "global"
CGROUP = "cgroup"


@dataclass(frozen=True, slots=True)
class Kill:
    """One process killed by the kernel for want of memory.

    Attributes:
        scope: "global", "cgroup", or None when no line said which.
        limit_cgroup: Whose limit it was, for a cgroup kill.
        task_cgroup: Where the process lived.
        amounts_kib: What the line says the process had: total-vm, anon-rss, file-rss, shmem-rss, pgtables.
        sequence: /dev/kmsg sequence of the line.
        timestamp_usec: Kernel's time stamp of the line (its local clock, close to the monotonic one).
    """

    pid: int
    comm: str
    scope: str | None
    limit_cgroup: str | None
    task_cgroup: str | None
    amounts_kib: dict[str, int]
    sequence: int
    timestamp_usec: int


@dataclass(slots=True)
class KillParser:
    """Reads kernel messages in order and remembers what a later line needs from an earlier one."""

    _scope: str | None = None
    _limit: str | None = None
    _task: str | None = None
    _group: bool = False
    _last_limit: str | None = None
    _last_task: str | None = None

    def feed_record(self, record: KmsgRecord) -> Kill | None:
        """Take in a record of /dev/kmsg, which escapes what strangers put into names.

        Programs may write there, too, but not with the kernel's own facility.
        """
        if record.facility != _KERNEL:
            return None
        return self.feed(unescape(record.text), record.sequence, record.timestamp_usec)

    def feed(self, text: bytes, sequence: int, timestamp_usec: int) -> Kill | None:
        """Take in the text of one message; return the kill it tells of, if it does."""
        said = text.decode("utf-8", "surrogateescape")
        victim = parse_killed(said) if "illed process" in said else None
        if victim is None or victim.pid is None or victim.comm is None:
            self._remember(said)
            return None
        scope = _scope(victim) or self._scope
        kill = Kill(
            pid=victim.pid,
            comm=victim.comm,
            scope=scope,
            limit_cgroup=self._limit if scope == CGROUP else None,
            task_cgroup=self._task,
            amounts_kib=_amounts_kib(victim),
            sequence=sequence,
            timestamp_usec=timestamp_usec,
        )
        self._last_limit, self._last_task = self._limit, self._task
        if not self._group:
            # The next line may be of another kill whose header was suppressed: headers are rate-limited.
            self._scope = self._limit = self._task = None
        return kill

    def _remember(self, said: str) -> None:
        if "invoked oom-killer" in said:
            self._scope = self._limit = self._task = None
            self._group = False
        elif chosen := parse_chosen(said):
            self._scope = _scope(chosen)
        elif parse_group(said) is not None:
            # The header was for the first victim; it holds for all others.
            self._group = True
            self._scope = CGROUP
            self._limit, self._task = self._limit or self._last_limit, self._task or self._last_task
        else:
            self._remember_limit(said)

    def _remember_limit(self, said: str) -> None:
        if found := parse_limit(said):
            self._task, self._limit = found
            self._scope = CGROUP
        elif "oom-kill:" in said and (constraint := parse_constraint(said)) and constraint.pid is not None:
            self._limit, self._task = constraint.oom_memcg, constraint.task_memcg
            self._scope = CGROUP if constraint.constraint == "CONSTRAINT_MEMCG" else GLOBAL


def _scope(said: Victim | Chosen) -> str | None:
    """The scope by the words of one line; a cpuset's or a policy's kill is of the machine."""
    if said.scope is None:
        return None
    return CGROUP if said.scope == MEMCG else GLOBAL


def _amounts_kib(victim: Victim) -> dict[str, int]:
    amounts = {name: getattr(victim, field) for name, field in _AMOUNTS.items()}
    return {name: kib for name, kib in amounts.items() if kib is not None}
