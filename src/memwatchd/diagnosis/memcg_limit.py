"""A cgroup's limit was met: whose, what filled it, and where the limit is set.

::

    memory: usage 7464436kB, limit 7464436kB, failcnt 1133
    swap: usage 0kB, limit 9007199254740988kB, failcnt 0
    oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/kubepods.slice,task_memcg=/kubepods.slice/...,task=bash,...
    Memory cgroup out of memory: Killed process 7788 (bash) total-vm:7169492kB, anon-rss:7165824kB, ...

The machine may have had any amount of memory free: the kernel prints nothing of it.
"""

import re

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.cgroup_paths import Owner, owner_of, shown
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.memcg_use import Use, is_v2, use_of
from memwatchd.diagnosis.shortage import size
from memwatchd.diagnosis.wording import listed
from memwatchd.oomreport.report import MEMCG, OOM_KILL, Memcg, Quote, is_unlimited
from memwatchd.units import printable

TAG = "memcg_limit"

# A charge fails when it does not fit; what is met is within some batches of charges (64 pages a processor) of
# the limit.
MET_SHARE = 0.97
# Below this a limit does not hold the pages that any process has mapped, libraries and stacks included.
TINY_LIMIT_KB = 16 << 10
# What makes up this much of a group is what filled it; less is named, but nothing is concluded from it.
MAIN_SHARE = 0.5
# Page cache that is dirty or being written by this share cannot be dropped until the disk has it.
UNWRITTEN_SHARE = 0.3
NAMED_SHARE = 0.05

# No counter is printed; that the page allocator is silent may be for a limit on the rate of messages.
WEIGHT_CACHE = 0.9
CONFIDENCE_CACHE = 0.6
_CACHE = re.compile(r"cache: (?P<cache>\S{1,80}?)\(\d{1,10}:(?P<group>[\w.:@-]{1,200})\), object size: ")
_CHARGING = frozenset({"mem_cgroup_out_of_memory", "mem_cgroup_oom_synchronize", "try_charge_memcg"})


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whose limit was met."""
    event = case.event
    if event.manner == "slub" and not event.totals.pages:
        return _of_a_cache(case)
    if event.kind != OOM_KILL:
        return None
    by_trace = event.scope is None and not event.zones and not _CHARGING.isdisjoint(event.trace)
    if event.scope != MEMCG and not by_trace:
        return None
    memcg = event.memcg or Memcg()
    counter, usage_kb, limit_kb = _met(memcg)
    use = use_of(memcg)
    path = memcg.limit_of or memcg.statistics_of
    owner = owner_of(path) if path else None
    sentences = [
        _limit_words(owner, path, counter, usage_kb, limit_kb),
        _use_words(use, usage_kb),
        _ancestor_words(memcg, owner),
        _swap_words(memcg),
        _special_words(case, memcg, use, usage_kb, limit_kb),
    ]
    return Finding(
        TAG,
        confidence=_confidence(memcg, usage_kb, limit_kb, by_trace=by_trace),
        weight=1.0,
        summary=" ".join(each for each in sentences if each),
        evidence=_evidence(case, memcg),
        advice=_advice(case, memcg, use, owner, path, limit_kb),
        figures={
            "cgroup": path,
            "task_cgroup": memcg.task_of,
            "counter": counter,
            "usage_kb": usage_kb,
            "limit_kb": None if is_unlimited(limit_kb) else limit_kb,
            "failcnt": memcg.failcnt,
            "anon_kb": use.anon_kb,
            "file_kb": use.file_kb,
            "shmem_kb": use.shmem_kb,
            "kernel_kb": use.kernel_kb,
            "sock_kb": use.sock_kb,
        },
    )


def _of_a_cache(case: Case) -> Finding | None:
    """A cgroup's own slab cache that did not grow, while the page allocator had nothing to complain of.

    From 3.8 to 5.8 each cgroup had its caches: ``cache: signal_cache(6328:3a166877), object size: 1056, …``.
    """
    found = [(line, match) for line, text in case.event.texts.items() if (match := _CACHE.match(text))]
    if not found:
        return None
    line, match = found[0]
    cache, group = printable(match["cache"]), printable(match["group"])
    return Finding(
        TAG,
        confidence=CONFIDENCE_CACHE,
        weight=WEIGHT_CACHE,
        summary=(
            f"The cgroup {group} got no memory for its kernel objects ({cache}), and no allocation of pages"
            " is reported to have failed: most likely its limit was met, for kernel memory"
            " (memory.kmem.limit_in_bytes) or as a whole."
        ),
        evidence=case.quotes(case.event.trigger.line, line),
        advice=Advice(
            now=(f"Find it: `find /sys/fs/cgroup/memory -name '*{match['group'][:12]}*'`.",),
            change=(
                "Set no limit for kernel memory (docker run --kernel-memory): kernels before 5.9 leak and"
                " fail with one, and since 5.16 it is ignored.",
            ),
            check=("memory.kmem.failcnt and memory.failcnt of that cgroup do not grow.",),
        ),
        figures={"cgroup": group, "cache": cache},
    )


def _met(memcg: Memcg) -> tuple[str, int | None, int | None]:
    """Which of the counters is at its limit: v1 has three of them."""
    counters = (
        ("memory", memcg.usage_kb, memcg.limit_kb),
        ("memory+swap", memcg.memsw_usage_kb, memcg.memsw_limit_kb),
        ("kernel memory", memcg.kmem_usage_kb, memcg.kmem_limit_kb),
    )
    for name, usage_kb, limit_kb in counters:
        if usage_kb and limit_kb and not is_unlimited(limit_kb) and usage_kb >= MET_SHARE * limit_kb:
            return name, usage_kb, limit_kb
    return counters[0]


def _limit_words(
    owner: Owner | None, path: str | None, counter: str, usage_kb: int | None, limit_kb: int | None
) -> str:
    who = owner.words if owner else "a cgroup, which the text does not name,"
    if usage_kb is None or limit_kb is None:
        return f"The memory limit of {who} was met; the lines with usage and limit are missing."
    if is_unlimited(limit_kb):
        return (
            f"The kernel killed on behalf of {who}, which had no limit of its own by the time of the report"
            f" and used {size(usage_kb)}."
        )
    if usage_kb < MET_SHARE * limit_kb:
        return (
            f"The kernel killed for the limit of {who}, yet only {size(usage_kb)} of {size(limit_kb)} were"
            " used when it was printed: memory was freed meanwhile, or the limit was changed."
        )
    return f"The {counter} limit of {who} was met: {size(usage_kb)} of {size(limit_kb)}."


def _use_words(use: Use, usage_kb: int | None) -> str:
    parts = use.parts()
    if not parts or not usage_kb:
        return ""
    told_kb = sum(kb for _, kb in parts)
    if told_kb < MAIN_SHARE * usage_kb:
        return f"Its statistics tell of {size(told_kb)} only: pages are charged in batches, and counted late."
    named = [f"{words} {size(kb)}" for words, kb in parts if kb >= NAMED_SHARE * usage_kb]
    text = f"It was filled by {listed(named)}"
    if use.file_kb and use.unwritten_kb and use.unwritten_kb >= UNWRITTEN_SHARE * use.file_kb:
        text += f", of which {size(use.unwritten_kb)} waited to be written"
    return text + "."


def _ancestor_words(memcg: Memcg, owner: Owner | None) -> str:
    if not memcg.task_of or not memcg.limit_of or memcg.task_of == memcg.limit_of:
        return ""
    task_owner = owner_of(memcg.task_of)
    if owner is not None and task_owner.words == owner.words:
        return ""
    return (
        f"The killed process lived in {task_owner.words}; that one's own limit was not the one that was met,"
        " and others below the limit may have used as much."
    )


def _swap_words(memcg: Memcg) -> str:
    limit_kb, usage_kb = memcg.swap_limit_kb, memcg.swap_usage_kb
    if limit_kb == 0:
        return "It may not use swap (memory.swap.max is 0)."
    if limit_kb and usage_kb and not is_unlimited(limit_kb) and usage_kb >= MET_SHARE * limit_kb:
        return f"Its swap was full, too: {size(usage_kb)} of {size(limit_kb)}."
    if usage_kb:
        return f"{size(usage_kb)} of it had been swapped out already."
    memsw_kb, usage_memory_kb = memcg.memsw_usage_kb, memcg.usage_kb
    if memsw_kb and usage_memory_kb and memsw_kb > usage_memory_kb:
        return f"{size(memsw_kb - usage_memory_kb)} of it had been swapped out already."
    return ""


def _special_words(case: Case, memcg: Memcg, use: Use, usage_kb: int | None, limit_kb: int | None) -> str:
    words = []
    if limit_kb is not None and limit_kb <= TINY_LIMIT_KB:
        words.append(
            "A limit as small as this holds no more than the libraries and stacks of a process or two."
        )
    if usage_kb and use.shmem_kb and use.shmem_kb >= MAIN_SHARE * usage_kb:
        words.append("Killing does not give back what lies in a tmpfs: the files stay.")
    if usage_kb and use.file_kb and use.file_kb >= MAIN_SHARE * usage_kb:
        words.append(
            "Page cache can be taken back, unless it is used faster than the disk delivers or takes it; the"
            " multi-generational LRU (since 6.1) gives up early on pages that wait to be written."
        )
    if memcg.group_kill or len(case.event.victims) > 1:
        count = len({victim.pid for victim in case.event.victims})
        of_group = f" of {shown(memcg.group_kill)}" if memcg.group_kill else ""
        words.append(f"All processes{of_group} were killed together ({count} of them), by memory.oom.group.")
    return " ".join(words)


def _evidence(case: Case, memcg: Memcg) -> tuple[Quote, ...]:
    event = case.event
    counters = ("usage_kb", "limit_kb", "swap_limit_kb", "memsw_limit_kb", "kmem_limit_kb")
    statistics = ("anon", "rss", "shmem", "file", "cache", "kernel", "slab", "sock", "limit_of", "group_kill")
    lines = [memcg.lines.get(name) for name in (*counters, *statistics)]
    lines += [victim.line for victim in event.victims[:3]]
    return case.quotes(*lines, event.trigger.line)


def _confidence(memcg: Memcg, usage_kb: int | None, limit_kb: int | None, *, by_trace: bool) -> float:
    if by_trace:
        return 0.85
    if memcg.limit_of is None or usage_kb is None or limit_kb is None:
        return 0.9
    return 0.99 if usage_kb >= MET_SHARE * limit_kb else 0.92


def _advice(
    case: Case, memcg: Memcg, use: Use, owner: Owner | None, path: str | None, limit_kb: int | None
) -> Advice:
    main = use.parts()[0][0] if use.parts() else "processes' own memory"
    change = [
        f"If it needs that much, {owner.raise_limit}." if owner else "If it needs that much, raise its limit."
    ]
    if main == "shared memory and tmpfs":
        change.append(
            "Give its tmpfs (/dev/shm, emptyDir with medium Memory) a size= that fits within the limit."
        )
    elif main == "page cache":
        change.append(
            "Set memory.high somewhat below the limit, so that writers are slowed down before it is met,"
            " and lower `vm.dirty_bytes`; `echo n > /sys/kernel/mm/lru_gen/enabled` tells whether the"
            " multi-generational LRU is to blame, which wakes the flushers for it since about 6.13 only."
        )
    elif main == "kernel memory":
        change.append("Look at its slab with memory.stat, and whether it opens very many files or sockets.")
    else:
        change.append(_hog_words(case))
    root = "/sys/fs/cgroup/memory" if is_v2(memcg) is False else "/sys/fs/cgroup"
    where = f"{root}{shown(path)}" if path else "its directory below /sys/fs/cgroup"
    peak = "memory.max_usage_in_bytes" if is_v2(memcg) is False else "memory.peak"
    events = "memory.failcnt" if is_v2(memcg) is False else "memory.events"
    return Advice(
        now=(f"Look who uses it: `systemd-cgtop -m`, and memory.stat in {where}.",),
        change=tuple(each for each in change if each),
        check=(f"{events} and {peak} in {where} stay still under full load.",),
    )


def _hog_words(case: Case) -> str:
    """Whom to look at, by the table of tasks, which has this cgroup's only."""
    largest = next(iter(case.tasks_by_size), None)
    if largest is None or not largest.rss_pages:
        return (
            "Look for a leak in what it runs, or bound its own caches and heap (-Xmx, --max-old-space-size)."
        )
    return (
        f"{printable(largest.comm)} ({largest.pid}) is its largest process with"
        f" {size(largest.rss_pages * case.page_kb)}: bound its heap and caches below the limit, or look for"
        " a leak."
    )
