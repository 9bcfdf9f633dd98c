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

import re
from dataclasses import dataclass

from memwatchd.procfs.kmsg import KmsgRecord, unescape

_KILLED = re.compile(
    rb"(?:oom_kill: )?(?P<head>(?:Memory cgroup o|O)ut of memory[^:]*: )?"
    rb"Killed process (?P<pid>\d+)(?:, UID \d+,)? "
    rb"\((?P<comm>.*)\)(?P<rest>(?:,? (?:UID |total-vm:|vsz:).*)?)",
    re.DOTALL,
)
_HEADER = re.compile(rb"(?:oom_kill: )?(Memory cgroup out|Out) of memory")
_GROUP = b" are going to be killed due to memory.oom.group set"
_CONSTRAINT = re.compile(
    rb"oom-kill:constraint=(?P<constraint>CONSTRAINT_\w+),.*?"
    rb"(?:,oom_memcg=(?P<oom_memcg>.*),task_memcg=|,task_memcg=|,global_oom,task_memcg=)(?P<task_memcg>.*),task=.*,pid=(?P<pid>\d+),uid=\d+$",
    re.DOTALL,
)
_LIMIT = re.compile(
    rb"Task in (?P<task_memcg>.*) killed as a result of limit of (?P<oom_memcg>.*)$", re.DOTALL
)
_AMOUNT = re.compile(rb"(total-vm|anon-rss|file-rss|shmem-rss|pgtables):(\d+)kB")

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
        killed = _KILLED.fullmatch(text)
        if killed is None:
            self._remember(text)
            return None
        scope = _scope(killed["head"]) or self._scope
        kill = Kill(
            pid=int(killed["pid"]),
            comm=_name(killed["comm"]),
            scope=scope,
            limit_cgroup=self._limit if scope == CGROUP else None,
            task_cgroup=self._task,
            amounts_kib={name.decode(): int(kib) for name, kib in _AMOUNT.findall(killed["rest"])},
            sequence=sequence,
            timestamp_usec=timestamp_usec,
        )
        self._last_limit, self._last_task = self._limit, self._task
        if not self._group:
            # The next line may be of another kill whose header was suppressed: headers are rate-limited.
            self._scope = self._limit = self._task = None
        return kill

    def _remember(self, text: bytes) -> None:
        header = _HEADER.match(text)
        if b"invoked oom-killer" in text:
            self._scope = self._limit = self._task = None
            self._group = False
        elif header:
            self._scope = _scope(header[1])
        elif text.startswith(b"Tasks in ") and text.endswith(_GROUP):
            # The header was for the first victim; it holds for all others.
            self._group = True
            self._scope = CGROUP
            self._limit, self._task = self._limit or self._last_limit, self._task or self._last_task
        else:
            self._remember_limit(text)

    def _remember_limit(self, text: bytes) -> None:
        found = _CONSTRAINT.match(text) or _LIMIT.match(text)
        if found is None:
            return
        groups = found.groupdict()
        self._limit = _name(groups["oom_memcg"]) if groups["oom_memcg"] else None
        self._task = _name(groups["task_memcg"])
        memcg = groups.get("constraint") in (None, b"CONSTRAINT_MEMCG")
        self._scope = CGROUP if memcg else GLOBAL


def _scope(head: bytes | None) -> str | None:
    if not head:
        return None
    return CGROUP if head.startswith(b"Memory cgroup") else GLOBAL


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
