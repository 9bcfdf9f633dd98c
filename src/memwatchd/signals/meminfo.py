"""meminfo and swap: every line of /proc/meminfo in bytes; 0.6 µs a signal, 1.1 µs for `swap`."""

import re
from collections.abc import Iterator
from math import nan

from memwatchd.procfs.meminfo import parse_meminfo
from memwatchd.signals.cursor import Cursor, encode, meminfo_cursor
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Signal, Unit, absent, read_text

_FILE = "/proc/meminfo"
_FIELD = re.compile(r"[\w()-]+", re.ASCII)
_KIB = 1024.0
_MEANINGS = {
    "MemTotal": "what the kernel has to give",
    "MemFree": "pages nobody uses",
    "MemAvailable": "the kernel's estimate of what could be had without swapping",
    "Buffers": "page cache of block devices",
    "Cached": "page cache and tmpfs",
    "SwapCached": "pages that are in memory and in swap",
    "Unevictable": "pages that cannot be reclaimed",
    "Mlocked": "pages locked by processes",
    "SwapTotal": "all swap areas",
    "SwapFree": "swap nobody uses",
    "Dirty": "pages that wait to be written",
    "Writeback": "pages being written",
    "AnonPages": "anonymous memory of processes",
    "Mapped": "files that processes have mapped",
    "Shmem": "shared memory and tmpfs",
    "Slab": "memory of kernel objects",
    "SReclaimable": "kernel objects that can be given back, such as dentries and inodes",
    "SUnreclaim": "kernel objects that cannot be given back",
    "KernelStack": "stacks of tasks in the kernel",
    "PageTables": "page tables of processes",
    "VmallocUsed": "vmalloc memory; address space in use before 4.4, 0 until 5.2",
    "Percpu": "variables of each CPU",
    "Committed_AS": "memory promised to processes",
    "Hugetlb": "memory set aside as huge pages",
    "Zswap": "memory that holds compressed pages of zswap",
    "Zswapped": "pages in zswap before they were compressed",
}


def _find(parts: Parts) -> Signal | None:
    if len(parts) != 1 or not _FIELD.fullmatch(parts[0]):
        return None
    field = parts[0]
    is_count = field.startswith("HugePages_")
    meaning = _MEANINGS.get(field, "number of huge pages" if is_count else f"the kernel's {field}")

    def bind(recording: Recording) -> Reader:
        cursor = Cursor(b"\n" + encode(field) + b":") if is_count else meminfo_cursor(field)
        return read_text(recording.texts.get("meminfo"), cursor.read, 1.0 if is_count else _KIB)

    unit = Unit.COUNT if is_count else Unit.BYTES
    return Signal(join_name(("meminfo", field)), unit, _FILE, meaning, ("meminfo",), bind)


def _names(recording: Recording) -> Iterator[Parts]:
    meminfo = parsed(recording, "meminfo", parse_meminfo)
    if meminfo is not None:
        for field in (*meminfo.bytes_by_name, *meminfo.counts_by_name):
            yield (field,)


MEMINFO = Family(("meminfo.FIELD",), _find, _names, tuple(_MEANINGS))


def _used(total: float, free: float) -> float:
    return total - free


def _used_share(total: float, free: float) -> float:
    return (total - free) / total if total else nan


_SWAP = {
    "used": (_used, Unit.BYTES, "swap in use"),
    "free": (lambda _total, free: free, Unit.BYTES, "swap nobody uses"),
    "total": (lambda total, _free: total, Unit.BYTES, "all swap areas"),
    "used_share": (_used_share, Unit.RATIO, "share of all swap that is in use; absent without swap"),
}


def _find_swap(parts: Parts) -> Signal | None:
    if len(parts) != 1 or parts[0] not in _SWAP:
        return None
    combine, unit, meaning = _SWAP[parts[0]]

    def bind(recording: Recording) -> Reader:
        text = recording.texts.get("meminfo")
        if text is None:
            return absent
        source, read_total, read_free = (
            text,
            meminfo_cursor("SwapTotal").read,
            meminfo_cursor("SwapFree").read,
        )

        def reader() -> float:
            buffer, size = source.buffer, source.size
            total, free = read_total(buffer, size), read_free(buffer, size)
            return nan if total is None or free is None else combine(total * _KIB, free * _KIB)

        return reader

    return Signal(f"swap.{parts[0]}", unit, _FILE, meaning, ("meminfo",), bind)


def _names_swap(_recording: Recording) -> Iterator[Parts]:
    return ((field,) for field in _SWAP)


SWAP = Family(tuple(f"swap.{field}" for field in _SWAP), _find_swap, _names_swap, tuple(_SWAP))
