"""Shared memory filled it: tmpfs, System V segments, memfds. It outlives processes, so kills do not help.

::

    active_anon:18180 inactive_anon:738744 isolated_anon:0
    mapped:1626 shmem:738916 pagetables:1396 bounce:0
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import Shortage, shortage_of, size
from memwatchd.diagnosis.wording import source_word

# Desktops and databases have some hundredths of it; from a tenth on it is a consumer like others.
_SHARE = 0.1
# Where a reader would look for it, but there is too little.
_MENTIONED_SHARE = 0.02
# Processes that map a good part of it, such as a database's, free it when they end. Otherwise it is files.
_MAPPED_SHARE = 0.5
# The initial file system is a tmpfs or ramfs: soon after boot, what is in it is all that can be there.
_BOOT_SECONDS = 120


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether shared memory is what filled the memory that was short."""
    shortage = shortage_of(case)
    shmem_kb = shortage.amount_kb("shmem") if shortage else None
    if shortage is None or shmem_kb is None:
        return None
    share = shortage.share(shmem_kb)
    quotes = case.quotes(*shortage.lines("shmem", "active_anon", "unevictable"))
    if share < _MENTIONED_SHARE:
        return None
    if share < _SHARE:
        told = shortage.told(shmem_kb)
        return Dismissal("shmem", f"Shared memory and tmpfs took only {told}.", quotes[:1])
    mapped_kb = _mapped_kb(case)
    return Finding(
        tag="shmem",
        confidence=shortage.confidence,
        weight=shortage.weight(shmem_kb),
        summary=(
            f"Shared memory has {shortage.told(shmem_kb)}: tmpfs files, System V segments or memfds. "
            f"{_mapped(case, shmem_kb, mapped_kb)}{_swap(case)}{_ramfs(case, shortage)}"
        ),
        evidence=(*quotes, *case.quotes(*case.total_lines("swap_total_kb"))),
        advice=_advice(shmem_kb, mapped_kb),
        figures={
            "shmem_kb": shmem_kb,
            "total_kb": shortage.total_kb,
            "largest_mapped_kb": mapped_kb,
            "unevictable_kb": shortage.amount_kb("unevictable"),
        },
    )


def _mapped_kb(case: Case) -> int | None:
    """The most that one process maps of it: by the table since 6.8, by the kill's line since 4.5."""
    pages = [task.rss_shmem_pages for task in case.event.tasks if task.rss_shmem_pages is not None]
    found = [max(pages) * case.page_kb] if pages else []
    found += [victim.shmem_rss_kb for victim in case.event.victims if victim.shmem_rss_kb is not None]
    return max(found, default=None)


def _is_mapped(shmem_kb: int, mapped_kb: int | None) -> bool:
    return mapped_kb is not None and mapped_kb >= _MAPPED_SHARE * shmem_kb


def _mapped(case: Case, shmem_kb: int, mapped_kb: int | None) -> str:
    if mapped_kb is not None and _is_mapped(shmem_kb, mapped_kb):
        return f"One process maps {size(mapped_kb)} of it; it is free when the last that does is gone."
    if mapped_kb == 0:
        return f"No process in the {source_word(case)} maps any of it: killing frees nothing."
    if mapped_kb is not None and mapped_kb < shmem_kb / 10:
        word = source_word(case)
        return f"No process in the {word} maps more than {size(mapped_kb)} of it: killing frees no more."
    return "Killing processes frees it only where they were its last users, and files of tmpfs never."


def _swap(case: Case) -> str:
    return " Without swap it can go nowhere." if case.event.totals.swap_total_kb == 0 else ""


def _ramfs(case: Case, shortage: Shortage) -> str:
    """Pages of ramfs are unevictable though nobody has locked them."""
    unevictable_kb = (shortage.amount_kb("unevictable") or 0) - (shortage.amount_kb("mlocked") or 0)
    words = ""
    if shortage.share(unevictable_kb) >= _SHARE / 2:
        words = (
            f" Another {size(unevictable_kb)} are unevictable without being mlocked: a ramfs, an "
            "initramfs, or segments with SHM_LOCK."
        )
    if case.event.seconds is not None and 0 < case.event.seconds < _BOOT_SECONDS:
        words += f" The machine was up for {case.event.seconds:.0f} s: its first file system lives in memory."
    return words


def _advice(shmem_kb: int, mapped_kb: int | None) -> Advice:
    change = [
        "Limit each tmpfs: `mount -o remount,size=10% /tmp` (and /dev/shm, /run); without size= each may "
        "take half of RAM.",
        "Large files belong on a disk: TMPDIR=/var/tmp.",
    ]
    if _is_mapped(shmem_kb, mapped_kb):
        change.insert(
            0,
            "Make the shared buffers of that program smaller (shared_buffers of PostgreSQL, SGA of Oracle).",
        )
    return Advice(
        now=(
            "`df -h -t tmpfs -t devtmpfs` shows which is full; delete what is large there.",
            "`ipcs -m` shows segments, nattch who uses them; `ipcrm -m ID` those that nobody does.",
        ),
        change=tuple(change),
        check=("Shmem in /proc/meminfo stays below what is planned for it.",),
    )
