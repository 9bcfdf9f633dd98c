"""unaccounted: memory that is in no list and in no counter: balloons, GPUs, drivers, leaks of whole pages.

MemTotal less what the kernel can name, each page once (fs/proc/meminfo.c, mm/show_mem.c), in bytes:

    MemFree                 with pages of CMA and pages not accepted yet
    LRU lists               Active(anon) Inactive(anon) Active(file) Inactive(file) Unevictable: page cache,
                            tmpfs, swap cache and anonymous memory, each page once; Mlocked, AnonPages,
                            Cached, Buffers, Shmem, SwapCached, transparent huge pages are parts of these
    Slab                    and what KReclaimable has beyond SReclaimable
    PageTables              SecPageTables, Quicklists
    KernelStack             or VmallocUsed, whichever is more, see below
    Percpu                  of which the part set up at boot is not in MemTotal
    huge pages              Hugetlb, before 4.16 HugePages_Total × Hugepagesize
    Bounce, WritebackTmp    copies made for writing; NFS_Unstable are pages of the page cache
    HardwareCorrupted       pages taken out of use
    Zswap, zram             compressed pages; zram says so in its own files only
    GPUActive, GPUReclaim   pools of graphics drivers, where the kernel tells

VmallocUsed is address space until 4.3, of which most may be devices' memory; then VmallocChunk is not 0.
From 4.4 to 5.2 both are 0. Since 5.3 it is pages, and where stacks are mapped (VMAP_STACK) it has theirs in
it; where they are not, KernelStack goes uncounted. Balloon is left out: some drivers take their pages from
MemTotal, too, others do not.

Lines that a kernel does not have count as 0; without MemTotal, MemFree or the lists it is NaN. Pages on their
way between lists, and figures that are not read at one instant, make it err by some megabytes, so that it may
be a little below 0 and is given as it is. 7 µs, and 0.7 µs for each zram.
"""

import re
from collections.abc import Callable, Iterator
from math import isnan, nan

from memwatchd.signals.cutter import Cutter
from memwatchd.signals.family import Family, Parts
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Buffer, Signal, Unit, absent
from memwatchd.signals.zram import PREFIX, read_used

_FILE = "/proc/meminfo"
_KIB = 1024.0
_TOTAL = "MemTotal"
_REQUIRED = ("MemFree", "Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable")
_OPTIONAL = (
    "Slab",
    "PageTables",
    "SecPageTables",
    "Quicklists",
    "Percpu",
    "Bounce",
    "WritebackTmp",
    "HardwareCorrupted",
    "Zswap",
    "GPUActive",
    "GPUReclaim",
)


_LINE = re.compile(rb"^([^:\n]+:)( *\d{1,20})", re.MULTILINE)


class _Sum:
    """MemTotal less what can be named, in KiB, without zram."""

    def __init__(self) -> None:
        self._cutter = Cutter(_LINE, 2)
        self._around: list[tuple[bytes, ...]] = []
        self._places: dict[str, int] = {}
        self._plain: list[int] = []

    def read(self, text: Buffer, size: int) -> tuple[int, int] | None:
        """Read what is left, and MemTotal; None where the lists are missing."""
        figures = self._cutter.cut(text, size)
        if self._cutter.around is not self._around:
            self._learn()
        if not self._plain:
            return None
        try:
            total = int(figures[self._places[_TOTAL]])
            known = sum([int(figures[place]) for place in self._plain]) + self._special_kib(figures)
        except ValueError:
            return None  # a line whose figure is none
        return total - known, total

    def _learn(self) -> None:
        """Find out which lines there are."""
        self._around = self._cutter.around
        self._places = {name[:-1].decode("latin-1"): place for place, name in enumerate(self._around[0])}
        complete = all(name in self._places for name in (_TOTAL, *_REQUIRED))
        names = (*_REQUIRED, *_OPTIONAL) if complete else ()
        self._plain = [self._places[name] for name in names if name in self._places]

    def _special_kib(self, figures: tuple[bytes, ...]) -> int:
        """What is not just a line."""
        places = self._places

        def read(name: str) -> int:
            place = places.get(name)
            return 0 if place is None else int(figures[place])

        known = max(read("KernelStack"), 0 if read("VmallocChunk") else read("VmallocUsed"))
        if "KReclaimable" in places:
            known += read("KReclaimable") - read("SReclaimable")
        if "Hugetlb" in places:
            return known + read("Hugetlb")
        return known + read("HugePages_Total") * read("Hugepagesize")


def _bind(recording: Recording, derive: Callable[[float, float], float]) -> Reader:
    text = recording.texts.get("meminfo")
    if text is None:
        return absent
    source, read, read_zram = text, _Sum().read, read_used(recording)

    def reader() -> float:
        found = read(source.buffer, source.size)
        if found is None:
            return nan
        left, total = found
        compressed = read_zram()
        return derive(left * _KIB - (0.0 if isnan(compressed) else compressed), total * _KIB)

    return reader


def _signal(name: str, unit: Unit, meaning: str, derive: Callable[[float, float], float]) -> Signal:
    sources = ("meminfo", f"{PREFIX}*")
    # The dearest of all, and nothing that matters to the hundredth of a second.
    return Signal(name, unit, _FILE, meaning, sources, lambda recording: _bind(recording, derive), every=10)


_AMOUNT = _signal(
    "unaccounted",
    Unit.BYTES,
    "memory in no list and no counter: balloons, GPUs, drivers, leaks",
    lambda left, _total: left,
)
_SHARE = _signal(
    "unaccounted_share",
    Unit.RATIO,
    "share of all memory that is in no list and no counter",
    lambda left, total: left / total if total else nan,
)


def _family(signal: Signal) -> Family:
    def find(parts: Parts) -> Signal | None:
        return None if parts else signal

    def names(_recording: Recording) -> Iterator[Parts]:
        yield ()

    return Family((signal.name,), find, names)


UNACCOUNTED = (_family(_AMOUNT), _family(_SHARE))
