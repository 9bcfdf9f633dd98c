"""The forms of the kernel's statements: how they begin, and how they end when nothing is missing.

They tell a line that begins something from the rest of a line that was wrapped (`unwrap`); reading what a
statement says is not done here.
"""

import re
from dataclasses import dataclass
from enum import Enum

_ZONE = r"(?:DMA32|DMA|Normal|HighMem|Movable|Device)"
_NODE = r"(?:Node \d{1,4} )?"
_N = r"\d{1,20}"


class State(Enum):
    """What a form says of a message: it is all there, its rest is missing, or it does not tell."""

    WHOLE = 1
    UNFINISHED = 2
    UNSURE = 3


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of statement.

    Attributes:
        begins: How it begins, as a regular expression.
        ends: How it ends when it is whole; None if nothing in it tells.
        matched, unmatched: What it means that it ends so, and that it does not.
    """

    begins: str
    ends: re.Pattern[str] | None
    matched: State = State.WHOLE
    unmatched: State = State.UNFINISHED

    def state(self, text: str) -> State:
        """Whether a message of this form is whole."""
        if self.ends is None or len(text) > _TOO_LONG:
            return State.UNSURE
        return self.matched if self.ends.search(text) else self.unmatched


def _form(begins: str, ends: str | None = "", **doubts: State) -> Form:
    return Form(begins, None if ends is None else re.compile(ends), **doubts)


_TOO_LONG = 1 << 14
# What may stand before any of them since 4.17 or so, by pr_fmt.
_PREFIX = r"(?:(?:oom_kill|cpuset|hugetlb|mm_debug|memcontrol|page_alloc|show_mem): )?"

TRIGGER = _form(r"(?:.{1,80}? invoked )?oom-killer:", rf"order=-?{_N}(?:, ?oom\w{{0,12}}adj=-?{_N}){{0,3}}$")
FAILURE = _form(
    r".{1,80}?: page allocation (?:failure|stalls)",
    r"mode:0x[\da-fA-F]{1,16}(?:\([^()]*\))?"
    r"(?:, ?nodemask=[^\s,]{1,300}(?:,cpuset=.*,mems_allowed=[\d,-]+)?)?$",
)
TABLE = _form(r"\[ {1,9}pid {1,9}\]", r"\bname$")
ROW = _form(r"\[ {0,9}\d{1,10}\](?: |$)")
TRACE = _form(
    r"(?:\? )?[\w.$]{1,120}\+0x[\da-f]+/0x[\da-f]+|\[<[\da-f]{4,16}>\]|</?(?:TASK|IRQ|NMI|SOFTIRQ)>"
    r"|[\w.$]{1,120} from [\w.$]{1,120}\+0x",
    r"0x[\da-f]+(?: \[[\w ]+\])?(?: \(\w+\))?\)?$|[A-Z]>$",
    unmatched=State.UNSURE,
)
RESERVE = _form(r"(?:lowmem_reserve|protections?)\[\]:", rf"\]:(?: {_N})+$")

FORMS = (
    TABLE,
    ROW,
    RESERVE,
    # active_anon:15 inactive_anon:18 isolated_anon:0
    _form(
        rf"(?:active_anon|active_file|unevictable|slab_reclaimable|mapped|free|free_cma|kernel_misc_reclaimable"
        rf"|sec_pagetables|[Aa]ctive):{_N}(?:\s|$)",
        rf"^(?!.*free_pcp:\d+$)(?:[a-z].*[a-z]:{_N}|Active:.*pagetables:{_N})$",
    ),
    # Node 0 DMA32 free:3948kB min:3956kB … all_unreclaimable? yes
    _form(rf"{_NODE}{_ZONE} free:", r"(?:free_cma:\d+kB|all_unreclaimable\? (?:yes|no))(?: \S+:\d+kB)*$"),
    # Node 0 active_anon:12484kB … all_unreclaimable? no Balloon:0kB
    _form(r"Node \d{1,4} (?:in)?active_\w", r"all_unreclaimable\? (?:yes|no)(?: \S+:\d+kB)*$"),
    # Node 0 DMA: 7*4kB (U) 5*8kB (UE) … = 11556kB
    _form(rf"{_NODE}{_ZONE}: (?:\d|empty)", rf"(?:= {_N}kB|empty)$"),
    _form(r"Node \d{1,4} hugepages_total=", r"hugepages_size=\d+[kK]B$"),
    _form(
        r"CPU: {1,3}\d{1,5} (?:UID|PID)\b|Pid: \d", r" #\S", matched=State.UNSURE
    ),  # … 6.18.0+ #26 PREEMPT(voluntary)
    _form(r"Hardware name: ", r"\d\d/\d\d/\d{4}$", unmatched=State.UNSURE),
    _form(r"oom-kill:constraint=", r",uid=\d+$"),
    _form(
        r"(?:Memory cgroup o|O)ut of [Mm]emory",
        r"(?:sacrifice child|a child|children\.?|\.\.\.|enabled|adj:-?\d+|rss:\d+kB|\)\.)$",
    ),
    _form(r"Killed process \d", r"(?:adj:-?\d+|rss:\d+kB|\)\.?)$"),
    _form(r"oom_reaper: ", r"(?:rss:\d+kB|\))$"),
    _form(r"(?:memory|memory\+swap|swap|kmem): usage\b", r"failcnt \d+$"),
    _form(r"Memory cgroup stats\b", r"(?::|unevictable:\d+KB)$"),
    _form(r"Memory cgroup min protection", r"low protection \d+kB$"),
    _form(r"Task in /", None),
    _form(r"Tasks in /", r"oom\.group set$"),
    _form(
        rf"{_N} (?:total pagecache|reserved pages|pages (?:in |of |RAM|HighMem|reserved|shared|non-shared|cma"
        r"|hwpoisoned|swap|dirty|writeback|mapped|slab|pagetables))",
        r"\b(?:pages|RAM|HighMem(?:/MovableOnly)?|HIGHMEM|reserved|shared|hwpoisoned|cache|cached|dirty"
        r"|writeback|mapped|slab|pagetables?)$",
    ),
    _form(r"Swap cache(?: stats)?:", r"find \d+/\d+(?:, race .*)?$"),
    _form(r"(?:Free|Total) swap\b", r"\d+kB$"),
    _form(r"Free pages:", r"HighMem\)$"),
    _form(
        rf"{_NODE}{_ZONE} per-cpu:|CPU {{1,5}}\d{{1,5}}: [Hh]|cpu \d{{1,5}} (?:hot|cold)",
        r"(?:usd: *|used:)\d+$|per-cpu:(?: empty)?$",
    ),
    _form(
        r"Mem-[Ii]nfo:|Tasks state|Call [Tt]race:|Backtrace:|Unreclaimable slab info:|Memory allocations:"
        r"|Name {1,20}Used {1,20}Total",
        r"(?::|Total)$",
    ),
    # dentry               4096KB       4100KB
    _form(rf"(?!\d+KB )\S{{1,60}} {{1,30}}{_N}KB(?: |$)", rf"KB {{1,30}}{_N}KB$"),
    #  1.21 GiB   4096 mm/slub.c:2259 func:alloc_slab_page
    _form(rf"[\d.]{{1,12}} ?[KMGT]?i?B? {{1,12}}{_N} \S{{1,200}}:\d{{1,6}} (?:\[\w+\] )?func:", None),
    # workingset_refault_file 21
    _form(rf"[a-z][a-z_\d.]{{1,50}} {_N}$"),
    _form(
        r"SLUB: Unable|cache: \S{1,60}, object size|node \d{1,4}: slabs:",
        r"(?:order: \d+|free: \d+|gfp=0x\w+|\))$",
    ),
    TRACE,
    _form(r"\[[\w.$]{1,120}\+\d{1,9}/\d{1,9}\]", r"0x[\da-f]+$"),
    _form(
        r"(?:RIP|RSP|RAX|RDX|RBP|R1[03]|FS|CS|CR2|ORIG_RAX|EIP|ESP|EAX|ESI|DS): ",
        r":$",
        matched=State.UNFINISHED,
        unmatched=State.UNSURE,
    ),
    _form(r"Code: |---\[ |Modules linked in:|Workqueue: |Exception stack|Stack ?: |WARNING: |BUG: ", None),
)

_ANY = re.compile(_PREFIX + "(?:" + "|".join(form.begins for form in FORMS) + ")")
# Slower, but says which it was.
_WHICH = re.compile(_PREFIX + "(?:" + "|".join(f"({form.begins})" for form in FORMS) + ")")
_TRIGGER = re.compile(TRIGGER.begins)
_FAILURE = re.compile(FAILURE.begins)


def form_of(text: str) -> Form | None:
    """Which kind of statement a message is, or the beginning of one; None if of none of these."""
    if _ANY.match(text) and (which := _WHICH.match(text)) and which.lastindex:
        return FORMS[which.lastindex - 1]
    if "oom-killer:" in text and _TRIGGER.match(text):
        return TRIGGER
    if ": page allocation " in text and _FAILURE.match(text):
        return FAILURE
    return None
