"""Page cache that could not be dropped, because it had not been written yet.

::

    active_file:190 inactive_file:812000 isolated_file:32
    unevictable:0 dirty:700123 writeback:90321 unstable:0
    total_cache 1072300032
    total_dirty 1072300032
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import heaviest, is_of_cgroup, percent, shortage_of, size

# Where so little is page cache there is no question.
_CACHE_SHARE = 0.15
# From half on, reclaim finds more pages that have to be written than it can drop. By default writers are made
# to wait at a fifth of available memory (vm.dirty_ratio): it is not so for long unless disks are too slow.
_DIRTY_SHARE = 0.5
_CONFIDENCE = 0.9
# By the file of the cgroup's version: v2 and v1, of the whole subtree where both are printed.
_CACHE = ("file", "total_cache", "cache")
_DIRTY = (("file_dirty", "file_writeback"), ("total_dirty", "total_writeback"), ("dirty", "writeback"))
_SHARED = ("shmem", "total_shmem", "shmem")


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether page cache was in the way because it was dirty."""
    if is_of_cgroup(case):
        return _of_cgroup(case)
    shortage = shortage_of(case)
    if shortage is None or shortage.file_kb is None or shortage.share(shortage.file_kb) < _CACHE_SHARE:
        return None
    cache_kb = shortage.file_kb
    waiting_kb = shortage.sum_kb("dirty", "writeback", "unstable")
    if waiting_kb is None:
        return None
    quotes = case.quotes(*shortage.lines("active_file", "dirty", "writeback"))
    if waiting_kb < _DIRTY_SHARE * cache_kb:
        return Dismissal(
            "page_cache_dirty",
            f"There were {size(cache_kb)} of page cache ({percent(shortage.share(cache_kb))}), but only "
            f"{size(waiting_kb)} of it waited to be written.",
            quotes,
        )
    # Pages on their way to swap are under writeback, too.
    waiting_kb = min(waiting_kb, cache_kb)
    return _finding(
        case, waiting_kb, cache_kb, shortage.share(waiting_kb), shortage.confidence, *_lines(case)
    )


def _lines(case: Case) -> tuple[int | None, ...]:
    return case.total_lines("active_file", "dirty", "writeback")


def _of_cgroup(case: Case) -> Finding | None:
    memcg = case.event.memcg
    if memcg is None:
        return None
    found = memcg.statistics
    for cache, dirty, shared in zip(_CACHE, _DIRTY, _SHARED, strict=True):
        if cache in found and dirty[0] in found:
            cache_kb = max(0, found[cache] - found.get(shared, 0)) // 1024
            waiting_kb = sum(found.get(name, 0) for name in dirty) // 1024
            break
    else:
        return None
    usage_kb = memcg.usage_kb or memcg.limit_kb
    if not usage_kb or cache_kb < _CACHE_SHARE * usage_kb or waiting_kb < _DIRTY_SHARE * cache_kb:
        return None
    share = min(1.0, waiting_kb / usage_kb)
    lines = (memcg.lines.get("usage"), memcg.lines.get(cache), *(memcg.lines.get(name) for name in dirty))
    return _finding(case, waiting_kb, cache_kb, share, _CONFIDENCE, *lines)


def _finding(
    case: Case, waiting_kb: int, cache_kb: int, share: float, confidence: float, *lines: int | None
) -> Finding:
    whose = "the cgroup" if is_of_cgroup(case) else "memory"
    return Finding(
        tag="page_cache_dirty",
        confidence=confidence,
        weight=heaviest(share),
        summary=(
            f"{size(waiting_kb)} of {size(cache_kb)} of page cache ({percent(waiting_kb / cache_kb)}) "
            f"waited to be written and could not be dropped: {percent(share)} of {whose}."
        ),
        evidence=case.quotes(*lines),
        advice=Advice(
            now=("`sync`, and see with `iostat -x 1` whether the disk, or the NFS server, keeps up.",),
            change=(
                "Let writers wait earlier: `sysctl vm.dirty_bytes=268435456 "
                "vm.dirty_background_bytes=67108864`.",
                "In a cgroup, set memory.high some way below memory.max, so that its writers are slowed "
                "down first; with cgroup v1 dirty pages of a group are not limited at all.",
            ),
            check=(
                "Dirty and Writeback in /proc/meminfo (file_dirty in memory.stat) stay far below the page "
                "cache.",
            ),
        ),
        figures={"dirty_kb": waiting_kb, "file_kb": cache_kb, "share": round(share, 4)},
    )
