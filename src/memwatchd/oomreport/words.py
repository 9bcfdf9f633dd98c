"""Words of the kernel's reports, to tell whether a line is a rest, and whether it was broken within a word.

There are words that stand inside of statements only, never at their beginning: a line that begins with one is
the rest of a line that was wrapped.
"""

import re


def _words(text: str) -> list[str]:
    return text.split()


def _either(words: list[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


# Of zones and nodes, with kB.
_ZONE_KEYS = _words(
    """
    free boost min low high reserved_highatomic free_highatomic active_anon inactive_anon
    active_file inactive_file unevictable isolated(anon) isolated(file) writepending present managed
    mlocked dirty writeback mapped shmem shmem_thp shmem_pmdmapped anon_thp slab_reclaimable
    slab_unreclaimable kernel_stack shadow_call_stack pagetables sec_pagetables unstable bounce
    free_pcp local_pcp free_cma writeback_tmp Balloon gpu_active gpu_reclaim active inactive slab
    isolated
    """
)
# After Mem-Info, in pages, but for those that begin a line there.
_MEM_KEYS = _words(
    """
    inactive_anon isolated_anon inactive_file isolated_file dirty writeback unstable
    slab_unreclaimable shmem pagetables bounce free_pcp inactive slab
    """
)
# Of memory cgroups in one line, with KB.
_STAT_KEYS = _words(
    """
    cache rss rss_huge mapped_file swap inactive_anon active_anon inactive_file active_file shmem
    dirty writeback unevictable
    """
)
# Of the table of tasks.
_COLUMNS = _words(
    """
    uid tgid total_vm rss rss_anon rss_file rss_shmem nr_ptes nr_pmds nr_puds pgtables_bytes
    swapents cpu oom_adj oom_score_adj name
    """
)
_OTHERS = _words(
    """
    all_unreclaimable pages_scanned hugepages_total hugepages_free hugepages_surp hugepages_size
    isolated anon file total-vm anon-rss file-rss shmem-rss oom_memcg task_memcg task constraint
    nodemask cpuset mems_allowed global_oom gfp_mask order mode invoked oom-killer oom_reaper reaped
    process killed Killed Kill sacrifice child children Memory memory cgroup Out usage limit failcnt
    kmem protection lowmem_reserve total pagecache pages cache stats reserved HighMem MovableOnly
    hwpoisoned Normal Movable Device Node empty Tainted tainted Hardware result CONSTRAINT_NONE
    CONSTRAINT_MEMCG CONSTRAINT_CPUSET CONSTRAINT_MEMORY_POLICY kernel_misc_reclaimable
    isolated_anon isolated_file allocation failure Unreclaimable info state values GFP_KERNEL
    GFP_HIGHUSER_MOVABLE GFP_HIGHUSER GFP_NOFS GFP_NOIO GFP_ATOMIC GFP_USER GFP_NOWAIT GFP_DMA
    GFP_DMA32 GFP_KERNEL_ACCOUNT GFP_TRANSHUGE GFP_TRANSHUGE_LIGHT __GFP_COMP __GFP_ZERO
    __GFP_NOWARN __GFP_NORETRY __GFP_ACCOUNT __GFP_HARDWALL __GFP_THISNODE __GFP_MOVABLE
    __GFP_HIGHMEM __GFP_WRITE __GFP_RECLAIMABLE __GFP_NOMEMALLOC __GFP_MEMALLOC __GFP_RETRY_MAYFAIL
    __GFP_NOFAIL __GFP_NOTRACK __GFP_HIGH __GFP_RECLAIM __GFP_DIRECT_RECLAIM __GFP_KSWAPD_RECLAIM
    __GFP_COLD __GFP_IO __GFP_FS __GFP_SKIP_KASAN_POISON workingset_refault_anon
    workingset_refault_file workingset_activate_anon workingset_activate_file
    workingset_restore_anon workingset_restore_file workingset_nodereclaim pgscan pgsteal
    pgscan_kswapd pgscan_direct pgsteal_kswapd pgsteal_direct pgfault pgmajfault pgrefill pgactivate
    pgdeactivate pglazyfree pglazyfreed thp_fault_alloc thp_collapse_alloc percpu sock vmalloc zswap
    zswapped file_mapped file_dirty file_writeback swapcached file_thp total_cache total_rss
    hierarchical_memory_limit hierarchical_memsw_limit
    """
)

# Behind a single blank, which is why such a break tells how long lines were allowed to be.
SOLID = re.compile(
    rf"(?:{_either(_ZONE_KEYS)}): ?\d+kB"
    rf"|(?:{_either(_MEM_KEYS)}|free_cma):\d+(?:\s|$)"
    rf"|(?:{_either(_STAT_KEYS)}):\d+KB"
    r"|all_unreclaimable\?|pages_scanned:\d|hugepages_(?:free|surp|size)="
    r"|\d+\*\d+kB|\([UMERHCIT]{1,8}\)(?: |$)|= \d+kB$"
    r"|total-vm:|anon-rss:|file-rss:|shmem-rss:|pgtables:\d|oom_score_adj:|UID:\d"
    r"|oom_score_adj=|oom_adj=|order=|gfp_mask=|mode:0x|nodemask="
)
INSIDE = re.compile(
    rf"{SOLID.pattern}|oom_memcg=|task_memcg=|mems_allowed="
    rf"|(?:{_either(_COLUMNS)}) {{1,20}}(?:{_either(_COLUMNS)})(?: |$)|name$"
    r"|(?:are )?going to be killed|due to memory\.oom|memory\.oom\.group|or sacrifice child|or a child"
    r"|score \d|failcnt \d|limit \d+kB|delete \d+,|find \d+/\d+|Not tainted|Tainted: "
    r"|(?:killed )?as a result of limit|result of limit of|limit of /|now anon-rss|/MovableOnly"
    r"|\d+KB(?: {1,30}\d+KB)?$|(?:Used {1,20})?Total$|[,:=)*]\S"
)
# A rest that a terminal had cut off within a word still has such words further on.
FURTHER = re.compile(
    rf"\S{{0,40}} (?:{_either(_ZONE_KEYS)}): ?\d+kB|\S{{0,20}} all_unreclaimable\?|\S{{0,20}} \d+\*\d+kB"
    r"|\S{0,40} (?:anon-rss|file-rss|shmem-rss|pgtables|oom_score_adj):"
)

# Four plain words in a row: somebody talks. And a line without any sign that the kernel's have.
PROSE = re.compile(
    r"(?:(?<![\w/.-])[A-Za-z][a-z'’]*[,.]? ){3}[a-z'’]+(?![\w/:=])"
    r"|^[^\d:=()/_]* [^\d:=()/_]*$|^[A-Z][a-z]+[,.!]?$"
)

# What stands for lines that somebody left out, and the marks around a quotation in a ticket.
ELISION = re.compile(
    r"[\[(<{]*(?:\.{2,}|…|-{2,}|_{3,}|={3,}|snip(?:ped)?|cut)[\])>}]*$"
    r"|(?:`{3,}|~{3,})\w*$|\{(?:noformat|code)[^}]{0,40}\}$|</?(?:pre|code)>$"
)

_VOCABULARY = frozenset(
    [word for key in (*_ZONE_KEYS, *_MEM_KEYS, *_STAT_KEYS) for word in re.findall(r"\w+", key)]
    + [*_COLUMNS, *_OTHERS]
)
_BLANK_AFTER = ("shmem_thp:", "shmem_pmdmapped:", "anon_thp:")
_LAST_WORD = re.compile(r"[A-Za-z_][\w-]*$|[\d]+$")
_FIRST_WORD = re.compile(r"[\w-]+")
_NUMBER_CUT = re.compile(
    rf"(?:^|[ ,])(?:{_either([*_ZONE_KEYS, *_MEM_KEYS, *_STAT_KEYS])}"
    r"|UID|oom_score_adj|pages_scanned|total-vm|anon-rss|file-rss|shmem-rss):\d*$|\w=\d+$|0x[\da-f]*$|\d\*\d+$"
)
_UNIT = re.compile(r"[kKM]?B\b|\*\d")
_MASK = re.compile(r"0x[\da-f]+$")


def is_cut_in_word(before: str, after: str) -> bool:
    """Whether a line was broken inside of a word, as far as the words of the formats tell.

    Args:
        before: The text before the break, without blanks at its end.
        after: The text behind it, without blanks at its beginning.

    Returns:
        True for ``isolate`` and ``d(file):0kB``, ``pages_scanned:36`` and ``0 all_unreclaimable? yes``; False
        for ``order=0,`` and ``oom_score_adj=0``, and whenever nothing tells.
    """
    if after[:1] in ":,)*+|":
        return after[1:2] != " "
    if before[-1:] in "*|+":
        return before[-2:-1] != " "
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
