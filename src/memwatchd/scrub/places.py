"""Where names stand in the kernel's messages about memory, and in those of OOM killers in user space.

A name may hold anything, so it is found by what the kernel prints around it::

    Web Content invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0
    CPU: 3 PID: 4711 Comm: Web Content Not tainted 5.10.0-13-amd64 #1 Debian 5.10.106-1
    [   4711]  1000  4711   262144    12345   180224        0             0 Web Content
    oom-kill:constraint=…,oom_memcg=/a,task_memcg=/a/b,task=Web Content,pid=4711,uid=1000
    Out of memory: Killed process 4711 (Web Content) total-vm:…, UID:1000 pgtables:8076kB oom_score_adj:0
    earlyoom[77]: sending SIGTERM to process 4711 uid 1000 "Web Content": badness 900, VmRSS 812 MiB

What is matched by a group called comm, cgroup, uid, … is a name of that kind; ``keep`` is something the
kernel's own people named.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class Place(NamedTuple):
    """A stretch of a message that is not just words.

    Attributes:
        kind: comm, cgroup, uid, column (of uids), user, release, hardware, cache, modules, queue, keep, drop,
            or zero for digits of registers.
    """

    start: int
    end: int
    kind: str


_N = r"\d{1,20}"
# Longer lines hold no names that anybody reads, and would take long to search.
LONGEST = 1 << 14

_FLAGS = re.DOTALL | re.ASCII
# printk's prefix of some versions.
_BEFORE = r"\s*(?:(?:oom_kill|hugetlb|cpuset|memcg|mm|lowmemorykiller): )?"
_UID = r"(?P<uid>\d{1,20})"


def _compile(template: str) -> re.Pattern[str]:
    pattern = re.sub(
        r"(?<!P)<(\w+)(\*?)>", lambda found: f"(?P<{found[1]}>.{{0,4096}}{'' if found[2] else '?'})", template
    )
    return re.compile(pattern.replace("#", r"\d{1,20}"), _FLAGS)


# A literal that has to be in the text, and the pattern; <comm> is any text that is a command, <comm*> as much
# of it as possible, # a number.
_STATEMENTS = tuple(
    (literal, _compile(template))
    for literal, template in (
        (" invoked oom-killer: ", rf"{_BEFORE}<comm> invoked oom-killer: "),
        (": page allocation ", rf"{_BEFORE}<comm>: page allocation (?:failure|stalls)"),
        (": vmalloc", rf"{_BEFORE}<comm>: vmalloc(?: error|: allocation failure)"),
        (" mems_allowed=", rf"{_BEFORE}<comm> cpuset=<cgroup*> mems_allowed=(?=[\d,-]{{1,200}}\s*$)"),
        (",mems_allowed=", r".*?,cpuset=<cgroup>,mems_allowed="),
        ("omm: ", r".*?\b[Cc]omm: <comm> (?:Kdump: loaded )?(?=(?:Not tainted|Tainted)(?:\W|$))"),
        ("omm: ", r".*?\b[Pp][Ii][Dd]: #,? [Cc]omm: <comm>\s*$"),
        ("Tainted: ", r".*?\bTainted: (?P<keep>[A-Zxy ]{1,60}) *(?=$|[ (]\d)"),
        ("Not tainted", r".*?\bNot tainted *\(?(?P<release>\d{1,3}\.\d.*)$"),
        ("ainted", r"\s*(?P<release>\d{1,3}\.\d\S{1,100} #\d{1,6}\S{0,60}) (?:Not t|T)ainted"),
        ("Tainted: ", r".*?\bTainted: [A-Zxy ]{1,60}\(?(?P<release>\d{1,3}\.\d.*)$"),
        ("Tainted: ", r".*?\bTainted: (?:\[[A-Z]\]=\w{1,40},? ?){1,20}(?P<release>\d{1,3}\.\d.*)$"),
        ("Linux version ", r".*?Linux version (?P<release>\d{1,3}\.\d\S*)(?P<drop> .*)$"),
        ("Hardware name: ", r".*?Hardware name: <hardware*>$"),
        ("Modules linked in:", r".*?Modules linked in:<modules*>$"),
        ("Workqueue: ", r".*?Workqueue: <queue*>$"),
        (
            "rocess",
            rf".*?[Kk]ill(?:ed)? process #(?:, UID {_UID},)? \(<comm*>\)"
            r"(?=,? (?:UID |total-vm:|vsz:|score #)|[,.]? *$)",
        ),
        ("UID:", rf".*?, UID:{_UID} pgtables:"),
        ("UID: ", rf".*?\bCPU: # UID: {_UID} PID: "),
        (
            "oom_reaper: ",
            r".*?oom_reaper: (?:reaped process |unable to reap pid:)# \(<comm*>\)(?=, now |, anon-rss:|\s*$)",
        ),
        ("OOM victim ", r".*?OOM victim # \(<comm*>\) is already exiting"),
        ("has mm pinned", r".*?oom killer # \(<comm>\) has mm pinned by # \(<comm2*>\)"),
        (" as a result of limit of ", r".*?Task in <cgroup> killed as a result of limit of <cgroup2*>$"),
        ("Task in ", r"\s*Task in (?P<cgroup>/\S*)(?: killed)?\s*$"),
        ("as a result of limit of", r"\s*(?:killed )?as a result of limit of (?P<cgroup>/.*)$"),
        (
            " are going to be killed ",
            r".*?Tasks in <cgroup> are going to be killed due to memory\.oom\.group",
        ),
        ("Memory cgroup stats", r".*?Memory cgroup stats for <cgroup>:(?=\s*$| ?[a-z_]{1,30}:\d)"),
        ("Memory cgroup stats", r".*?Memory cgroup stats for (?P<cgroup>/.*?):?\s*$"),
        ("cache: ", r"\s*cache: <cache*>, object size"),
        (
            "func:",
            r"\s*[\d.]{1,30} ?(?:[kKMGT]?i?B)? +# +"
            r"(?P<keep>[\w./-]{1,200}:#(?: \[[\w-]{1,60}\])? func:[\w.]{1,200})",
        ),
        ("Killing '", rf".*?Killing '<comm>' \(#\)(?:, uid {_UID})?,"),
        ("on behalf of '", r".*?on behalf of '<comm>' \("),
        ("rocess ", rf'.*?(?:to|[Kk]illing) process #(?: uid {_UID})? "<comm>"(?=:| with )'),
        ("cmdline ", r'.*?\bcmdline "(?P<drop>.*)"'),
        ("Name: ", r".*?\bName: +(?P<comm>\S.{0,60}?)(?=,|\s*$)"),
        ("user ", r".*?\buser (?P<user>(?!process|memory|request|space|limit)[\w.@-]{1,64})"),
    )
)
_SYMBOL = re.compile(
    r"(?<![\w.$])[A-Za-z_.$][\w.$]{0,200}\+(?:0x[0-9a-f]{1,8}(?:/0x[0-9a-f]{1,8})?|\d{1,6}/\d{1,6})"
    r"(?: \[[\w-]{1,60}(?: [A-Z()]{1,8})?(?: [0-9a-f]{8,64})?\])?",
    re.ASCII,
)
_CALLER = re.compile(
    r"^\s*\(?([A-Za-z_][\w.]{1,200})\)? from (?=[\[(A-Za-z_])|(?<=\] )\(([\w.]{1,200})\) from ", re.ASCII
)
_ROW = re.compile(rf"\s*(?:[a-z_]{{2,20}}: )?\[\s*{_N}\]((?:\s+-?{_N}){{4,20}})\s(?P<comm>\S.*|)$", _FLAGS)
_ROW_NUMBER = re.compile(r"-?\d{1,20}")
_HEADER = re.compile(r"\[ *pid *\]((?: +\w{1,30}){3,20})", re.ASCII)
_REGISTERS = re.compile(
    r"\s*(?:(?:[RE]?[A-Z]{2}|[RXGxrs$]\d{1,2}|[A-Z]{2,8}\d?|[a-z]{1,3}\d{0,2}|ORIG_RAX|<d>|\d{1,4})\s{0,4}:\s{0,4}"
    r"(?:[0-9a-f]{4}:)?[0-9a-fA-F]{8,16}(?:\([0-9a-f]{4,16}\))?\s*){1,9}(?:\w{2,8}:? ?[0-9a-fA-F]{8,16}\s*)?",
    re.ASCII,
)
_STACK = re.compile(r"\s*(?:Stack: ?|[0-9a-f]{4}: )?(?:[0-9a-f]{8,16}(?:\s+|$)){1,16}", re.ASCII)
# Migrate types of free blocks.
_TYPES = re.compile(r"\([UMERHCI]{1,7}\)")
_LONG_HEX = re.compile(r"[0-9a-fA-F]{8,16}")


_SLAB_ROW = re.compile(r"\s*(\S.{0,300}?)\s+\d{1,20}KB\s+\d{1,20}KB\s*$", _FLAGS)
_SLAB_HEAD = "slab info:"


class Table:
    """What the headings of tables have said: of tasks, whose columns may be a vendor's, and of slabs."""

    def __init__(self) -> None:
        self._uid = 0
        self._slabs = False

    def heed(self, text: str) -> None:
        """Take in a heading, if it is one."""
        self._slabs |= _SLAB_HEAD in text
        if "total_vm" in text and (header := _HEADER.search(text)):
            columns = header[1].split()
            self._uid = columns.index("uid") if "uid" in columns else -1

    def row(self, text: str) -> Iterator[Place]:
        """The names in a row of a table."""
        slab = _SLAB_ROW.match(text) if self._slabs and "KB" in text else None
        if slab is not None:
            yield Place(*slab.span(1), "cache")
            return
        found = _ROW.match(text) if "[" in text else None
        if found is None:
            return
        numbers = list(_ROW_NUMBER.finditer(text, *found.span(1)))
        if 0 <= self._uid < len(numbers):
            yield Place(*numbers[self._uid].span(), "column")
        yield Place(found.start("comm"), len(text.rstrip()), "comm")


def find_places(text: str, table: Table) -> list[Place]:
    """Find what is a name in a message, in order; what overlaps with something found earlier is left out.

    Args:
        text: The message, without what carried it.
        table: Knows the heading above the rows.
    """
    if len(text) > LONGEST:
        return []
    table.heed(text)
    found = list(table.row(text)) or [*_constraint(text), *_named(text), *_symbols(text), *_dumped(text)]
    return _in_order(found)


def _named(text: str) -> Iterator[Place]:
    for literal, pattern in _STATEMENTS:
        match = pattern.match(text) if literal in text else None
        if match is not None:
            for name in match.groupdict():
                if match.start(name) >= 0:
                    yield Place(*match.span(name), name.rstrip("2"))


def _constraint(text: str) -> Iterator[Place]:
    """The summary line: every name in it may hold a comma, so the last of each key counts."""
    at = text.find("oom-kill:constraint=")
    task, pid = text.rfind(",task="), text.rfind(",pid=")
    if at < 0 or task < 0:
        return
    memcg = text.rfind(",task_memcg=", at, task)
    limit, cpuset = text.find(",oom_memcg=", at, max(memcg, at)), text.find(",cpuset=", at, task)
    mems = text.find(",mems_allowed=", max(cpuset, at), task)
    if 0 <= cpuset < mems:
        yield Place(cpuset + len(",cpuset="), mems, "cgroup")
    if 0 <= limit < memcg:
        yield Place(limit + len(",oom_memcg="), memcg, "cgroup")
    if memcg >= 0:
        yield Place(memcg + len(",task_memcg="), task, "cgroup")
    yield Place(task + len(",task="), pid if pid > task else len(text), "comm")
    uid = re.compile(r",uid=(\d{1,20})\s*$").search(text, max(pid, 0))
    if uid:
        yield Place(*uid.span(1), "uid")


def _symbols(text: str) -> Iterator[Place]:
    if "+" in text:
        yield from (Place(*found.span(), "keep") for found in _SYMBOL.finditer(text))
    if " from " in text:
        for found in _CALLER.finditer(text):
            yield Place(*found.span(1 if found[1] else 2), "keep")
    if "*" in text:
        yield from (Place(*found.span(), "keep") for found in _TYPES.finditer(text))


def _dumped(text: str) -> Iterator[Place]:
    """Registers, stacks and code may hold a piece of anything that was in memory."""
    code = re.match(r"\s*Code: (?=[0-9a-f<(]{2})", text)
    if code:
        yield Place(code.end(), len(text), "drop")
    elif _REGISTERS.fullmatch(text) or _STACK.fullmatch(text):
        yield from (Place(*found.span(), "zero") for found in _LONG_HEX.finditer(text))


def _in_order(places: list[Place]) -> list[Place]:
    taken: list[Place] = []
    for place in places:
        clear = all(place.end <= other.start or other.end <= place.start for other in taken)
        if place.start <= place.end and clear:
            taken.append(place)
    return sorted(taken)
