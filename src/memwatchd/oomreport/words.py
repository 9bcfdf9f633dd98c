"""The words and forms of the kernel's reports, to tell a line that begins from one that is the rest of another.

A mail program or a terminal that wraps lines leaves rests behind. Whether a line is one is seen in three ways: by
how statements begin, by how they end, and by words that stand inside of them only.
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
    r"mode:0x[\da-fA-F]{1,16}(?:\([^()]*\))?(?:, ?nodemask=[^\s,]{1,300}(?:,cpuset=.*,mems_allowed=[\d,-]+)?)?$",
)
TABLE = _form(r"\[ {1,9}pid {1,9}\]", r"\bname$")
ROW = _form(r"\[ {0,9}\d{1,10}\](?: |$)")
RESERVE = _form(r"(?:lowmem_reserve|protections?)\[\]:", rf"\]:(?: {_N})+$")

FORMS = (
    TABLE,
    ROW,
    RESERVE,
    # active_anon:15 inactive_anon:18 isolated_anon:0
    _form(
        rf"(?:active_anon|active_file|unevictable|slab_reclaimable|mapped|free|free_cma|kernel_misc_reclaimable"
        rf"|sec_pagetables|[Aa]ctive):{_N}(?:\s|$)",
        rf"^(?:[a-z].*[a-z]:{_N}|Active:.*pagetables:{_N})$",
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
        rf"{_N} (?:total pagecache|reserved pages|pages (?:in |of |RAM|HighMem|reserved|shared|non-shared|cma|hwpoisoned"
        r"|swap|dirty|writeback|mapped|slab|pagetables))",
        r"(?:pages|RAM|HighMem(?:/MovableOnly)?|HIGHMEM|reserved|shared|hwpoisoned|cache|cached|cache pages|dirty"
        r"|writeback|mapped|slab|pagetables?)$",
    ),
    _form(r"Swap cache(?: stats)?:", r"find \d+/\d+(?:, race .*)?$"),
    _form(r"(?:Free|Total) swap\b", r"\d+kB$"),
    _form(r"Free pages:", r"HighMem\)$"),
    _form(rf"{_NODE}{_ZONE} per-cpu:|CPU {{1,5}}\d{{1,5}}: [Hh]|cpu \d{{1,5}} (?:hot|cold)"),
    _form(
        r"Mem-[Ii]nfo:|Tasks state|Call [Tt]race:|Backtrace:|Unreclaimable slab info:|Memory allocations:"
        r"|Name {1,20}Used {1,20}Total",
        r"(?::|Total)$",
    ),
    # dentry               4096KB       4100KB
    _form(rf"\S{{1,60}} {{1,30}}{_N}KB {{1,30}}{_N}KB$"),
    #  1.21 GiB   4096 mm/slub.c:2259 func:alloc_slab_page
    _form(rf"[\d.]{{1,12}} ?[KMGT]?i?B? {{1,12}}{_N} \S{{1,200}}:\d{{1,6}} (?:\[\w+\] )?func:", None),
    # workingset_refault_file 21
    _form(rf"[a-z][a-z_\d.]{{1,50}} {_N}$"),
    _form(
        r"SLUB: Unable|cache: \S{1,60}, object size|node \d{1,4}: slabs:",
        r"(?:order: \d+|free: \d+|gfp=0x\w+|\))$",
    ),
    _form(
        r"(?:\? )?[\w.$]{1,120}\+0x[\da-f]+/0x[\da-f]+|\[<[\da-f]{4,16}>\]|</?(?:TASK|IRQ|NMI|SOFTIRQ)>"
        r"|[\w.$]{1,120} from [\w.$]{1,120}\+0x",
        r"0x[\da-f]+(?: \[[\w ]+\])?(?: \(\w+\))?\)?$|[A-Z]>$",
        unmatched=State.UNSURE,
    ),
    _form(r"\[[\w.$]{1,120}\+\d{1,9}/\d{1,9}\]", r"0x[\da-f]+$"),
    _form(r"(?:RIP|RSP|RAX|RDX|RBP|R1[03]|FS|CS|CR2|ORIG_RAX|EIP|ESP|EAX|ESI|DS): ", r":$", matched=State.UNFINISHED, unmatched=State.UNSURE),
    _form(r"Code: |---\[ |Modules linked in:|Workqueue: |Exception stack|Stack ?: |WARNING: |BUG: ", None),
)

_ANY = re.compile(_PREFIX + "(?:" + "|".join(form.begins for form in FORMS) + ")")
_WHICH = tuple((form, re.compile(_PREFIX + "(?:" + form.begins + ")")) for form in FORMS)
_TRIGGER = re.compile(TRIGGER.begins)
_FAILURE = re.compile(FAILURE.begins)


def form_of(text: str) -> Form | None:
    """Which kind of statement a message is, or the beginning of one; None if of none of these."""
    if _ANY.match(text):
        return next((form for form, begins in _WHICH if begins.match(text)), None)
    if "oom-killer:" in text and _TRIGGER.match(text):
        return TRIGGER
    if ": page allocation " in text and _FAILURE.match(text):
        return FAILURE
    return None


# ---- the inside of statements

_ZONE_KEYS = (
    "free boost min low high reserved_highatomic free_highatomic active_anon inactive_anon active_file inactive_file "
    "unevictable isolated(anon) isolated(file) writepending present managed mlocked dirty writeback mapped shmem "
    "shmem_thp shmem_pmdmapped anon_thp slab_reclaimable slab_unreclaimable kernel_stack shadow_call_stack pagetables "
    "sec_pagetables unstable bounce free_pcp local_pcp free_cma writeback_tmp Balloon gpu_active gpu_reclaim active "
    "inactive slab isolated"
).split()
_MEM_KEYS = (
    "inactive_anon isolated_anon inactive_file isolated_file dirty writeback unstable slab_unreclaimable shmem "
    "pagetables bounce free_pcp inactive slab"
).split()
_STAT_KEYS = "cache rss rss_huge mapped_file swap inactive_anon active_anon inactive_file active_file shmem dirty writeback unevictable".split()
_COLUMNS = (
    "uid tgid total_vm rss rss_anon rss_file rss_shmem nr_ptes nr_pmds nr_puds pgtables_bytes swapents cpu oom_adj "
    "oom_score_adj name"
).split()


def _either(words: list[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


# Behind a single blank, which is why such a break tells how long lines were allowed to be.
SOLID = re.compile(
    rf"(?:{_either(_ZONE_KEYS)}): ?\d+kB"
    rf"|(?:{_either(_MEM_KEYS)}|free_cma):\d+(?:\s|$)"
    rf"|(?:{_either(_STAT_KEYS)}):\d+KB"
    r"|all_unreclaimable\?|pages_scanned:\d|hugepages_(?:free|surp|size)=|\d+\*\d+kB|\([UMERHCIT]{1,8}\)(?: |$)|= \d+kB$"
    r"|total-vm:|anon-rss:|file-rss:|shmem-rss:|pgtables:\d|oom_score_adj:|UID:\d|oom_score_adj=|oom_adj=|order=|gfp_mask="
    r"|mode:0x|nodemask="
)
INSIDE = re.compile(
    rf"{SOLID.pattern}|oom_memcg=|task_memcg=|mems_allowed="
    rf"|(?:{_either(_COLUMNS)}) {{1,20}}(?:{_either(_COLUMNS)})(?: |$)|name$"
    r"|(?:are )?going to be killed|due to memory\.oom|memory\.oom\.group|or sacrifice child|or a child|score \d|failcnt \d|limit \d+kB|delete \d+,|find \d+/\d+|Not tainted|Tainted: "
    r"|(?:killed )?as a result of limit|result of limit of|limit of /|, now anon-rss|now anon-rss|/MovableOnly|[,:=)*][^\s]"
)
# A rest that a terminal had cut off within a word still has such words further on.
FURTHER = re.compile(
    rf"\S{{0,40}} (?:{_either(_ZONE_KEYS)}): ?\d+kB|\S{{0,20}} all_unreclaimable\?|\S{{0,20}} \d+\*\d+kB"
    r"|\S{0,40} (?:anon-rss|file-rss|shmem-rss|pgtables|oom_score_adj):"
)

# Four plain words in a row: somebody talks. And a line without any sign that the kernel's have.
PROSE = re.compile(r"(?:(?<![\w/.-])[A-Za-z][a-z'’]*[,.]? ){3}[a-z'’]+(?![\w/:=])|^[^\d:=()/_]*$")

# What stands for lines that somebody left out.
ELISION = re.compile(r"[\[(<{]*(?:\.{2,}|…|-{2,}|_{3,}|={3,}|snip(?:ped)?|cut)[\])>}]*$")

_VOCABULARY = frozenset(
    [word for key in (*_ZONE_KEYS, *_MEM_KEYS, *_STAT_KEYS) for word in re.findall(r"\w+", key)]
    + _COLUMNS
    + "all_unreclaimable pages_scanned hugepages_total hugepages_free hugepages_surp hugepages_size isolated anon file "
    "total-vm anon-rss file-rss shmem-rss oom_memcg task_memcg task constraint nodemask cpuset mems_allowed global_oom "
    "gfp_mask order mode invoked oom-killer oom_reaper reaped process killed Killed Kill sacrifice child children "
    "Memory memory cgroup Out usage limit failcnt kmem protection lowmem_reserve total pagecache pages cache stats "
    "reserved HighMem MovableOnly hwpoisoned Normal Movable Device Node empty Tainted tainted Hardware result "
    "constraint CONSTRAINT_NONE CONSTRAINT_MEMCG CONSTRAINT_CPUSET CONSTRAINT_MEMORY_POLICY "
    "kernel_misc_reclaimable isolated_anon isolated_file allocation failure Unreclaimable info state values "
    "GFP_KERNEL GFP_HIGHUSER_MOVABLE GFP_HIGHUSER GFP_NOFS GFP_NOIO GFP_ATOMIC GFP_USER GFP_NOWAIT GFP_DMA GFP_DMA32 "
    "GFP_KERNEL_ACCOUNT GFP_TRANSHUGE GFP_TRANSHUGE_LIGHT __GFP_COMP __GFP_ZERO __GFP_NOWARN __GFP_NORETRY "
    "__GFP_ACCOUNT __GFP_HARDWALL __GFP_THISNODE __GFP_MOVABLE __GFP_HIGHMEM __GFP_WRITE __GFP_RECLAIMABLE "
    "__GFP_NOMEMALLOC __GFP_MEMALLOC __GFP_RETRY_MAYFAIL __GFP_NOFAIL __GFP_NOTRACK __GFP_HIGH __GFP_RECLAIM "
    "__GFP_DIRECT_RECLAIM __GFP_KSWAPD_RECLAIM __GFP_COLD __GFP_IO __GFP_FS __GFP_SKIP_KASAN_POISON".split()
    + "workingset_refault_anon workingset_refault_file workingset_activate_anon workingset_activate_file "
    "workingset_restore_anon workingset_restore_file workingset_nodereclaim pgscan pgsteal pgscan_kswapd pgscan_direct "
    "pgsteal_kswapd pgsteal_direct pgfault pgmajfault pgrefill pgactivate pgdeactivate pglazyfree pglazyfreed "
    "thp_fault_alloc thp_collapse_alloc percpu sock vmalloc zswap zswapped file_mapped file_dirty file_writeback "
    "swapcached file_thp total_cache total_rss hierarchical_memory_limit hierarchical_memsw_limit".split()
)
_BLANK_AFTER = ("shmem_thp:", "shmem_pmdmapped:", "anon_thp:")
_LAST_WORD = re.compile(r"[A-Za-z_][\w-]*$|[\d]+$")
_FIRST_WORD = re.compile(r"[\w-]+")
_NUMBER_CUT = re.compile(
    rf"(?:^|[ ,])(?:{_either([*_ZONE_KEYS, *_MEM_KEYS, *_STAT_KEYS, 'UID', 'oom_score_adj', 'pages_scanned'])}"
    r"|(?:total-vm|anon-rss|file-rss|shmem-rss)):\d*$|\w=\d+$|0x[\da-f]*$|\d\*\d+$"
)
_UNIT = re.compile(r"[kKM]?B\b|\*\d")
_MASK = re.compile(r"0x[\da-f]+$")


def is_cut_in_word(before: str, after: str) -> bool:
    """Whether a line was broken inside of a word, as far as the words of the formats tell.

    Args:
        before: The text before the break, without blanks at its end.
        after: The text behind it, without blanks at its beginning.

    Returns:
        True for ``isolate`` and ``d(file):0kB``, ``pages_scanned:36`` and ``0 all_unreclaimable? yes``; False for
        ``order=0,`` and ``oom_score_adj=0``, and whenever nothing tells.
    """
    if after[:1] in ":,)*+|" or before[-1:] in "*|+":
        return True
    if after[:1] == "/":
        return before.endswith("HighMem")
    if after[:1] == "(":
        return before.endswith("isolated") or _MASK.search(before[-40:]) is not None
    if before.endswith(("nodemask=(null),", ",global_oom,")):
        return True
    return _is_number_cut(before[-60:], after) or _makes_word(before[-60:], after)


def _is_number_cut(before: str, after: str) -> bool:
    """Whether a number was cut off from its key or its unit, or in itself."""
    if before.endswith(_BLANK_AFTER):
        return False
    if after[:1].isdigit() and _NUMBER_CUT.search(before):
        return True
    if after[:1] == "=" and after[1:2] != " ":
        return True
    if before.endswith("=") and before[-2:-1].isalnum():
        return True
    return before[-1:].isdigit() and _UNIT.match(after) is not None


def _makes_word(before: str, after: str) -> bool:
    last, first = _LAST_WORD.search(before), _FIRST_WORD.match(after)
    if last is None or first is None:
        return False
    return last[0] + first[0] in _VOCABULARY and not (last[0] in _VOCABULARY and first[0] in _VOCABULARY)
