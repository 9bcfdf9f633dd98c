"""Which statement a message is: by its first word to the few readers that come into question.

A report has a hundred lines and more, and a log millions, so no message is shown to all readers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from memwatchd.oomreport.report import AllocationSite, HugePages, Node, SlabCache, Task, Victim
from memwatchd.oomreport.statements import killed, memcg, noise, origin, requests, slabs, tasks, totals, zones


@dataclass(frozen=True, slots=True)
class MemInfo:
    """The head of the machine's figures."""


@dataclass(frozen=True, slots=True)
class Block:
    """A line of the Mem-Info block."""

    pages: dict[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """A line at its end."""

    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Reserve:
    """lowmem_reserve of the zone before."""

    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage and limit of a cgroup."""

    figures: dict[str, int]


@dataclass(frozen=True, slots=True)
class Limit:
    """Whose limit it was, before 5.0."""

    task_of: str
    limit_of: str


@dataclass(frozen=True, slots=True)
class Group:
    """All tasks of a cgroup are killed."""

    path: str


@dataclass(frozen=True, slots=True)
class Statistic:
    """A line of a cgroup's statistics."""

    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a list: "slabs", "allocations"."""

    of: str


@dataclass(frozen=True, slots=True)
class Header:
    """The header of the table of tasks."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """An entry of a call trace; no names when the kernel is not sure."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine's name."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Placed:
    """The cpuset of the task that asked, before 5.0."""

    cpuset: str | None
    mems_allowed: str | None


@dataclass(frozen=True, slots=True)
class Reaped:
    """The oom_reaper took a victim's memory."""

    pid: int


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the end of an event; `manner` when it says how it ended."""

    manner: str | None


@dataclass(frozen=True, slots=True)
class Noise:
    """A known line without facts."""


Statement = (
    requests.Asked
    | origin.Process
    | zones.ZoneFigures
    | zones.ZoneBlocks
    | memcg.Statistics
    | memcg.Constraint
    | killed.Chosen
    | Victim
    | Node
    | HugePages
    | SlabCache
    | AllocationSite
    | Task
    | MemInfo
    | Block
    | Figures
    | Reserve
    | Usage
    | Limit
    | Group
    | Statistic
    | Head
    | Header
    | Frame
    | Hardware
    | Placed
    | Reaped
    | Remark
    | Noise
)
Reader = Callable[[str, int], Statement | None]

# printk's pr_fmt of some versions.
_PR_FMT = ("oom_kill: ", "hugetlb: ", "cpuset: ", "memcg: ", "Memory cgroup: ", "mm: ", "lowmemorykiller: ")
# Where a statement may begin in a line whose beginning nobody knows.
_ANCHOR = re.compile(
    r"(?:Node \d{1,5} )?(?:DMA32|DMA|Normal|HighMem|Movable|Device)(?: free:\d|: \d+\*)"
    r"|Node \d{1,5} active_anon:\d|lowmem_reserve\[\]:|Mem-[Ii]nfo:|[Aa]ctive_anon:\d|\[ *pid *\] +uid"
    r"|oom-kill:constraint=|Memory cgroup stats|(?:Memory cgroup o|O)ut of [Mm]emory|Killed process \d"
    r"|oom_reaper: |memory: usage \d|(?:Free|Total) swap  =|Unreclaimable slab info:"
    r"|(?<!invoked )oom-killer: gfp_mask=0x|Active:\d{1,20} inactive:\d|protections\[\]:|Swap cache: add \d"
    r"|(?:CPU: ?\d+ |Pid: ?\d+, comm: )"
)


def recognise(text: str, line: int, reader: Reader | None = None) -> Statement | None:
    """Say what a message states.

    Args:
        text: The message.
        line: Where it stands.
        reader: Asked first: the one for rows of the list or table that is under way.
    """
    text = _stripped(text)
    if not text:
        return Noise()
    statement = reader(text, line) if reader is not None else None
    if statement is not None:
        return statement
    statement = _recognise(text, line)
    if statement is None and (anchor := _ANCHOR.search(text, 1)):
        return _recognise(text[anchor.start() :], line)
    return statement


def read_statistic(text: str, line: int) -> Statement | None:
    """Read a row of a cgroup's statistics."""
    del line
    values = memcg.parse_statistic(text)
    return None if values is None else Statistic(values)


def _recognise(text: str, line: int) -> Statement | None:
    for read in _BY_WORD.get(text.partition(" ")[0].rstrip(":"), ()):
        statement = read(text, line)
        if statement is not None:
            return statement
    for test, read in _BY_CONTENT:
        if test in text:
            statement = read(text, line)
            if statement is not None:
                return statement
    return Noise() if noise.is_noise(text) else None


def _stripped(text: str) -> str:
    text = text.strip()
    if text.startswith(_PR_FMT) and "killer" not in text[:40]:
        return text.partition(": ")[2].lstrip()
    return text


def _asked(text: str, line: int) -> Statement | None:
    asked = requests.parse_asked(text)
    if asked is None:
        return None
    return requests.at(asked, line)


def _placed(text: str, line: int) -> Statement | None:
    del line
    placed = requests.parse_cpuset(text)
    return None if placed is None else Placed(*placed)


def _block(text: str, line: int) -> Statement | None:
    del line
    pages = totals.parse_block(text)
    return None if pages is None else Block(pages)


def _figures(text: str, line: int) -> Statement | None:
    del line
    values = totals.parse_line(text) if text[0].isdigit() else totals.parse_swap(text)
    return None if values is None else Figures(values)


def _reserve(text: str, line: int) -> Statement | None:
    del line
    pages = zones.parse_reserve(text)
    return None if pages is None else Reserve(pages)


def _usage(text: str, line: int) -> Statement | None:
    del line
    figures = memcg.parse_usage(text)
    return None if figures is None else Usage(figures)


def _limit(text: str, line: int) -> Statement | None:
    del line
    found = memcg.parse_limit(text)
    return None if found is None else Limit(*found)


def _group(text: str, line: int) -> Statement | None:
    del line
    path = memcg.parse_group(text)
    return None if path is None else Group(path)


def _statistics(text: str, line: int) -> Statement | None:
    del line
    return memcg.parse_statistics(text)


def _constraint(text: str, line: int) -> Statement | None:
    del line
    return memcg.parse_constraint(text)


def _zone(text: str, line: int) -> Statement | None:
    del line
    return zones.parse_zone(text) or zones.parse_blocks(text) or (Noise() if zones.is_per_cpu(text) else None)


def _header(text: str, line: int) -> Statement | None:
    del line
    columns = tasks.parse_header(text)
    return None if columns is None else Header(columns)


def _row(text: str, line: int) -> Statement | None:
    return tasks.parse_row(text, None, line)


def _frame(text: str, line: int) -> Statement | None:
    del line
    names = origin.parse_frame(text)
    return None if names is None else Frame(names)


def _process(text: str, line: int) -> Statement | None:
    del line
    if zones.is_per_cpu(text):
        return Noise()
    return origin.parse_process(text)


def _hardware(text: str, line: int) -> Statement | None:
    del line
    return Hardware(origin.parse_hardware(text))


def _killed(text: str, line: int) -> Statement | None:
    if killed.is_remark(text):
        return Remark(killed.manner_of(text))
    return killed.parse_killed(text, line) or killed.parse_chosen(text, line)


def _reaped(text: str, line: int) -> Statement | None:
    del line
    pid = killed.parse_reaped(text)
    if pid is not None:
        return Reaped(pid)
    return Remark(None) if killed.is_remark(text) else None


def _mem_info(text: str, line: int) -> Statement | None:
    del line, text
    return MemInfo()


def _slabs(text: str, line: int) -> Statement | None:
    del line
    if slabs.is_slab_columns(text):
        return Noise()
    return Head("slabs") if slabs.is_slab_head(text) else None


def _allocations(text: str, line: int) -> Statement | None:
    del line
    return Head("allocations") if slabs.is_allocations_head(text) else None


_ZONES: tuple[Reader, ...] = (_zone,)
_BY_WORD: dict[str, tuple[Reader, ...]] = {
    "Node": (zones.parse_node, _zone, totals.parse_hugepages),
    "DMA": _ZONES,
    "DMA32": _ZONES,
    "Normal": _ZONES,
    "HighMem": _ZONES,
    "Movable": _ZONES,
    "Device": _ZONES,
    "lowmem_reserve[]": (_reserve,),
    "protections[]": (_reserve,),
    "Free": (_figures,),
    "Total": (_figures,),
    "Swap": (_figures,),
    "nr_free_swap_pages": (_figures,),
    "CPU": (_process,),
    "cpu": (_process,),
    "Pid": (_process,),
    "Hardware": (_hardware,),
    "Mem-Info": (_mem_info,),
    "Mem-info": (_mem_info,),
    "memory": (_usage,),
    "memory+swap": (_usage,),
    "swap": (_usage,),
    "kmem": (_usage,),
    "Task": (_limit,),
    "Tasks": (_group,),
    "Memory": (_statistics, _allocations, _killed),
    "Out": (_killed,),
    "OOM": (_killed,),
    "oom": (_killed,),
    "No": (_killed,),
    "Killed": (_killed,),
    "System": (_killed,),
    "Kernel": (_killed,),
    "excessive": (_killed,),
    "Unreclaimable": (_slabs,),
    "Name": (_slabs,),
    "oom_reaper": (_reaped,),
}
_BY_CONTENT: tuple[tuple[str, Reader], ...] = (
    ("+0x", _frame),
    ("oom-killer", _asked),
    ("oom-kill:", _constraint),
    (" pages", _figures),
    ("hugepages_total=", totals.parse_hugepages),
    (" allocation ", _asked),
    ("vmalloc error", _asked),
    ("vmalloc: allocation", _asked),
    ("B: Unable to allocate", _asked),
    ("Allocation of length", _asked),
    (" mems_allowed=", _placed),
    ("total_vm", _header),
    ("[", _row),
    ("omm: ", _process),
    (":", _block),
)
