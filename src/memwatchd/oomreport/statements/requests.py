"""The line an event begins with: who asked for memory, for what.

::

    oom-killer: gfp_mask=0x280d2, order=0                                                            2.6.16
    apache2 invoked oom-killer: gfp_mask=0x280da, order=0, oom_adj=0                                 2.6.32
    clamd invoked oom-killer: gfp_mask=0x84d0, order=0, oom_adj=0, oom_score_adj=0                   3.2
    main invoked oom-killer: gfp_mask=0x24000c0, order=0, oom_score_adj=0                            4.4
    java invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=0, order=0, oom_score_adj=0
    dd invoked oom-killer: gfp_mask=0x101c4a(GFP_NOFS|__GFP_WRITE), order=3, oom_score_adj=0         5.0
    mc: page allocation failure. order:1, mode:0x20                                                  2.6.32
    go: page allocation failure: order:5, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null),cpuset=/,…
    x: page allocation stalls for 10004ms, order:0, mode:0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null)
    x: vmalloc: allocation failure: 268435456 bytes, mode:0x24000c2(GFP_KERNEL|__GFP_HIGHMEM)        5.12
    x: vmalloc error: size 268435456, page order 9, failed to allocate pages, mode:0xcc2(…)          5.13
    vmap allocation for size 430080 failed: use vmalloc=<size> to increase size
    vmalloc: allocation failure: 37798136 bytes             to 4.9, and then a page allocation failure
    SLUB: Unable to allocate memory on node -1, gfp=0x1080020(GFP_ATOMIC)
    Allocation of length 1052672 from process 57 (sh) failed                                         no MMU
    systemd cpuset=/ mems_allowed=0                                                                  4.20

The releases are those of the examples; stalls are reported by 4.10 to 4.14.
"""

import re
from dataclasses import dataclass, replace

from memwatchd.oomreport.gfp import parse_flags
from memwatchd.oomreport.report import Trigger
from memwatchd.oomreport.statements._amounts import integer

_OOM = re.compile(r"(?P<comm>.*?)(?: invoked |^)oom-killer: (?P<rest>(?:gfp_mask|order)=.*)", re.DOTALL)
# As people shorten it, or a log cuts it off.
_OOM_CUT = re.compile(r"(?P<comm>\S{1,15}) invoked oom-killer:?(?P<rest>)")
_FAILURE = re.compile(
    r"(?P<comm>.*): (?P<what>page allocation failure|page allocation stalls for|vmalloc: allocation failure"
    r"|vmalloc error)\b(?P<rest>.*)",
    re.DOTALL,
)
# Said before it is said for whom.
_ADDRESSES = re.compile(
    r"vmap allocation for size \d{1,20} failed|vmalloc: allocation failure: \d{1,20} bytes$"
)
_SLUB = re.compile(r"SL[AU]B: Unable to allocate memory on (?:node|CPU) -?\d+(?P<rest>.*)", re.DOTALL)
_NO_MMU = re.compile(
    r"Allocation of length (?P<bytes>\d{1,15}) from process (?P<pid>\d{1,10})(?: \((?P<comm>.*)\))? failed",
    re.DOTALL,
)
_CPUSET = re.compile(r"(?:.* )?cpuset=(?P<cpuset>.*?),? ?mems_allowed=(?P<mems>[\d,-]*)", re.DOTALL)

_MASK = re.compile(r"(?:gfp_mask=|mode:|gfp=)(0x[0-9a-fA-F]{1,16})(?:\(([^)]{0,1000})\))?")
_ORDER = re.compile(r"\border[=: ] ?(-?\d{1,3})\b")
_NODEMASK = re.compile(r"nodemask=(\(null\)|[\d,-]+?)(?=,? |,cpuset|,$|$)")
_SCORE_ADJ = re.compile(r"oom_score_adj=(-?\d{1,5})\b")
_ADJ = re.compile(r"\b(?:oom_adj|oomkilladj)=(-?\d{1,5})\b")
_PR_FMT = ("oom_kill: ", "warn_alloc: ")
# Of all machines without an MMU.
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked for memory, and there was trouble.

    Attributes:
        is_oom: The OOM killer was called; otherwise the allocation failed, or took long.
        manner: "stall", "slub" or "vmalloc"; None for the usual.
    """

    is_oom: bool
    trigger: Trigger
    manner: str | None = None


def parse_asked(text: str) -> Asked | None:
    """Read the first line of an event."""
    if "oom-killer" in text:
        text = _without_pr_fmt(text)
        found = _OOM.match(text) or _OOM_CUT.fullmatch(text)
        return Asked(True, _trigger(found["comm"], found["rest"])) if found else None
    if "allocation" in text or "vmalloc" in text:
        text = _without_pr_fmt(text)
        if _ADDRESSES.match(text):
            return Asked(False, Trigger(), "vmalloc")
        found = _FAILURE.match(text)
        return Asked(False, _trigger(found["comm"], found["rest"]), _manner(found["what"])) if found else None
    if "B: Unable to allocate" in text:
        found = _SLUB.search(text)
        return Asked(False, _trigger("", found["rest"]), "slub") if found else None
    if found := _NO_MMU.match(text):
        order = max(0, -(-int(found["bytes"]) // _PAGE_BYTES) - 1).bit_length()
        return Asked(False, Trigger(comm=found["comm"], pid=int(found["pid"]), order=order))
    return None


def at(asked: Asked, line: int) -> Asked:
    """The same, with the line it stands on."""
    return replace(asked, trigger=replace(asked.trigger, line=line))


def parse_cpuset(text: str) -> tuple[str, str | None] | None:
    """Read the second line of kernels before 5.0: the cpuset, and the nodes it allows."""
    found = _CPUSET.fullmatch(text)
    return None if found is None else (found["cpuset"], found["mems"] or None)


def _trigger(comm: str, rest: str) -> Trigger:
    mask, order = _MASK.search(rest), _ORDER.search(rest)
    nodemask, score_adj, adj = _NODEMASK.search(rest), _SCORE_ADJ.search(rest), _ADJ.search(rest)
    placed = _CPUSET.search(rest)
    printed = mask is not None and mask[2] is not None
    return Trigger(
        comm=comm or None,
        gfp_mask=int(mask[1], 16) if mask else None,
        gfp_flags=parse_flags(mask[2]) if mask and printed else (),
        flags_printed=printed,
        order=integer(order and order[1]),
        oom_score_adj=integer(score_adj and score_adj[1]),
        oom_adj=integer(adj and adj[1]),
        nodemask=nodemask[1] if nodemask and nodemask[1] != "(null)" else None,
        cpuset=placed["cpuset"] if placed else None,
        mems_allowed=(placed["mems"] or None) if placed else None,
    )


def _manner(what: str) -> str | None:
    if what.startswith("vm"):
        return "vmalloc"
    return "stall" if "stalls" in what else None


def _without_pr_fmt(text: str) -> str:
    return next((text.removeprefix(prefix) for prefix in _PR_FMT if text.startswith(prefix)), text)
