"""GFP masks: the names behind a number, by era, and what a request with them may use and do.

A mask says what a caller of the page allocator allows. Kernels since 4.6 print its names beside the number::

    gfp_mask=0x201da, order=0
    gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0

The bits moved again and again (include/linux/gfp.h, gfp_types.h since 6.0); those of the zones, __GFP_HIGH,
__GFP_IO and __GFP_FS did not since 2.6.31. A mask mostly tells its era itself, by the bits for waiting before
all: GFP_KERNEL is 0xd0, 0x24000c0, 0x14000c0, 0x6000c0 and 0xcc0. Vendors carry patches back, so the mask is
believed before the version is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

_ZONES_OLD = "DMA HIGHMEM DMA32 MOVABLE WAIT HIGH IO FS"
_ZONES = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS"
_MIDDLE = "MEMALLOC COMP ZERO NOMEMALLOC HARDWALL THISNODE"
_UPPER = "NOWARN RETRY_MAYFAIL NOFAIL NORETRY MEMALLOC COMP NOMEMALLOC HARDWALL THISNODE ACCOUNT"
# Names without __GFP_ by bit, lowest first. "?" is a bit that has no certain name: it changed within the era,
# depends on the configuration, or the kernel prints none. "-" is no bit at all.
_BITS_BY_ERA = {
    (0, 0, 0): "DMA HIGHMEM DMA32 - WAIT HIGH IO FS COLD NOWARN REPEAT NOFAIL NORETRY ? COMP ZERO NOMEMALLOC"
    " HARDWALL THISNODE RECLAIMABLE MOVABLE",
    (2, 6, 31): f"{_ZONES_OLD} COLD NOWARN REPEAT NOFAIL NORETRY {_MIDDLE} RECLAIMABLE ? NOTRACK NO_KSWAPD"
    " OTHER_NODE WRITE",
    (4, 4, 0): f"{_ZONES} COLD NOWARN REPEAT NOFAIL NORETRY {_MIDDLE} ATOMIC ACCOUNT NOTRACK DIRECT_RECLAIM"
    " OTHER_NODE WRITE KSWAPD_RECLAIM",
    (4, 10, 0): f"{_ZONES} COLD NOWARN ? NOFAIL NORETRY {_MIDDLE} ATOMIC ACCOUNT NOTRACK DIRECT_RECLAIM WRITE"
    " KSWAPD_RECLAIM ?",
    (4, 18, 0): f"{_ZONES} WRITE NOWARN RETRY_MAYFAIL NOFAIL NORETRY {_MIDDLE} ATOMIC ACCOUNT DIRECT_RECLAIM"
    " KSWAPD_RECLAIM ?",
    (5, 1, 0): f"{_ZONES} ZERO ATOMIC DIRECT_RECLAIM KSWAPD_RECLAIM WRITE {_UPPER} ? ? ? ? ? ? ?",
    (6, 9, 0): f"{_ZONES} ZERO - DIRECT_RECLAIM KSWAPD_RECLAIM WRITE {_UPPER} ZEROTAGS ? ? ? ? ? ?",
}

_KERNEL = "RECLAIM IO FS"
_HIGHUSER_MOVABLE = f"{_KERNEL} HARDWALL HIGHMEM MOVABLE"
_TRANSHUGE_LIGHT = "IO FS HARDWALL HIGHMEM MOVABLE COMP NOMEMALLOC NOWARN"
_SINGLE = (
    "HIGH ATOMIC IO FS COLD NOWARN REPEAT RETRY_MAYFAIL NOFAIL NORETRY COMP ZERO NOMEMALLOC MEMALLOC HARDWALL"
    " THISNODE RECLAIMABLE MOVABLE ACCOUNT NOTRACK WRITE DIRECT_RECLAIM OTHER_NODE NO_KSWAPD ZEROTAGS"
)
# What the kernel prints, in the order in which it looks (include/trace/events/mmflags.h): bits that one name
# has taken are not there for the next. A name whose bits an era does not have is not of that era. RECLAIM is
# both bits of reclaim, and the one bit WAIT before 4.4; "WAIT?" says that the era has that bit.
_PRINTED = (
    ("GFP_TRANSHUGE", f"{_HIGHUSER_MOVABLE} COMP NORETRY NOMEMALLOC NOWARN NO_KSWAPD"),
    ("GFP_TRANSHUGE", f"{_TRANSHUGE_LIGHT} DIRECT_RECLAIM"),
    ("GFP_TRANSHUGE_LIGHT", _TRANSHUGE_LIGHT),
    ("GFP_HIGHUSER_MOVABLE", _HIGHUSER_MOVABLE),
    ("GFP_HIGHUSER", f"{_KERNEL} HARDWALL HIGHMEM"),
    ("GFP_USER", f"{_KERNEL} HARDWALL"),
    ("GFP_KERNEL_ACCOUNT", f"{_KERNEL} ACCOUNT"),
    ("GFP_KERNEL", _KERNEL),
    ("GFP_NOFS", "RECLAIM IO"),
    ("GFP_ATOMIC", "HIGH ATOMIC KSWAPD_RECLAIM"),
    ("GFP_ATOMIC", "HIGH KSWAPD_RECLAIM"),
    ("GFP_ATOMIC", "HIGH WAIT?"),
    ("GFP_NOIO", "RECLAIM"),
    ("GFP_NOWAIT", "KSWAPD_RECLAIM"),
    ("GFP_DMA", "DMA"),
    ("__GFP_HIGHMEM", "HIGHMEM"),
    ("GFP_DMA32", "DMA32"),
    *((f"__GFP_{name}", name) for name in _SINGLE.split()),
)

_NAME = re.compile(r"_{0,2}GFP_[A-Z0-9_]{1,40}|0x[0-9a-fA-F]{1,16}", re.ASCII)
_RELEASE = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?", re.ASCII)
_MASK_BITS = 32


@dataclass(frozen=True, slots=True)
class Request:
    """What the flags of a request allow.

    Attributes:
        highest_zone: The highest kind of zone it may use ("DMA", "DMA32", "Normal", "HighMem", "Movable"); it
            may use all lower ones, too.
        movable: Its pages may be moved, so they may come from movable blocks, CMA and Movable zones.
        reclaimable: It is for reclaimable slab.
        may_reclaim: It may wait for memory to be freed; otherwise it is atomic, or does not want to wait.
        may_io, may_fs: Reclaim on its behalf may start I/O, may enter file systems.
        high_priority: It may go below the min watermark (__GFP_HIGH, __GFP_MEMALLOC).
        this_node: It wants one node and no other (__GFP_THISNODE).
        no_retry: It would rather fail than have the OOM killer called (__GFP_NORETRY).
    """

    highest_zone: str
    movable: bool
    reclaimable: bool
    may_reclaim: bool
    may_io: bool
    may_fs: bool
    high_priority: bool
    this_node: bool
    no_retry: bool


def decode(mask: int, kernel: str | None = None) -> tuple[str, ...] | None:
    """Names for a mask as the kernel prints them, what has no name as a number at the end.

    Args:
        mask: The number.
        kernel: Release, such as ``3.10.0-514.el7.x86_64``; asked only where the mask does not tell.

    Returns:
        None where neither tells which kernel's mask it is.
    """
    if not 0 <= mask < 1 << _MASK_BITS:
        return None
    senses = {era: era.sense(mask) for era in _ERAS}
    best = max(senses.values())
    likely = [era for era, sense in senses.items() if sense == best]
    era = _era_of_release(kernel)
    if era in likely:
        return era.names(mask)
    readings = {each.names(mask) for each in likely}
    if best >= 0 and len(readings) == 1:
        return readings.pop()
    return era.names(mask) if era else None


def parse_flags(text: str) -> tuple[str, ...]:
    """The names in ``GFP_KERNEL|__GFP_ZERO|0x100``; what is no flag is left out."""
    return tuple(_NAME.findall(text))


def request_of(mask: int | None, flags: Sequence[str]) -> Request | None:
    """Say what a request may do; None where neither mask nor names tell.

    The names are asked first. A mask of 0 is not a request: the page fault path prints it when somebody else
    had asked.
    """
    asked = _expand(flags)
    if not asked and mask:
        names = decode(mask)
        asked = _expand(names) if names is not None else _asked_at_least(mask)
    if not asked:
        return None
    return Request(
        highest_zone=_highest_zone(asked),
        movable="MOVABLE" in asked,
        reclaimable="RECLAIMABLE" in asked,
        may_reclaim="DIRECT_RECLAIM" in asked,
        may_io="IO" in asked,
        may_fs="FS" in asked,
        high_priority=not asked.isdisjoint(("HIGH", "MEMALLOC")),
        this_node="THISNODE" in asked,
        no_retry="NORETRY" in asked,
    )


@dataclass(frozen=True, eq=False)
class _Era:
    """The kernels from one version on, until the next era."""

    since: tuple[int, int, int]
    layout: tuple[str, ...]

    @cached_property
    def bits(self) -> Mapping[str, int]:
        """Bits by name; RECLAIM is there in all eras."""
        bits = {name: 1 << index for index, name in enumerate(self.layout) if name not in "-?"}
        bits["RECLAIM"] = self._mask("WAIT") or self._mask("DIRECT_RECLAIM", "KSWAPD_RECLAIM")
        if "WAIT" in bits:
            bits["WAIT?"] = 0
        return bits

    @cached_property
    def printed(self) -> tuple[tuple[str, int], ...]:
        """The names of this era with their bits, in the order in which they are looked for."""
        spelled = [(name, parts.split()) for name, parts in _PRINTED]
        return tuple(
            (name, sum(self.bits[part] for part in parts))
            for name, parts in spelled
            if all(part in self.bits for part in parts)
        )

    def names(self, mask: int) -> tuple[str, ...]:
        """What the kernel prints (format_flags() in lib/vsprintf.c)."""
        found = []
        for name, bits in self.printed:
            if mask & bits == bits:
                found.append(name)
                mask &= ~bits
        return (*found, f"{mask:#x}") if mask else tuple(found)

    def sense(self, mask: int) -> int:
        """How well a mask fits: below 0 it cannot be of this era, 0 says nothing, 2 is an ordinary one."""
        unknown = mask >> len(self.layout) or any(
            mask & 1 << index for index, name in enumerate(self.layout) if name == "-"
        )
        if unknown:
            return -1
        return self._sense_of_wait(mask) if "WAIT" in self.bits else self._sense_of_reclaim(mask)

    def _sense_of_wait(self, mask: int) -> int:
        retries = (mask & self._mask("REPEAT", "NOFAIL")).bit_count()
        rare = mask & self._mask("NO_KSWAPD", "OTHER_NODE", "WRITE")
        if not mask & self._mask("WAIT"):
            # Who cannot wait cannot try again.
            return -1 if retries else int(bool(mask & self._mask("HIGH")) and not rare)
        # "?" at bit 20 is for kernel memory, and MOVABLE for that of users.
        odd = mask & 1 << 20 and mask & self._mask("HIGHMEM") and "MOVABLE" not in self.layout[20:]
        if retries == 2 or odd:
            return -1
        return 1 if rare else 2

    def _sense_of_reclaim(self, mask: int) -> int:
        direct, kswapd = mask & self._mask("DIRECT_RECLAIM"), mask & self._mask("KSWAPD_RECLAIM")
        both = self._mask("MOVABLE", "RECLAIMABLE")
        if mask & both == both or (direct and mask & self._mask("ATOMIC")):
            return -1
        if direct and not kswapd:
            # Who waits wakes kswapd; only huge pages do not.
            return int(bool(mask & self._mask("MOVABLE")) and bool(mask & self._mask("COMP")))
        return bool(direct) + bool(kswapd)

    def _mask(self, *names: str) -> int:
        return sum(1 << self.layout.index(name) for name in names if name in self.layout)


_ERAS = tuple(_Era(since, tuple(layout.split())) for since, layout in _BITS_BY_ERA.items())


def _era_of_release(kernel: str | None) -> _Era | None:
    """The era of a release, by its version."""
    found = _RELEASE.match(kernel or "")
    if not found:
        return None
    version = tuple(int(part or 0) for part in found.groups())
    return next(era for era in reversed(_ERAS) if era.since <= version)


_PARTS = {name: frozenset(parts.split()) for name, parts in _PRINTED if "WAIT?" not in parts}
_PARTS |= {
    "GFP_TEMPORARY": frozenset((*_KERNEL.split(), "RECLAIMABLE")),
    "GFP_ATOMIC": frozenset(("HIGH", "KSWAPD_RECLAIM")),
    "__GFP_WAIT": frozenset(("RECLAIM",)),
    "__GFP_RECLAIM": frozenset(("RECLAIM",)),
    "__GFP_DMA": frozenset(("DMA",)),
    "__GFP_DMA32": frozenset(("DMA32",)),
    "__GFP_KSWAPD_RECLAIM": frozenset(("KSWAPD_RECLAIM",)),
}


def _expand(flags: Sequence[str]) -> frozenset[str]:
    """The single flags behind names, without ``__GFP_``; names that nobody knows and numbers are left out."""
    parts = frozenset().union(*(_PARTS.get(name, ()) for name in flags))
    return parts | {"DIRECT_RECLAIM", "KSWAPD_RECLAIM"} if "RECLAIM" in parts else parts


def _asked_at_least(mask: int) -> frozenset[str]:
    """What a mask says whosever it is; who may do I/O for memory may wait for it."""
    never_moved = enumerate(_ZONES.split())
    asked = {name for index, name in never_moved if name != "RECLAIMABLE" and mask & 1 << index}
    if asked & {"IO", "FS"}:
        asked.add("DIRECT_RECLAIM")
    return frozenset(asked)


def _highest_zone(asked: frozenset[str]) -> str:
    """gfp_zone(): a movable request may use the Movable zone only if it may use HighMem."""
    if "DMA" in asked:
        return "DMA"
    if "DMA32" in asked:
        return "DMA32"
    if "HIGHMEM" not in asked:
        return "Normal"
    return "Movable" if "MOVABLE" in asked else "HighMem"
