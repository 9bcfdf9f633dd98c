"""The first line of an event, of every era."""

import pytest

from memwatchd.oomreport.report import Trigger
from memwatchd.oomreport.statements.requests import Asked, parse_asked, parse_cpuset

OOM_LINES = {
    "oom-killer: gfp_mask=0x280d2, order=0": Trigger(gfp_mask=0x280D2, order=0),
    "apache2 invoked oom-killer: gfp_mask=0x280da, order=0, oomkilladj=-17": Trigger(
        comm="apache2", gfp_mask=0x280DA, order=0, oom_adj=-17
    ),
    "clamd invoked oom-killer: gfp_mask=0x84d0, order=0, oom_adj=0, oom_score_adj=0": Trigger(
        comm="clamd", gfp_mask=0x84D0, order=0, oom_adj=0, oom_score_adj=0
    ),
    "main invoked oom-killer: gfp_mask=0x24000c0, order=0, oom_score_adj=-999": Trigger(
        comm="main", gfp_mask=0x24000C0, order=0, oom_score_adj=-999
    ),
    "oom_kill: java invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=0, order=0, "
    "oom_score_adj=0": Trigger(
        comm="java",
        gfp_mask=0x14200CA,
        gfp_flags=("GFP_HIGHUSER_MOVABLE",),
        flags_printed=True,
        order=0,
        oom_score_adj=0,
        nodemask="0",
    ),
    "a, b: (c) invoked oom-killer: gfp_mask=0x14000c0(GFP_KERNEL), nodemask=(null),  order=1, "
    "oom_score_adj=0": Trigger(
        comm="a, b: (c)",
        gfp_mask=0x14000C0,
        gfp_flags=("GFP_KERNEL",),
        flags_printed=True,
        order=1,
        oom_score_adj=0,
    ),
    "kworker/0:1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0": Trigger(
        comm="kworker/0:1",
        gfp_mask=0xCC0,
        gfp_flags=("GFP_KERNEL",),
        flags_printed=True,
        order=-1,
        oom_score_adj=0,
    ),
    "python3 invoked oom-killer: gfp_mask=0x0(), order=0, oom_score_adj=0": Trigger(
        comm="python3", gfp_mask=0, flags_printed=True, order=0, oom_score_adj=0
    ),
    "oom-killer: gfp_mask=0x1d2": Trigger(gfp_mask=0x1D2),
    "kworker/0:1 invoked oom-killer": Trigger(comm="kworker/0:1"),
}


@pytest.mark.parametrize("line", OOM_LINES)
def test_oom_lines(line: str) -> None:
    """Every era words its first line otherwise; a missed one loses the whole event."""
    assert parse_asked(line) == Asked(True, OOM_LINES[line])


FAILURE_LINES = {
    "mc: page allocation failure. order:1, mode:0x20": Asked(
        False, Trigger(comm="mc", gfp_mask=0x20, order=1)
    ),
    "unity-system-co: page allocation failure: order:0, mode:0xd0": Asked(
        False, Trigger(comm="unity-system-co", gfp_mask=0xD0, order=0)
    ),
    "swapper/0: page allocation failure: order:6, mode:0x1(GFP_DMA), nodemask=(null),cpuset=/,"
    "mems_allowed=0": Asked(
        False,
        Trigger(
            comm="swapper/0",
            gfp_mask=1,
            gfp_flags=("GFP_DMA",),
            flags_printed=True,
            order=6,
            cpuset="/",
            mems_allowed="0",
        ),
    ),
    "x: page allocation stalls for 10004ms, order:0, mode:0x14200ca(GFP_HIGHUSER_MOVABLE), "
    "nodemask=(null)": Asked(
        False,
        Trigger(
            comm="x",
            gfp_mask=0x14200CA,
            gfp_flags=("GFP_HIGHUSER_MOVABLE",),
            flags_printed=True,
            order=0,
        ),
        "stall",
    ),
    "modprobe: vmalloc: allocation failure: 268435456 bytes, mode:0x24000c2(GFP_KERNEL|__GFP_HIGHMEM)": Asked(
        False,
        Trigger(
            comm="modprobe",
            gfp_mask=0x24000C2,
            gfp_flags=("GFP_KERNEL", "__GFP_HIGHMEM"),
            flags_printed=True,
        ),
        "vmalloc",
    ),
    "modprobe: vmalloc error: size 4096, page order 0, failed to allocate pages, mode:0xcc2("
    "GFP_KERNEL|__GFP_HIGHMEM), nodemask=(null),cpuset=/,mems_allowed=0-1": Asked(
        False,
        Trigger(
            comm="modprobe",
            gfp_mask=0xCC2,
            gfp_flags=("GFP_KERNEL", "__GFP_HIGHMEM"),
            flags_printed=True,
            order=0,
            cpuset="/",
            mems_allowed="0-1",
        ),
        "vmalloc",
    ),
    "SLUB: Unable to allocate memory on node -1, gfp=0x1080020(GFP_ATOMIC)": Asked(
        False, Trigger(gfp_mask=0x1080020, gfp_flags=("GFP_ATOMIC",), flags_printed=True), "slub"
    ),
    "SLAB: Unable to allocate memory on node 0 (gfp=0x20)": Asked(False, Trigger(gfp_mask=0x20), "slub"),
    "vmap allocation for size 430080 failed: use vmalloc=<size> to increase size": Asked(
        False, Trigger(), "vmalloc"
    ),
    "vmalloc: allocation failure: 37798136 bytes": Asked(False, Trigger(), "vmalloc"),
    "Allocation of length 1052672 from process 57 (sh) failed": Asked(
        False, Trigger(comm="sh", pid=57, order=9)
    ),
    "Allocation of length 4096 from process 57 failed": Asked(False, Trigger(pid=57, order=0)),
}


@pytest.mark.parametrize("line", FAILURE_LINES)
def test_failure_lines(line: str) -> None:
    """Allocation failures come before most kills, and are worded in as many ways."""
    assert parse_asked(line) == FAILURE_LINES[line]


@pytest.mark.parametrize(
    "line",
    [
        "the oom-killer is a part of the kernel",
        "page allocation failures are common",
        "[UFW BLOCK] IN=eth0 OUT= allocation",
        "x: memory allocation failed",
        "then the process invoked oom-killer",
        "vmap allocation for size X fails now and then",
    ],
)
def test_prose_is_no_event(line: str) -> None:
    """Mails quote reports and talk about them in the same words."""
    assert parse_asked(line) is None


def test_cpuset() -> None:
    """Until 4.20 only the second line says what the task was bound to."""
    assert parse_cpuset("memcheck-amd64- cpuset=/ mems_allowed=0") == ("/", "0")
    assert parse_cpuset("main cpuset=34186d9bd077 mems_allowed=0-1,3") == ("34186d9bd077", "0-1,3")
    assert parse_cpuset("a line with cpuset= in it") is None
