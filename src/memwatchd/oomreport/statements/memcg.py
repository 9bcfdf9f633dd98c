"""A cgroup that met its limit.

::

    Task in /docker/34186d9b killed as a result of limit of /docker/34186d9b                    until 4.20
    memory: usage 204800kB, limit 204800kB, failcnt 4563
    memory+swap: usage 0kB, limit 9007199254740988kB, failcnt 0                                 v1
    swap: usage 0kB, limit 0kB, failcnt 0                                                       v2
    kmem: usage 7524kB, limit 9007199254740988kB, failcnt 0                                     v1
    Memory cgroup stats for /mem2: cache:0KB rss:980KB rss_huge:0KB …            3.9 to 5.2, a line per cgroup
    Memory cgroup stats for /lxc/39004:                                                         since 5.3
    anon 31154200576
    file 688283648
    oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,…
    Tasks in /a/b are going to be killed due to memory.oom.group set
"""

import re
from dataclasses import dataclass

from memwatchd.oomreport.statements._amounts import DIGITS, amounts_kb

_USAGE = re.compile(
    rf"(?P<what>memory\+swap|memory|swap|kmem): usage (?P<usage>{DIGITS})kB, limit (?P<limit>{DIGITS})kB"
    rf"(?:, failcnt (?P<failcnt>{DIGITS}))?"
)
_LIMIT = re.compile(r"Task in (?P<task>.*?) killed as a result of limit of (?P<limit>.*)", re.DOTALL)
# The path may hold colons; it ends before " name:12KB", or at the end of the line.
_STATISTICS = re.compile(
    r"Memory cgroup stats(?: for (?P<path>.*?))?:(?P<rest> ?[a-z_]+:\d.*| ?[a-z_]+ \d.*|\s*)$", re.DOTALL
)
_STATISTIC = re.compile(rf"([a-z][a-z0-9_.]{{1,47}}) ({DIGITS})")
_GROUP = re.compile(r"Tasks in (?P<path>.*) are going to be killed due to memory\.oom\.group set", re.DOTALL)
_CONSTRAINT = re.compile(r"oom-kill: ?constraint=(?P<constraint>[A-Z_a-z0-9]{1,64})(?P<rest>.*)", re.DOTALL)
# A name may hold commas and equal signs, so each value ends where the key that follows it begins.
_KEYS = ("nodemask", "cpuset", "mems_allowed", "global_oom", "oom_memcg", "task_memcg", "task", "pid", "uid")
_FIGURES = {"memory": "", "memory+swap": "memsw_", "swap": "swap_", "kmem": "kmem_"}
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Statistics:
    """The head of a cgroup's statistics, with those that stand on the same line, in bytes."""

    path: str | None
    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Constraint:
    """What stood in the way, and whom it hit; None where the line does not say, or is cut."""

    constraint: str
    nodemask: str | None
    cpuset: str | None
    mems_allowed: str | None
    oom_memcg: str | None
    task_memcg: str | None
    task: str | None
    pid: int | None
    uid: int | None


def parse_usage(text: str) -> dict[str, int] | None:
    """Read a line of usage and limit: figures of `Memcg` by name."""
    found = _USAGE.match(text)
    if found is None:
        return None
    prefix = _FIGURES[found["what"]]
    figures = {f"{prefix}usage_kb": int(found["usage"]), f"{prefix}limit_kb": int(found["limit"])}
    if not prefix and found["failcnt"] is not None:
        figures["failcnt"] = int(found["failcnt"])
    return figures


def parse_limit(text: str) -> tuple[str, str] | None:
    """Read whose limit it was, before 5.0: the victim's cgroup, and the one with the limit."""
    found = _LIMIT.match(text)
    return None if found is None else (found["task"], found["limit"])


def parse_statistics(text: str) -> Statistics | None:
    """Read the head of the statistics."""
    if not text.startswith("Memory cgroup stats"):
        return None
    found = _STATISTICS.match(text)
    if found is None:
        return None
    rest = found["rest"]
    values = {name: kib * _KIB for name, kib in amounts_kb(rest).items()}
    return Statistics(found["path"], values or dict(parse_statistic(rest.strip()) or {}))


def parse_statistic(text: str) -> dict[str, int] | None:
    """Read a line of memory.stat, or several that lost their line ends."""
    if _STATISTIC.match(text) is None:
        return None
    pairs = _STATISTIC.findall(text)
    if sum(len(name) + 1 + len(digits) for name, digits in pairs) + len(pairs) - 1 < len(text.split("  ")[0]):
        return None  # more than names and numbers: prose
    return {name: int(digits) for name, digits in pairs}


def parse_group(text: str) -> str | None:
    """Read whose tasks were all killed."""
    found = _GROUP.match(text)
    return None if found is None else found["path"]


def parse_constraint(text: str) -> Constraint | None:
    """Read the summary since 5.0."""
    found = _CONSTRAINT.search(text)
    if found is None:
        return None
    values = _split(found["rest"])
    pid, uid = values.get("pid"), values.get("uid")
    return Constraint(
        constraint=found["constraint"],
        nodemask=None if values.get("nodemask") == "(null)" else values.get("nodemask"),
        cpuset=values.get("cpuset"),
        mems_allowed=values.get("mems_allowed") or None,
        oom_memcg=values.get("oom_memcg"),
        task_memcg=values.get("task_memcg"),
        task=values.get("task"),
        pid=int(pid) if pid is not None and re.fullmatch(DIGITS, pid) else None,
        uid=int(uid) if uid is not None and re.fullmatch(DIGITS, uid) else None,
    )


def _split(text: str) -> dict[str, str]:
    """Cut ``,key=value,key=value`` at the keys in their order; the last keys are sought from the end."""
    values: dict[str, str] = {}
    end = len(text)
    for key in reversed(_KEYS):
        mark = ",global_oom" if key == "global_oom" else f",{key}="
        start = text.rfind(mark, 0, end)
        if start >= 0:
            values[key] = text[start + len(mark) : end]
            end = start
    return values
